"""Commands that cannot be carried out, and the cause each gives to the failed task."""

from driver.registry import scenario
from driver.values import (
    activity,
    app_failure,
    blob,
    cancel_activity,
    cancel_timer,
    command,
    done,
    fail,
    payload,
    secs,
    timer,
)

TOO_LARGE = 2 * 1024 * 1024 + 1


def _one(t, label, *commands, **fields):
    """One workflow with one task answered by these commands; what became of it is noted."""
    keep = t.wid
    t.wid = f"{keep}-{label.replace(' ', '-')}"
    t.start("start: " + label, **fields)
    t.complete(t.poll_call(), *commands, label="answer: " + label)
    t.history(label="history: " + label)
    t.terminate("terminate: " + label)
    t.wid = keep


@scenario()
def bad_activity(t):
    """ScheduleActivityTask with missing or impossible attributes."""
    negative = {"start_to_close_timeout": secs(-1)}
    cases = {
        "no attributes": command("schedule_activity_task"),
        "no id": activity("", t.queue),
        "no type": activity("a", t.queue, activity_type=None),
        "no queue": activity("a"),
        "no timeout": command(
            "schedule_activity_task",
            activity_id="a",
            activity_type={"name": "Act"},
            task_queue={"name": t.queue},
        ),
        "negative timeout": activity("a", t.queue, **negative),
        "negative heartbeat": activity("a", t.queue, heartbeat_timeout=secs(-1)),
        "bad retry policy": activity("a", t.queue, retry_policy={"maximum_attempts": -1}),
        "long id": activity("x" * 1001, t.queue),
        "long type": activity("a", t.queue, activity_type={"name": "x" * 1001}),
        "reserved queue": activity("a", "/_sys/q/1"),
        "negative priority": activity("a", t.queue, priority={"priority_key": -1}),
    }
    for label, one in cases.items():
        _one(t, label, one)


@scenario()
def bad_activity_duplicate(t):
    """An activity id that is still in use; it is free again after the activity closed."""
    t.start()
    t.complete(t.task(), activity("a", t.queue), activity("a", t.queue), label="both at once")
    t.complete(t.task(), activity("a", t.queue), label="first")
    t.activity_done(t.activity_task())
    t.complete(t.task(), activity("a", t.queue), label="again")
    t.signal()
    t.complete(t.task(), activity("a", t.queue), label="while pending")
    t.complete(t.task(), done())
    t.history()


@scenario()
def bad_activity_cancel(t):
    """Cancelling an activity that does not exist, or one that is over."""
    t.start()
    t.complete(t.task(), cancel_activity(77), label="unknown")
    t.complete(t.task(), cancel_activity(0), label="zero, in a later attempt")
    t.signal()
    t.complete(t.task(), cancel_activity(0), label="zero")
    t.complete(t.task(), done())
    t.history()


@scenario()
def bad_activity_cancel_twice(t):
    """Cancelling the same activity twice, in one completion and in two."""
    t.start()
    t.complete(t.task(), activity("a", t.queue), label="scheduled")
    t.activity_task()
    t.signal()
    t.complete(t.task(), cancel_activity(5), cancel_activity(5), label="twice at once")
    t.complete(t.task(), cancel_activity(5), label="once")
    t.signal()
    t.complete(t.task(), cancel_activity(5), label="again")
    t.complete(t.task(), done())
    t.history()


@scenario()
def bad_timer(t):
    """StartTimer and CancelTimer with impossible attributes."""
    cases = {
        "no attributes": command("start_timer"),
        "no id": timer("", 1),
        "negative": timer("t", -1),
        "long id": timer("x" * 1001, 1),
        "cancel without id": cancel_timer(""),
        "cancel without attributes": command("cancel_timer"),
        "cancel unknown": cancel_timer("nobody"),
    }
    for label, one in cases.items():
        _one(t, label, one)


@scenario()
def bad_timer_duplicate(t):
    """A timer id that is still in use; it is free again after the timer was cancelled."""
    t.start()
    t.complete(t.task(), timer("t", 60), timer("t", 60), label="both at once")
    t.complete(t.task(), timer("t", 60), label="first")
    t.signal()
    t.complete(t.task(), timer("t", 60), label="again")
    t.complete(t.task(), cancel_timer("t"), timer("t", 60), label="after cancelling")
    t.terminate()
    t.history()


@scenario()
def bad_close_commands(t):
    """Close commands and markers without their attributes."""
    cases = {
        "complete without attributes": _bare("complete_workflow_execution"),
        "fail without attributes": _bare("fail_workflow_execution"),
        "fail without failure": command("fail_workflow_execution"),
        "cancel without attributes": _bare("cancel_workflow_execution"),
        "continue without attributes": _bare("continue_as_new_workflow_execution"),
        "marker without attributes": _bare("record_marker"),
        "marker without name": command("record_marker"),
        "long marker name": command("record_marker", marker_name="x" * 1001),
        "memo without attributes": _bare("modify_workflow_properties"),
        "memo without memo": command("modify_workflow_properties"),
    }
    for label, one in cases.items():
        _one(t, label, one)


def _bare(kind):
    out = command(kind)
    out.ClearField(f"{kind}_command_attributes")
    return out


@scenario()
def bad_continue_as_new(t):
    """ContinueAsNew with impossible attributes."""
    kind = "continue_as_new_workflow_execution"
    cases = {
        "long type": command(kind, workflow_type={"name": "x" * 1001}),
        "long queue": command(kind, task_queue={"name": "x" * 1001}),
        "reserved queue": command(kind, task_queue={"name": "/_sys/q/1"}),
        "negative run timeout": command(kind, workflow_run_timeout=secs(-1)),
        "negative task timeout": command(kind, workflow_task_timeout=secs(-1)),
        "negative backoff": command(kind, backoff_start_interval=secs(-1)),
        "bad retry policy": command(kind, retry_policy={"maximum_attempts": -1}),
    }
    for label, one in cases.items():
        _one(t, label, one)


@scenario()
def bad_sequence(t):
    """Commands after a close command and unknown commands: an error and no event."""
    t.start()
    task = t.task()
    t.complete(task, done(), timer("t", 1), label="command after close")
    t.complete(task, done(), fail(), label="close after close")
    unknown = command("start_timer", timer_id="t")
    unknown.command_type = 99
    t.complete(task, unknown, label="unknown command")
    t.history(label="history after the errors")
    t.complete(task, done(), label="the same task at last")
    t.history()


@scenario()
def bad_unhandled_command(t):
    """Closing while a signal waits: the task fails, the next one brings the signal."""
    t.start()
    task = t.task()
    t.signal("wait for me")
    t.complete(task, done(), label="closed too early")
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def bad_unhandled_then_transient(t):
    """The same on a transient attempt."""
    t.start()
    t.fail_task(t.task())
    task = t.task()
    t.signal("wait for me")
    t.complete(task, done(), label="closed too early")
    t.history(label="history after")
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def bad_in_transient(t):
    """A bad command on a transient attempt leaves the state untouched."""
    t.start(workflow_task_timeout=secs(1))
    t.fail_task(t.task())
    task = t.task()
    t.complete(task, cancel_timer("nobody"), label="bad in attempt 2")
    t.history(label="history after")
    t.describe()
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def bad_discards_everything(t):
    """A bad last command undoes the good ones before it."""
    t.start()
    t.complete(
        t.task(),
        activity("a", t.queue),
        timer("t", 60),
        cancel_timer("nobody"),
        sticky_attributes=t.sticky_attributes(),
        label="bad at the end",
    )
    t.describe()
    t.complete(t.task(), activity("a", t.queue), timer("t", 60), label="good")
    t.terminate()
    t.history()


@scenario()
def bad_oversized(t):
    """Payloads over the limit in commands end the workflow."""
    cases = {
        "activity input": activity("a", t.queue, input=blob(TOO_LARGE)),
        "result": command("complete_workflow_execution", result=blob(TOO_LARGE)),
        "failure": fail(app_failure("m", details=blob(TOO_LARGE))),
        "marker": command("record_marker", marker_name="m", details={"d": blob(TOO_LARGE)}),
        "cancel details": command("cancel_workflow_execution", details=blob(TOO_LARGE)),
        "continue input": command("continue_as_new_workflow_execution", input=blob(TOO_LARGE)),
        "memo": command(
            "modify_workflow_properties",
            upserted_memo={"fields": {"m": blob(TOO_LARGE).payloads[0]}},
        ),
    }
    for label, one in cases.items():
        _one(t, label, one)


@scenario()
def bad_oversized_later_attempt(t):
    """In a later attempt such a payload is refused and the workflow stays as it is."""
    t.start()
    t.fail_task(t.task())
    t.complete(t.task(), command("complete_workflow_execution", result=blob(TOO_LARGE)))
    t.history()
    t.terminate()


@scenario()
def bad_user_metadata(t):
    """Too long a summary on a command."""
    one = timer("t", 60)
    one.user_metadata.summary.CopyFrom(payload("x" * 500))
    _one(t, "summary", one)
    one.user_metadata.Clear()
    one.user_metadata.details.CopyFrom(payload("x" * 20_001))
    _one(t, "details", one)


@scenario()
def bad_unhandled_closing(t):
    """After an unhandled close, signals are refused while the next task is being worked on."""
    t.start()
    task = t.task()
    t.signal("wait for me")
    t.complete(task, done(), label="closed too early")
    t.signal("between")
    task = t.task()
    t.signal("refused", timeout=3)
    t.cancel("cancel in between", timeout=3)
    t.complete(task, done())
    t.history()


@scenario()
def commands_without_attributes(t):
    """A command that is its type alone, or no command; a child's is left out: there the original
    fails inside."""
    for name in (
        "UNSPECIFIED",
        "SCHEDULE_ACTIVITY_TASK",
        "REQUEST_CANCEL_ACTIVITY_TASK",
        "START_TIMER",
        "CANCEL_TIMER",
        "COMPLETE_WORKFLOW_EXECUTION",
        "FAIL_WORKFLOW_EXECUTION",
        "CANCEL_WORKFLOW_EXECUTION",
        "CONTINUE_AS_NEW_WORKFLOW_EXECUTION",
        "RECORD_MARKER",
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION",
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION",
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
        "MODIFY_WORKFLOW_PROPERTIES",
        "PROTOCOL_MESSAGE",
    ):
        _one(t, name.lower(), {"command_type": "COMMAND_TYPE_" + name})


@scenario()
def commands_of_another_build(t):
    """What would inherit the build of the workflow cannot run on another queue."""
    other = t.queue + "-other"
    again = {"task_queue": {"name": other}, "inherit_build_id": True}
    _one(t, "activity", activity("a", other, use_workflow_build_id=True))
    _one(t, "continue", command("continue_as_new_workflow_execution", **again))


@scenario()
def bad_cancel_names(t):
    """Cancelling a timer with a long name, and an activity that no event can have scheduled."""
    _one(t, "timer", cancel_timer("x" * 1001))
    _one(t, "activity", cancel_activity(-1))


@scenario()
def completion_refused(t):
    """A completion in pages, and one with the behavior of a versioned worker."""
    t.start()
    task = t.task()
    t.complete(task, intermediate_page=True, label="not the last page")
    t.complete(task, page_number=3, label="page 3")
    t.complete(task, versioning_behavior=1, label="behavior without a version")
    t.complete(task, page_number=-1, label="no page")
    t.history()
