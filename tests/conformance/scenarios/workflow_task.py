"""Workflow tasks: attempts, failures, timeouts, stickiness, heartbeats, stale answers."""

import time

from driver.registry import scenario
from driver.values import activity, app_failure, command, done, secs, timer


@scenario()
def task_failed_then_fixed(t):
    """Two failed attempts, then success: one event for the first, none for the second."""
    t.start()
    failure = app_failure("bug", "TypeError", stack_trace="here")
    t.fail_task(t.task(), failure=failure)
    task = t.task(whole=True)
    t.describe("describe in attempt 2")
    t.fail_task(task, failure=failure)
    t.history(label="history after two")
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def task_failed_causes(t):
    """Causes a worker may report, each on a first attempt of its own workflow."""
    causes = (
        "UNHANDLED_COMMAND",
        "RESET_STICKY_TASK_QUEUE",
        "FORCE_CLOSE_COMMAND",
        "BAD_BINARY",
        "NON_DETERMINISTIC_ERROR",
        "PAYLOADS_TOO_LARGE",
        "EXTERNAL_STORAGE_FAILURE",
        "REQUEST_TOO_LARGE",
        "FAILOVER_CLOSE_COMMAND",
        "BAD_SIGNAL_INPUT_SIZE",
        "UNHANDLED_UPDATE",
        "FEATURE_DISABLED",
    )
    for cause in causes:
        t.wid, keep = f"{t.wid}-{cause}", t.wid
        t.start(f"start {cause}")
        t.fail_task(t.task(), cause, label=f"failed with {cause}", failure=app_failure())
        t.history(label=f"history of {cause}")
        t.terminate(f"terminate {cause}")
        t.wid = keep


@scenario()
def task_failed_too_large(t):
    """Cause GRPC_MESSAGE_TOO_LARGE ends the workflow."""
    t.start()
    t.fail_task(t.task(), "GRPC_MESSAGE_TOO_LARGE", failure=app_failure("too large"))
    t.history()


@scenario()
def task_failed_without_failure(t):
    """Neither cause nor failure given."""
    t.start()
    t.fail_task(t.task(), None)
    t.history()


@scenario()
def task_timed_out(t):
    """A task nobody answers: event at the first attempt, none at the second."""
    t.start(workflow_task_timeout=secs(1))
    t.task()
    t.task(whole=True)
    t.history(label="history in attempt 2")
    task = t.task(whole=True)
    t.complete(task, done())
    t.history()


@scenario()
def task_timed_out_answer_late(t):
    """An answer after the timeout, and after the next attempt has started."""
    t.start(workflow_task_timeout=secs(1))
    old = t.task()
    t.wait_for("WORKFLOW_TASK_TIMED_OUT")
    t.complete(old, done(), label="late")
    new = t.task()
    t.complete(old, done(), label="late, during the next")
    t.fail_task(old, label="late failure")
    t.complete(new, done())
    t.complete(new, done(), label="twice")
    t.history()


@scenario()
def task_attempt_grows(t):
    """Attempts four and five get longer timeouts; queries are refused from attempt three on."""
    t.start(workflow_task_timeout=secs(2))
    for _ in range(2):
        t.fail_task(t.task())
    t.query(label="query in attempt 3", timeout=5)
    for _ in range(2):
        t.fail_task(t.task())
    task = t.task(whole=True)
    scheduled = task.history.events[-2].workflow_task_scheduled_event_attributes
    t.within("timeout", scheduled.start_to_close_timeout.ToMilliseconds() / 1000, 9, 12)
    t.describe("describe in attempt 5")
    t.complete(task, done())
    t.history()


@scenario()
def task_failed_signal_between(t):
    """A signal between two failed attempts makes the next a first attempt again."""
    t.start()
    t.fail_task(t.task())
    task = t.task()
    t.fail_task(task)
    t.signal("wake")
    task = t.task(whole=True)
    t.fail_task(task)
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def task_failed_signal_during(t):
    """A signal while a transient attempt runs."""
    t.start()
    t.fail_task(t.task())
    task = t.task(whole=True)
    t.signal("during")
    t.history(label="history during")
    t.complete(task, timer("t", 60), label="completed attempt 2")
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def task_failed_signal_during_failed(t):
    """A signal while a transient attempt runs that fails too."""
    t.start()
    t.fail_task(t.task())
    task = t.task()
    t.signal("during")
    t.fail_task(task)
    t.history(label="history after")
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def task_sticky(t):
    """A sticky task carries only the new events."""
    t.start()
    t.complete(t.task(), sticky_attributes=t.sticky_attributes())
    polled = t.later(t.poll_call, sticky=True)
    time.sleep(0.5)
    t.signal("first")
    task = t.note_task("sticky task", polled.result(), whole=True)
    t.complete(task, sticky_attributes=t.sticky_attributes())
    t.describe()
    polled = t.later(t.poll_call, sticky=True)
    time.sleep(0.5)
    t.signal("second")
    t.complete(t.note_task("sticky task", polled.result(), whole=True), done())
    t.history()


@scenario()
def task_sticky_timeout(t):
    """The sticky worker has gone: the task times out and goes to the normal queue."""
    t.start()
    t.complete(t.task(), sticky_attributes=t.sticky_attributes(1))
    polled = t.later(t.poll_call, sticky=True)
    time.sleep(0.5)
    t.signal("first")
    task = t.note_task("sticky task", polled.result())
    t.complete(task, sticky_attributes=t.sticky_attributes(1))
    t.signal("second")
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def task_sticky_never_polled(t):
    """No worker ever polled the sticky queue: the normal queue gets the task at once."""
    t.start()
    t.complete(t.task(), sticky_attributes=t.sticky_attributes(10))
    began = time.monotonic()
    t.signal("first")
    t.complete(t.task(), done())
    t.within("waited", time.monotonic() - began, 0, 5)
    t.history()


@scenario()
def task_sticky_failed(t):
    """The first failure of a sticky task does not count as an attempt."""
    t.start()
    t.complete(t.task(), sticky_attributes=t.sticky_attributes())
    polled = t.later(t.poll_call, sticky=True)
    time.sleep(0.5)
    t.signal("first")
    t.fail_task(t.note_task("sticky task", polled.result()), "NON_DETERMINISTIC_ERROR")
    t.fail_task(t.task(), "NON_DETERMINISTIC_ERROR")
    t.fail_task(t.task(), "NON_DETERMINISTIC_ERROR")
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def task_sticky_timed_out(t):
    """A sticky task that was taken and not answered."""
    t.start(workflow_task_timeout=secs(1))
    t.complete(t.task(), sticky_attributes=t.sticky_attributes())
    polled = t.later(t.poll_call, sticky=True)
    time.sleep(0.5)
    t.signal("first")
    t.note_task("sticky task", polled.result())
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def task_sticky_dropped(t):
    """A completion without sticky attributes, and ResetStickyTaskQueue, end stickiness."""
    t.start()
    t.complete(t.task(), sticky_attributes=t.sticky_attributes())
    t.does("reset", "ResetStickyTaskQueue", execution=t.execution())
    t.signal("first")
    t.complete(t.task(), sticky_attributes=t.sticky_attributes())
    t.signal("second")
    t.complete(t.task())
    t.signal("third")
    t.complete(t.task(), done())
    t.does("reset after close", "ResetStickyTaskQueue", execution=t.execution())
    t.history()


@scenario()
def task_shutdown_worker(t):
    """ShutdownWorker: what waits for the sticky queue goes to the normal queue."""
    t.start()
    t.complete(t.task(), sticky_attributes=t.sticky_attributes(10))
    polled = t.later(t.poll_call, sticky=True)
    time.sleep(0.5)
    t.signal("first")
    task = t.note_task("sticky task", polled.result())
    t.complete(task, sticky_attributes=t.sticky_attributes(10))
    t.does("shutdown", "ShutdownWorker", sticky_task_queue=t.sticky, reason="ends")
    began = time.monotonic()
    t.signal("second")
    t.complete(t.task(), done())
    t.within("waited", time.monotonic() - began, 0, 5)
    t.history()


@scenario()
def task_force_new(t):
    """A completion that asks for another task (the heartbeat of a long local activity)."""
    t.start()
    t.complete(t.task(), force_create_new_workflow_task=True)
    t.complete(t.task(whole=True), force_create_new_workflow_task=True)
    t.complete(t.task(), done())
    t.history()


@scenario()
def task_returned_inline(t):
    """The next task comes with the answer to the completion."""
    t.start()
    answer = t.complete(
        t.task(), force_create_new_workflow_task=True, return_new_workflow_task=True
    )
    t.complete(answer.workflow_task, return_new_workflow_task=True, label="nothing to return")
    t.signal("go")
    t.step(done())
    t.history()


@scenario()
def task_returned_inline_sticky(t):
    """The same with stickiness: the returned task has only the new events."""
    t.start()
    fields = {
        "force_create_new_workflow_task": True,
        "return_new_workflow_task": True,
        "sticky_attributes": t.sticky_attributes(),
    }
    answer = t.complete(t.task(), **fields)
    t.complete(answer.workflow_task, done())
    t.history()


@scenario()
def task_pages(t):
    """A task's history of more than a page is continued with its page token."""
    t.start()
    t.complete(t.task(), *[command("record_marker", marker_name=f"m{i}") for i in range(20)])
    for i in range(300):
        t.call("SignalWorkflowExecution", workflow_execution=t.execution(), signal_name=f"s{i}")
    task = t.poll_call()
    t.note("first page", [e.event_id for e in task.history.events])
    t.note("has more", bool(task.next_page_token))
    rest = t.call(
        "GetWorkflowExecutionHistory",
        execution=t.execution(),
        next_page_token=task.next_page_token,
    )
    t.note("second page", [e.event_id for e in rest.history.events])
    t.note("has still more", bool(rest.next_page_token))
    t.complete(task, done())


@scenario()
def task_metadata(t):
    """What a worker says of itself in a completion is kept in the event."""
    t.start()
    t.complete(
        t.task(),
        done(),
        sdk_metadata={
            "core_used_flags": [1, 2],
            "lang_used_flags": [3],
            "sdk_name": "scripted",
            "sdk_version": "9.9.9",
        },
        metering_metadata={"nonfirst_local_activity_execution_attempts": 4},
        binary_checksum="checksum",
    )
    t.history()
    t.describe()


@scenario()
def task_worker_version(t):
    """Worker version stamps of an unversioned worker."""
    t.start()
    stamp = {"build_id": "build-1", "use_versioning": False}
    task = t.task(worker_version_capabilities=stamp)
    t.complete(task, done(), worker_version_stamp=stamp)
    t.history()
    t.describe()


@scenario()
def task_poll_empty(t):
    """A poll without work ends before the client's deadline, with an empty answer."""
    began = time.monotonic()
    t.does("workflow", "PollWorkflowTaskQueue", task_queue={"name": t.queue}, timeout=4)
    t.within("workflow waited", time.monotonic() - began, 2, 4.5)
    began = time.monotonic()
    t.does("activity", "PollActivityTaskQueue", task_queue={"name": t.queue}, timeout=4)
    t.within("activity waited", time.monotonic() - began, 2, 4.5)


@scenario()
def task_after_close(t):
    """Answers to a task of a workflow that was terminated meanwhile."""
    t.start()
    task = t.task()
    t.terminate()
    t.complete(task, done(), label="too late")
    t.fail_task(task, label="failed too late")
    t.history()


@scenario()
def task_commands_in_order(t):
    """Several commands of one completion become events in their order."""
    t.start()
    task = t.task()
    t.complete(
        task,
        timer("t1", 60),
        activity("a1", t.queue),
        command("record_marker", marker_name="mark"),
        activity("a2", t.queue),
        timer("t2", 60),
        done(),
    )
    t.history()
    t.describe()
