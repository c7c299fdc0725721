#!/usr/bin/env python3
"""What scripts label with a step of a recording is what the original answered there.

    script_recordings_test.py SCRIPT_TEST TESTDATA RECORDINGS DESCRIPTORS [SCRIPT...]

A script that has the name of a recording mirrors it. Every event and field is compared, and every
error a script shows must stand in the recording. Placeholders of the recordings match as
tests/conformance/README.md says.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

NAMES = {"w": "$wid", "q": "$queue", "s": "$sticky"}
# Fields of answers that the engine leaves to its callers.
ADDED_OUTSIDE = ("task_token", "next_page_token", "poller_scaling_decision")
# Known and accepted; the recording says what, the driver says why (differences.py).
DIFFERENT = {
    ("retry_failure_large", "history"): "activity_task_started_event_attributes.last_failure",
    ("retry_failure_large", "describe in backoff"): "pending_activities[0].last_failure",
}


def message_types(descriptors):
    pool = descriptor_pool.DescriptorPool()
    with open(descriptors, "rb") as f:
        for file in descriptor_pb2.FileDescriptorSet.FromString(f.read()).file:
            pool.Add(file)
    get = getattr(message_factory, "GetMessageClass", None)
    get = get or message_factory.MessageFactory(pool).GetPrototype
    return lambda name: get(pool.FindMessageTypeByName(name))


def read_answer(path, types):
    with open(path, "rb") as f:
        name, encoded = f.read().split(b"\n", 1)
    message = types(name.decode()).FromString(encoded)
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def long_text_matches(want, got):
    match = re.fullmatch(r"(.*)… \((\d+) characters, sha256 ([0-9a-f]+)\)", want, re.S)
    if match:
        digest = hashlib.sha256(got.encode()).hexdigest()
        return len(got) == int(match[2]) and digest.startswith(match[3])
    expanded = re.sub(r"\{(.{1,4}?) times (\d+)\}", lambda m: m[1] * int(m[2]), want)
    return expanded == got


# Recordings leave it out where it depends on the clock: no whole number of seconds.
MAY_BE_MISSING = "first_workflow_task_backoff"


class Comparison:
    def __init__(self, skip=None):
        self.ids, self.wrong, self.skip = {}, [], skip

    def compare(self, want, got, path):
        if self.skip and path.endswith(self.skip):
            return
        if isinstance(want, dict) and isinstance(got, dict):
            want = self.with_our_keys(want, got)
            for key in sorted(set(want) | set(got)):
                if key == MAY_BE_MISSING and key not in want:
                    continue
                if key not in want or key not in got:
                    have = want.get(key, got.get(key))
                    side = "lacks" if key in want else "should not have"
                    self.wrong.append(f"{path} {side} {key} = {json.dumps(have)[:200]}")
                else:
                    self.compare(want[key], got[key], f"{path}.{key}")
        elif isinstance(want, list) and isinstance(got, list):
            if len(want) != len(got):
                self.wrong.append(f"{path} has {len(got)} elements instead of {len(want)}")
            for i, (w, g) in enumerate(zip(want, got)):
                self.compare(w, g, f"{path}[{i}]")
        elif not self.same(want, got):
            self.wrong.append(f"{path} is {json.dumps(got)[:200]}, not {json.dumps(want)[:200]}")

    def with_our_keys(self, want, got):
        """A key that stands for an id becomes the one that only we have."""
        odd = [key for key in want if re.fullmatch("<.*>", key)]
        extra = [key for key in got if key not in want]
        if len(odd) != 1 or len(extra) != 1 or not self.same(odd[0], extra[0]):
            return want
        return {extra[0] if key == odd[0] else key: value for key, value in want.items()}

    def same(self, want, got):
        if want == got or (isinstance(got, str) and NAMES.get(got) == want):
            return True
        if not isinstance(want, str) or not isinstance(got, str):
            return want in ("<number>", "<any>")
        if want in ("<time>", "<number>", "<any>", "<token>") or re.match("<(up to|about) ", want):
            return True
        if re.fullmatch("<.*>", want):  # an id: the same one for the same name
            return self.ids.setdefault(want, got) == got
        if want.startswith(("$queue", "$sticky", "$wid")):
            for ours, theirs in NAMES.items():
                if got.startswith(ours) and want == theirs + got[len(ours) :]:
                    return True
        for ours, theirs in NAMES.items():
            want = want.replace(theirs, ours)
        return long_text_matches(want, got)


def events_of(answer):
    if isinstance(answer, list):
        return answer
    history = answer.get("history", [])
    return history if isinstance(history, list) else history.get("events", [])


def summary(events):
    return [f"{e['event_id']} {e['event_type'].removeprefix('EVENT_TYPE_')}" for e in events]


def check_answer(scenario, label, recorded, ours):
    if label not in recorded:
        return [f'the recording has no step "{label}"']
    want = recorded[label]
    if isinstance(want, list):
        ours = ours.get("events", [])
    for name in ADDED_OUTSIDE:
        for answer in (want, ours):
            if isinstance(answer, dict):
                answer.pop(name, None)
    theirs, mine = events_of(want), events_of(ours)
    if theirs and isinstance(theirs[0], str):
        mine = want["history"] = ours["history"] = None
    elif summary(theirs) != summary(mine):
        return [f"{label}: other events", "  recorded " + ", ".join(summary(theirs)),
                "  ours     " + ", ".join(summary(mine))]
    comparison = Comparison(DIFFERENT.get((scenario, label)))
    comparison.compare(want, ours, label)
    return comparison.wrong


def recorded_errors(steps):
    found = []
    for _, value in steps:
        if isinstance(value, dict) and "error" in value:
            found.append((value["error"]["code"], value["error"]["message"]))
    return found


def check_errors(script, steps):
    known, wrong = recorded_errors(steps), []
    for line in script.splitlines():
        match = re.match(r"(?:error|reply) ([A-Z_]+) (.*)", line)
        if not match:
            continue
        code, text = match[1], match[2]
        if text.endswith("..."):
            good = any(c == code and m.startswith(text[:60]) for c, m in known)
        else:
            good = any(c == code and Comparison().same(m, text) for c, m in known)
        if not good:
            wrong.append(f"the recording has no error {code} {text}")
    return wrong


def main():
    program, testdata, recordings, descriptors, *only = sys.argv[1:]
    types = message_types(descriptors)
    failed = passed = 0
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([program, testdata, "--answers", out], stdout=subprocess.DEVNULL)
        for file in sorted(os.listdir(testdata)):
            name = file.removesuffix(".txt")
            path = os.path.join(recordings, name + ".json")
            if not file.endswith(".txt") or not os.path.exists(path) or (only and name not in only):
                continue
            with open(path) as f:
                steps = json.load(f)["steps"]
            with open(os.path.join(testdata, file)) as f:
                wrong = check_errors(f.read(), steps)
            folder = os.path.join(out, name)
            for label in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
                ours = read_answer(os.path.join(folder, label), types)
                wrong += check_answer(name, label.removesuffix(".bin"), dict(steps), ours)
            for text in wrong:
                print(f"{name}: {text}")
            failed, passed = failed + bool(wrong), passed + (not wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
