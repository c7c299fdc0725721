"""Writes sequences from a seed. The same seed and number give the same sequence, as long as nobody
says what was played meanwhile.

Kinds are drawn so that ordered pairs that were rare in the sequences written so far become likely:
coverage is even without anybody listing pairs. Which pairs were really played is counted by whoever
plays (coverage.py), who may correct the counts that steer.
"""

from collections import Counter

from commands import COMMANDS
from coverage import WANTED, pairs_of
from model import SOON_S, Model
from operations import BY_KIND, KINDS
from player import BEGINS
from task_operations import ANNOUNCED_S
from sequence import Sequence, atoms

SHORTEST, LONGEST = 4, 14
OPENED = 0.5  # the part of sequences with one of these, so that what needs an activity is not rare
OPENINGS = (("start", "activity"), ("start", "activity", "take_activity"), ("start", "sticky"))
IDLE = 0.1  # how much less likely an operation is where it comes to nothing


class Generator:
    def __init__(self, seed, played=()):
        """played: how often each pair of kinds was played before, by other generators."""
        self.seed = seed
        self.number = 0
        self.pairs = Counter(dict(played))

    def next(self):
        name = f"seed-{self.seed}-{self.number}"
        model = Model(name)
        self.number += 1
        operations, last = [], None
        opening = list(model.rng.choice(OPENINGS)) if model.chance(OPENED) else []
        for _ in range(model.rng.randint(SHORTEST, LONGEST)):
            kind = opening.pop(0) if opening else None
            if kind is None or not _operation(kind).possible(model):
                kind = self._choose(model, last)
            operation = _make(model, kind)
            operations.append(operation)
            last = atoms(operation)[-1]
        self.pairs.update(pairs_of(operations))
        return Sequence(name, operations)

    def was_played(self, sequence, operations):
        """Of what was written only this was possible."""
        self.pairs.subtract(pairs_of(sequence.operations))
        self.pairs.update(pairs_of(operations))

    def _choose(self, model, last):
        if last is None:
            return model.rng.choice(BEGINS)
        if model.must_wait():
            return "wait"
        rest = {kind: self._missing(kind) for kind in KINDS}
        most = max(1, *rest.values())
        kinds, weights = [], []
        for kind in KINDS:
            likely = _likelihood(model, kind)
            if likely:
                kinds.append(kind)
                steer = 1 / (1 + max(0, self.pairs[last, kind])) ** 2
                weights.append(likely * steer * (0.2 + rest[kind] / most))
        return model.rng.choices(kinds, weights)[0] if kinds else "wait"

    def _missing(self, kind):
        """How much is still wanted of the pairs that begin with this kind."""
        return sum(max(0, WANTED - self.pairs[kind, other]) for other in KINDS)


def _operation(kind):
    return BY_KIND["answer" if _is_answer(kind) else kind]


def _is_answer(kind):
    return kind in COMMANDS or kind in ("answer_nothing", "sticky")


def _likelihood(model, kind):
    """0 where this kind, now, would make a sequence without a certain outcome."""
    operation, free = _operation(kind), model.free_seconds() - SOON_S
    if operation.possible(model):
        needs = ANNOUNCED_S if kind == "sticky" else operation.seconds
        return 1 if kind == "wait" or needs < free else 0
    return IDLE if operation.can_idle(model) and operation.idle_seconds < free else 0


def _make(model, kind):
    operation = _operation(kind)
    able = operation.possible(model)
    make = operation.make if able else operation.idle
    began = model.clock
    if _is_answer(kind):
        made = {"kind": "answer", **make(model, kind)}
    else:
        made = {"kind": kind, **make(model)}
    model.clock = max(model.clock, began + (operation.seconds if able else operation.idle_seconds))
    return made
