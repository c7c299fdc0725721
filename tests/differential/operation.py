"""What a kind of operation is: how the generator writes one, and how the player plays it."""


class Operation:
    """make() returns the parameters and tells the model what will come of it; play() returns
    whether the operation was possible."""

    kind = ""

    def possible(self, model):
        return True

    def make(self, model):
        return {}

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
