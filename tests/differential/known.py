"""Where the two servers differ on purpose, as they meet in random sequences.

The scenarios' differences name a place in one record; here a rule covers a field wherever it
stands, and only the values given.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    path: str  # the end of a dotted path, list positions left out
    original: str  # patterns of both values, as text
    ours: str
    reason: str

    def covers(self, path, original, ours):
        plain = ".".join(part for part in path.split(".") if not part.isdigit())
        return (
            plain.endswith(self.path)
            and re.fullmatch(self.original, str(original), re.S) is not None
            and re.fullmatch(self.ours, str(ours), re.S) is not None
        )


EAGER_REPLACED = (
    "an eager start that terminates another run gets its first task from the original without the"
    " event that starts it; here it is the same as in any eager start"
)
BATCH_WORKER = (
    "the original's batches are done by a worker of its own, which signs; here it is who asked"
)
LOST_REAPPLIED = (
    "of an update that a reset brought along and no worker answered the original only says that"
    " something went wrong"
)
RULES = [
    *[
        Rule(f"{event}_event_attributes.identity", r"\d+@.*@", ".*", BATCH_WORKER)
        for event in ("terminated", "cancel_requested", "signaled")
    ],
    Rule(
        "workflow_execution_signaled_event_attributes.request_id",
        r"<.*>",
        r"<.*>:\d+",
        "a batch that goes on after a crash signals under the same id, made of its own",
    ),
    *[
        Rule(f"error.{field}", theirs, ours, LOST_REAPPLIED)
        for field, theirs, ours in (
            ("code", "INTERNAL", "NOT_FOUND"),
            ("message", "something went wrong, please retry .*", "update .* not found"),
            ("details", r"\(absent\)", ".*NotFoundFailure.*"),
        )
    ],
    Rule(
        "pending_activities.current_retry_interval",
        r"<about \d+\.\d\ds>",
        r"<about \d+\.00s>",
        "after an attempt that timed out the original subtracts the end of an earlier one, or none",
    ),
    Rule(
        "eager_workflow_task.history.events",
        r"\(absent\)",
        r".*EVENT_TYPE_WORKFLOW_TASK_STARTED.*",
        EAGER_REPLACED,
    ),
    Rule(
        "workflow_task_started_event_attributes.request_id",
        r"<history of run .*>",
        r"<.*eager_workflow_task.*>",
        EAGER_REPLACED,
    ),
]


def unexplained(differences):
    return [d for d in differences if not any(rule.covers(*d) for rule in RULES)]
