"""Where we differ from the original on purpose. The only place such differences may be listed.

Each entry names the scenarios and paths it covers (shell patterns over the dotted path shown by a
failing comparison) and what stands there in our case: a value, or ANY when it cannot be fixed.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

ANY = object()


@dataclass(frozen=True)
class Difference:
    scenarios: str
    path: str
    ours: object
    reason: str

    def accepts(self, scenario, path, actual):
        if not fnmatchcase(scenario, self.scenarios) or not fnmatchcase(path, self.path):
            return False
        return self.ours is ANY or self.ours == actual


EXACT_BACKOFF = (
    "the original dispatches activity retries with a backoff under one second only after about a"
    " second; here the planned time is kept"
)

DIFFERENCES = []


def deliberate(scenario, path, actual):
    """The entry that explains a difference, or None."""
    for entry in DIFFERENCES:
        if entry.accepts(scenario, path, actual):
            return entry
    return None
