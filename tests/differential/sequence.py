"""A sequence: operations as plain dictionaries, which are printed, stored and shrunk as they are.

An operation has a `kind` and its parameters. An answer to a workflow task holds `commands`, each
with a kind of its own: these are what is counted, and the answer itself is not.
"""

from dataclasses import dataclass, field


@dataclass
class Sequence:
    name: str
    operations: list = field(default_factory=list)

    def without(self, position):
        left = self.operations[:position] + self.operations[position + 1 :]
        return Sequence(self.name, left)

    def to_json(self):
        return {"name": self.name, "operations": self.operations}

    @staticmethod
    def from_json(value):
        return Sequence(value["name"], value["operations"])


def atoms(operation):
    """The kinds an operation counts as, in order."""
    if operation["kind"] != "answer":
        return [operation["kind"]]
    kinds = [command["kind"] for command in operation["commands"]]
    return kinds + (["sticky"] if operation.get("sticky") else []) or ["answer_nothing"]


def _parameters(operation):
    shown = {k: v for k, v in operation.items() if k not in ("kind", "commands")}
    return "".join(f" {name}={value!r}" for name, value in shown.items())


def lines(sequence):
    """The sequence as a script for readers."""
    for number, operation in enumerate(sequence.operations, 1):
        yield f"{number:3} {operation['kind']}{_parameters(operation)}"
        for command in operation.get("commands", ()):
            yield f"      > {command['kind']}{_parameters(command)}"
