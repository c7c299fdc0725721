"""Reset: a new run that begins with a part of another run's past."""

import time

from driver.registry import scenario
from driver.rpc import to_json
from driver.values import (
    activity,
    app_failure,
    command,
    done,
    payload,
    payloads,
    retry,
    secs,
    timer,
)


def reset(t, finish_id, label="reset", run_id=None, wid=None, **fields):
    """Resets and returns the new run's id, or None."""
    fields.setdefault("request_id", "reset-request")
    fields.setdefault("reason", "a reason")
    execution = {"workflow_id": wid or t.wid, "run_id": run_id or ""}
    answer = t.does(
        label,
        "ResetWorkflowExecution",
        workflow_execution=execution,
        workflow_task_finish_event_id=finish_id,
        **fields,
    )
    return answer.run_id if answer else None


def both(t, old, new):
    t.history(old, "history of the old run")
    t.history(new, "history of the new run")


@scenario()
def reset_open_run(t):
    """An open run: it is terminated, and its successor begins after the point."""
    t.idle(input=payloads("in"), memo={"fields": {"m": payload(1)}})
    new = reset(t, 4)
    both(t, t.run, new)
    t.describe("describe the old run", t.run)
    t.describe("describe the new run", new)
    t.step(done("again"))
    t.history(new, "history at the end")
    t.describe("describe the end", new)


@scenario()
def reset_run_is_as_old_as_its_first_event(t):
    """Continued at once, it leaves its successor no second to wait: its first event is old."""
    t.idle()
    time.sleep(1.2)
    new = reset(t, 4)
    t.step(command("continue_as_new_workflow_execution"))
    ended = t.events(new)[-1].workflow_execution_continued_as_new_event_attributes
    t.step(done())
    t.history(ended.new_execution_run_id, "history of the successor")


@scenario()
def reset_closed_run(t):
    """A closed run stays as it is."""
    t.start()
    t.step(done("first"))
    new = reset(t, 4)
    both(t, t.run, new)
    t.describe("describe the old run", t.run)
    t.step(done("second"))
    t.history(new, "history at the end")


@scenario()
def reset_without_optional_fields(t):
    """No reason, no request id, no identity."""
    t.idle()
    reset(t, 4, "no request id", reason="", request_id="", identity="")
    new = reset(t, 4, reason="", identity="")
    both(t, t.run, new)
    t.terminate()


@scenario()
def reset_points_of_a_task(t):
    """The point may be a task's Started, Completed or what would have been its end."""
    t.idle()
    t.signal("wake")
    t.step(timer("u", 60))
    for point in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 99, -1):
        new = reset(t, point, f"reset to {point}", run_id=t.run, request_id=f"r{point}")
        if new:
            t.history(new, f"history for {point}")
    t.terminate()


@scenario()
def reset_second_task(t):
    """The second task: what the first one asked for goes on."""
    t.start()
    t.step(timer("t", 60), activity("a", t.queue))
    t.signal("wake")
    t.step(timer("u", 60))
    new = reset(t, 10)
    both(t, t.run, new)
    t.describe("describe the new run", new)
    t.activity_done(t.activity_task(), "result")
    t.step(done("again"))
    t.history(new, "history at the end")


@scenario()
def reset_started_activity(t):
    """An activity that ran at the point fails; one that waits starts anew."""
    t.start()
    t.step(activity("a", t.queue, heartbeat_timeout=secs(10)), activity("b", t.queue + "-other"))
    task = t.activity_task()
    t.heartbeat(task, "half")
    t.signal("wake")
    t.step(timer("u", 60))
    new = reset(t, 9)
    both(t, t.run, new)
    t.describe("describe the new run", new)
    t.activity_done(task, "late")
    t.terminate()


@scenario()
def reset_before_activity_started_event(t):
    """The activity ended after the point: its result is forgotten, it runs again."""
    t.start()
    t.step(activity("a", t.queue))
    t.signal("wake")
    second = t.task()
    t.activity_done(t.activity_task(), "result")
    t.complete(second)
    t.step(done())
    t.history(t.run, "history of the old run")
    new = reset(t, 8)
    t.history(new, "history of the new run")
    t.describe("describe the new run", new)
    t.activity_done(t.activity_task("activity task again"), "other")
    t.step(done())
    t.history(new, "history at the end")


@scenario()
def reset_keeps_finished_activity(t):
    """An activity that ended before the point is over in the new run too."""
    t.start()
    t.step(activity("a", t.queue))
    t.activity_done(t.activity_task(), "result")
    t.step(done())
    t.history(t.run, "history of the old run")
    new = reset(t, 10)
    t.history(new, "history of the new run")
    t.describe("describe the new run", new)
    t.step(done("again"))
    t.history(new, "history at the end")


@scenario()
def reset_timer(t):
    """A timer that ran at the point fires in the new run, counted from its start."""
    t.start()
    t.step(timer("t", 2))
    t.signal("wake")
    t.step(done())
    new = reset(t, 8)
    began = time.monotonic()
    t.step()
    t.wait_for("TIMER_FIRED", new)
    t.within("the timer after", time.monotonic() - began, 0.5, 4)
    t.history(new, "history of the new run")
    t.terminate()


@scenario()
def reset_older_run(t):
    """An older run, not part of the current chain."""
    t.start()
    t.step(done("first"))
    older = t.run
    t.start("start again", request_id="second-start")
    t.signal("to the second")
    new = reset(t, 4, run_id=older)
    t.history(new, "history of the new run")
    t.history(t.run, "history of the run that was current")
    t.terminate()


@scenario()
def reset_repeated_request(t):
    """The same request id again makes another run and terminates the first."""
    t.idle()
    first = reset(t, 4, "first", run_id=t.run)
    second = reset(t, 4, "second", run_id=t.run)
    t.history(first, "history of the first")
    t.history(second, "history of the second")
    t.terminate()


@scenario()
def reset_of_reset(t):
    """A run that came from a reset is reset again."""
    t.idle()
    t.signal("one")
    first = reset(t, 4, "first")
    t.step(timer("u", 60))
    t.signal("two")
    t.history(first, "history of the first")
    second = reset(t, 8, "second", request_id="second")
    t.history(second, "history of the second")
    t.describe("describe the first", first)
    t.describe("describe the second", second)
    t.terminate()


@scenario()
def reset_to_failed_task(t):
    """The point may be the end of a task that failed or timed out."""
    t.start(workflow_task_timeout=secs(1))
    t.fail_task(t.task())
    t.task()
    time.sleep(1.5)
    t.step(timer("t", 60))
    t.history(t.run, "history of the old run")
    for point in (4, 5, 6, 7, 8):
        new = reset(t, point, f"reset to {point}", run_id=t.run, request_id=f"r{point}")
        if new:
            t.history(new, f"history for {point}")
    t.terminate()


@scenario()
def reset_during_task(t):
    """While a task of the run is in flight, at the point that it will have."""
    t.start()
    task = t.task()
    new = reset(t, 4)
    t.complete(task, done())
    both(t, t.run, new)
    t.terminate()


@scenario()
def reset_scheduled_task(t):
    """The task at the point was scheduled and never taken."""
    t.start()
    new = reset(t, 3)
    both(t, t.run, new)
    t.step(done())
    t.history(new, "history at the end")


@scenario()
def reset_without_completed_task(t):
    """Nothing to reset to."""
    t.start()
    reset(t, 1, "one")
    reset(t, 2, "two")
    reset(t, 4, "four")
    t.terminate()


@scenario()
def reset_errors(t):
    """Executions that are not there, and fields that are not valid."""
    t.idle()
    reset(t, 4, "no such workflow", wid="nobody")
    reset(t, 4, "no such run", run_id="5a4ac5f7-9a5d-4f5e-8bd7-5a4a1d9c2f00")
    reset(t, 4, "run id is no UUID", run_id="nonsense")
    t.does("nothing", "ResetWorkflowExecution")
    t.does(
        "no workflow id",
        "ResetWorkflowExecution",
        workflow_execution={"run_id": t.run},
        workflow_task_finish_event_id=4,
        request_id="r",
    )
    t.does("no execution", "ResetWorkflowExecution", request_id="r")
    reset(t, 4, "long request id", request_id="r" * 1001)
    reset(t, 4, "long reason", reason="r" * 1001)
    reset(t, 4, "long identity", identity="r" * 1001)
    reset(t, 4, "long workflow id", wid="w" * 1001)
    t.history(t.run)
    t.terminate()


@scenario()
def reset_attempts_of_workflow(t):
    """A run of a retry policy: attempt, chain and expiration go on."""
    t.start(
        retry_policy=retry(5, 1, 3),
        workflow_execution_timeout=secs(100),
        workflow_run_timeout=secs(50),
    )
    t.step(timer("t", 60))
    new = reset(t, 4)
    t.history(new, "history of the new run")
    t.describe("describe the new run", new)
    t.step(command("fail_workflow_execution", failure=app_failure()))
    t.history(new, "history at the end")
    t.terminate()


@scenario()
def reset_sticky(t):
    """A run with a sticky queue: the new run's task is on the normal one."""
    t.start()
    t.complete(t.task(), timer("t", 60), sticky_attributes=t.sticky_attributes())
    new = reset(t, 4)
    t.task("task of the new run")
    t.describe("describe the new run", new)
    t.terminate()


@scenario()
def reset_markers_and_memo(t):
    """Memo and markers before the point are the new run's, those after are not."""
    t.start(memo={"fields": {"m": payload(1)}})
    marker = command("record_marker", marker_name="mark", details={"d": payloads("x")})
    t.step(
        marker,
        command("modify_workflow_properties", upserted_memo={"fields": {"n": payload(2)}}),
    )
    t.signal("wake")
    t.step(command("modify_workflow_properties", upserted_memo={"fields": {"o": payload(3)}}))
    new = reset(t, 9)
    t.history(new, "history of the new run")
    t.describe("describe the new run", new)
    t.terminate()


@scenario()
def reset_post_signal(t):
    """post_reset_operations: a signal."""
    t.idle()
    t.signal("after")
    operation = {
        "signal_workflow": {
            "signal_name": "post",
            "input": payloads("x"),
            "header": {"fields": {"h": payload(1)}},
        }
    }
    new = reset(t, 4, post_reset_operations=[operation])
    t.history(new, "history of the new run")
    t.terminate()


@scenario()
def reset_post_operation_errors(t):
    """post_reset_operations that cannot be."""
    t.idle()
    reset(t, 4, "empty operation", run_id=t.run, post_reset_operations=[{}])
    unnamed = {"signal_workflow": {}}
    reset(t, 4, "signal without name", run_id=t.run, post_reset_operations=[unnamed])
    t.terminate()


def _new_options(paths=("priority",), **options):
    return {
        "update_workflow_options": {
            "workflow_execution_options": options,
            "update_mask": {"paths": list(paths)},
        }
    }


@scenario()
def reset_post_options(t):
    """post_reset_operations: other options for the new run, after what is sent again."""
    t.start()
    t.step(timer("t", 60))
    t.signal("after")
    more = [
        _new_options(priority={"priority_key": 4, "fairness_key": "f"}),
        _new_options(["priority.priority_key"], priority={"priority_key": 2}),
        _new_options(["priority"], priority={"priority_key": 2, "fairness_key": "f"}),
    ]
    new = reset(t, 4, post_reset_operations=more)
    both(t, t.run, new)
    t.describe("describe the new run", new)
    t.terminate()


@scenario()
def reset_post_options_errors(t):
    """Options that cannot be."""
    t.start()
    t.step(timer("t", 60))
    for label, operation in {
        "no options": {"update_workflow_options": {"update_mask": {"paths": ["priority"]}}},
        "empty mask": _new_options([], priority={"priority_key": 2}),
        "unknown path": _new_options(["nonsense"]),
        "negative priority": _new_options(priority={"priority_key": -1}),
        "long fairness key": _new_options(priority={"fairness_key": "f" * 65}),
    }.items():
        reset(t, 4, label, run_id=t.run, request_id=label, post_reset_operations=[operation])
    t.history(t.run)
    t.terminate()


@scenario()
def reset_poll_follows(t):
    """A client that waits for the close event of the terminated run."""
    t.idle()
    waiting = t.later(
        t.call,
        "GetWorkflowExecutionHistory",
        execution=t.execution(t.run),
        wait_new_event=True,
        history_event_filter_type=2,
    )
    time.sleep(0.3)
    reset(t, 4)
    page = waiting.result(20)
    t.note("close event", [to_json(e) for e in page.history.events])
    t.terminate()


@scenario()
def reset_build_id_points(t):
    """Reset points follow the worker's builds; Describe lists them in the new run."""
    t.start()
    stamp = {"build_id": "b1"}
    t.complete(t.task(), timer("t", 60), worker_version_stamp=stamp)
    t.signal("wake")
    t.complete(t.task(), timer("u", 60), worker_version_stamp={"build_id": "b2"})
    t.describe("describe the old run", t.run)
    new = reset(t, 9)
    t.describe("describe the new run", new)
    t.describe("describe the old run at the end", t.run)
    t.terminate()


def _child(t, **fields):
    return command(
        "start_child_workflow_execution",
        workflow_id=t.wid + "-child",
        workflow_type={"name": "Child"},
        task_queue={"name": t.queue + "-child"},
        **fields,
    )


@scenario()
def reset_child_started(t):
    """A child that was started before the point goes on, and reports to the new run."""
    t.start()
    t.step(_child(t))
    child = t.poll_call(queue=t.queue + "-child")
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    t.step()
    new = reset(t, 8)
    t.history(new, "history of the new run")
    t.describe("describe the new run", new)
    t.complete(child, done("of the child"), label="child completed")
    t.wait_for("CHILD_WORKFLOW_EXECUTION_COMPLETED", new)
    t.step(done())
    t.history(new, "history at the end")


@scenario()
def reset_child_later(t):
    """A child that was started after the point is not the new run's."""
    t.start()
    t.step(_child(t, parent_close_policy=2))
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    new = reset(t, 4)
    t.history(new, "history of the new run")
    t.describe("describe the new run", new)
    child = {"workflow_id": t.wid + "-child"}
    t.does("describe the child", "DescribeWorkflowExecution", execution=child)
    t.terminate()
    t.terminate("terminate the child", workflow_execution=child)


@scenario()
def reset_external_signal(t):
    """A signal to another workflow that was sent before the point is not sent again."""
    t.start(
        "start the target",
        workflow_id=t.wid + "-target",
        request_id="target",
        task_queue={"name": t.queue + "-target"},
    )
    t.start()
    send = command(
        "signal_external_workflow_execution",
        execution={"workflow_id": t.wid + "-target"},
        signal_name="hello",
    )
    t.step(send)
    t.wait_for("EXTERNAL_WORKFLOW_EXECUTION_SIGNALED")
    t.step()
    new = reset(t, 8)
    t.history(new, "history of the new run")
    t.terminate()
    target = {"workflow_id": t.wid + "-target"}
    events = t.call("GetWorkflowExecutionHistory", execution=target).history.events
    t.note("events of the target", [e.event_type for e in events])
    t.terminate("terminate the target", workflow_execution=target)


@scenario()
def reset_child_ended_since(t):
    """A child that was started before the point and has ended since."""
    t.start()
    t.step(_child(t))
    child = t.poll_call(queue=t.queue + "-child")
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    t.step()
    t.complete(child, done("of the child"), label="child completed")
    t.wait_for("CHILD_WORKFLOW_EXECUTION_COMPLETED")
    t.step()
    new = reset(t, 8)
    t.history(new, "history of the new run")
    t.step(done())
    t.history(new, "history at the end")


@scenario()
def reset_child_started_since(t):
    """A child whose start was initiated before the point and that was started and ended since."""
    t.start()
    task = t.poll_call()
    t.signal("during the task")
    t.complete(task, _child(t))
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    child = t.poll_call(queue=t.queue + "-child")
    t.complete(child, done("of the child"), label="child completed")
    t.wait_for("CHILD_WORKFLOW_EXECUTION_COMPLETED")
    t.step()
    t.history(None, "history of the old run")
    new = reset(t, 8)
    t.history(new, "history of the new run")
    t.step(done())
    t.history(new, "history at the end")


@scenario()
def reset_child_ended_unheard(t):
    """A child that ended after its parent had: nobody tells the new run of it."""
    t.start()
    t.step(_child(t, parent_close_policy=2))
    child = t.poll_call(queue=t.queue + "-child")
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    t.step(done())
    t.complete(child, done("of the child"), label="child completed")
    new = reset(t, 8)
    t.step()
    t.history(new, "history of the new run")
    t.describe("describe the new run", new)
    t.terminate()


@scenario()
def reset_child_ended_unheard_twice(t):
    """Nor does a second reset, of the run that the first one made, bring the child's end back."""
    t.start()
    t.step(_child(t, parent_close_policy=2))
    child = t.poll_call(queue=t.queue + "-child")
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    t.step(done())
    t.complete(child, done("of the child"), label="child completed")
    reset(t, 8)
    t.step()
    new = reset(t, 11, request_id="second-reset")
    t.step()
    time.sleep(1)
    t.history(new, "history of the new run")
    t.describe("describe the new run", new)
    t.terminate()


@scenario()
def reset_child_ended_in_buffer(t):
    """A child that ended while a task was at its worker: the new run has its end all the same."""
    t.start()
    t.step(_child(t))
    child = t.poll_call(queue=t.queue + "-child")
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    t.step()
    t.signal("brings a task")
    t.poll_call()
    t.complete(child, done("of the child"), label="child completed")
    time.sleep(1)
    new = reset(t, 8)
    t.step()
    both(t, t.run, new)
    t.terminate()


@scenario()
def reset_signal_requests(t):
    """What a request id is attached to: a signal that is applied again, not one that is shared."""
    fields = t.start_fields()
    t.does("start", "SignalWithStartWorkflowExecution", **fields, signal_name="first")
    t.step(timer("t", 60))
    t.signal("second", request_id="second-request")
    reset(t, 5)
    t.describe("the signal of the start is shared")
    t.signal("third", request_id="start-request")
    t.step()
    reset(t, 5, request_id="other")
    t.describe("a signal with the id of the start is applied again")


@scenario()
def reset_older_run_and_children(t):
    """The current run is terminated because an older one is reset: its children are told."""
    t.start()
    t.step(done())
    older = t.run
    t.start("start again", request_id="second-start")
    child = f"{t.wid}-child"
    start_child = command(
        "start_child_workflow_execution",
        workflow_id=child,
        workflow_type={"name": "Child"},
        task_queue={"name": f"{t.queue}-child"},
        parent_close_policy=3,
    )
    t.step(start_child)
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    reset(t, 4, run_id=older)
    t.wait_for("WORKFLOW_EXECUTION_CANCEL_REQUESTED", workflow_id=child)
    t.history(workflow_id=child)
    t.terminate("end the child", workflow_execution={"workflow_id": child})
