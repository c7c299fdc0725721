"""Activities paused and unpaused by operators."""

import time

from driver.activities import no_task, pause, unpause
from driver.registry import scenario
from driver.values import activity, app_failure, cancel_activity, payloads, retry, secs, timer


@scenario()
def activity_pause_scheduled(t):
    """A paused activity that nobody took waits; unpaused, it is handed out at once."""
    t.begin(activity("a", t.queue))
    pause(t, reason="wait a bit", identity="operator", request_id="p")
    t.describe("describe paused")
    no_task(t)
    unpause(t)
    t.describe("describe unpaused")
    t.activity_done(t.activity_task())
    t.finish()


@scenario()
def activity_pause_running(t):
    """A running attempt is told by its heartbeat; its completion counts."""
    t.begin(activity("a", t.queue, heartbeat_timeout=secs(9)))
    task = t.activity_task()
    t.heartbeat(task, 1, label="heartbeat before")
    pause(t)
    t.describe("describe pause requested")
    t.heartbeat(task, 2, label="heartbeat paused")
    t.activity_done(task)
    t.finish()


@scenario()
def activity_pause_running_fails(t):
    """A paused attempt that fails waits; unpaused, the next one starts."""
    t.begin(activity("a", t.queue, retry_policy=retry(1)))
    task = t.activity_task()
    pause(t, reason="why")
    t.activity_failed(task, app_failure())
    t.describe("describe paused")
    no_task(t)
    unpause(t)
    again = t.activity_task("second attempt")
    t.describe("describe second attempt")
    t.activity_done(again)
    t.finish()


@scenario()
def activity_pause_fails_for_good(t):
    """A pause does not keep a failure that cannot be retried."""
    t.begin(activity("a", t.queue))
    task = t.activity_task()
    pause(t)
    t.activity_failed(task, app_failure(non_retryable=True))
    t.finish()


@scenario()
def activity_pause_last_attempt(t):
    """The last attempt fails while paused."""
    t.begin(activity("a", t.queue, retry_policy=retry(1, attempts=1)))
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
    t.begin(activity("a", t.queue, retry_policy=retry(1.5)))
    t.activity_failed(t.activity_task(), app_failure())
    pause(t)
    t.describe("describe paused")
    no_task(t)
    t.describe("describe after the backoff")
    unpause(t)
    t.activity_done(t.activity_task("second attempt"))
    t.finish()


@scenario()
def activity_unpause_in_backoff(t):
    """Unpaused before the end of its backoff."""
    t.begin(activity("a", t.queue, retry_policy=retry(30)))
    t.activity_failed(t.activity_task(), app_failure())
    pause(t)
    unpause(t)
    t.describe("describe unpaused")
    t.terminate()


@scenario()
def activity_pause_twice(t):
    """The same request again is fine, another one is not."""
    t.begin(activity("a", t.queue))
    pause(t, request_id="one")
    pause(t, "same request", request_id="one")
    pause(t, "other request", request_id="two")
    pause(t, "no request id")
    t.terminate()


@scenario()
def activity_pause_twice_without_ids(t):
    """Two requests without an id are the same request."""
    t.begin(activity("a", t.queue))
    pause(t)
    pause(t, "no id again")
    pause(t, "with an id", request_id="one")
    t.terminate()


@scenario()
def activity_pause_by_type(t):
    """Every activity of a type, and no other."""
    other = activity("c", t.queue, activity_type={"name": "Other"})
    t.begin(activity("a", t.queue), activity("b", t.queue), other)
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
    t.begin(activity("a", t.queue), activity("b", t.queue), other)
    pause(t, type="Act")
    pause(t, "pause the other", id="c")
    unpause(t, unpause_all=True)
    t.describe()
    unpause(t, "unpause all of none", unpause_all=True)
    t.terminate()


@scenario()
def activity_unpause_resets(t):
    """Unpausing may count attempts anew and forget heartbeats."""
    t.begin(activity("a", t.queue, retry_policy=retry(1)))
    task = t.activity_task()
    t.heartbeat(task, "progress")
    t.activity_failed(task, app_failure())
    pause(t)
    unpause(t, reset_attempts=True, reset_heartbeat=True)
    t.describe()
    t.activity_done(t.activity_task("after"))
    t.finish()


@scenario()
def activity_unpause_not_paused(t):
    """There is nothing to unpause."""
    t.begin(activity("a", t.queue))
    unpause(t)
    unpause(t, "unpause with resets", reset_attempts=True, reset_heartbeat=True)
    t.describe()
    t.terminate()


@scenario()
def activity_unpause_jitter(t):
    """With jitter the next attempt comes some time later."""
    t.begin(activity("a", t.queue))
    pause(t)
    unpause(t, jitter=secs(2))
    t.describe("describe unpaused")
    t.activity_done(t.activity_task())
    t.finish()


@scenario()
def activity_pause_running_unpause(t):
    """Paused and unpaused while it runs: nothing happened."""
    t.begin(activity("a", t.queue))
    task = t.activity_task()
    pause(t)
    unpause(t)
    t.describe()
    t.heartbeat(task)
    t.activity_done(task)
    t.finish()


@scenario()
def activity_pause_running_unpause_reset(t):
    """Unpaused with resets while it runs."""
    t.begin(activity("a", t.queue, retry_policy=retry(1)))
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
    t.begin(activity("a", t.queue, schedule_to_start_timeout=secs(1)))
    pause(t)
    time.sleep(1.6)
    t.describe("describe later")
    unpause(t)
    t.activity_done(t.activity_task())
    t.finish()


@scenario()
def activity_pause_schedule_to_close(t):
    """Whether the whole time of a paused activity runs on."""
    t.begin(activity("a", t.queue, schedule_to_close_timeout=secs(1)))
    pause(t)
    time.sleep(2.2)
    t.describe("describe later")
    unpause(t)
    t.finish()


@scenario()
def activity_pause_start_to_close(t):
    """Whether a running attempt that was paused times out."""
    t.begin(activity("a", t.queue, start_to_close_timeout=secs(1), retry_policy=retry(1)))
    t.activity_task()
    pause(t)
    time.sleep(2.2)
    t.describe("describe later")
    unpause(t)
    t.activity_done(t.activity_task("next attempt"))
    t.finish()


@scenario()
def activity_pause_heartbeat_timeout(t):
    """Whether a running attempt that was paused misses its heartbeats."""
    t.begin(activity("a", t.queue, heartbeat_timeout=secs(1), retry_policy=retry(1)))
    t.activity_task()
    pause(t)
    time.sleep(2.2)
    t.describe("describe later")
    t.terminate()


@scenario()
def activity_pause_canceled(t):
    """A paused activity that nobody runs is cancelled at once."""
    t.begin(activity("a", t.queue), timer("t", 0.4))
    pause(t)
    t.wait_for("TIMER_FIRED")
    t.step(cancel_activity(5))
    t.describe()
    t.finish()


@scenario()
def activity_pause_running_canceled(t):
    """Paused and cancelled: the heartbeat says both."""
    t.begin(activity("a", t.queue), timer("t", 0.4))
    task = t.activity_task()
    pause(t)
    t.wait_for("TIMER_FIRED")
    t.step(cancel_activity(5))
    t.heartbeat(task)
    t.describe()
    t.activity_canceled(task, "bye")
    t.finish()


@scenario()
def activity_pause_completed_by_id(t):
    """A paused activity that never ran is completed by its id."""
    t.begin(activity("a", t.queue))
    pause(t)
    t.does(
        "complete by id",
        "RespondActivityTaskCompletedById",
        workflow_id=t.wid,
        activity_id="a",
        result=payloads("out"),
    )
    t.finish()
