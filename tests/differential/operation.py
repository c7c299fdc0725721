"""What a kind of operation is: how the generator writes one, and how the player plays it."""


class Operation:
    """make() returns the parameters and tells the model what will come of it; play() returns
    whether the operation was possible.

    Where an operation cannot have its usual effect it is played all the same, as clients and
    workers do who do not know better: a poll that gets nothing, an answer without a task, a request
    for what is not there. That is idle().
    """

    kind = ""
    seconds = 0.15  # that it takes
    idle_seconds = 0.15

    def possible(self, model):
        return True

    def make(self, model):
        return {}

    def can_idle(self, model):
        return True

    def idle(self, model):
        made = self.make(model.copy())
        model.rng.random()  # so that the next choice is another one than the copy's
        return made

    def play(self, player, label, operation):
        raise NotImplementedError


class Command:
    """A command in an answer to a workflow task. build() returns the protocol's message."""

    kind = ""
    closes = False  # the workflow; nothing may follow it
    tells = False  # another run something; the answer comes by itself, as an event
    is_bad = False  # the server refuses it and fails the task

    def make(self, model):
        return {}

    def build(self, player, command):
        raise NotImplementedError
