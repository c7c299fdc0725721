"""What was really played: operations by kind, and how often a kind directly followed another."""

import fcntl
import json
from collections import Counter
from pathlib import Path

from operations import KINDS
from sequence import atoms

WANTED = 20
RAREST_SHOWN = 30


def played_kinds(operations):
    return [atom for operation in operations for atom in atoms(operation)]


def pairs_of(operations):
    kinds = played_kinds(operations)
    return list(zip(kinds, kinds[1:]))


class Coverage:
    def __init__(self):
        self.sequences = 0
        self.kinds = Counter()
        self.pairs = Counter()

    def add(self, operations):
        self.sequences += 1
        self.kinds.update(played_kinds(operations))
        self.pairs.update(pairs_of(operations))

    def join(self, other):
        self.sequences += other.sequences
        self.kinds.update(other.kinds)
        self.pairs.update(other.pairs)

    def to_json(self):
        return {
            "sequences": self.sequences,
            "kinds": dict(sorted(self.kinds.items())),
            "pairs": {" ".join(pair): n for pair, n in sorted(self.pairs.items())},
        }

    @staticmethod
    def from_json(value):
        made = Coverage()
        made.sequences = value["sequences"]
        made.kinds.update(value["kinds"])
        made.pairs.update({tuple(pair.split()): n for pair, n in value["pairs"].items()})
        return made

    def merge_into(self, file):
        """Adds this to what other runs, at the same time too, have written to the file; returns
        the sum."""
        with open(file, "a+", encoding="utf-8") as shared:
            fcntl.flock(shared, fcntl.LOCK_EX)
            shared.seek(0)
            text = shared.read()
            total = Coverage.from_json(json.loads(text)) if text else Coverage()
            total.join(self)
            shared.truncate(0)
            shared.write(json.dumps(total.to_json()))
        return total

    def lines(self):
        yield f"{self.sequences} sequences, {sum(self.kinds.values())} operations of these kinds:"
        row = ""
        for kind in KINDS:
            row += f"  {kind:24}{self.kinds[kind]:6}"
            if len(row) > 80:
                yield row
                row = ""
        if row:
            yield row
        counts = sorted((self.pairs[a, b], a, b) for a in KINDS for b in KINDS)
        rare = [entry for entry in counts if entry[0] < WANTED]
        yield (
            f"{len(counts)} ordered pairs of kinds: {len(counts) - len(rare)} played {WANTED} times"
            f" or more, {sum(1 for n, _, _ in counts if n == 0)} never;"
            f" median {counts[len(counts) // 2][0]}"
        )
        if rare:
            shown = ", ".join(f"{a} {b} {n}" for n, a, b in rare[:RAREST_SHOWN])
            yield f"the rarest: {shown}" + (", …" if len(rare) > RAREST_SHOWN else "")


def read(file):
    """What earlier runs have written to the file."""
    text = Path(file).read_text(encoding="utf-8") if Path(file).exists() else ""
    return Coverage.from_json(json.loads(text)) if text else Coverage()
