"""Where we differ from the original on purpose; listed nowhere else.

An entry names the scenario, the steps to a place in its record, what must stand there in our case
and why. It replaces the recorded value before records are compared, so ours is checked as well.
"""

import copy
import re
from dataclasses import dataclass

from scenarios.lists import WRONG as WRONG_FILTERS


class Text:
    """Any text that matches a pattern as a whole."""

    def __init__(self, pattern):
        self.pattern = re.compile(pattern)

    def matches(self, value):
        return isinstance(value, str) and self.pattern.fullmatch(value) is not None

    def __repr__(self):
        return f"text like {self.pattern.pattern}"


@dataclass(frozen=True)
class Followed:
    """The recorded text, and then what matches a pattern."""

    pattern: str


@dataclass(frozen=True)
class SameAs:
    """What the same recording holds at another place."""

    path: tuple


class Absent:
    """Nothing at all."""


@dataclass(frozen=True)
class Difference:
    scenario: str
    path: tuple
    ours: object
    reason: str


EXACT_BACKOFF = (
    "the original dispatches a retry whose backoff is under a second only after about a second;"
    " here it comes when it was planned"
)
UNCUT = (
    "the original keeps 4 KiB of the failure of an attempt that is retried, without its details;"
    " here a failure is kept and shown whole"
)

BAD_BYTES = "the field that cannot be read is named; the original repeats its library's words"
NO_SYSTEM = "no workflows of the server's own run here, so there is no namespace for them"
KNOWN_TAKER = (
    "the original forgets who took a workflow task that it had in memory only when something else"
    " makes it write the task; here the event says it"
)
NOT_BUILT = "said only of what is built: a client may rely on it"
CAPABILITIES = {
    "async_update": True,
    "eager_workflow_start": True,
    "poller_autoscaling": True,
    "reported_problems_search_attribute": True,
    "sync_update": True,
    "worker_heartbeats": True,
}
FINAL_FAILURE = SameAs(("history", 6, "activity_task_failed_event_attributes", "failure"))

NEW_EXPIRY = (
    "the original goes on showing the end that followed from the options before; it is the new"
    " one that counts here"
)
STARTED_BY = ("workflow_task_started_event_attributes", "identity")

UNLIMITED = (
    "the original limits each queue to 4000 tasks a second; here nothing limits unless it is set,"
    " and the rate says so with the number that pollers without a limit show"
)
# Descriptions of task queues without a limit.
UNLIMITED_DESCRIPTIONS = {
    "task_queue_unknown": ("describe", "all of it", "status"),
    "task_queue_described_badly": ("reserved", "bad type", "no type", "nexus", "bad mode"),
    "task_queue_pollers": ("workflow", "activity", "with all"),
    "task_queue_poller_versions": ("describe",),
    "task_queue_stats": ("waiting", "activities waiting"),
    "task_queue_stats_taken": ("workflow task taken", "activities taken"),
    "task_queue_status": ("describe",),
    "task_queue_sticky": ("before", "by name alone"),
    "task_queue_config": ("describe the other type", "describe unset"),
    "task_queue_config_of_workflows": ("describe",),
}

PLACE = "an error of a filter also says at which character; the words before are the original's"



def invalid_path(doing, path):
    return (
        f'error {doing}: proto: invalid path "{path}" for message'
        ' "temporal.api.workflow.v1.WorkflowExecutionOptions"'
    )


DIFFERENCES = [
    *[
        Difference(
            "list_errors",
            (query, "error", "message"),
            Followed(r" \(at character \d+ of the query\)"),
            PLACE,
        )
        for query in WRONG_FILTERS
    ],
    *[
        Difference(
            "worker_heartbeats_of_a_process",
            (f"{verb} by no query language", "error", "message"),
            "malformed query: syntax error at position 9 near 'this'",
            "counted in what the client wrote; the original counts a text put before it too",
        )
        for verb in ("count", "list")
    ],
    *[
        Difference(scenario, (*events, 6, *STARTED_BY), "worker", KNOWN_TAKER)
        for scenario, *events in (
            ("callbacks_of_update_sent", "history"),
            ("speculative_cancel", "history"),
            ("speculative_signal_while_started", "after the signal: for an SDK"),
            ("speculative_signal_while_started", "history"),
            ("speculative_timed_out", "next attempt", "history", "events"),
            ("speculative_timed_out", "history"),
            ("speculative_timer_fires", "history"),
            ("update_sent_workflow_terminated", "history"),
            ("update_unhandled_command", "history"),
        )
    ],
    *[
        Difference(
            scenario, (label, "effective_rate_limit", "requests_per_second"), 100000.0, UNLIMITED
        )
        for scenario, labels in UNLIMITED_DESCRIPTIONS.items()
        for label in labels
    ],
    *[
        Difference(
            scenario,
            (label, "task_queue_status"),
            {"rate_per_second": 100000.0, "task_id_block": {}},
            "deprecated fields: tasks are not numbered in blocks here",
        )
        for scenario, label in (
            ("task_queue_unknown", "status"),
            ("task_queue_status", "describe"),
        )
    ],
    Difference(
        "callbacks_of_update",
        ("describe", "workflow_extended_info", "request_id_infos", "two"),
        {"event_id": "10", "event_type": "EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED"},
        "the original goes on calling an event buffered that is in history",
    ),
    *[
        Difference(
            "task_queue_partitions",
            ("partitions", f"{kind}_task_queue_partitions"),
            [{"key": "$queue"}],
            "a task queue is in one piece here, in the server itself",
        )
        for kind in ("activity", "workflow")
    ],
    *[
        Difference(
            "task_queue_config_refused",
            (label,),
            {"error": {"code": "INVALID_ARGUMENT", "message": message}},
            "the original configures queues that cannot exist",
        )
        for label, message in (
            ("no queue", "missing task queue name"),
            ("long queue", "taskQueue length exceeds limit"),
            ("no type", "TaskQueueType must be WORKFLOW or ACTIVITY."),
            ("bad type", "TaskQueueType must be WORKFLOW or ACTIVITY."),
            ("nexus", "TaskQueueType must be WORKFLOW or ACTIVITY."),
        )
    ],
    Difference(
        "eager_activity_with_priority",
        ("completed", "activity_tasks", 0, "priority", "priority_key"),
        2,
        "what an activity inherits is told here as a poll tells it; the original leaves it out",
    ),
    Difference(
        "activity_options_all",
        ("describe updated", "pending_activities", 0, "expiration_time"),
        "<time>",
        NEW_EXPIRY,
    ),
    Difference(
        "activity_options_cleared",
        ("describe", "pending_activities", 0, "expiration_time"),
        Absent,
        NEW_EXPIRY,
    ),
    *[
        Difference(
            scenario,
            ("activity task", "heartbeat_timeout"),
            "7s",
            "the original tells the worker the timeouts of the schedule and counts by the new"
            " ones, so that a worker heartbeats too rarely",
        )
        for scenario in ("activity_options_paused", "activity_options_retried_types")
    ],
    Difference(
        "activity_options_retried_types_replaced",
        ("update", "activity_options", "retry_policy", "non_retryable_error_types"),
        Absent,
        "the list is not replaced there and here; the original's answer says that it is",
    ),
    *[
        Difference(
            "activity_options_retried_types_replaced",
            (*path, "retry_policy", "maximum_interval"),
            "200s",
            "what is left out of a policy is filled in here as when the activity was scheduled",
        )
        for path in (("update", "activity_options"), ("activity task",))
    ],
    Difference(
        "activity_options_bad",
        ("start delay", "activity_options", "start_delay"),
        Absent,
        "an activity of a workflow has no start delay: the original echoes it and forgets it",
    ),
    Difference(
        "retry_short_backoff",
        ("the wait of 0.2 s",),
        Text(r"0\.[1-5]\d* s"),
        EXACT_BACKOFF,
    ),
    Difference(
        "retry_failure_large",
        ("describe in backoff", "pending_activities", 0, "last_failure"),
        FINAL_FAILURE,
        UNCUT,
    ),
    Difference(
        "retry_failure_large",
        ("history", 5, "activity_task_started_event_attributes", "last_failure"),
        FINAL_FAILURE,
        UNCUT,
    ),
    *[
        Difference(
            "server_unknown_methods",
            (label, "error", "message"),
            Text(r"grpc: error unmarshalling request: temporal\.api\.\S+: .+"),
            BAD_BYTES,
        )
        for label in ("bad message", "bad utf-8")
    ],
    Difference(
        "batch_same_job",
        ("after its end", "error", "details", 0, "start_request_id"),
        "<after its end.error.message>",
        "the original's batch is a workflow, started under another id",
    ),
    *[
        Difference(
            "batch_terminate",
            ("last events", i, 2, "details"),
            {"payloads": [{"data": "IndoeSI=", "metadata": {"encoding": "anNvbi9wbGFpbg=="}}]},
            "the original loses the details of a termination",
        )
        for i in range(3)
    ],
    *[
        Difference(
            "reset_post_options_errors",
            (label,),
            {"error": {"code": "INVALID_ARGUMENT", "message": message}},
            "the original gives the new run a priority that no other call accepts",
        )
        for label, message in (
            ("negative priority", "priority key can't be negative"),
            ("long fairness key", "fairness key length exceeds limit"),
        )
    ],
    Difference(
        "batch_rate",
        ("four take longer than two seconds",),
        True,
        "the original does not keep to the rate that is asked for",
    ),
    *[
        Difference(
            "batch_without_hope",
            (label,),
            {"error": {"code": "INVALID_ARGUMENT", "message": message}},
            "what can succeed for no workflow is refused at once, and why; the original takes it"
            " and counts failures without a word",
        )
        for label, message in (
            ("bad mask", invalid_path("parsing UpdateMask", "nonsense")),
            ("bad priority", "priority key can't be negative"),
            ("restore and mask", "Both UpdateMask and RestoreOriginal are provided"),
            ("no activity", "must provide ActivityType or MatchAll"),
            ("empty post operation", "unsupported post reset operation: <nil>"),
            (
                "signal after a reset",
                "unsupported post reset operation:"
                " *workflow.PostResetOperation_SignalWorkflow_",
            ),
            ("bad mask after a reset", invalid_path("applying update_options", "x")),
        )
    ],
    Difference(
        "list_system_attributes",
        ("BatcherNamespace = 'n'",),
        ["set"],
        "the original fails in its database",
    ),
    Difference(
        "list_system_attributes",
        ("TemporalScheduledStartTime = '2024-01-02T03:04:05Z'",),
        ["set"],
        "the original compares the texts of times, which it writes in two ways",
    ),
    *[
        Difference(
            "namespace_alias_errors",
            (label,),
            {"error": {"code": "INVALID_ARGUMENT", "message": message}},
            "the original keeps fields that nothing can be stored in, and names that hide others",
        )
        for label, message in (
            *(
                (
                    field,
                    "custom_search_attribute_aliases:"
                    f" {field} is no field of a custom search attribute",
                )
                for field in ("Nonsense", "Keyword99")
            ),
            ("Keyword03", "Search attribute WorkflowId is reserved by system."),
            ("Keyword04", "Search attribute TemporalX is reserved by system."),
        )
    ],
    Difference("namespace_list_pages", ("system is among them",), False, NO_SYSTEM),
    Difference(
        "namespace_list_pages",
        ("negative size",),
        "INVALID_ARGUMENT",
        "the original fails in its database, which clients take for an outage",
    ),
    *[
        Difference("server_namespace", (label, "namespace_info", *path), value, NOT_BUILT)
        for label in ("by name", "by id")
        for path, value in (
            (("capabilities",), CAPABILITIES),
            (("limits", "workflow_task_completion_size_limit_error"), Absent),
        )
    ],
]


def _at(value, path):
    for step in path:
        value = value[step]
    return value


def ours(scenario, steps):
    """The recording as our server must answer it; the argument is left alone."""
    entries = [entry for entry in DIFFERENCES if entry.scenario == scenario]
    if not entries:
        return steps
    record = copy.deepcopy(dict(steps))
    for entry in entries:
        new = entry.ours
        if isinstance(new, SameAs):
            new = copy.deepcopy(_at(record, new.path))
        if isinstance(new, Followed):
            new = Text(re.escape(_at(record, entry.path)) + new.pattern)
        container = _at(record, entry.path[:-1])
        if new is Absent:
            del container[entry.path[-1]]
        else:
            container[entry.path[-1]] = new
    return [[label, record[label]] for label, _ in steps]
