"""Turns a raw record into one that can be compared: only fields on the allow-list change."""

import base64
import hashlib
import json
import re

from .allow import rule_for

UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b"
)
TIME = re.compile(r"^2\d{3}-\d\d-\d\dT[\d:.]+Z$")
DURATION = re.compile(r"^(\d+(?:\.\d+)?)s$")
SIZE_OF = re.compile(r"size of \d+ bytes")


LONG_TEXT = 500
REPEATED = re.compile(r"(.{1,4}?)\1{49,}")


def shortened(value):
    """Long text with repetitions counted, or as its beginning and a digest of the whole."""
    if not isinstance(value, str) or len(value) <= LONG_TEXT:
        return value
    counted = REPEATED.sub(lambda m: f"{{{m[1]} times {len(m[0]) // len(m[1])}}}", value)
    if len(counted) <= LONG_TEXT:
        return counted
    digest = hashlib.sha256(value.encode()).hexdigest()[:16]
    return f"{value[:80]}… ({len(value)} characters, sha256 {digest})"


def leaves_out(rule, value):
    """Whether a field is of no interest at all."""
    if rule is None:
        return False
    return rule.kind == "advice" or (rule.kind == "remainder" and "." in value)


class Normaliser:
    def __init__(self, scenario, names=()):
        self.scenario = scenario
        self.names = list(names)
        self.ids = {}
        self.used = set()

    def record(self, steps):
        return [[label, self._value(value, [label], label)] for label, value in steps]

    def _value(self, value, path, place):
        if isinstance(value, dict):
            out = {}
            for key, item in value.items():
                rule = rule_for(self.scenario, ".".join(path + [key]))
                if not leaves_out(rule, item):
                    name = self._key(self._text(key), path, place)
                    out[name] = self._value(item, path + [key], f"{place}.{name}")
                else:
                    self.used.add(rule)
            return out
        if isinstance(value, list):
            rule = rule_for(self.scenario, ".".join(path))
            if rule and rule.kind == "unordered":
                self.used.add(rule)
                value = sorted(value, key=lambda item: json.dumps(item, sort_keys=True))
                if not any(isinstance(item, dict) for item in value):
                    return value
            return [self._value(v, path, f"{place}.{i}") for i, v in enumerate(value)]
        if isinstance(value, str):
            value = self._text(value)
        rule = rule_for(self.scenario, ".".join(path))
        if rule is None:
            return shortened(value)
        self.used.add(rule)
        return getattr(self, "_" + rule.kind)(value, place)

    def _key(self, key, path, place):
        rule = rule_for(self.scenario, ".".join(path + ["(key)"]))
        if rule is None:
            return key
        self.used.add(rule)
        return getattr(self, "_" + rule.kind)(key, f"{place}.key")

    def _text(self, text):
        for raw, name in self.names:
            text = text.replace(raw, name)
        return text

    def _id(self, value, place):
        def name(match):
            return f"<{self.ids.setdefault(match.group(), place)}>"

        return shortened(UUID.sub(name, value)) if isinstance(value, str) else value

    def _payload(self, value, place):
        try:
            text = base64.b64decode(value).decode()
        except ValueError:
            return value
        return self._id(text, place) if UUID.search(text) else value

    def _time(self, value, place):
        return "<time>" if isinstance(value, str) and TIME.match(value) else value

    def _token(self, value, place):
        return "<token>" if value else value

    def _number(self, value, place):
        return "<number>"

    def _opaque(self, value, place):
        return "<any>"

    def _size(self, value, place):
        if not SIZE_OF.search(value):
            try:
                value = base64.b64decode(value, validate=True).decode()
            except ValueError:
                return value
        return SIZE_OF.sub("size of <number> bytes", value)

    def _spaces(self, value, place):
        return value.replace("\u00a0", " ")

    def _remainder(self, value, place):
        return value

    def _rounded(self, value, place):
        match = DURATION.match(str(value))
        return f"<about {float(match.group(1)):.2f}s>" if match else value
