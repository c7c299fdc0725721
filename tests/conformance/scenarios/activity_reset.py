"""Activities reset by operators."""

from driver.activities import options, pause, reset
from driver.registry import scenario
from driver.values import activity, app_failure, retry, secs


@scenario()
def activity_reset_scheduled(t):
    """Reset of an activity that nobody took yet."""
    t.begin(activity("a", t.queue))
    reset(t)
    t.describe()
    t.activity_done(t.activity_task())
    t.finish()


@scenario()
def activity_reset_in_backoff(t):
    """Reset between attempts: the first attempt once more, at once."""
    t.begin(activity("a", t.queue, retry_policy=retry(60)))
    task = t.activity_task()
    t.heartbeat(task, "progress")
    t.activity_failed(task, app_failure())
    reset(t)
    t.describe("describe reset")
    t.activity_done(t.activity_task("after"))
    t.finish()


@scenario()
def activity_reset_heartbeat(t):
    """Reset that also forgets what the heartbeats said."""
    t.begin(activity("a", t.queue, retry_policy=retry(60)))
    task = t.activity_task()
    t.heartbeat(task, "progress")
    t.activity_failed(task, app_failure())
    reset(t, reset_heartbeat=True)
    t.describe("describe reset")
    t.activity_done(t.activity_task("after"))
    t.finish()


@scenario()
def activity_reset_running(t):
    """A running attempt is told by its heartbeat; its failure begins anew."""
    t.begin(activity("a", t.queue, retry_policy=retry(1)))
    t.activity_failed(t.activity_task(), app_failure("first"))
    task = t.activity_task("second attempt")
    t.heartbeat(task, "progress", label="heartbeat before")
    reset(t)
    t.describe("describe reset")
    t.heartbeat(task, "more", label="heartbeat after")
    t.activity_failed(task, app_failure("second"))
    t.describe("describe failed")
    t.activity_done(t.activity_task("after"))
    t.finish()


@scenario()
def activity_reset_running_heartbeat(t):
    """A running attempt whose reset forgets heartbeats."""
    t.begin(activity("a", t.queue, retry_policy=retry(1)))
    task = t.activity_task()
    t.heartbeat(task, "progress", label="heartbeat before")
    reset(t, reset_heartbeat=True)
    t.describe("describe reset")
    t.activity_failed(task, app_failure("first"))
    t.describe("describe failed")
    t.activity_done(t.activity_task("after"))
    t.finish()


@scenario()
def activity_reset_running_completes(t):
    """A running attempt that was reset completes."""
    t.begin(activity("a", t.queue))
    task = t.activity_task()
    reset(t)
    t.activity_done(task)
    t.finish()


@scenario()
def activity_reset_paused(t):
    """A reset ends a pause unless it is told to keep it."""
    t.begin(activity("a", t.queue, retry_policy=retry(1)))
    t.activity_failed(t.activity_task(), app_failure())
    pause(t)
    reset(t, "reset, still paused", keep_paused=True)
    t.describe("describe kept")
    reset(t)
    t.describe("describe reset")
    t.activity_done(t.activity_task("after"))
    t.finish()


@scenario()
def activity_reset_running_paused(t):
    """A running attempt, paused and reset: what its heartbeat says."""
    t.begin(activity("a", t.queue, retry_policy=retry(1)))
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
    t.finish()


@scenario()
def activity_reset_many(t):
    """By type and all of them."""
    other = activity("c", t.queue, activity_type={"name": "Other"})
    t.begin(activity("a", t.queue), activity("b", t.queue), other)
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
    t.begin(activity("a", t.queue, retry_policy=retry(60)))
    t.activity_failed(t.activity_task(), app_failure())
    reset(t, jitter=secs(2))
    t.describe("describe reset")
    t.activity_done(t.activity_task("after"))
    t.finish()


@scenario()
def activity_reset_restores_options(t):
    """Reset brings back the options the activity was scheduled with."""
    t.begin(activity("a", t.queue, heartbeat_timeout=secs(5)))
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
