"""Activity retries and timeouts: every retry state, every timeout type, heartbeats."""

import time

from driver.registry import scenario
from driver.values import activity, app_failure, done, once, payloads, retry, secs
from temporalio.api.enums.v1 import event_type_pb2 as event_enum


def _fails(t, times, failure=None):
    for i in range(times):
        t.activity_failed(t.activity_task(), failure or app_failure(f"failure {i + 1}"))


@scenario()
def retry_until_done(t):
    """Two failures, then success: one started event with the last failure."""
    t.begin(activity("a", t.queue, retry_policy=retry(1, 1)))
    _fails(t, 1)
    t.describe("describe in backoff")
    _fails(t, 1)
    task = t.activity_task()
    t.describe("describe in attempt 3")
    t.history(label="history in attempt 3")
    t.activity_done(task, "at last")
    t.finish()


@scenario()
def retry_maximum_attempts(t):
    """MAXIMUM_ATTEMPTS_REACHED after two attempts."""
    t.begin(activity("a", t.queue, retry_policy=retry(1, 1, 2)))
    _fails(t, 2)
    t.finish()


@scenario()
def retry_single_attempt(t):
    """A policy of one attempt."""
    t.begin(activity("a", t.queue, retry_policy=once()))
    _fails(t, 1)
    t.finish()


@scenario()
def retry_attempts_before_time(t):
    """Attempts are counted first: with neither attempts nor time left it is their number."""
    t.start()
    policy = retry(60, 1, 1)
    t.step(activity("a", t.queue, schedule_to_close_timeout=secs(5), retry_policy=policy))
    _fails(t, 1)
    t.finish()


@scenario()
def retry_started_dated_back(t):
    """ActivityTaskStarted comes with the end, and has the time at which the attempt began."""
    t.begin(activity("a", t.queue))
    task = t.activity_task()
    time.sleep(0.2)
    t.signal()
    t.activity_done(task)
    found = {event.event_type: event for event in t.events()}
    started = found[event_enum.EVENT_TYPE_ACTIVITY_TASK_STARTED]
    signaled = found[event_enum.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED]
    t.note("later in the order", started.event_id > signaled.event_id)
    earlier = started.event_time.ToNanoseconds() < signaled.event_time.ToNanoseconds()
    t.note("earlier in time", earlier)
    t.step(done())


@scenario()
def retry_non_retryable_flag(t):
    """NON_RETRYABLE_FAILURE by the failure's own flag."""
    t.begin(activity("a", t.queue))
    _fails(t, 1, app_failure("no use", non_retryable=True))
    t.finish()


@scenario()
def retry_non_retryable_type(t):
    """NON_RETRYABLE_FAILURE by the policy's list; only the outermost type counts, exactly."""
    t.start()
    policy = retry(1, 1, 3, non_retryable_error_types=["Fatal"])
    t.step(activity("a", t.queue, retry_policy=policy))
    inner = app_failure("inner", "Fatal")
    _fails(t, 1, app_failure("outer", "Outer", cause=inner))
    _fails(t, 1, app_failure("other case", "fatal"))
    _fails(t, 1, app_failure("exact", "Fatal"))
    t.finish()


@scenario()
def retry_no_room(t):
    """TIMEOUT: the next attempt would not fit into schedule-to-close."""
    t.start()
    policy = retry(60, 1)
    fields = {"schedule_to_close_timeout": secs(10), "retry_policy": policy}
    t.step(activity("a", t.queue, **fields))
    _fails(t, 1)
    t.finish()


@scenario()
def retry_next_delay(t):
    """The failure's own delay beats the policy, also above its maximum interval."""
    t.begin(activity("a", t.queue, retry_policy=retry(60, 1, maximum_interval=secs(60))))
    t.activity_failed(t.activity_task(), app_failure("soon", next_retry_delay=secs(1)))
    began = time.monotonic()
    t.describe("describe in short backoff")
    task = t.activity_task()
    t.within("waited", time.monotonic() - began, 0.7, 5)
    t.activity_failed(task, app_failure("late", next_retry_delay=secs(500)))
    t.describe("describe in long backoff")
    t.terminate()


@scenario()
def retry_backoff_grows(t):
    """The interval grows by the coefficient up to the maximum."""
    t.begin(activity("a", t.queue, retry_policy=retry(0.4, 3.0, maximum_interval=secs(1.5))))
    for _ in range(3):
        task = t.activity_task()
        t.activity_failed(task, app_failure("again"))
        t.describe()
    t.activity_done(t.activity_task())
    t.finish()


@scenario()
def retry_interval_capped(t):
    """Without a maximum the interval stops growing at a hundred times the first."""
    t.begin(activity("a", t.queue, retry_policy=retry(0.01, 1000.0)))
    for _ in range(2):
        t.activity_failed(t.activity_task(), app_failure("again"))
    t.describe()
    t.terminate()


@scenario()
def retry_next_delay_zero(t):
    """A delay of zero in the failure."""
    t.begin(activity("a", t.queue, retry_policy=retry(60, 1)))
    t.activity_failed(t.activity_task(), app_failure("now", next_retry_delay=secs(0)))
    t.describe()
    t.history()
    t.terminate()


@scenario()
def retry_expires_by_run_timeout(t):
    """The run timeout bounds schedule-to-close, and with it the retries."""
    t.begin(activity("a", t.queue, retry_policy=retry(30, 1)), workflow_run_timeout=secs(20))
    t.activity_failed(t.activity_task(), app_failure("first"))
    t.finish()


@scenario()
def retry_short_backoff(t):
    """A backoff under a second: when the attempt really comes."""
    t.begin(activity("a", t.queue, retry_policy=retry(0.2, 1)))
    t.activity_failed(t.activity_task(), app_failure("quick"))
    began = time.monotonic()
    task = t.activity_task()
    t.within("the wait of 0.2 s", time.monotonic() - began, 0.6, 4)
    t.activity_done(task)
    t.finish()


@scenario()
def retry_failure_large(t):
    """A failure above 4 KiB while retrying, and as the last one."""
    t.begin(activity("a", t.queue, retry_policy=retry(1, 1, 2)))
    failure = app_failure(
        "m" * 3000, stack_trace="s" * 3000, details=payloads("d" * 3000), cause=app_failure("root")
    )
    t.activity_failed(t.activity_task(), failure)
    t.describe("describe in backoff")
    t.activity_failed(t.activity_task(), failure)
    t.finish()


@scenario()
def retry_failure_details_kept(t):
    """A small failure of an attempt is shown whole: stack, details, cause."""
    t.begin(activity("a", t.queue, retry_policy=retry(1, 1)))
    failure = app_failure(
        "small", "Small", stack_trace="l1\nl2", details=payloads("d"), cause=app_failure("root")
    )
    t.activity_failed(t.activity_task(), failure)
    t.describe()
    t.activity_done(t.activity_task())
    t.finish()


# --- timeouts


@scenario()
def timeout_start_to_close(t):
    """START_TO_CLOSE of the last attempt."""
    t.begin(activity("a", t.queue, start_to_close_timeout=secs(1), retry_policy=once()))
    task = t.activity_task()
    t.step(done())
    t.activity_done(task, label="too late")
    t.history()


@scenario()
def timeout_start_to_close_retried(t):
    """START_TO_CLOSE is retried; the next attempt and the describe answer show it."""
    t.begin(activity("a", t.queue, start_to_close_timeout=secs(1), retry_policy=retry(1, 1, 2)))
    t.activity_task()
    second = t.activity_task()
    t.describe()
    t.activity_failed(second, app_failure("second"))
    t.finish()


@scenario()
def timeout_start_to_close_not_retryable(t):
    """START_TO_CLOSE listed among the types that are not retried."""
    t.start()
    policy = retry(1, 1, non_retryable_error_types=["TemporalTimeout:StartToClose"])
    t.step(activity("a", t.queue, start_to_close_timeout=secs(1), retry_policy=policy))
    t.activity_task()
    t.finish()


@scenario()
def timeout_schedule_to_start(t):
    """SCHEDULE_TO_START: nobody polls."""
    t.begin(activity("a", "nobody-polls", schedule_to_start_timeout=secs(1)))
    t.finish()


@scenario()
def timeout_schedule_to_close_waiting(t):
    """Only SCHEDULE_TO_CLOSE set and nobody polls."""
    t.begin(activity("a", "nobody-polls", schedule_to_close_timeout=secs(1)))
    t.finish()


@scenario()
def timeout_schedule_to_close_running(t):
    """SCHEDULE_TO_CLOSE while the first attempt runs."""
    t.begin(activity("a", t.queue, schedule_to_close_timeout=secs(1)))
    t.activity_task()
    t.finish()


@scenario()
def timeout_schedule_to_close_second(t):
    """SCHEDULE_TO_CLOSE while the second attempt runs: the first failure is the cause."""
    t.start()
    fields = {"schedule_to_close_timeout": secs(3), "retry_policy": retry(1, 1)}
    t.step(activity("a", t.queue, **fields))
    t.activity_failed(t.activity_task(), app_failure("first"))
    t.activity_task()
    t.finish()


@scenario()
def timeout_start_to_close_no_room(t):
    """START_TO_CLOSE with no room for another attempt."""
    t.start()
    fields = {
        "schedule_to_close_timeout": secs(30),
        "start_to_close_timeout": secs(1),
        "retry_policy": retry(60, 1),
    }
    t.step(activity("a", t.queue, **fields))
    t.activity_task()
    t.finish()


@scenario()
def timeout_schedule_to_start_second(t):
    """SCHEDULE_TO_START of a second attempt: nobody polls any more."""
    t.start()
    fields = {"schedule_to_start_timeout": secs(2), "retry_policy": retry(1, 1)}
    t.step(activity("a", t.queue, **fields))
    t.activity_failed(t.activity_task(), app_failure("first"))
    t.finish()


@scenario()
def timeout_heartbeat(t):
    """HEARTBEAT: last details are in the failure."""
    t.begin(activity("a", t.queue, heartbeat_timeout=secs(1), retry_policy=once()))
    task = t.activity_task()
    t.heartbeat(task, "progress", 7)
    t.describe()
    t.step(done())
    t.heartbeat(task, label="too late")
    t.history()


@scenario()
def timeout_heartbeat_never(t):
    """HEARTBEAT without a single heartbeat, listed as not retryable."""
    t.start()
    policy = retry(1, 1, non_retryable_error_types=["TemporalTimeout:Heartbeat"])
    t.step(activity("a", t.queue, heartbeat_timeout=secs(1), retry_policy=policy))
    t.activity_task()
    t.finish()


@scenario()
def heartbeat_keeps_alive(t):
    """Heartbeats within the timeout keep an activity alive beyond it."""
    t.begin(activity("a", t.queue, heartbeat_timeout=secs(3), retry_policy=once()))
    task = t.activity_task()
    for i in range(4):
        time.sleep(1)
        t.heartbeat(task, i)
    t.activity_done(task)
    t.finish()


@scenario()
def heartbeat_details_next_attempt(t):
    """Details reach the next attempt after a failure and after a timeout."""
    t.begin(activity("a", t.queue, heartbeat_timeout=secs(1), retry_policy=retry(1, 1)))
    task = t.activity_task()
    t.heartbeat(task, "one")
    t.activity_failed(task, app_failure("first"))
    task = t.activity_task()
    t.heartbeat(task, "two")
    task = t.activity_task()
    t.describe("describe in attempt 3")
    t.activity_failed(
        task, app_failure("with details"), last_heartbeat_details=payloads("three")
    )
    task = t.activity_task()
    t.activity_done(task)
    t.finish()


@scenario()
def retry_failure_with_heartbeat(t):
    """Details in a failure count as a heartbeat at that time."""
    t.begin(activity("a", t.queue))
    task = t.activity_task()
    t.activity_failed(task, app_failure(), last_heartbeat_details=payloads("last"))
    t.describe("describe in backoff")
