"""The commands of an answer to a workflow task."""

from driver.values import (
    activity,
    app_failure,
    cancel_activity,
    cancel_timer,
    command,
    done,
    fail,
    payload,
    payloads,
    retry,
    secs,
    timer,
)

from activity_operations import activity_times
from model import LONG
from operation import Command

NO_EVENT = 999
GROWN_S = 1.1
YOUNG_S = 0.3  # a run that is continued while it is younger is surely younger than a second


class Activity(Command):
    kind = "activity"

    def make(self, model):
        made = {"id": model.fresh("a")}
        made.update(activity_times(model, made["id"]))
        if model.chance(0.5):
            made["attempts"] = model.one_of(1, 2, 3)
        if model.chance(0.3):
            made["fatal"] = "Fatal"
        if model.chance(0.3):
            made["input"] = "for act"
        model.add_activity(made)
        return made

    def build(self, player, made):
        fields = {"queue": player.queue_of(made["id"])}
        for name in ("start_to_close", "heartbeat", "schedule_to_close", "schedule_to_start"):
            if name in made:
                fields[f"{name}_timeout"] = secs(made[name])
        fields.setdefault("start_to_close_timeout", secs(LONG))
        if "attempts" in made or "fatal" in made:
            fatal = [made["fatal"]] if "fatal" in made else []
            attempts = made.get("attempts", 0)
            fields["retry_policy"] = retry(attempts=attempts, non_retryable_error_types=fatal)
        if "input" in made:
            fields["input"] = payloads(made["input"])
        return activity(made["id"], **fields)


class CancelActivity(Command):
    """Of an activity that is pending; of none, which is refused."""

    kind = "cancel_activity"

    def make(self, model):
        model.cancel_activity()
        return {"choice": model.number()}

    def build(self, player, made):
        found = sorted(player.view.activities)
        if not found:
            return cancel_activity(NO_EVENT)
        chosen = found[made["choice"] % len(found)]
        return cancel_activity(player.view.scheduled_event_of(chosen).event_id)


class Timer(Command):
    kind = "timer"

    def make(self, model):
        name = model.fresh("t")
        seconds = model.short(f"timer {name}") if model.chance(0.6) else LONG
        model.timers.append(name)
        return {"id": name, "seconds": seconds}

    def build(self, player, made):
        return timer(made["id"], made["seconds"])


class CancelTimer(Command):
    kind = "cancel_timer"

    def make(self, model):
        if model.timers:
            name = model.timers.pop()
            model.dues.pop(f"timer {name}", None)
            return {"id": name}
        return {"id": "none such"}

    def build(self, player, made):
        return cancel_timer(made["id"])


class Marker(Command):
    kind = "marker"

    def make(self, model):
        return {"failure": True} if model.chance(0.3) else {}

    def build(self, player, made):
        failure = app_failure("in the marker") if "failure" in made else None
        details = {"data": payloads("marked")}
        return command("record_marker", marker_name="Version", details=details, failure=failure)


class Memo(Command):
    kind = "memo"

    def make(self, model):
        return {"field": model.one_of("note", "other"), "value": model.one_of("new", None)}

    def build(self, player, made):
        value = payload(made["value"]) if made["value"] else {}
        fields = {"fields": {made["field"]: value}}
        return command("modify_workflow_properties", upserted_memo=fields)


class Complete(Command):
    kind = "complete"
    closes = True

    def make(self, model):
        return {"result": "done"} if model.chance(0.7) else {}

    def build(self, player, made):
        return done(made["result"]) if "result" in made else done()


class Fail(Command):
    kind = "fail"
    closes = True

    def make(self, model):
        model.fails = True
        made = {"type": model.one_of("Broken", "Fatal")}
        if model.chance(0.3):
            made["non_retryable"] = True
        return made

    def build(self, player, made):
        fields = {"non_retryable": True} if "non_retryable" in made else {}
        return fail(app_failure("workflow broke", made["type"], **fields))


class CancelWorkflow(Command):
    kind = "cancel_workflow"
    closes = True

    def make(self, model):
        return {"details": "stopped"} if model.chance(0.5) else {}

    def build(self, player, made):
        fields = {"details": payloads(made["details"])} if "details" in made else {}
        return command("cancel_workflow_execution", **fields)


class ContinueAsNew(Command):
    """The first task of a run that continues one younger than a second has to wait: it is part of
    the script whether the run is that young."""

    kind = "continue_as_new"
    closes = True

    def make(self, model):
        model.continues = True
        grown = model.run_began + GROWN_S
        soon = any(due < grown + 0.5 for due in model.dues.values())
        made = {"young": model.run_age() < YOUNG_S and (soon or model.chance(0.7))}
        model.young = made["young"]
        if not model.young:
            model.clock = max(model.clock, grown)
        if model.chance(0.4):
            made["input"] = "next"
        if model.chance(0.3):
            made["memo"] = "kept"
        if model.chance(0.3):
            made["task_timeout"] = 60
        if model.chance(0.2):
            made["backoff"] = 2
        if model.chance(0.2):
            made["attempts"] = 2
        if model.chance(0.2):
            made["failure"] = "before"
        return made

    def build(self, player, made):
        fields = {"workflow_type": {"name": "Scripted"}, "task_queue": {"name": player.queue}}
        player.be_of_age(made["young"])
        if "input" in made:
            fields["input"] = payloads(made["input"])
        if "memo" in made:
            fields["memo"] = {"fields": {"note": payload(made["memo"])}}
        if "task_timeout" in made:
            fields["workflow_task_timeout"] = secs(made["task_timeout"])
        if "backoff" in made:
            fields["backoff_start_interval"] = secs(made["backoff"])
        if "attempts" in made:
            fields["retry_policy"] = retry(attempts=made["attempts"])
        if "failure" in made:
            fields["failure"] = app_failure(made["failure"])
        return command("continue_as_new_workflow_execution", **fields)


class Child(Command):
    kind = "child"
    tells = True

    def make(self, model):
        model.children += 1
        made = {"id": model.fresh("c"), "policy": model.one_of(1, 2, 3)}
        if model.chance(0.2):
            made["id"] = "c1"
        if model.chance(0.3):
            made["input"] = "for the child"
        return made

    def build(self, player, made):
        child = player.child_of(made["id"])
        player.children[child] = made["policy"]
        fields = {"input": payloads(made["input"])} if "input" in made else {}
        return command(
            "start_child_workflow_execution",
            workflow_id=child,
            workflow_type={"name": "Child"},
            task_queue={"name": player.queue_of_child(child)},
            workflow_task_timeout=secs(LONG),
            parent_close_policy=made["policy"],
            **fields,
        )


class ToOther(Command):
    """A message to a child of this run, to this run itself, or to none."""

    tells = True

    def make(self, model):
        return {"to": model.one_of("c1", "c1", "self", "none"), "child_only": model.chance(0.3)}

    def other(self, player, made):
        return player.wid if made["to"] == "self" else player.child_of(made["to"])


class SignalOther(ToOther):
    kind = "signal_other"

    def build(self, player, made):
        return command(
            "signal_external_workflow_execution",
            execution={"workflow_id": self.other(player, made)},
            signal_name="from another",
            input=payloads("hello"),
            child_workflow_only=made["child_only"],
        )


class CancelOther(ToOther):
    kind = "cancel_other"

    def build(self, player, made):
        return command(
            "request_cancel_external_workflow_execution",
            workflow_id=self.other(player, made),
            child_workflow_only=made["child_only"],
        )


class Bad(Command):
    """A command that is refused, and fails its task."""

    kind = "bad_command"
    is_bad = True

    def make(self, model):
        return {"what": model.one_of("activity", "timer", "marker", "same timer")}

    def build(self, player, made):
        if made["what"] == "activity":
            return command("schedule_activity_task", activity_id="bad")
        if made["what"] == "marker":
            return command("record_marker")
        if made["what"] == "same timer" and player.view.timers:
            return timer(next(iter(player.view.timers)), 1)
        return timer("", 1)


COMMANDS = {
    command.kind: command
    for command in (
        Activity(),
        CancelActivity(),
        Timer(),
        CancelTimer(),
        Marker(),
        Memo(),
        Complete(),
        Fail(),
        CancelWorkflow(),
        ContinueAsNew(),
        Child(),
        SignalOther(),
        CancelOther(),
        Bad(),
    )
}
