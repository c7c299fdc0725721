"""What operators do to activities, and what becomes of children."""

from driver.values import app_failure, command, done

from operation import Operation
from view import EVERY_STATE


class OnActivity(Operation):
    """What an operator does to a pending activity, or to none."""

    method = ""

    def possible(self, model):
        return bool(model.activities)

    def make(self, model):
        return {"choice": model.number(), **self.parameters(model)}

    def parameters(self, model):
        return {}

    def play(self, player, label, operation):
        activity_id = player.pending_activity(operation["choice"], *EVERY_STATE) or "a1"
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
        how = operation["how"] if pending else "terminate"
        child = pending[operation["choice"] % len(pending)] if pending else player.child_of("c1")
        if how == "terminate":
            execution = {"workflow_id": child}
            player.does(label, "TerminateWorkflowExecution", workflow_execution=execution)
        else:
            task = player.poll_call(queue=player.queue_of_child(child))
            player.note_task(f"{label}: task", task)
            player.complete(task, *self._commands(player, child, how), label=label)
        if pending and how != "continue":  # of which the parent hears nothing
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
    PauseActivity(),
    UnpauseActivity(),
    ResetActivity(),
    EndChild(),
]
