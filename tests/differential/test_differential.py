#!/usr/bin/env python3
"""The parts of the differential test that need no server: generator, comparison, shrinking."""

import copy
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import judge  # noqa: E402
import recorded  # noqa: E402
from generate import Generator  # noqa: E402
from operations import KINDS  # noqa: E402
from sequence import Sequence, atoms, lines  # noqa: E402

EVERY_TH = 200  # leaf of a record is altered


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, (*path, i))
    else:
        yield path


def altered(steps, path):
    steps = copy.deepcopy(steps)
    place = steps
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = f"{place[path[-1]]} altered"
    return steps


class Differential(unittest.TestCase):
    def test_a_seed_is_repeatable(self):
        one, other = Generator("x"), Generator("x")
        for _ in range(50):
            self.assertEqual(one.next(), other.next())
        self.assertNotEqual(Generator("y").next().operations, Generator("x").next().operations)

    def test_every_kind_is_written(self):
        generator = Generator("kinds")
        written = set()
        for _ in range(600):
            for operation in generator.next().operations:
                written.update(atoms(operation))
        self.assertEqual(set(KINDS) - written, set())

    def test_what_is_written_can_be_stored_and_read(self):
        generator = Generator("stored")
        for _ in range(50):
            sequence = generator.next()
            self.assertEqual(Sequence.from_json(sequence.to_json()), sequence)
            self.assertGreaterEqual(len(list(lines(sequence))), len(sequence.operations))

    def test_a_changed_value_is_noticed(self):
        count = 0
        for sequence, steps in recorded.read():
            self.assertEqual(judge.differences(steps, steps), [], sequence.name)
            for path in list(leaves(steps))[::EVERY_TH]:
                found = judge.differences(steps, altered(steps, path))
                self.assertTrue(found, f"{sequence.name}: {path}")
                count += 1
        self.assertGreater(count, 500)

    def test_a_missing_step_is_noticed(self):
        for sequence, steps in recorded.read():
            self.assertTrue(judge.differences(steps, steps[:-1]), sequence.name)


if __name__ == "__main__":
    unittest.main()
