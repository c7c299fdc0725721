"""Compares two normalised records and says, event by event, where they part."""

import difflib
import json

GONE = "(absent)"
MOST_SHOWN = 25


def _is_history(value):
    return (
        isinstance(value, list)
        and value
        and all(isinstance(item, dict) and "event_type" in item for item in value)
    )


def _type(event):
    return event["event_type"].removeprefix("EVENT_TYPE_")


def _histories(expected, actual, path):
    """Pairs events by their types, so that one missing event does not hide the rest."""
    left, right = [_type(e) for e in expected], [_type(e) for e in actual]
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for op, i1, i2, j1, j2 in matcher.get_opcodes():
        if op == "equal":
            for i, j in zip(range(i1, i2), range(j1, j2)):
                yield from differences(expected[i], actual[j], f"{path}.{i}")
            continue
        for i in range(i1, i2):
            yield f"{path}.{i}", expected[i], GONE
        for j in range(j1, j2):
            yield f"{path}.{j}", GONE, actual[j]


def differences(expected, actual, path=""):
    """Yields (path, expected, actual) for every leaf that is not the same."""
    if hasattr(expected, "matches"):
        if not expected.matches(actual):
            yield path, repr(expected), actual
    elif isinstance(expected, dict) and isinstance(actual, dict):
        for key in list(expected) + [k for k in actual if k not in expected]:
            place = f"{path}.{key}" if path else key
            if key not in actual:
                yield place, expected[key], GONE
            elif key not in expected:
                yield place, GONE, actual[key]
            else:
                yield from differences(expected[key], actual[key], place)
    elif _is_history(expected) and _is_history(actual):
        yield from _histories(expected, actual, path)
    elif isinstance(expected, list) and isinstance(actual, list):
        for i in range(max(len(expected), len(actual))):
            left = expected[i] if i < len(expected) else GONE
            right = actual[i] if i < len(actual) else GONE
            yield from differences(left, right, f"{path}.{i}")
    elif type(expected) is not type(actual) or expected != actual:
        yield path, expected, actual


def record_differences(expected, actual):
    """Steps are paired by label; both arguments are lists of [label, value]."""
    left, right = dict(expected), dict(actual)
    for label in list(left) + [k for k in right if k not in left]:
        yield from differences(left.get(label, GONE), right.get(label, GONE), label)
    order = [label for label, _ in actual if label in left]
    if order != [label for label, _ in expected if label in right]:
        yield "order of steps", [label for label, _ in expected], [label for label, _ in actual]


def _short(value):
    text = value if value == GONE else json.dumps(value, sort_keys=True)
    return text if len(text) <= 400 else text[:400] + " …"


def _histories_side_by_side(expected, actual):
    right = dict(actual)
    for label, value in expected:
        other = right.get(label)
        if not (_is_history(value) and _is_history(other)):
            continue
        left_types = [f"{e['event_id']} {_type(e)}" for e in value]
        right_types = [f"{e.get('event_id')} {_type(e)}" for e in other]
        if left_types != right_types:
            yield f"  {label}: - original, + here"
            for line in difflib.ndiff(left_types, right_types):
                if not line.startswith("?"):
                    yield "    " + line


def explain(expected, actual, found):
    """Readable lines for a list of differences."""
    yield from _histories_side_by_side(expected, actual)
    for path, left, right in found[:MOST_SHOWN]:
        yield f"  {path}"
        yield f"    original: {_short(left)}"
        yield f"    here:     {_short(right)}"
    if len(found) > MOST_SHOWN:
        yield f"  … and {len(found) - MOST_SHOWN} more"


def kind_of(difference):
    """A difference without its place in the record, to count the same one in many scenarios."""
    path, left, right = difference
    parts = path.split(".")
    field = ".".join(part for part in parts[1:] if not part.isdigit()) or parts[0]
    if isinstance(left, dict) and "event_type" in left:
        left = _type(left)
    if isinstance(right, dict) and "event_type" in right:
        right = _type(right)
    return f"{field}: {_short(left)[:100]} -> {_short(right)[:100]}"
