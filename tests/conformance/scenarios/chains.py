"""Runs that follow each other: continue-as-new, workflow retries, run and execution timeouts."""

import time

from driver.registry import scenario
from driver.rpc import to_json
from driver.values import (
    activity,
    app_failure,
    command,
    done,
    fail,
    payload,
    payloads,
    retry,
    secs,
    timer,
)


CLOSED = (2, 3, 4, 21, 27, 28)  # event types that end a run


def continue_as_new(**fields):
    return command("continue_as_new_workflow_execution", **fields)


def _next_run(t, run_id, label="history of the next run"):
    """Notes the history of the run after run_id and returns its id.

    Of a run that still goes on only the first event: the second comes with its first task.
    """
    event = t.events(run_id)[-1]
    for name in ("continued_as_new", "failed", "timed_out", "completed"):
        following = getattr(event, f"workflow_execution_{name}_event_attributes")
        if following.new_execution_run_id:
            found = t.events(following.new_execution_run_id)
            over = found[-1].event_type in CLOSED
            t.note(label, [to_json(one) for one in (found if over else found[:1])])
            return following.new_execution_run_id
    t.note(label, "there is none")
    return None


@scenario()
def continue_plain(t):
    """The shortest continue-as-new: everything is inherited, the next task waits for a second."""
    began = time.monotonic()
    t.start(
        input=payloads("one"),
        memo={"fields": {"m": payload(1)}},
        header={"fields": {"h": payload(1)}},
        workflow_run_timeout=secs(60),
        workflow_task_timeout=secs(7),
    )
    t.step(continue_as_new())
    t.history(t.run)
    following = _next_run(t, t.run)
    t.step(done())
    t.within("next task after", time.monotonic() - began, 0.8, 5)
    t.history(following, "history of the last run")
    t.describe("describe the first run", t.run)
    t.describe("describe the last run")


@scenario()
def continue_shows_backoff(t):
    """What is missing to the second between two runs is the backoff the next run's start shows."""
    t.start()
    t.step(continue_as_new())
    started = t.events()[0].workflow_execution_started_event_attributes
    backoff = started.first_workflow_task_backoff
    t.within("first backoff", backoff.seconds + backoff.nanos / 1e9, 0.1, 0.999)


@scenario()
def retry_begins_with_first_memo(t):
    """A following run has the memo of the start, without what was changed, and no user metadata."""
    t.start(
        memo={"fields": {"m": payload(1)}},
        user_metadata={"summary": payload("sum"), "details": payload("more")},
        retry_policy=retry(attempts=2),
    )
    changed = {"fields": {"m": payload(2), "n": payload(3)}}
    t.step(
        command("modify_workflow_properties", upserted_memo=changed),
        command("fail_workflow_execution", failure=app_failure()),
    )
    following = _next_run(t, t.run)
    t.describe("describe the next run")
    t.describe("describe the first run", t.run)
    t.history(following)


@scenario()
def continue_after_delay(t):
    """The second between two runs counts from the end of the first one's delay."""
    t.start(workflow_start_delay=secs(2))
    t.step(continue_as_new())
    started = t.events()[0].workflow_execution_started_event_attributes
    backoff = started.first_workflow_task_backoff
    t.within("first backoff", backoff.seconds + backoff.nanos / 1e9, 0.1, 0.999)


@scenario()
def continue_timeouts_resolved(t):
    """The run's timeout is held to the chain's, and the task's to the run's, inherited or given."""
    cases = (
        ("shorter run", {"workflow_run_timeout": 60, "workflow_task_timeout": 30}, {"run": 5}),
        ("longer task", {"workflow_run_timeout": 7}, {"task": 60}),
        ("longer run", {"workflow_execution_timeout": 7}, {"run": 60}),
        ("very long task", {}, {"run": 300, "task": 300}),
    )
    for label, first, then in cases:
        t.wid, keep = f"{t.wid}-{label.replace(' ', '-')}", t.wid
        t.start(f"start {label}", **{name: secs(value) for name, value in first.items()})
        given = {f"workflow_{name}_timeout": secs(value) for name, value in then.items()}
        t.complete(t.poll_call(), continue_as_new(**given), label=f"completed {label}")
        t.history(t.run, f"history {label}")
        t.note(f"next run {label}", to_json(t.events()[0]))
        t.terminate(f"terminate {label}")
        t.wid = keep


@scenario()
def continue_with_everything(t):
    """Every field of the command."""
    t.start(
        workflow_execution_timeout=secs(300),
        retry_policy=retry(3, 2, 4),
        memo={"fields": {"old": payload(1)}},
    )
    t.step(
        continue_as_new(
            workflow_type={"name": "Other"},
            task_queue={"name": t.queue + "-other"},
            input=payloads("two"),
            workflow_run_timeout=secs(50),
            workflow_task_timeout=secs(6),
            backoff_start_interval=secs(2),
            retry_policy=retry(1, 1, 9),
            failure=app_failure("the reason"),
            last_completion_result=payloads("carried"),
            header={"fields": {"h": payload(2)}},
            memo={"fields": {"new": payload(2)}},
        )
    )
    t.history(t.run)
    following = _next_run(t, t.run)
    task = t.task(queue=t.queue + "-other")
    t.complete(task, done())
    t.history(following, "history of the last run")


@scenario()
def continue_after_a_while(t):
    """A run of more than a second: the next one starts at once."""
    t.start()
    t.step(timer("t", 1.5))
    began = time.monotonic()
    t.step(continue_as_new(input=payloads("two")))
    t.step(done())
    t.within("next task after", time.monotonic() - began, 1, 5)
    _next_run(t, t.run)


@scenario()
def continue_with_signal_waiting(t):
    """A signal in the buffer keeps the workflow from continuing."""
    t.start()
    task = t.task()
    t.signal("wait")
    t.complete(task, continue_as_new(), label="too early")
    t.step(continue_as_new(backoff_start_interval=secs(3)))
    t.history(t.run)
    following = _next_run(t, t.run)
    t.signal("to the new run")
    t.step(done())
    t.history(following, "history of the last run")


@scenario()
def continue_with_pending(t):
    """A running activity and a timer end with the run."""
    t.start()
    t.step(activity("a", t.queue), timer("t", 60))
    task = t.activity_task()
    t.signal()
    t.step(continue_as_new())
    t.activity_done(task, label="activity completed too late")
    t.history(t.run)
    _next_run(t, t.run)
    t.terminate(first_execution_run_id=t.run)
    t.signal("late", workflow_execution=t.execution(t.run), label="signal to the old run")


@scenario()
def continue_twice(t):
    """Three runs: what is kept from the first."""
    t.start()
    t.step(continue_as_new(input=payloads(2)))
    second = _next_run(t, t.run, "history of the second run")
    t.step(continue_as_new(input=payloads(3)))
    third = _next_run(t, second, "history of the third run")
    t.step(done("end"))
    t.history(third, "history of the last run")
    t.start("start with the first id again")


# --- workflow retries


@scenario()
def workflow_retry(t):
    """Two attempts fail, the third completes."""
    t.start(input=payloads("in"), retry_policy=retry(1, 1, 3), memo={"fields": {"m": payload(1)}})
    t.step(fail(app_failure("first")))
    t.history(t.run)
    second = _next_run(t, t.run, "history of the second run")
    t.step(fail(app_failure("second")))
    third = _next_run(t, second, "history of the third run")
    t.step(done("at last"))
    t.history(third, "history of the last run")
    t.describe()


@scenario()
def workflow_retry_exhausted(t):
    """MAXIMUM_ATTEMPTS_REACHED of a workflow."""
    t.start(retry_policy=retry(1, 1, 2))
    t.step(fail(app_failure("first")))
    second = _next_run(t, t.run, "history of the second run")
    t.step(fail(app_failure("second")))
    t.history(second, "history of the last run")


@scenario()
def workflow_retry_refused(t):
    """NON_RETRYABLE_FAILURE by flag and by type; no policy."""
    policy = retry(1, 1, non_retryable_error_types=["Fatal"])
    cases = {
        "by flag": (policy, app_failure("f", non_retryable=True)),
        "by type": (policy, app_failure("f", "Fatal")),
        "no policy": (None, app_failure("f")),
        "canceled failure": (policy, {"message": "c", "canceled_failure_info": {}}),
    }
    for label, (policy, failure) in cases.items():
        keep, t.wid = t.wid, f"{t.wid}-{label.replace(' ', '-')}"
        t.start("start " + label, retry_policy=policy)
        t.complete(t.poll_call(), fail(failure), label="completed " + label)
        t.history(label="history " + label)
        t.wid = keep


@scenario()
def workflow_retry_activity_failure(t):
    """The failure of an activity, wrapped as SDKs wrap it, is retried even if its cause is not."""
    t.start(retry_policy=retry(1, 1, 2))
    wrapped = {
        "message": "Activity task failed",
        "activity_failure_info": {
            "scheduled_event_id": 5,
            "started_event_id": 6,
            "identity": "worker",
            "activity_type": {"name": "Act"},
            "activity_id": "a",
            "retry_state": 2,
        },
        "cause": app_failure("inside", non_retryable=True),
    }
    t.step(fail(wrapped))
    t.history(t.run)
    _next_run(t, t.run)


@scenario()
def workflow_retry_child_failure(t):
    """So is the failure of a child."""
    t.start(retry_policy=retry(1, 1, 2))
    wrapped = {
        "message": "Child Workflow execution failed",
        "child_workflow_execution_failure_info": {
            "namespace": "default",
            "workflow_execution": {"workflow_id": "child"},
            "workflow_type": {"name": "Child"},
            "initiated_event_id": 5,
            "started_event_id": 6,
            "retry_state": 5,
        },
        "cause": app_failure("inside", non_retryable=True),
    }
    t.step(fail(wrapped))
    t.history(t.run)
    _next_run(t, t.run)


@scenario()
def workflow_retry_next_delay(t):
    """The failure's own delay is capped by the maximum interval for workflows."""
    t.start(retry_policy=retry(1, 1, maximum_interval=secs(2)))
    t.step(fail(app_failure("later", next_retry_delay=secs(60))))
    t.history(t.run)
    _next_run(t, t.run)


@scenario()
def workflow_retry_no_room(t):
    """TIMEOUT: the next attempt would start after the execution timeout."""
    t.start(retry_policy=retry(60, 1), workflow_execution_timeout=secs(10))
    t.step(fail(app_failure("first")))
    t.history()


@scenario()
def workflow_retry_canceled(t):
    """Cancelling and terminating end a chain of retries."""
    t.start(retry_policy=retry(1, 1))
    t.cancel()
    t.step(command("cancel_workflow_execution"))
    t.history()
    t.start("start again", request_id="second", retry_policy=retry(1, 1))
    t.terminate()
    t.history(label="history of the terminated")


@scenario()
def workflow_retry_close_event(t):
    """The close event alone, of a run that another follows."""
    t.start(retry_policy=retry(1, 1))
    t.step(fail(app_failure("first")))
    for label, metadata in {
        "plain": (),
        "follows next run id": (("supported-features", "follows-next-run-id"),),
    }.items():
        t.does(
            label,
            "GetWorkflowExecutionHistory",
            execution=t.execution(t.run),
            history_event_filter_type=2,
            metadata=metadata,
        )
    t.terminate()


# --- timeouts of the workflow


@scenario()
def timeout_run(t):
    """The run timeout, with a workflow task waiting."""
    t.start(workflow_run_timeout=secs(1))
    t.wait_for("WORKFLOW_EXECUTION_TIMED_OUT")
    t.history()
    t.describe()


@scenario()
def timeout_run_during_task(t):
    """The run timeout during a workflow task with a signal in the buffer."""
    t.start(workflow_run_timeout=secs(2))
    task = t.task()
    t.signal("buffered")
    t.wait_for("WORKFLOW_EXECUTION_TIMED_OUT")
    t.complete(task, done(), label="completed too late")
    t.history()


@scenario()
def timeout_run_retried(t):
    """The run timeout of a workflow with a retry policy."""
    t.start(workflow_run_timeout=secs(1), retry_policy=retry(1, 1, 2))
    t.wait_for("WORKFLOW_EXECUTION_TIMED_OUT", t.run)
    t.history(t.run)
    following = _next_run(t, t.run)
    t.wait_for("WORKFLOW_EXECUTION_TIMED_OUT", following)
    t.history(following, "history of the last run")


@scenario()
def timeout_execution(t):
    """The execution timeout ends retries."""
    t.start(workflow_execution_timeout=secs(2), retry_policy=retry(1, 1))
    t.wait_for("WORKFLOW_EXECUTION_TIMED_OUT", t.run)
    t.history(t.run)
    t.describe()


@scenario()
def timeout_execution_in_second_run(t):
    """The execution timeout during the second run of a chain."""
    t.start(workflow_execution_timeout=secs(3), retry_policy=retry(1, 1))
    t.step(fail(app_failure("first")))
    following = _next_run(t, t.run)
    t.wait_for("WORKFLOW_EXECUTION_TIMED_OUT", following)
    t.history(following, "history of the last run")


@scenario()
def timeout_run_with_activity(t):
    """The run timeout with an activity running."""
    t.start(workflow_run_timeout=secs(2))
    t.step(activity("a", t.queue))
    task = t.activity_task()
    t.wait_for("WORKFLOW_EXECUTION_TIMED_OUT")
    t.activity_done(task, label="activity completed too late")
    t.history()
    t.describe()


@scenario()
def timeout_run_after_delay(t):
    """The run timeout counts from the end of the start delay."""
    t.start(workflow_run_timeout=secs(1), workflow_start_delay=secs(1))
    began = time.monotonic()
    t.wait_for("WORKFLOW_EXECUTION_TIMED_OUT")
    t.within("timed out after", time.monotonic() - began, 1.6, 6)
    t.history()


@scenario()
def workflow_retry_short_interval(t):
    """A second lies between the starts of two attempts, however short the policy's interval."""
    t.start(retry_policy=retry(0.3, 1, 2))
    t.step(fail())
    run = t.events(t.run)[-1].workflow_execution_failed_event_attributes.new_execution_run_id
    first, second = t.events(t.run)[0], t.events(run)[0]
    started = second.workflow_execution_started_event_attributes
    begins = second.event_time.ToNanoseconds() + started.first_workflow_task_backoff.ToNanoseconds()
    t.note("a second or more", begins - first.event_time.ToNanoseconds() >= 990_000_000)
    t.terminate()
