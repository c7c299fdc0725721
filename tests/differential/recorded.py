"""Sequences with the original's answers, in one compressed file; run.py --show prints one."""

import json
import lzma
from pathlib import Path

from sequence import Sequence

FILE = Path(__file__).resolve().parent / "recorded.jsonl.xz"


def _place(entry):
    *seed, number = entry[0].name.split("-")
    return seed, int(number)


def save(version, entries):
    """entries: (sequence, normalised steps); the first line says what answered."""
    entries = sorted(entries, key=_place)
    with lzma.open(FILE, "wt", encoding="utf-8", preset=9) as out:
        out.write(json.dumps({"original": version}) + "\n")
        for sequence, steps in entries:
            out.write(json.dumps({**sequence.to_json(), "steps": steps}) + "\n")


def read():
    """Yields (sequence, steps)."""
    with lzma.open(FILE, "rt", encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            entry = json.loads(line)
            yield Sequence.from_json(entry), entry["steps"]


def version():
    with lzma.open(FILE, "rt", encoding="utf-8") as lines:
        return json.loads(next(lines))["original"]
