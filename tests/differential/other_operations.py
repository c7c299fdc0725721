"""Updates, what operators do to activities, and what becomes of children."""

import time

from driver import updates
from driver.values import app_failure, command, done

from client_operations import target
from operation import Operation
from player import BUFFERED_S
from view import SCHEDULED, STARTED

PAUSED, PAUSE_REQUESTED = 4, 5


class Update(Operation):
    """An update, the task that brings it and the answer; accepted ones may stay unfinished."""

    kind = "update"

    def possible(self, model):
        free = model.task != "held" and not model.query and "delay" not in model.dues
        return model.open and free and model.attempt == 1

    def make(self, model):
        model.event_arrives()
        model.take_task()
        how = model.one_of("complete", "complete", "accept", "reject", "fail")
        model.task_ends()
        model.sticky = None
        if how != "reject":
            model.task_completed_once = True
        return {"id": model.one_of(model.fresh("u"), "u1"), "how": how}

    def play(self, player, label, operation):
        view = player.view
        waits = not view.ever_had_task or player.query or view.task and view.task.attempt > 1
        if not view.is_open or view.task_runs or waits:
            return False
        if operation["id"] in player.updates:
            updates.send(player, operation["id"], label=label)
            return True
        stage = updates.ACCEPTED if operation["how"] == "accept" else updates.COMPLETED
        sent = updates.later(player, operation["id"], "in", stage=stage)
        time.sleep(BUFFERED_S)
        sticky = view.task_is_sticky if view.task_waits else bool(player.sticky_seconds)
        task = player.take_from(label, sticky and player.sticky_alive())
        commands, fields = self._answer(task, operation)
        player.complete(task, *commands, **fields)
        player.held, player.sticky_seconds = None, None
        if operation["how"] in ("complete", "accept", "fail"):
            player.updates.append(operation["id"])
        player.settle(label, sent)
        return True

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


class PollUpdate(Operation):
    """Asks what became of an update, without waiting."""

    kind = "poll_update"

    def possible(self, model):
        return model.started and "u" in model.numbers

    def make(self, model):
        return {"id": model.one_of("u1", "u2"), "run": model.one_of("", "first")}

    def play(self, player, label, operation):
        run_id = target(player, operation)["run_id"]
        updates.poll(player, operation["id"], label, stage=None, run_id=run_id)
        return True


class OnActivity(Operation):
    """What an operator does to a pending activity, or to none."""

    method = ""

    def possible(self, model):
        return model.started and bool(model.activities or model.chance(0.1))

    def make(self, model):
        return {"choice": model.number(), **self.parameters(model)}

    def parameters(self, model):
        return {}

    def play(self, player, label, operation):
        states = (SCHEDULED, STARTED, PAUSED, PAUSE_REQUESTED)
        activity_id = player.pending_activity(operation["choice"], *states) or "a1"
        fields = {k: v for k, v in operation.items() if k not in ("kind", "choice")}
        player.does(label, self.method, execution=player.execution(), id=activity_id, **fields)
        return True


class PauseActivity(OnActivity):
    kind = "pause_activity"
    method = "PauseActivity"

    def parameters(self, model):
        return {"reason": model.one_of("", "slow down")}


class UnpauseActivity(OnActivity):
    kind = "unpause_activity"
    method = "UnpauseActivity"

    def parameters(self, model):
        return {"reset_attempts": model.chance(0.3), "reset_heartbeat": model.chance(0.3)}


class ResetActivity(OnActivity):
    kind = "reset_activity"
    method = "ResetActivity"

    def parameters(self, model):
        return {"reset_heartbeat": model.chance(0.3), "keep_paused": model.chance(0.3)}


class EndChild(Operation):
    """A running child ends: its worker answers its first task, or somebody terminates it."""

    kind = "end_child"

    def possible(self, model):
        return model.open and model.children > 0

    def make(self, model):
        model.children -= 1
        model.event_arrives()
        how = model.one_of("complete", "fail", "cancel", "continue", "terminate")
        return {"how": how, "choice": model.number()}

    def play(self, player, label, operation):
        pending = sorted(c.workflow_id for c in player.view.described.pending_children)
        if not pending:
            return False
        child = pending[operation["choice"] % len(pending)]
        how = operation["how"]
        if how == "terminate":
            execution = {"workflow_id": child}
            player.does(label, "TerminateWorkflowExecution", workflow_execution=execution)
        else:
            task = player.poll_call(queue=player.queue_of_child(child))
            player.note_task(f"{label}: task", task)
            player.complete(task, *self._commands(player, child, how), label=label)
        if how != "continue":  # of which the parent hears nothing
            player.wait_until(lambda view: child not in view.child_ids())
        return True

    def _commands(self, player, child, how):
        if how == "fail":
            return [command("fail_workflow_execution", failure=app_failure("child broke"))]
        if how == "cancel":
            return [command("cancel_workflow_execution")]
        if how == "continue":
            queue = {"name": player.queue_of_child(child)}
            return [command("continue_as_new_workflow_execution", task_queue=queue)]
        return [done("from the child")]


OPERATIONS = [
    Update(),
    PollUpdate(),
    PauseActivity(),
    UnpauseActivity(),
    ResetActivity(),
    EndChild(),
]
