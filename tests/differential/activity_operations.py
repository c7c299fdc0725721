"""What an activity's worker does, and what is done to an activity by its id."""

from driver.rpc import response_type
from driver.values import payloads

from model import LONG
from operation import Operation
from player import failure_of
from view import CANCEL_REQUESTED, EVERY_STATE, SCHEDULED, STARTED


class TakeActivity(Operation):
    kind = "take_activity"
    idle_seconds = 1.2

    def possible(self, model):
        return model.takeable_activity("waiting", "backoff") is not None

    def can_idle(self, model):
        return model.activity_in("waiting", "backoff") is None

    def idle(self, model):
        return {"choice": model.number()}

    def make(self, model):
        model.take_activity(model.takeable_activity("waiting", "backoff"))
        return {"choice": model.number()}

    def play(self, player, label, operation):
        activity_id = player.pending_activity(operation["choice"], SCHEDULED)
        if activity_id:
            player.take_activity(label, activity_id)
        else:
            activity_id = player.pending_activity(operation["choice"], *EVERY_STATE) or "a1"
            player.poll_in_vain(label, player.queue_of(activity_id))
        return True


class WithToken(Operation):
    """Answers the task of a started activity; takes one where none is started; otherwise answers a
    task that is over, or none at all."""

    keeps = False  # the activity goes on after this

    def possible(self, model):
        known = model.activity_tokens or model.takeable_activity("waiting")
        return bool(known) and not self._would_crowd(model)

    def can_idle(self, model):
        return not self._would_crowd(model)

    def idle(self, model):
        return {"choice": model.number(), **self.parameters(model)}

    def _would_crowd(self, model):
        waiting = model.activity_in("waiting")
        return waiting and not model.activity_in("held") and not model.takeable_activity("waiting")

    def make(self, model):
        activity_id = model.activity_in("held")
        if activity_id is None and model.activity_in("waiting"):
            activity_id = model.takeable_activity("waiting")
            model.take_activity(activity_id)
        made = {"choice": model.number(), **self.parameters(model)}
        if activity_id and not self.keeps:
            self.effect(model, activity_id, made)
        return made

    def parameters(self, model):
        return {}

    def effect(self, model, activity_id, made):
        model.activity_ends(activity_id)
        model.event_arrives()

    def _task(self, player, label, choice):
        activity_id = player.pending_activity(choice, STARTED, CANCEL_REQUESTED)
        if activity_id in player.activities:
            return player.activities[activity_id]
        activity_id = player.pending_activity(choice, SCHEDULED)
        if activity_id:
            return player.take_activity(label, activity_id)
        known = sorted(player.activities)
        if not known:
            return response_type("PollActivityTaskQueue")()
        return player.activities[known[choice % len(known)]]

    def play(self, player, label, operation):
        task = self._task(player, label, operation["choice"])
        self.send(player, label, operation, task)
        return True


class CompleteActivity(WithToken):
    kind = "complete_activity"

    def parameters(self, model):
        return {"result": "done"} if model.chance(0.7) else {}

    def send(self, player, label, operation, task):
        values = [operation["result"]] if "result" in operation else []
        player.activity_done(task, *values, label=label)


def some_failure(model, for_good):
    made = {"message": model.one_of("it broke", "no luck"), "type": "Broken"}
    if for_good:
        made.update(model.one_of({"non_retryable": True}, {"type": "Fatal", "non_retryable": True}))
    elif model.chance(0.2):
        made["next_retry_delay"] = model.one_of(1, 2)
    if model.chance(0.3):
        made["details"] = "more"
    if model.chance(0.3):
        made["cause"] = "deeper"
    if model.chance(0.3):
        made["stack_trace"] = "at act"
    return made


class FailActivity(WithToken):
    kind = "fail_activity"
    for_good = False

    def parameters(self, model):
        made = {"failure": some_failure(model, self.for_good)}
        if model.chance(0.2):
            made["details"] = "last heartbeat"
        return made

    def effect(self, model, activity_id, made):
        delay = made["failure"].get("next_retry_delay")
        if self.for_good or not model.activity_retries(activity_id, delay):
            super().effect(model, activity_id, made)

    def send(self, player, label, operation, task):
        fields = {}
        if "details" in operation:
            fields["last_heartbeat_details"] = payloads(operation["details"])
        player.activity_failed(task, failure_of(operation), label=label, **fields)


class FailActivityForGood(FailActivity):
    kind = "fail_activity_for_good"
    for_good = True


class CancelActivityTask(WithToken):
    """Refused unless a cancellation was requested."""

    kind = "activity_canceled"

    def effect(self, model, activity_id, made):
        if activity_id in model.cancel_requested:
            super().effect(model, activity_id, made)

    def parameters(self, model):
        return {"details": "stopped"} if model.chance(0.5) else {}

    def send(self, player, label, operation, task):
        values = [operation["details"]] if "details" in operation else []
        player.activity_canceled(task, *values, label=label)


class Heartbeat(WithToken):
    kind = "heartbeat"
    keeps = True

    def parameters(self, model):
        return {"details": model.fresh("beat")} if model.chance(0.8) else {}

    def make(self, model):
        made = super().make(model)
        model.rearm_heartbeats()
        return made

    def send(self, player, label, operation, task):
        values = [operation["details"]] if "details" in operation else []
        player.heartbeat(task, *values, label=label)


class ById(Operation):
    """An operation on an activity by its id, whatever state it is in; one on none at all too."""

    method = ""
    ends = True

    def possible(self, model):
        return model.started

    def make(self, model):
        activity_id = model.activity_in("held")
        if activity_id is None and self.method.endswith("CompletedById"):
            activity_id = model.activity_in("waiting", "backoff")
        if activity_id and self.ends:
            self.effect(model, activity_id)
        return {"choice": model.number(), "run": model.one_of("", "current")}

    def effect(self, model, activity_id):
        model.activity_ends(activity_id)
        model.event_arrives()

    def fields(self):
        return {}

    def play(self, player, label, operation):
        choice = operation["choice"]
        activity_id = player.pending_activity(choice, STARTED, CANCEL_REQUESTED)
        activity_id = activity_id or player.pending_activity(choice, SCHEDULED) or "a1"
        player.does(
            label,
            self.method,
            workflow_id=player.wid,
            run_id=player.view.run_id if operation["run"] else "",
            activity_id=activity_id,
            identity="worker",
            **self.fields(),
        )
        return True


class CompleteById(ById):
    kind = "complete_by_id"
    method = "RespondActivityTaskCompletedById"

    def fields(self):
        return {"result": payloads("by id")}


class FailById(ById):
    kind = "fail_by_id"
    method = "RespondActivityTaskFailedById"

    def effect(self, model, activity_id):
        if not model.activity_retries(activity_id):
            super().effect(model, activity_id)

    def fields(self):
        return {"failure": failure_of({"failure": {"message": "by id", "type": "Broken"}})}


class CancelById(ById):
    kind = "cancel_by_id"
    method = "RespondActivityTaskCanceledById"

    def effect(self, model, activity_id):
        if activity_id in model.cancel_requested:
            super().effect(model, activity_id)

    def fields(self):
        return {"details": payloads("by id")}


class HeartbeatById(ById):
    kind = "heartbeat_by_id"
    method = "RecordActivityTaskHeartbeatById"
    ends = False

    def make(self, model):
        model.rearm_heartbeats()
        return super().make(model)

    def fields(self):
        return {"details": payloads("beat by id")}


def activity_times(model, activity_id):
    """Random timeouts of an activity; what is short is armed when it is taken."""
    made = {}
    if model.chance(0.25):
        made["start_to_close"] = 2
    if model.chance(0.2):
        made["heartbeat"] = 2
    if model.chance(0.15):
        made["schedule_to_close"] = model.short(f"activity {activity_id} close", (3, 4))
    elif model.chance(0.15):
        made["schedule_to_start"] = model.short(f"activity {activity_id} start", (1, 2, 3))
    return {name: seconds for name, seconds in made.items() if seconds != LONG}


OPERATIONS = [
    TakeActivity(),
    CompleteActivity(),
    FailActivity(),
    FailActivityForGood(),
    CancelActivityTask(),
    Heartbeat(),
    CompleteById(),
    FailById(),
    CancelById(),
    HeartbeatById(),
]
