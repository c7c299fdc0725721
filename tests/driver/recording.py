"""Recordings on disk: one JSON file a scenario, laid out so that a diff can be read."""

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "conformance" / "recordings"
WIDTH = 100


def _layout(value, indent):
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or len(flat) + indent <= WIDTH:
        return flat
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        parts = [f"{pad}{json.dumps(k)}: {_layout(v, indent + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
    parts = [pad + _layout(v, indent + 1) for v in value]
    return "[\n" + ",\n".join(parts) + "\n" + " " * indent + "]"


def path_of(name):
    return FOLDER / f"{name}.json"


def save(name, original, asked, steps):
    document = {"scenario": name, "original": original, "asked": sorted(asked), "steps": steps}
    path_of(name).write_text(_layout(document, 0) + "\n", encoding="utf-8")


def read(name):
    """The recorded steps, or None where the scenario was never recorded."""
    try:
        document = json.loads(path_of(name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return document["steps"]


def asked(name):
    """The names of the enum values that stood in the scenario's requests; None: not recorded."""
    return json.loads(path_of(name).read_text(encoding="utf-8")).get("asked")


def version(name):
    """The original a scenario was recorded with."""
    return json.loads(path_of(name).read_text(encoding="utf-8"))["original"]
