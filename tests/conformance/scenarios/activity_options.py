"""New options for activities of workflows."""

import time

from driver.activities import no_task, options, pause, unpause
from driver.registry import scenario
from driver.values import activity, app_failure, retry, secs

ALL_PATHS = (
    "task_queue.name",
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
    "heartbeat_timeout",
    "retry_policy.initial_interval",
    "retry_policy.backoff_coefficient",
    "retry_policy.maximum_interval",
    "retry_policy.maximum_attempts",
    "priority.priority_key",
)

NEW_OPTIONS = {
    "task_queue": {"name": "elsewhere"},
    "schedule_to_close_timeout": secs(100),
    "schedule_to_start_timeout": secs(80),
    "start_to_close_timeout": secs(50),
    "heartbeat_timeout": secs(7),
    "retry_policy": {
        "initial_interval": secs(2),
        "backoff_coefficient": 3.0,
        "maximum_interval": secs(20),
        "maximum_attempts": 4,
    },
    "priority": {"priority_key": 2, "fairness_key": "k", "fairness_weight": 2.5},
}


@scenario()
def activity_options_all(t):
    """Every option that can be changed, at once."""
    t.begin(activity("a", t.queue))
    options(t, "update", ALL_PATHS, activity_options=NEW_OPTIONS)
    t.describe("describe updated")
    options(t, "restore", restore_original=True)
    t.describe("describe restored")
    t.activity_done(t.activity_task())
    t.finish()


@scenario()
def activity_options_one_by_one(t):
    """Each path of the mask changes its field and no other."""
    t.begin(activity("a", t.queue))
    more = ("retry_policy", "priority", "priority.fairness_key", "priority.fairness_weight")
    for path in ("task_queue", *ALL_PATHS, *more, "start_delay"):
        options(t, path, [path], activity_options=NEW_OPTIONS)
        options(t, f"restore {path}", restore_original=True)
    t.terminate()


@scenario()
def activity_options_cleared(t):
    """A path in the mask whose field is missing."""
    t.begin(activity("a", t.queue, heartbeat_timeout=secs(5), schedule_to_close_timeout=secs(90)))
    more = ("retry_policy", "priority")
    for path in ("task_queue", *ALL_PATHS, *more):
        options(t, path, [path], activity_options={})
    t.describe()
    t.terminate()


@scenario()
def activity_options_bad(t):
    """What is no option, or no value for one."""
    t.begin(activity("a", t.queue))
    options(t, "no mask", activity_options=NEW_OPTIONS)
    options(t, "no options", ["heartbeat_timeout"])
    options(t, "nothing")
    options(t, "empty options without a mask", activity_options={})
    options(t, "unknown path", ["nothing"], activity_options=NEW_OPTIONS)
    options(t, "unknown subpath", ["retry_policy.nothing"], activity_options=NEW_OPTIONS)
    options(t, "camel case", ["heartbeatTimeout"], activity_options=NEW_OPTIONS)
    both = {"restore_original": True, "activity_options": {"heartbeat_timeout": secs(1)}}
    options(t, "restore with options", **both)
    options(t, "restore with a mask", ["heartbeat_timeout"], restore_original=True)
    bad = {
        "negative heartbeat": ("heartbeat_timeout", {"heartbeat_timeout": secs(-1)}),
        "negative start to close": ("start_to_close_timeout", {"start_to_close_timeout": secs(-1)}),
        "negative schedule to start": (
            "schedule_to_start_timeout",
            {"schedule_to_start_timeout": secs(-1)},
        ),
        "negative schedule to close": (
            "schedule_to_close_timeout",
            {"schedule_to_close_timeout": secs(-1)},
        ),
        "no start to close": ("start_to_close_timeout", {"start_to_close_timeout": secs(0)}),
        "coefficient": (
            "retry_policy.backoff_coefficient",
            {"retry_policy": {"backoff_coefficient": 0.5}},
        ),
        "attempts": ("retry_policy.maximum_attempts", {"retry_policy": {"maximum_attempts": -1}}),
        "interval": (
            "retry_policy.initial_interval",
            {"retry_policy": {"initial_interval": secs(-1)}},
        ),
        "intervals": (
            "retry_policy.maximum_interval",
            {"retry_policy": {"maximum_interval": secs(0.5)}},
        ),
        "queue": ("task_queue.name", {"task_queue": {"name": ""}}),
        "long queue": ("task_queue.name", {"task_queue": {"name": "q" * 1001}}),
        "reserved queue": ("task_queue.name", {"task_queue": {"name": "/_sys/q"}}),
        "priority": ("priority.priority_key", {"priority": {"priority_key": -1}}),
        "fairness key": ("priority", {"priority": {"fairness_key": "k" * 65}}),
        "fairness weight": ("priority", {"priority": {"fairness_weight": -1}}),
        "start delay": ("start_delay", {"start_delay": secs(3)}),
    }
    for label, (path, value) in bad.items():
        options(t, label, [path], activity_options=value)
        options(t, f"restore after {label}", restore_original=True)
    t.describe()
    t.terminate()


@scenario()
def activity_options_timeouts(t):
    """New timeouts are fitted to each other."""
    command = activity("a", t.queue, schedule_to_close_timeout=secs(60))
    t.begin(command, workflow_run_timeout=secs(70))
    options(
        t,
        "above the run",
        ["schedule_to_close_timeout"],
        activity_options={"schedule_to_close_timeout": secs(100)},
    )
    options(
        t,
        "below the others",
        ["schedule_to_close_timeout"],
        activity_options={"schedule_to_close_timeout": secs(20)},
    )
    options(
        t,
        "heartbeat above",
        ["heartbeat_timeout"],
        activity_options={"heartbeat_timeout": secs(50)},
    )
    options(
        t,
        "start to close above",
        ["start_to_close_timeout"],
        activity_options={"start_to_close_timeout": secs(50)},
    )
    t.describe()
    t.terminate()


@scenario()
def activity_options_move(t):
    """A waiting activity moves to another task queue and back."""
    t.begin(activity("a", t.queue))
    elsewhere = t.queue + "-2"
    options(t, "move", ["task_queue.name"], activity_options={"task_queue": {"name": elsewhere}})
    no_task(t)
    t.describe()
    t.activity_done(t.activity_task(queue=elsewhere))
    t.finish()


@scenario()
def activity_options_in_backoff(t):
    """A shorter interval brings the next attempt forward."""
    t.begin(activity("a", t.queue, retry_policy=retry(60)))
    t.activity_failed(t.activity_task(), app_failure())
    options(
        t,
        "update",
        ["retry_policy.initial_interval"],
        activity_options={"retry_policy": {"initial_interval": secs(1)}},
    )
    t.describe("describe updated")
    t.activity_done(t.activity_task("second attempt"))
    t.finish()


@scenario()
def activity_options_running(t):
    """New options of a running attempt count from its start."""
    t.begin(activity("a", t.queue, start_to_close_timeout=secs(60), retry_policy=retry(1)))
    t.activity_task()
    options(
        t,
        "update",
        ["start_to_close_timeout"],
        activity_options={"start_to_close_timeout": secs(1)},
    )
    time.sleep(2.5)
    t.describe("describe timed out")
    t.terminate()


@scenario()
def activity_options_paused(t):
    """New options of a paused activity."""
    t.begin(activity("a", t.queue))
    pause(t)
    options(t, "update", ["heartbeat_timeout"], activity_options=NEW_OPTIONS)
    t.describe()
    unpause(t)
    t.activity_done(t.activity_task())
    t.finish()


@scenario()
def activity_options_many(t):
    """By type and all of them."""
    other = activity("c", t.queue, activity_type={"name": "Other"})
    t.begin(activity("a", t.queue), activity("b", t.queue), other)
    options(t, "by type", ["heartbeat_timeout"], type="Act", activity_options=NEW_OPTIONS)
    t.describe("describe by type")
    options(t, "all", ["heartbeat_timeout"], match_all=True, activity_options=NEW_OPTIONS)
    t.describe("describe all")
    options(t, "restore all", match_all=True, restore_original=True)
    t.describe("describe restored")
    t.terminate()


@scenario()
def activity_options_retried_types(t):
    """New options keep the types of errors that are not retried."""
    policy = retry(1, non_retryable_error_types=["Bad"])
    t.begin(activity("a", t.queue, retry_policy=policy))
    options(t, "update", ["heartbeat_timeout"], activity_options=NEW_OPTIONS)
    t.describe()
    t.activity_failed(t.activity_task(), app_failure(type="Bad"))
    t.finish()


@scenario()
def activity_options_retried_types_replaced(t):
    """A new retry policy: what becomes of the types of errors that are not retried."""
    policy = retry(1, non_retryable_error_types=["Bad"])
    t.begin(activity("a", t.queue, retry_policy=policy))
    other = {**NEW_OPTIONS, "retry_policy": retry(2, non_retryable_error_types=["Worse"])}
    options(t, "update", ["retry_policy"], activity_options=other)
    t.activity_failed(t.activity_task(), app_failure(type="Bad"))
    t.finish()
