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


CLOSED_TOO_SOON = (
    "the original leaves a query hanging that waited for the first task of a run which closed"
    " before it; here it gets the answer, or is rejected, as one that is asked later"
)
EAGER_REPLACED = (
    "an eager start that terminates another run gets its first task from the original without the"
    " event that starts it; here it is the same as in any eager start"
)
RULES = [
    Rule(
        "pending_activities.current_retry_interval",
        r"<about \d+\.\d\ds>",
        r"<about \d+\.00s>",
        "after an attempt that timed out the original subtracts the end of an earlier one, or none",
    ),
    *[
        Rule(f"error.{field}", theirs, ours, CLOSED_TOO_SOON)
        for field, theirs, ours in (
            ("code", "DEADLINE_EXCEEDED", "FAILED_PRECONDITION"),
            ("message", r"\(whichever .*", r"Workflow execution closed before .*"),
            ("details", r"\(absent\)", r".*WorkflowNotReadyFailure.*"),
        )
    ],
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
    Rule("query.error", r".*'DEADLINE_EXCEEDED'.*", r"\(absent\)", CLOSED_TOO_SOON),
    Rule("query.query_rejected", r"\(absent\)", r"\{'status'.*", CLOSED_TOO_SOON),
]


def unexplained(differences):
    return [d for d in differences if not any(rule.covers(*d) for rule in RULES)]
