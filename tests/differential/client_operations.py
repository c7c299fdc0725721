"""What a client does: starts, signals, cancels, terminations, queries, reads."""

import math
import time

from driver.rpc import to_json
from driver.values import payload, payloads, retry, secs

from model import LONG
from operation import Operation
from player import HORIZON_S, QUERY_S

FAIL, USE_EXISTING, TERMINATE_EXISTING = 1, 2, 3
ALLOW, FAILED_ONLY, REJECT, TERMINATE_IF_RUNNING = 1, 2, 3, 4
NOTHING_S = 0.5
TASK_S = 60  # a task timeout nobody waits for


class Start(Operation):
    kind = "start"
    extra = None  # the name of the option that makes the kind

    def make(self, model):
        made = {"request": model.one_of(model.fresh("start"), "start1")}
        made.update(self._policies(model))
        if self._begins(model, made):
            made.update(self._options(model))
        else:
            model.rng.random()
        return made

    def _policies(self, model):
        made = {}
        if model.started and model.chance(0.8):
            made["conflict"] = model.one_of(FAIL, USE_EXISTING, TERMINATE_EXISTING)
        if model.started and model.chance(0.5):
            made["reuse"] = model.one_of(ALLOW, FAILED_ONLY, REJECT, TERMINATE_IF_RUNNING)
        return made

    def _begins(self, model, made):
        """Whether a new run is likely to come of it."""
        if model.started and made["request"] == model.request:
            return False
        if model.open:
            conflict = made.get("conflict")
            terminates = conflict == TERMINATE_EXISTING or made.get("reuse") == TERMINATE_IF_RUNNING
            return terminates and not (conflict and made.get("reuse") == TERMINATE_IF_RUNNING)
        return not model.started or made.get("reuse") not in (FAILED_ONLY, REJECT)

    def _options(self, model):
        made = {}
        short_task = model.chance(0.35)
        made["task_timeout"] = 2 if short_task else TASK_S
        model.begin_run(task_timeout=2 if short_task else LONG)
        model.request = None
        if model.chance(0.12):
            made["run_timeout"] = model.short("run", (4, 5))
        if model.chance(0.15):
            made["attempts"] = model.one_of(2, 3)
        for name in ("input", "memo", "summary", "header", "priority"):
            if model.chance(0.2):
                made[name] = name
        model.retries = made.get("attempts", 1)
        return made

    def fields(self, player, operation):
        made = {"request_id": operation["request"]}
        names = {"conflict": "workflow_id_conflict_policy", "reuse": "workflow_id_reuse_policy"}
        made.update({to: operation[name] for name, to in names.items() if name in operation})
        made["workflow_task_timeout"] = secs(operation.get("task_timeout", TASK_S))
        if "run_timeout" in operation:
            made["workflow_run_timeout"] = secs(operation["run_timeout"])
        if "attempts" in operation:
            made["retry_policy"] = retry(attempts=operation["attempts"])
        if "input" in operation:
            made["input"] = payloads(operation["input"], 1)
        if "memo" in operation:
            made["memo"] = {"fields": {"note": payload(operation["memo"])}}
        if "summary" in operation:
            made["user_metadata"] = {"summary": payload(operation["summary"])}
        if "header" in operation:
            made["header"] = {"fields": {"trace": payload(operation["header"])}}
        if "priority" in operation:
            made["priority"] = {"priority_key": 2}
        return made

    def play(self, player, label, operation):
        player.start(label, **self.fields(player, operation))
        return True


class StartDelayed(Start):
    kind = "start_delayed"

    def _options(self, model):
        made = super()._options(model)
        made["delay"] = model.short("delay", (1, 2)) if model.chance(0.5) else LONG
        model.dues["delay"] = model.clock + made["delay"]
        model.task = None
        return made

    def fields(self, player, operation):
        made = super().fields(player, operation)
        return {**made, "workflow_start_delay": secs(operation.get("delay", 1))}


class StartEager(Start):
    kind = "start_eager"

    def _options(self, model):
        made = super()._options(model)
        model.take_task()
        return made

    def play(self, player, label, operation):
        fields = {**self.fields(player, operation), "request_eager_execution": True}
        answer = player.start(label, **fields)
        if answer is not None and answer.eager_workflow_task.task_token:
            player.hold(answer.eager_workflow_task)
        return True


class SignalWithStart(Start):
    kind = "signal_with_start"

    def _policies(self, model):
        made = super()._policies(model)
        made.pop("reuse" if model.open else "conflict", None)
        if made.get("conflict") == FAIL:
            del made["conflict"]
        return {**made, "signal": model.one_of("sig", "other")}

    def make(self, model):
        made = super().make(model)
        model.event_arrives()
        return made

    def play(self, player, label, operation):
        fields = player.start_fields(**self.fields(player, operation))
        fields["signal_name"] = operation["signal"]
        fields["signal_input"] = payloads("with start")
        player.does(label, "SignalWithStartWorkflowExecution", **fields)
        return True


class Signal(Operation):
    kind = "signal"

    def possible(self, model):
        return model.started

    def make(self, model):
        model.event_arrives()
        made = {"name": model.one_of("sig", "other"), "run": model.one_of("", "", "first")}
        if model.chance(0.4):
            made["request"] = model.one_of("signal1", "signal2")
        if model.chance(0.3):
            made["input"] = "value"
        return made

    def play(self, player, label, operation):
        fields = {"workflow_execution": target(player, operation)}
        if "request" in operation:
            fields["request_id"] = operation["request"]
        values = [operation["input"]] if "input" in operation else []
        player.signal(operation["name"], *values, label=label, **fields)
        return True


class Cancel(Operation):
    kind = "cancel"

    def possible(self, model):
        return model.started

    def make(self, model):
        if not model.cancel_asked:
            model.event_arrives()
            model.dues.pop("delay", None)
        model.cancel_asked = True
        return {"run": model.one_of("", "", "first", "chain"), "reason": model.one_of("", "why")}

    def play(self, player, label, operation):
        fields = {"workflow_execution": target(player, operation), "reason": operation["reason"]}
        if operation["run"] == "chain":
            fields["first_execution_run_id"] = player.runs[0]
        player.cancel(label, **fields)
        return True


class Terminate(Operation):
    kind = "terminate"

    def possible(self, model):
        return model.started

    def make(self, model):
        model.close()
        made = {"run": model.one_of("", "", "first", "chain"), "reason": model.one_of("", "why")}
        if model.chance(0.3):
            made["details"] = "more"
        return made

    def play(self, player, label, operation):
        fields = {"workflow_execution": target(player, operation), "reason": operation["reason"]}
        if operation["run"] == "chain":
            fields["first_execution_run_id"] = player.runs[0]
        if "details" in operation:
            fields["details"] = payloads(operation["details"])
        player.terminate(label, **fields)
        return True


class Query(Operation):
    kind = "query"

    def possible(self, model):
        return model.task_taken_once and (model.open or model.task_completed_once)

    def can_idle(self, model):
        return model.dues.get("delay", math.inf) - model.clock > QUERY_S

    def idle(self, model):
        return self.make(model)

    def make(self, model):
        if model.task:
            model.query = True
        return {"reject": model.one_of(0, 1, 1, 2, 3)}

    def play(self, player, label, operation):
        view = player.view
        soon = time.time() + 2 * QUERY_S
        if view.is_open and not view.ever_had_task and any(due < soon for due in player.dues()):
            return False  # it would wait for a task that is not there yet
        if player.query and not view.ever_completed_task:
            return False  # which of two is first when the first task ends is luck in the original
        fields = {"query_reject_condition": operation["reject"]} if operation["reject"] else {}
        player.ask(label, **fields)
        return True


class Describe(Operation):
    """Of a run that is not the current one: that one is described after every operation."""

    kind = "describe"

    def possible(self, model):
        return model.started

    def make(self, model):
        return {"run": model.one_of("first", "none such")}

    def play(self, player, label, operation):
        player.describe(label, target(player, operation)["run_id"])
        return True


class ReadHistory(Operation):
    """The original lets the reader of an open run's close event wait, asked to or not, until its
    deadline is near: that deadline is short, and nothing may happen by itself until then."""

    kind = "read_history"
    ways = ("close event", "reverse", "pages", "skip archival")
    deadline_s = 3

    def possible(self, model):
        return model.started

    def make(self, model):
        ways = self.ways[1:] if model.open and (model.dues or model.chance(0.8)) else self.ways
        return {"way": model.one_of(*ways), "run": model.one_of("", "first")}

    def play(self, player, label, operation):
        method = "GetWorkflowExecutionHistory"
        fields = {"execution": target(player, operation)}
        if operation["way"] == "close event":
            fields["history_event_filter_type"] = 2
            fields["timeout"] = self.deadline_s
            if player.view.is_open and player.dues():
                return False
            player.patient = True
        elif operation["way"] == "reverse":
            method += "Reverse"
        elif operation["way"] == "pages":
            run_id = target(player, operation)["run_id"]
            player.note(label, [to_json(e) for e in player.events(run_id, maximum_page_size=3)])
            return True
        else:
            fields["skip_archival"] = True
        player.does(label, method, **fields)
        return True


class ResetSticky(Operation):
    kind = "reset_sticky"

    def possible(self, model):
        return model.started

    def make(self, model):
        model.sticky = None
        return {"run": model.one_of("", "first")}

    def play(self, player, label, operation):
        answer = player.does(label, "ResetStickyTaskQueue", execution=target(player, operation))
        if answer is not None and player.sticky_seconds:
            player.unstuck = True
        if answer is not None and not player.view.task_is_sticky:
            player.sticky_seconds = None
        return True


class Wait(Operation):
    """Something happens by itself: a timer fires, an attempt times out, a backoff ends."""

    kind = "wait"

    idle_seconds = 0.6

    def possible(self, model):
        return model.free_seconds() < HORIZON_S

    def idle(self, model):
        return {}

    def make(self, model):
        model.happen(model.next_due())
        return {}

    def play(self, player, label, operation):
        if not player.wait():
            player.rest(NOTHING_S)  # and nothing happens
        return True


def target(player, operation):
    """The execution an operation names."""
    runs = {"": "", "chain": "", "none such": "11111111-2222-4333-8444-555555555555"}
    run = operation.get("run", "")
    return player.execution(runs[run] if run in runs else player.runs[0])


OPERATIONS = [
    Start(),
    StartDelayed(),
    StartEager(),
    SignalWithStart(),
    Signal(),
    Cancel(),
    Terminate(),
    Query(),
    Describe(),
    ReadHistory(),
    ResetSticky(),
    Wait(),
]
