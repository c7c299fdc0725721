"""Updates, alone and together with a start, and the task that brings them."""

import math
import time

from driver import updates
from driver.values import app_failure

from client_operations import Start, target
from model import LONG
from operation import Operation
from player import BUFFERED_S

REFUSED_S = 5  # a call that is refused, or answered, without a worker
USE_EXISTING = 2
LAST_ATTEMPT = 3  # of a workflow task; from then on updates are refused


class Update(Operation):
    """An update, the task that brings it and the answer; accepted ones may stay unfinished. While a
    worker has a task the update waits; whoever answers the next task knows nothing of updates."""

    kind = "update"
    seconds = 0.8

    def possible(self, model):
        return model.open and model.task != "held" and "delay" not in model.dues

    def can_idle(self, model):
        return model.dues.get("delay", math.inf) - model.clock > LONG / 2

    def idle(self, model):
        made = super().idle(model)
        if model.task == "held":
            model.buffered = True
        return made

    def make(self, model):
        model.event_arrives()
        model.take_task()
        how = model.one_of("complete", "complete", "accept", "reject", "fail")
        model.task_ends()
        model.sticky = None
        if how != "reject":
            model.task_completed_once = True
            model.attempt, model.query = 1, False
        return {"id": model.one_of(model.fresh("u"), "u1"), "how": how}

    def play(self, player, label, operation):
        view, update_id = player.view, operation["id"]
        stage = updates.ACCEPTED if operation["how"] == "accept" else updates.COMPLETED
        refused = view.task is not None and view.task.attempt >= LAST_ATTEMPT
        if not view.is_open or update_id in player.updates or refused or view.in_first_backoff():
            updates.send(player, update_id, label=label, stage=stage, timeout=REFUSED_S)
            return True
        if any(update_id == waiting for waiting, _, _ in player.admitted):
            return False  # it would be one with the one that waits
        sent = updates.later(player, update_id, "in", stage=stage)
        player.rest(BUFFERED_S)
        if view.task_runs:
            player.admitted.append((update_id, label, sent))
            return True
        sticky = view.task_is_sticky if view.task_waits else bool(player.sticky_seconds)
        self.serve(player, label, operation, sent, sticky and player.sticky_alive())
        return True

    def serve(self, player, label, operation, sent, sticky=False):
        """Takes the task that brings the update, and answers both."""
        task = player.take_from(label, sticky)
        commands, fields = self._answer(task, operation)
        if task.queries:
            fields["query_results"] = player.query_results(task)
        answer = player.complete(task, *commands, **fields)
        player.held, player.sticky_seconds = None, None
        if answer is not None and player.query and task.queries:
            player.query_was_answered()
        if operation["how"] in ("complete", "accept", "fail"):
            player.updates.append(operation["id"])
        player.settle(label, sent)

    def _answer(self, task, operation):
        messages, how = [], operation["how"]
        for incoming, request in updates.requests(task):
            if how == "reject":
                messages.append(updates.rejection(incoming, request))
                continue
            messages.append(updates.acceptance(incoming, request))
            instance = incoming.protocol_instance_id
            if how == "complete":
                messages.append(updates.response(instance, "out"))
            elif how == "fail":
                messages.append(updates.response(instance, failure=app_failure("no", "No")))
        commands = [] if how == "reject" else updates.says(*messages)
        fields = {"messages": messages, "capabilities": updates.DISCARDS}
        return commands, {"label": "update answered", **fields}


class UpdateWithStart(Start):
    kind = "update_with_start"
    seconds = 0.8

    def can_idle(self, model):
        return False

    def possible(self, model):
        return model.task != "held" and "delay" not in model.dues and model.attempt == 1

    def make(self, model):
        made = super().make(model)
        made.setdefault("conflict", USE_EXISTING)
        made.update(Update().make(model))
        return made

    def play(self, player, label, operation):
        view = player.view
        if view and (view.task_runs or view.is_open and view.in_first_backoff() or player.query):
            return False
        both = self._both(player, operation)
        sent = player.later(player.call, "ExecuteMultiOperation", operations=both)
        until = time.time() + BUFFERED_S
        while time.time() < until and not sent.done():
            player.rest(0.02)
        player.look()
        if sent.done():
            player.settle(label, sent)
        else:
            same_run = view and view.run_id == player.view.run_id
            waits_sticky = same_run and (view.task_is_sticky or not view.task_waits)
            sticky = waits_sticky and bool(player.sticky_seconds) and player.sticky_alive()
            Update().serve(player, label, operation, sent, sticky)
        return True

    def _both(self, player, operation):
        start = player.start_fields(**self.fields(player, operation))
        stage = updates.ACCEPTED if operation["how"] == "accept" else updates.COMPLETED
        update = updates.fields(player, operation["id"], "in", stage=stage)
        for request in (start, update):
            request.update(namespace=player.namespace)
        start["identity"] = "script"
        return [{"start_workflow": start}, {"update_workflow": update}]


class PollUpdate(Operation):
    """Asks what became of an update, without waiting."""

    kind = "poll_update"

    def possible(self, model):
        return "u" in model.numbers

    def make(self, model):
        return {"id": model.one_of("u1", "u2"), "run": model.one_of("", "first")}

    def play(self, player, label, operation):
        run_id = target(player, operation)["run_id"]
        updates.poll(player, operation["id"], label, stage=None, run_id=run_id)
        return True


OPERATIONS = [Update(), UpdateWithStart(), PollUpdate()]
