"""Operators' hands on activities of workflows: pause, unpause, reset and new options."""

import time

from driver.registry import scenario
from driver.values import (
    activity,
    app_failure,
    cancel_activity,
    done,
    payloads,
    retry,
    secs,
    timer,
)


def pause(t, label="pause", **fields):
    fields.setdefault("execution", t.execution())
    if not {"id", "type"} & set(fields):
        fields["id"] = "a"
    return t.does(label, "PauseActivity", **fields)


def unpause(t, label="unpause", **fields):
    fields.setdefault("execution", t.execution())
    if not {"id", "type", "unpause_all"} & set(fields):
        fields["id"] = "a"
    return t.does(label, "UnpauseActivity", **fields)


def reset(t, label="reset", **fields):
    fields.setdefault("execution", t.execution())
    if not {"id", "type", "match_all"} & set(fields):
        fields["id"] = "a"
    return t.does(label, "ResetActivity", **fields)


def options(t, label, paths=(), **fields):
    fields.setdefault("execution", t.execution())
    if not {"id", "type", "match_all"} & set(fields):
        fields["id"] = "a"
    if paths:
        fields["update_mask"] = {"paths": list(paths)}
    return t.does(label, "UpdateActivityOptions", **fields)


def no_task(t, label="nothing to do"):
    """A poll that ends empty: the paused activity is not handed out."""
    task = t.call("PollActivityTaskQueue", timeout=3.2, task_queue={"name": t.queue})
    t.note(label, {"task": bool(task.task_token)})


def begin(t, *commands, **fields):
    t.start(**fields)
    t.step(*commands)


@scenario()
def activity_pause_scheduled(t):
    """A paused activity that nobody took waits; unpaused, it is handed out at once."""
    begin(t, activity("a", t.queue))
    pause(t, reason="wait a bit", identity="operator", request_id="p")
    t.describe("describe paused")
    no_task(t)
    unpause(t)
    t.describe("describe unpaused")
    t.activity_done(t.activity_task())
    t.step(done())
    t.history()


@scenario()
def activity_pause_running(t):
    """A running attempt is told by its heartbeat; its completion counts."""
    begin(t, activity("a", t.queue, heartbeat_timeout=secs(9)))
    task = t.activity_task()
    t.heartbeat(task, 1, label="heartbeat before")
    pause(t)
    t.describe("describe pause requested")
    t.heartbeat(task, 2, label="heartbeat paused")
    t.activity_done(task)
    t.step(done())
    t.history()


@scenario()
def activity_pause_running_fails(t):
    """A paused attempt that fails waits; unpaused, the next one starts."""
    begin(t, activity("a", t.queue, retry_policy=retry(1)))
    task = t.activity_task()
    pause(t, reason="why")
    t.activity_failed(task, app_failure())
    t.describe("describe paused")
    no_task(t)
    unpause(t)
    again = t.activity_task("second attempt")
    t.describe("describe second attempt")
    t.activity_done(again)
    t.step(done())
    t.history()


@scenario()
def activity_pause_fails_for_good(t):
    """A pause does not keep a failure that cannot be retried."""
    begin(t, activity("a", t.queue))
    task = t.activity_task()
    pause(t)
    t.activity_failed(task, app_failure(non_retryable=True))
    t.step(done())
    t.history()


@scenario()
def activity_pause_last_attempt(t):
    """The last attempt fails while paused."""
    begin(t, activity("a", t.queue, retry_policy=retry(1, attempts=1)))
    task = t.activity_task()
    pause(t)
    t.activity_failed(task, app_failure())
    t.describe("describe after")
    unpause(t)
    t.describe("describe unpaused")
    t.terminate()
    t.history()


@scenario()
def activity_pause_in_backoff(t):
    """An activity paused between attempts does not go on when its time comes."""
    begin(t, activity("a", t.queue, retry_policy=retry(1.5)))
    t.activity_failed(t.activity_task(), app_failure())
    pause(t)
    t.describe("describe paused")
    no_task(t)
    t.describe("describe after the backoff")
    unpause(t)
    t.activity_done(t.activity_task("second attempt"))
    t.step(done())
    t.history()


@scenario()
def activity_unpause_in_backoff(t):
    """Unpaused before the end of its backoff."""
    begin(t, activity("a", t.queue, retry_policy=retry(30)))
    t.activity_failed(t.activity_task(), app_failure())
    pause(t)
    unpause(t)
    t.describe("describe unpaused")
    t.terminate()


@scenario()
def activity_pause_twice(t):
    """The same request again is fine, another one is not."""
    begin(t, activity("a", t.queue))
    pause(t, request_id="one")
    pause(t, "same request", request_id="one")
    pause(t, "other request", request_id="two")
    pause(t, "no request id")
    t.terminate()


@scenario()
def activity_pause_twice_without_ids(t):
    """Two requests without an id are the same request."""
    begin(t, activity("a", t.queue))
    pause(t)
    pause(t, "no id again")
    pause(t, "with an id", request_id="one")
    t.terminate()


@scenario()
def activity_pause_by_type(t):
    """Every activity of a type, and no other."""
    other = activity("c", t.queue, activity_type={"name": "Other"})
    begin(t, activity("a", t.queue), activity("b", t.queue), other)
    pause(t, type="Act", reason="all of them")
    t.describe("describe paused")
    pause(t, "again", type="Act")
    pause(t, "unknown type", type="Nothing")
    unpause(t, type="Act")
    t.describe("describe unpaused")
    t.terminate()


@scenario()
def activity_unpause_all(t):
    """Every paused activity goes on."""
    other = activity("c", t.queue, activity_type={"name": "Other"})
    begin(t, activity("a", t.queue), activity("b", t.queue), other)
    pause(t, type="Act")
    pause(t, "pause the other", id="c")
    unpause(t, unpause_all=True)
    t.describe()
    unpause(t, "unpause all of none", unpause_all=True)
    t.terminate()


@scenario()
def activity_unpause_resets(t):
    """Unpausing may count attempts anew and forget heartbeats."""
    begin(t, activity("a", t.queue, retry_policy=retry(1)))
    task = t.activity_task()
    t.heartbeat(task, "progress")
    t.activity_failed(task, app_failure())
    pause(t)
    unpause(t, reset_attempts=True, reset_heartbeat=True)
    t.describe()
    t.activity_done(t.activity_task("after"))
    t.step(done())
    t.history()


@scenario()
def activity_unpause_not_paused(t):
    """There is nothing to unpause."""
    begin(t, activity("a", t.queue))
    unpause(t)
    unpause(t, "unpause with resets", reset_attempts=True, reset_heartbeat=True)
    t.describe()
    t.terminate()


@scenario()
def activity_unpause_jitter(t):
    """With jitter the next attempt comes some time later."""
    begin(t, activity("a", t.queue))
    pause(t)
    unpause(t, jitter=secs(2))
    t.describe("describe unpaused")
    t.activity_done(t.activity_task())
    t.step(done())
    t.history()


@scenario()
def activity_pause_running_unpause(t):
    """Paused and unpaused while it runs: nothing happened."""
    begin(t, activity("a", t.queue))
    task = t.activity_task()
    pause(t)
    unpause(t)
    t.describe()
    t.heartbeat(task)
    t.activity_done(task)
    t.step(done())
    t.history()


@scenario()
def activity_pause_running_unpause_reset(t):
    """Unpaused with resets while it runs."""
    begin(t, activity("a", t.queue, retry_policy=retry(1)))
    t.activity_failed(t.activity_task(), app_failure())
    task = t.activity_task("second attempt")
    t.heartbeat(task, "progress")
    pause(t)
    unpause(t, reset_attempts=True, reset_heartbeat=True)
    t.describe()
    t.heartbeat(task, label="heartbeat after")
    t.activity_done(task)
    t.terminate()
    t.history()


@scenario()
def activity_pause_schedule_to_start(t):
    """A paused activity does not time out on its way to a worker."""
    begin(t, activity("a", t.queue, schedule_to_start_timeout=secs(1)))
    pause(t)
    time.sleep(1.6)
    t.describe("describe later")
    unpause(t)
    t.activity_done(t.activity_task())
    t.step(done())
    t.history()


@scenario()
def activity_pause_schedule_to_close(t):
    """Whether the whole time of a paused activity runs on."""
    begin(t, activity("a", t.queue, schedule_to_close_timeout=secs(1)))
    pause(t)
    time.sleep(2.2)
    t.describe("describe later")
    unpause(t)
    t.step(done())
    t.history()


@scenario()
def activity_pause_start_to_close(t):
    """Whether a running attempt that was paused times out."""
    begin(t, activity("a", t.queue, start_to_close_timeout=secs(1), retry_policy=retry(1)))
    t.activity_task()
    pause(t)
    time.sleep(2.2)
    t.describe("describe later")
    unpause(t)
    t.activity_done(t.activity_task("next attempt"))
    t.step(done())
    t.history()


@scenario()
def activity_pause_heartbeat_timeout(t):
    """Whether a running attempt that was paused misses its heartbeats."""
    begin(t, activity("a", t.queue, heartbeat_timeout=secs(1), retry_policy=retry(1)))
    t.activity_task()
    pause(t)
    time.sleep(2.2)
    t.describe("describe later")
    t.terminate()


@scenario()
def activity_pause_canceled(t):
    """A paused activity that nobody runs is cancelled at once."""
    begin(t, activity("a", t.queue), timer("t", 0.4))
    pause(t)
    t.wait_for("TIMER_FIRED")
    t.step(cancel_activity(5))
    t.describe()
    t.step(done())
    t.history()


@scenario()
def activity_pause_running_canceled(t):
    """Paused and cancelled: the heartbeat says both."""
    begin(t, activity("a", t.queue), timer("t", 0.4))
    task = t.activity_task()
    pause(t)
    t.wait_for("TIMER_FIRED")
    t.step(cancel_activity(5))
    t.heartbeat(task)
    t.describe()
    t.activity_canceled(task, "bye")
    t.step(done())
    t.history()


@scenario()
def activity_pause_completed_by_id(t):
    """A paused activity that never ran is completed by its id."""
    begin(t, activity("a", t.queue))
    pause(t)
    t.does(
        "complete by id",
        "RespondActivityTaskCompletedById",
        workflow_id=t.wid,
        activity_id="a",
        result=payloads("out"),
    )
    t.step(done())
    t.history()


@scenario()
def activity_operations_errors(t):
    """Requests that name too little, too much or nothing that is there."""
    begin(t, activity("a", t.queue))
    for method in ("PauseActivity", "UnpauseActivity", "ResetActivity", "UpdateActivityOptions"):
        more = {}
        if method == "UpdateActivityOptions":
            more = {"activity_options": {}, "update_mask": {"paths": ["heartbeat_timeout"]}}
        t.does(f"{method} nothing", method)
        t.does(f"{method} no activity", method, execution=t.execution(), **more)
        t.does(f"{method} no workflow id", method, execution={}, id="a", **more)
        t.does(f"{method} empty id", method, execution=t.execution(), id="", **more)
        t.does(f"{method} empty type", method, execution=t.execution(), type="", **more)
        t.does(f"{method} unknown id", method, execution=t.execution(), id="b", **more)
        t.does(f"{method} unknown type", method, execution=t.execution(), type="b", **more)
        t.does(
            f"{method} bad run id", method, execution=t.execution("not-a-uuid"), id="a", **more
        )
        t.does(
            f"{method} unknown run",
            method,
            execution=t.execution("11111111-2222-3333-4444-555555555555"),
            id="a",
            **more,
        )
        t.does(
            f"{method} unknown workflow",
            method,
            execution={"workflow_id": "there-is-none"},
            id="a",
            **more,
        )
        t.does(
            f"{method} long identity",
            method,
            execution=t.execution(),
            id="a",
            identity="i" * 1001,
            **more,
        )
        t.does(
            f"{method} long id", method, execution=t.execution(), id="i" * 1001, **more
        )
    pause(t, "long request id", request_id="r" * 1001)
    unpause(t, "unpause after")
    pause(t, "long reason", reason="r" * 2000)
    t.describe()
    t.terminate()
    for method in ("PauseActivity", "UnpauseActivity", "ResetActivity", "UpdateActivityOptions"):
        more = {}
        if method == "UpdateActivityOptions":
            more = {"activity_options": {}, "update_mask": {"paths": ["heartbeat_timeout"]}}
        t.does(f"{method} closed", method, execution=t.execution(), id="a", **more)


@scenario()
def activity_reset_scheduled(t):
    """Reset of an activity that nobody took yet."""
    begin(t, activity("a", t.queue))
    reset(t)
    t.describe()
    t.activity_done(t.activity_task())
    t.step(done())
    t.history()


@scenario()
def activity_reset_in_backoff(t):
    """Reset between attempts: the first attempt once more, at once."""
    begin(t, activity("a", t.queue, retry_policy=retry(60)))
    task = t.activity_task()
    t.heartbeat(task, "progress")
    t.activity_failed(task, app_failure())
    reset(t)
    t.describe("describe reset")
    t.activity_done(t.activity_task("after"))
    t.step(done())
    t.history()


@scenario()
def activity_reset_heartbeat(t):
    """Reset that also forgets what the heartbeats said."""
    begin(t, activity("a", t.queue, retry_policy=retry(60)))
    task = t.activity_task()
    t.heartbeat(task, "progress")
    t.activity_failed(task, app_failure())
    reset(t, reset_heartbeat=True)
    t.describe("describe reset")
    t.activity_done(t.activity_task("after"))
    t.step(done())
    t.history()


@scenario()
def activity_reset_running(t):
    """A running attempt is told by its heartbeat; its failure begins anew."""
    begin(t, activity("a", t.queue, retry_policy=retry(1)))
    t.activity_failed(t.activity_task(), app_failure("first"))
    task = t.activity_task("second attempt")
    t.heartbeat(task, "progress", label="heartbeat before")
    reset(t)
    t.describe("describe reset")
    t.heartbeat(task, "more", label="heartbeat after")
    t.activity_failed(task, app_failure("second"))
    t.describe("describe failed")
    t.activity_done(t.activity_task("after"))
    t.step(done())
    t.history()


@scenario()
def activity_reset_running_heartbeat(t):
    """A running attempt whose reset forgets heartbeats."""
    begin(t, activity("a", t.queue, retry_policy=retry(1)))
    task = t.activity_task()
    t.heartbeat(task, "progress", label="heartbeat before")
    reset(t, reset_heartbeat=True)
    t.describe("describe reset")
    t.activity_failed(task, app_failure("first"))
    t.describe("describe failed")
    t.activity_done(t.activity_task("after"))
    t.step(done())
    t.history()


@scenario()
def activity_reset_running_completes(t):
    """A running attempt that was reset completes."""
    begin(t, activity("a", t.queue))
    task = t.activity_task()
    reset(t)
    t.activity_done(task)
    t.step(done())
    t.history()


@scenario()
def activity_reset_paused(t):
    """A reset ends a pause unless it is told to keep it."""
    begin(t, activity("a", t.queue, retry_policy=retry(1)))
    t.activity_failed(t.activity_task(), app_failure())
    pause(t)
    reset(t, "reset, still paused", keep_paused=True)
    t.describe("describe kept")
    reset(t)
    t.describe("describe reset")
    t.activity_done(t.activity_task("after"))
    t.step(done())
    t.history()


@scenario()
def activity_reset_running_paused(t):
    """A running attempt, paused and reset: what its heartbeat says."""
    begin(t, activity("a", t.queue, retry_policy=retry(1)))
    task = t.activity_task()
    pause(t)
    reset(t, "reset, still paused", keep_paused=True)
    t.describe("describe kept")
    t.heartbeat(task, label="heartbeat kept")
    reset(t)
    t.describe("describe reset")
    t.heartbeat(task, label="heartbeat reset")
    t.activity_failed(task, app_failure())
    t.describe("describe failed")
    t.activity_done(t.activity_task("after"))
    t.step(done())
    t.history()


@scenario()
def activity_reset_many(t):
    """By type and all of them."""
    other = activity("c", t.queue, activity_type={"name": "Other"})
    begin(t, activity("a", t.queue), activity("b", t.queue), other)
    pause(t, type="Act")
    pause(t, "pause the other", id="c")
    reset(t, "by type", type="Other")
    t.describe("describe by type")
    reset(t, "all", match_all=True)
    t.describe("describe all")
    t.terminate()


@scenario()
def activity_reset_jitter(t):
    """With jitter the next attempt comes some time later."""
    begin(t, activity("a", t.queue, retry_policy=retry(60)))
    t.activity_failed(t.activity_task(), app_failure())
    reset(t, jitter=secs(2))
    t.describe("describe reset")
    t.activity_done(t.activity_task("after"))
    t.step(done())
    t.history()


@scenario()
def activity_reset_restores_options(t):
    """Reset brings back the options the activity was scheduled with."""
    begin(t, activity("a", t.queue, heartbeat_timeout=secs(5)))
    options(
        t,
        "update",
        ["heartbeat_timeout"],
        activity_options={"heartbeat_timeout": secs(3)},
    )
    reset(t, "reset without", id="a")
    t.describe("describe kept")
    reset(t, restore_original_options=True)
    t.describe("describe restored")
    t.terminate()


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
    begin(t, activity("a", t.queue))
    options(t, "update", ALL_PATHS, activity_options=NEW_OPTIONS)
    t.describe("describe updated")
    options(t, "restore", restore_original=True)
    t.describe("describe restored")
    t.activity_done(t.activity_task())
    t.step(done())
    t.history()


@scenario()
def activity_options_one_by_one(t):
    """Each path of the mask changes its field and no other."""
    begin(t, activity("a", t.queue))
    more = ("retry_policy", "priority", "priority.fairness_key", "priority.fairness_weight")
    for path in ("task_queue", *ALL_PATHS, *more, "start_delay"):
        options(t, path, [path], activity_options=NEW_OPTIONS)
        options(t, f"restore {path}", restore_original=True)
    t.terminate()


@scenario()
def activity_options_cleared(t):
    """A path in the mask whose field is missing."""
    begin(t, activity("a", t.queue, heartbeat_timeout=secs(5), schedule_to_close_timeout=secs(90)))
    more = ("retry_policy", "priority")
    for path in ("task_queue", *ALL_PATHS, *more):
        options(t, path, [path], activity_options={})
    t.describe()
    t.terminate()


@scenario()
def activity_options_bad(t):
    """What is no option, or no value for one."""
    begin(t, activity("a", t.queue))
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
    begin(t, command, workflow_run_timeout=secs(70))
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
    begin(t, activity("a", t.queue))
    elsewhere = t.queue + "-2"
    options(t, "move", ["task_queue.name"], activity_options={"task_queue": {"name": elsewhere}})
    no_task(t)
    t.describe()
    t.activity_done(t.activity_task(queue=elsewhere))
    t.step(done())
    t.history()


@scenario()
def activity_options_in_backoff(t):
    """A shorter interval brings the next attempt forward."""
    begin(t, activity("a", t.queue, retry_policy=retry(60)))
    t.activity_failed(t.activity_task(), app_failure())
    options(
        t,
        "update",
        ["retry_policy.initial_interval"],
        activity_options={"retry_policy": {"initial_interval": secs(1)}},
    )
    t.describe("describe updated")
    t.activity_done(t.activity_task("second attempt"))
    t.step(done())
    t.history()


@scenario()
def activity_options_running(t):
    """New options of a running attempt count from its start."""
    begin(t, activity("a", t.queue, start_to_close_timeout=secs(60), retry_policy=retry(1)))
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
    begin(t, activity("a", t.queue))
    pause(t)
    options(t, "update", ["heartbeat_timeout"], activity_options=NEW_OPTIONS)
    t.describe()
    unpause(t)
    t.activity_done(t.activity_task())
    t.step(done())
    t.history()


@scenario()
def activity_options_many(t):
    """By type and all of them."""
    other = activity("c", t.queue, activity_type={"name": "Other"})
    begin(t, activity("a", t.queue), activity("b", t.queue), other)
    options(t, "by type", ["heartbeat_timeout"], type="Act", activity_options=NEW_OPTIONS)
    t.describe("describe by type")
    options(t, "all", ["heartbeat_timeout"], match_all=True, activity_options=NEW_OPTIONS)
    t.describe("describe all")
    options(t, "restore all", match_all=True, restore_original=True)
    t.describe("describe restored")
    t.terminate()


@scenario()
def activity_execution_operations(t):
    """The newer calls on an activity of a workflow."""
    begin(t, activity("a", t.queue))
    who = {"workflow_id": t.wid, "activity_id": "a", "identity": "operator"}
    t.does("pause", "PauseActivityExecution", reason="why", request_id="p", **who)
    t.does("pause again", "PauseActivityExecution", request_id="q", **who)
    t.describe("describe paused")
    t.does("unpause", "UnpauseActivityExecution", reason="go", jitter=secs(1), **who)
    t.describe("describe unpaused")
    t.does("reset", "ResetActivityExecution", keep_paused=True, reset_heartbeat=True, **who)
    t.does(
        "update",
        "UpdateActivityExecutionOptions",
        activity_options=NEW_OPTIONS,
        update_mask={"paths": ["heartbeat_timeout"]},
        **who,
    )
    t.does("restore", "UpdateActivityExecutionOptions", restore_original=True, **who)
    t.activity_done(t.activity_task())
    t.step(done())
    t.history()


@scenario()
def activity_execution_errors(t):
    """The newer calls, naming nothing that is there."""
    begin(t, activity("a", t.queue))
    mask = {"activity_options": NEW_OPTIONS, "update_mask": {"paths": ["heartbeat_timeout"]}}
    cases = {
        "no activity id": {"workflow_id": t.wid},
        "unknown activity": {"workflow_id": t.wid, "activity_id": "b"},
        "unknown workflow": {"workflow_id": "there-is-none", "activity_id": "a"},
        "bad run id": {"workflow_id": t.wid, "activity_id": "a", "run_id": "x"},
        "long identity": {"workflow_id": t.wid, "activity_id": "a", "identity": "i" * 1001},
        "long request id": {"workflow_id": t.wid, "activity_id": "a", "request_id": "i" * 1001},
        "long activity id": {"workflow_id": t.wid, "activity_id": "i" * 1001},
        "resource": {"workflow_id": t.wid, "activity_id": "a", "resource_id": "workflow:other"},
    }
    for method in ("Pause{}", "Unpause{}", "Reset{}", "Update{}Options"):
        method = method.format("ActivityExecution")
        more = mask if method.startswith("Update") else {}
        for label, fields in cases.items():
            t.does(f"{method} {label}", method, **fields, **more)
        t.does(f"{method} standalone", method, activity_id="alone", **more)
    t.terminate()


@scenario()
def activity_operations_all_of_none(t):
    """Operations on all activities of a run that has none."""
    begin(t, timer("t", 60))
    unpause(t, unpause_all=True)
    reset(t, match_all=True)
    options(t, "update", ["heartbeat_timeout"], match_all=True, activity_options=NEW_OPTIONS)
    options(t, "restore", match_all=True, restore_original=True)
    t.terminate()


@scenario()
def activity_options_retried_types(t):
    """New options keep the types of errors that are not retried."""
    policy = retry(1, non_retryable_error_types=["Bad"])
    begin(t, activity("a", t.queue, retry_policy=policy))
    options(t, "update", ["heartbeat_timeout"], activity_options=NEW_OPTIONS)
    t.describe()
    t.activity_failed(t.activity_task(), app_failure(type="Bad"))
    t.step(done())
    t.history()


@scenario()
def activity_options_retried_types_replaced(t):
    """A new retry policy: what becomes of the types of errors that are not retried."""
    policy = retry(1, non_retryable_error_types=["Bad"])
    begin(t, activity("a", t.queue, retry_policy=policy))
    other = {**NEW_OPTIONS, "retry_policy": retry(2, non_retryable_error_types=["Worse"])}
    options(t, "update", ["retry_policy"], activity_options=other)
    t.activity_failed(t.activity_task(), app_failure(type="Bad"))
    t.step(done())
    t.history()
