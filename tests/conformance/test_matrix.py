"""Every value of the protocol that can be reached has a scenario. Needs no server."""

import unittest
from fnmatch import fnmatchcase

import matrix


class Matrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.values = list(matrix.values())
        cls.shown = matrix.shown()

    def test_every_value_is_shown_or_has_a_reason(self):
        left = [v for v in self.values if v not in self.shown and not matrix.reason_of(v)]
        self.assertEqual(left, [])

    def test_reasons_are_for_what_is_not_shown(self):
        found = [f"{v}: {self.shown[v][0]}" for v in self.values
                 if v in self.shown and matrix.reason_of(v)]
        self.assertEqual(found, [])

    def test_reasons_are_for_what_exists(self):
        unknown = [n for n in matrix.UNSHOWN if not any(fnmatchcase(v, n) for v in self.values)]
        self.assertEqual(unknown, [])
