"""Writes sequences from a seed. The same seed and number give the same sequence, always.

Kinds are drawn so that ordered pairs that were rare in the sequences written so far become likely:
coverage is even without anybody listing pairs. Which pairs were really played is counted by whoever
plays (coverage.py); the counts here only steer.
"""

from collections import Counter

from commands import COMMANDS
from model import Model
from operations import BY_KIND
from player import BEGINS
from sequence import Sequence, atoms

SHORTEST, LONGEST = 3, 10
OPENED = 0.5  # the part of sequences with one of these, so that what needs an activity is not rare
OPENINGS = (("start", "activity"), ("start", "activity", "take_activity"), ("start", "sticky"))


class Generator:
    def __init__(self, seed):
        self.seed = seed
        self.number = 0
        self.pairs = Counter()

    def next(self):
        name = f"seed-{self.seed}-{self.number}"
        model = Model(name)
        self.number += 1
        operations, last = [], None
        opening = list(model.rng.choice(OPENINGS)) if model.chance(OPENED) else []
        for _ in range(model.rng.randint(SHORTEST, LONGEST)):
            kind = opening.pop(0) if opening else None
            if kind is None or not _possible(model, kind):
                kind = self._choose(model, last)
            operation = _make(model, kind)
            operations.append(operation)
            for atom in atoms(operation):
                self.pairs[last, atom] += 1
                last = atom
            model.advance()
        return Sequence(name, operations)

    def _choose(self, model, last):
        if last is None:
            kinds = list(BEGINS)
        elif model.must_wait():
            kinds = ["wait"]
        else:
            kinds = [k for k, o in BY_KIND.items() if k != "answer" and o.possible(model)]
            if BY_KIND["answer"].possible(model):
                kinds += [*COMMANDS, "answer_nothing", "sticky"]
        weights = [1 / (1 + self.pairs[last, kind]) ** 2 for kind in kinds]
        return model.rng.choices(kinds, weights)[0]


def _is_answer(kind):
    return kind in COMMANDS or kind in ("answer_nothing", "sticky")


def _possible(model, kind):
    return BY_KIND["answer" if _is_answer(kind) else kind].possible(model)


def _make(model, kind):
    if _is_answer(kind):
        return {"kind": "answer", **BY_KIND["answer"].make(model, kind)}
    return {"kind": kind, **BY_KIND[kind].make(model)}
