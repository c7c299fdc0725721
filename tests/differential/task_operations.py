"""What a workflow's worker does: takes tasks, answers, fails and loses them."""

from driver.values import app_failure

from commands import COMMANDS
from model import LONG, SOON_S
from operation import Operation
from player import HEARD_S

# Not UNHANDLED_COMMAND: what it means for signals the original forgets when any other call fails.
SHORT_S = 8  # a task that takes longer is not waited for
CAUSES = ("WORKFLOW_WORKER_UNHANDLED_FAILURE", "NON_DETERMINISTIC_ERROR", "BAD_BINARY")
LAST_ATTEMPT = 3  # later ones get a timeout with random parts
ANNOUNCED_S = 1.3  # an answer that names a sticky queue, of which the server has to hear first


class Take(Operation):
    """Takes the waiting task; what follows happens while it is being worked on."""

    kind = "take"
    idle_seconds = 1.2

    def possible(self, model):
        return model.task == "waiting"

    def make(self, model):
        model.take_task()
        return {}

    def play(self, player, label, operation):
        if player.view.task_waits:
            player.take(label)
        else:
            player.poll_in_vain(label)
        return True


class Answer(Operation):
    """Answers the held task, else the waiting one, else one that is over."""

    kind = "answer"

    def possible(self, model):
        return model.can_answer

    def idle(self, model, first=None):
        return self.make(model, first)

    def make(self, model, first=None):
        over = model.task is None
        if model.task == "waiting":
            model.take_task()
        kinds = self._kinds(model, first)
        commands = [] if over else self._commands(model, kinds)
        if over:
            commands = [{"kind": kind, **COMMANDS[kind].make(model.copy())} for kind in kinds]
        made = {"commands": commands}
        if first == "sticky":
            made["sticky"] = model.one_of(2, LONG)
        if not over:
            self._rest(model, made, [COMMANDS[kind] for kind in kinds])
        return made

    def _kinds(self, model, first):
        kinds = [first] if first in COMMANDS else []
        others = [k for k, c in COMMANDS.items() if not (c.closes or c.is_bad or c.tells)]
        while kinds and model.chance(0.3):
            kinds.append(model.one_of(*others))
        if kinds and COMMANDS[first].closes:
            kinds.reverse()
        return kinds

    def _commands(self, model, kinds):
        return [{"kind": kind, **COMMANDS[kind].make(model)} for kind in kinds]

    def _rest(self, model, made, commands):
        """The other parameters, and what comes of the answer."""
        closes = any(c.closes for c in commands)
        if any(c.is_bad for c in commands) or closes and model.buffered:
            if model.attempt == 1 or not any(c.is_bad for c in commands):
                model.task_fails()
            return
        if closes:
            model.workflow_ends()
            return
        if model.chance(0.15):
            made["force"] = True
            made["inline"] = model.chance(0.5)
        if model.chance(0.1) and model.free_seconds() > ANNOUNCED_S + SOON_S:
            made["sticky"] = model.one_of(2, LONG)
        model.sticky = made.get("sticky")
        if model.sticky and model.clock - model.sticky_heard > HEARD_S:
            model.clock += ANNOUNCED_S
            model.sticky_heard = model.clock
        model.attempt, model.query = 1, False
        model.task_completed_once = True
        model.task_ends(again=made.get("force", False))
        if made.get("inline"):
            model.take_task()
        if any(c.tells for c in commands):
            model.event_arrives()

    def play(self, player, label, operation):
        task = player.task_to_answer(label)
        if operation.get("sticky") and task is player.held:
            player.announce_sticky_worker()
        messages = [COMMANDS[c["kind"]].build(player, c) for c in operation["commands"]]
        fields = {}
        if operation.get("force"):
            fields["force_create_new_workflow_task"] = True
            fields["return_new_workflow_task"] = bool(operation.get("inline"))
        if operation.get("sticky"):
            fields["sticky_attributes"] = player.sticky_attributes(operation["sticky"])
        asked = bool(task.queries)
        if asked:
            fields["query_results"] = player.query_results(task)
        answer = player.complete(task, *messages, label=label, **fields)
        if answer is not None:
            self._answered(player, operation, task, answer)
            if asked and player.query:
                player.query_was_answered()
        return True

    def _answered(self, player, operation, task, answer):
        player.stale, player.unstuck = task, False
        player.sticky_seconds = operation.get("sticky")
        player.held = None
        if answer.workflow_task.task_token:
            player.hold(answer.workflow_task)


class FailTask(Operation):
    kind = "fail_task"

    def possible(self, model):
        return model.can_answer and model.attempt < LAST_ATTEMPT

    def can_idle(self, model):
        return model.attempt < LAST_ATTEMPT

    def make(self, model):
        if model.task:
            if model.task == "waiting":
                model.take_task()
            model.task_fails()
        return {"cause": model.one_of(*CAUSES)}

    def play(self, player, label, operation):
        if player.view.task and player.view.task.attempt >= LAST_ATTEMPT:
            return False
        task = player.task_to_answer(label)
        failure = app_failure("bug", "TypeError", stack_trace="here")
        player.fail_task(task, operation["cause"], label=label, failure=failure)
        return True


class LoseTask(Operation):
    """The worker dies with a task in its hands: nobody answers until the task times out. Without
    one it dies while it asks for tasks: none may be given to a dead worker."""

    kind = "lose_task"
    idle_seconds = 0.5

    def can_idle(self, model):
        return model.task is None

    def idle(self, model):
        return {}

    def possible(self, model):
        due = model.clock + model.task_timeout
        others = [at for name, at in model.dues.items() if name != "task"]
        if model.task == "held":
            due = model.dues.get("task", due)
        alone = all(at - due > 1 for at in others)
        short = model.task is not None and model.task_timeout != LONG
        return short and model.attempt < LAST_ATTEMPT and alone

    def make(self, model):
        if model.task == "waiting":
            model.take_task()
        model.happen("task")
        return {}

    def play(self, player, label, operation):
        view = player.view
        if not view.task:
            player.abandon_poll()
            return True
        if view.task.attempt >= LAST_ATTEMPT or view.task_timeout() > SHORT_S:
            return False
        if view.task_waits:
            player.take(label)
            player.look()
        player.must_end_by = float("inf")
        return player.wait()


OPERATIONS = [Take(), Answer(), FailTask(), LoseTask()]
