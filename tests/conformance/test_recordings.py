#!/usr/bin/env python3
"""Proves that a comparison sees everything the allow-list does not name. Needs no server.

Each recording is turned back into something a server could have answered; it must compare equal.
Then every single field is altered, and every field and list item is left out: each time the
comparison must see it, except for a new value of a field on the allow-list.
"""

import base64
import copy
import re
import sys
import unittest
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from differences import DIFFERENCES, ours  # noqa: E402
from driver import recording, registry  # noqa: E402
from driver.allow import RULES, rule_for  # noqa: E402
from driver.compare import record_differences  # noqa: E402
from driver.normalise import Normaliser  # noqa: E402

MARK = re.compile(r"<(?!nil>|deployment_name>|build_id>)([^<>]+)>")  # these the original writes
KINDS_THAT_IGNORE_VALUES = ("time", "token", "number", "opaque", "advice")


def _ids(text):
    return MARK.sub(lambda m: str(uuid.uuid5(uuid.NAMESPACE_OID, m.group(1))), text)


def _raw_text(text, rule):
    if rule is None:
        return text
    if rule.kind == "id":
        return _ids(text)
    if rule.kind == "payload":
        return base64.b64encode(_ids(text).encode()).decode() if MARK.search(text) else text
    if rule.kind == "rounded" and (found := re.match(r"<about ([\d.]+)s>", text)):
        return f"{found.group(1)}s"
    return {"<time>": "2026-02-03T04:05:06.789Z", "<token>": "dG9rZW4="}.get(text, text)


def raw_form(name, value, path):
    """A recorded value as a server would send it."""
    if isinstance(value, dict):
        out = {}
        for key, item in value.items():
            rule = rule_for(name, ".".join(path + ["(key)"]))
            out[_raw_text(key, rule)] = raw_form(name, item, path + [key])
        return out
    if isinstance(value, list):
        return [raw_form(name, item, path) for item in value]
    if isinstance(value, str):
        return _raw_text(value, rule_for(name, ".".join(path)))
    return value


def changed(value):
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return f"{value}~"


def places(value, path=(), names=()):
    """Every place in a value: (steps to it, field names, value there)."""
    yield path, names, value
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key), (*names, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from places(item, (*path, i), names)


def altered(value, path, act):
    """A copy of value in which act(container, key) was done at path."""
    out = copy.copy(value)
    if len(path) == 1:
        act(out, path[0])
    else:
        out[path[0]] = altered(value[path[0]], path[1:], act)
    return out


def _put(new):
    def act(container, key):
        container[key] = new

    return act


def _drop(container, key):
    del container[key]


class Recordings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scenarios = sorted(registry.load())

    def test_every_scenario_is_recorded(self):
        recorded = sorted(p.stem for p in recording.FOLDER.glob("*.json"))
        self.assertEqual(recorded, self.scenarios)

    def test_every_recording_says_what_was_asked(self):
        """Else record it again: it was made by an older version of the driver."""
        self.assertEqual([n for n in self.scenarios if recording.asked(n) is None], [])

    def test_one_version(self):
        versions = {recording.version(name) for name in self.scenarios}
        self.assertEqual(len(versions), 1, versions)

    def test_raw_form_compares_equal(self):
        used = set()
        for name in self.scenarios:
            steps = recording.read(name)
            raw = [[label, raw_form(name, value, [label])] for label, value in steps]
            normaliser = Normaliser(name)
            found = list(record_differences(steps, normaliser.record(raw)))
            self.assertEqual(found, [], name)
            used |= normaliser.used
        of_recordings = [r for r in RULES if r.kind != "advice" and r.scenarios != "differential"]
        unused = [r.path for r in of_recordings if r not in used]
        self.assertEqual(unused, [], "rules no recording needs")

    def test_every_other_field_is_seen(self):
        count = 0
        for name in self.scenarios:
            for label, value in recording.read(name):
                if isinstance(value, list) and value and isinstance(value[0], dict):
                    self._leave_out_items(name, label, value)
                    count += sum(self._alter_all(name, label, item) for item in value)
                else:
                    count += self._alter_all(name, label, value)
        print(f"altered {count} fields", file=sys.stderr)
        self.assertGreater(count, 10_000)

    def _leave_out_items(self, name, label, items):
        expected = Normaliser(name).record([[label, raw_form(name, items, [label])]])
        for i in range(len(items)):
            raw = raw_form(name, items[:i] + items[i + 1 :], [label])
            record = Normaliser(name).record([[label, raw]])
            self.assertTrue(list(record_differences(expected, record)), f"{name}: {label} {i}")

    def _alter_all(self, name, label, value):
        raw = raw_form(name, value, [label])
        expected = Normaliser(name).record([[label, raw]])
        count = 0
        for path, names, here in places([[label, raw]]):
            if len(path) < 2 or path[1] == 0:
                continue
            rule = rule_for(name, ".".join((label, *names)))
            count += self._see(name, label, raw, expected, path[2:], here, rule)
        return count

    def _see(self, name, label, raw, expected, path, here, rule):
        def seen(act):
            mutant = [raw]
            act_on = altered(mutant, (0, *path), act)
            record = Normaliser(name).record([[label, act_on[0]]] if act_on else [])
            return record != expected and any(record_differences(expected, record))

        where = f"{name}: {label} {path}"
        count = 0
        if path:
            self.assertTrue(seen(_drop), f"left out, not seen: {where}")
            count += 1
        if isinstance(here, (dict, list)):
            return count
        if rule is None or rule.kind not in KINDS_THAT_IGNORE_VALUES + ("unordered",):
            new = changed(here)
            if rule is not None and rule.kind == "rounded":
                new = "1234s"
            if rule is not None and rule.kind == "payload":
                new = "AAAA"
            self.assertTrue(seen(_put(new)), f"altered, not seen: {where}")
            count += 1
        return count

    def test_ids_are_compared_for_equality(self):
        """Another run id at a place that repeats an id seen before must be noticed."""
        steps = recording.read("complete_at_once")
        raw = [[label, raw_form("complete_at_once", v, [label])] for label, v in steps]
        event = dict(raw)["history"][0]["workflow_execution_started_event_attributes"]
        event["first_execution_run_id"] = str(uuid.uuid4())
        found = list(record_differences(steps, Normaliser("complete_at_once").record(raw)))
        self.assertEqual(len(found), 1)
        self.assertIn("first_execution_run_id", found[0][0])

    def test_order_of_steps_is_seen(self):
        steps = recording.read("complete_at_once")
        self.assertTrue(list(record_differences(steps, steps[1:] + steps[:1])))

    def test_differences_are_real(self):
        """Each entry has a reason, and changes what its recording holds."""
        for entry in DIFFERENCES:
            self.assertGreater(len(entry.reason), 20)
            steps = recording.read(entry.scenario)
            found = list(record_differences(ours(entry.scenario, steps), steps))
            where = ".".join(str(step) for step in entry.path)
            self.assertTrue([path for path, _, _ in found if path.startswith(where)], where)


if __name__ == "__main__":
    unittest.main()
