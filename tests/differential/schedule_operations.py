"""A schedule beside the workflow. It acts only when it is told to, for times in the past, so that
ids are the same on both servers."""

import time

from driver.rpc import RpcError, to_json
from driver.values import payload, payloads, secs

from operation import Operation
from player import ACTS_AT, TooLate

SETTLED_S = 15
SKIP, TERMINATE_OTHER, ALLOW_ALL = 1, 5, 6
DAY_S = 86400


class ScheduleOperation(Operation):
    seconds = 0.5

    def possible(self, model):
        return model.scheduled

    def idle(self, model):
        return self.make(model.copy())

    def play(self, player, label, operation):
        self.call(player, label, operation)
        settle(player, f"{label}: schedule")
        return True


def settle(player, label):
    """Notes the schedule once all that was asked of it has happened."""
    player.patient = True
    until = time.time() + SETTLED_S
    while time.time() < until:
        try:
            described = player.call("DescribeSchedule", schedule_id=player.schedule_id)
        except RpcError as error:
            if error.code != "NOT_FOUND" or player.schedule:
                raise
            player.note(label, error.to_json())
            return
        if player.schedule and _is_settled(described, player.schedule):
            player.note(label, to_json(described))
            return
        time.sleep(0.05)
    raise TooLate("the schedule takes long")


def _is_settled(described, expected):
    acted = described.info.action_count + described.info.overlap_skipped
    state = described.schedule.state
    return (
        acted == expected["actions"]
        and state.paused == expected["paused"]
        and state.notes == expected["notes"]
        and not described.info.buffer_size
    )


def schedule(player, operation):
    action = {
        "workflow_id": player.scheduled_id,
        "workflow_type": {"name": "Scheduled"},
        "task_queue": {"name": f"{player.queue}-scheduled"},
        "workflow_task_timeout": secs(60),
        "input": payloads("scheduled"),
    }
    return {
        "spec": {"interval": [{"interval": secs(400 * DAY_S), "phase": secs(399 * DAY_S)}]},
        "action": {"start_workflow": action},
        "policies": {"overlap_policy": operation.get("overlap", 0)},
        "state": {"notes": operation["notes"], "paused": operation["paused"]},
    }


def _options(model):
    made = {"paused": model.chance(0.3), "notes": model.fresh("note ")}
    if model.chance(0.4):
        made["overlap"] = model.one_of(SKIP, TERMINATE_OTHER, ALLOW_ALL)
    return made


class Create(ScheduleOperation):
    kind = "schedule_create"

    def possible(self, model):
        return not model.scheduled

    def make(self, model):
        model.scheduled = True
        made = {"request": model.one_of(model.fresh("create"), "create1"), **_options(model)}
        if model.chance(0.3):
            made["memo"] = "of the schedule"
        return made

    def call(self, player, label, operation):
        fields = {}
        if "memo" in operation:
            fields["memo"] = {"fields": {"note": payload(operation["memo"])}}
        answer = player.does(
            label,
            "CreateSchedule",
            schedule_id=player.schedule_id,
            schedule=schedule(player, operation),
            request_id=operation["request"],
            **fields,
        )
        if answer is not None and player.schedule is None:
            state = {"paused": operation["paused"], "notes": operation["notes"]}
            player.schedule = {"actions": 0, **state}


class Update(ScheduleOperation):
    kind = "schedule_update"

    def make(self, model):
        return _options(model)

    def call(self, player, label, operation):
        changed = schedule(player, operation)
        answer = player.does(
            label, "UpdateSchedule", schedule_id=player.schedule_id, schedule=changed
        )
        if answer is not None and player.schedule:
            player.schedule.update(paused=operation["paused"], notes=operation["notes"])


class Describe(ScheduleOperation):
    kind = "schedule_describe"

    def call(self, player, label, operation):
        pass  # everybody describes it afterwards


class Patch(ScheduleOperation):
    def call(self, player, label, operation):
        patch, effect = self.patch(player, operation)
        if player.does(label, "PatchSchedule", schedule_id=player.schedule_id, patch=patch):
            player.schedule.update(effect)


class Trigger(Patch):
    kind = "schedule_trigger"

    def make(self, model):
        return {"overlap": model.one_of(0, SKIP, TERMINATE_OTHER, ALLOW_ALL)}

    def patch(self, player, operation):
        player.triggers += 1
        trigger = {
            "overlap_policy": operation["overlap"],
            "scheduled_time": {"seconds": ACTS_AT + player.triggers},
        }
        actions = player.schedule["actions"] + 1 if player.schedule else 0
        return {"trigger_immediately": trigger}, {"actions": actions}


class Pause(Patch):
    kind = "schedule_pause"

    def make(self, model):
        return {"notes": model.fresh("pause ")}

    def patch(self, player, operation):
        return {"pause": operation["notes"]}, {"paused": True, "notes": operation["notes"]}


class Unpause(Patch):
    kind = "schedule_unpause"

    def make(self, model):
        return {"notes": model.fresh("go on ")}

    def patch(self, player, operation):
        return {"unpause": operation["notes"]}, {"paused": False, "notes": operation["notes"]}


class Delete(ScheduleOperation):
    kind = "schedule_delete"

    def make(self, model):
        model.scheduled = False
        return {}

    def call(self, player, label, operation):
        player.does(label, "DeleteSchedule", schedule_id=player.schedule_id)
        player.schedule = None
        until = time.time() + SETTLED_S
        while time.time() < until:
            try:
                player.call("DescribeSchedule", schedule_id=player.schedule_id)
            except RpcError as error:
                if error.code == "NOT_FOUND":
                    return
            time.sleep(0.05)
        raise TooLate("the schedule is still there")


OPERATIONS = [
    Create(),
    Update(),
    Describe(),
    Trigger(),
    Pause(),
    Unpause(),
    Delete(),
]
