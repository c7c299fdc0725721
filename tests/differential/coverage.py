"""What was really played: operations by kind, and how often a kind directly followed another."""

from collections import Counter

from operations import KINDS
from sequence import atoms

WANTED = 20
RAREST_SHOWN = 30


class Coverage:
    def __init__(self):
        self.sequences = 0
        self.kinds = Counter()
        self.pairs = Counter()

    def add(self, operations):
        self.sequences += 1
        played = [atom for operation in operations for atom in atoms(operation)]
        self.kinds.update(played)
        self.pairs.update(zip(played, played[1:]))

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
