"""Activities: their events, answers by id, cancellation, odd answers."""

import time

from driver.registry import scenario
from driver.values import (
    activity,
    app_failure,
    blob,
    cancel_activity,
    cancel_timer,
    command,
    done,
    payload,
    payloads,
    once,
    retry,
    secs,
    timer,
)

TOO_LARGE = 2 * 1024 * 1024 + 1


@scenario()
def activity_completed(t):
    """One activity with input and result; one plain workflow around it."""
    t.begin(activity("a", t.queue, input=payloads("in")))
    t.describe("describe scheduled")
    task = t.activity_task()
    t.describe("describe started")
    t.history(label="history while started")
    t.activity_done(task, "out")
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def activity_with_everything(t):
    """Header, priority, metadata, retry policy and all timeouts reach the worker."""
    t.start()
    command = activity(
        "a",
        t.queue,
        input=payloads("in", {"k": [1, 2]}),
        header={"fields": {"trace": payload("abc")}},
        schedule_to_close_timeout=secs(100),
        schedule_to_start_timeout=secs(50),
        start_to_close_timeout=secs(40),
        heartbeat_timeout=secs(30),
        retry_policy=retry(2, 3.0, 5, maximum_interval=secs(9), non_retryable_error_types=["A"]),
        priority={"priority_key": 1},
    )
    command.user_metadata.summary.CopyFrom(payload("sum"))
    t.step(command)
    t.describe()
    t.activity_done(t.activity_task())
    t.finish()


@scenario()
def activity_timeouts_resolved(t):
    """How an activity's timeouts are filled in, without and with a run timeout."""
    cases = {
        "start to close": {"start_to_close_timeout": secs(5)},
        "schedule to close": {"schedule_to_close_timeout": secs(5)},
        "both": {"start_to_close_timeout": secs(9), "schedule_to_close_timeout": secs(5)},
        "schedule to start": {
            "start_to_close_timeout": secs(5),
            "schedule_to_start_timeout": secs(7),
        },
        "schedule to start above": {
            "schedule_to_close_timeout": secs(5),
            "schedule_to_start_timeout": secs(7),
        },
        "heartbeat above": {"start_to_close_timeout": secs(5), "heartbeat_timeout": secs(9)},
        "heartbeat below": {"start_to_close_timeout": secs(5), "heartbeat_timeout": secs(2)},
        "policy empty": {"start_to_close_timeout": secs(5), "retry_policy": {}},
        "policy part": {
            "start_to_close_timeout": secs(5),
            "retry_policy": {"initial_interval": secs(3), "maximum_attempts": 2},
        },
    }
    commands = [activity(label, "nobody-polls", **fields) for label, fields in cases.items()]
    t.begin(*commands)
    t.history(label="without a run timeout")
    t.terminate()
    t.wid += "-capped"
    t.start("start with a run timeout", workflow_run_timeout=secs(4), request_id="other")
    t.step(*commands)
    t.history(label="with a run timeout")
    t.terminate("terminate the other")


@scenario()
def activity_failed(t):
    """A non-retryable failure, kept whole: stack, details, cause, category."""
    t.begin(activity("a", t.queue))
    cause = app_failure("the root", "Root", stack_trace="root line 1\nroot line 2")
    failure = app_failure(
        "outer",
        "Outer",
        stack_trace="outer line",
        cause=cause,
        non_retryable=True,
        details=payloads("d1", 2),
        category=1,
    )
    t.activity_failed(t.activity_task(), failure)
    t.finish()


@scenario()
def activity_failure_kinds(t):
    """What the server makes of failures that are not application failures."""
    kinds = {
        "no info": {"message": "bare"},
        "canceled": {"message": "c", "canceled_failure_info": {}},
        "terminated": {"message": "t", "terminated_failure_info": {}},
        "timeout": {"message": "t", "timeout_failure_info": {"timeout_type": 1}},
        "server": {"message": "s", "server_failure_info": {"non_retryable": True}},
    }
    t.begin(*[activity(kind, t.queue, retry_policy=once()) for kind in kinds])
    tasks = {}
    for _ in kinds:
        task = t.activity_call()
        tasks[task.activity_id] = task
    for kind, failure in kinds.items():
        t.activity_failed(tasks[kind], failure, label=kind)
    t.activity_failed(tasks["no info"], None, label="no failure at all")
    t.history()
    t.terminate()


@scenario()
def activity_canceled_waiting(t):
    """A cancel before the activity was started ends it at once."""
    t.begin(activity("a", "nobody-polls"), timer("t", 60))
    t.signal("cancel it")
    t.step(cancel_activity(5), timer("t2", 60))
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def activity_canceled_same_task(t):
    """Scheduled and cancelled in the same completion."""
    t.begin(activity("a", t.queue), cancel_activity(5))
    t.finish()


@scenario()
def activity_canceled_and_closed(t):
    """Cancelled in the completion that closes the workflow."""
    t.begin(activity("a", "nobody-polls"))
    t.signal()
    t.step(cancel_activity(5), done())
    t.history()


@scenario()
def activity_canceled_running(t):
    """A cancel of a running activity is told with its heartbeat and confirmed with details."""
    t.begin(activity("a", t.queue))
    task = t.activity_task()
    t.heartbeat(task, label="heartbeat before")
    t.activity_canceled(task, label="canceled without a request")
    t.signal("cancel it")
    t.step(cancel_activity(5))
    t.describe()
    t.heartbeat(task, label="heartbeat after")
    t.activity_canceled(task, "cleaned up")
    t.finish()


@scenario()
def activity_canceled_ignored(t):
    """A cancel request the activity ignores: it completes."""
    t.begin(activity("a", t.queue))
    task = t.activity_task()
    t.signal("cancel it")
    t.step(cancel_activity(5))
    t.activity_done(task, "anyway")
    t.finish()


@scenario()
def activity_canceled_then_failed(t):
    """A cancel request answered by an ordinary failure: no retry."""
    t.begin(activity("a", t.queue))
    task = t.activity_task()
    t.signal("cancel it")
    t.step(cancel_activity(5))
    t.activity_failed(task, app_failure("during cancel"))
    t.finish()


@scenario()
def activity_canceled_then_timed_out(t):
    """A cancel request, then the attempt's timeout: no retry."""
    t.begin(activity("a", t.queue, start_to_close_timeout=secs(2)))
    t.activity_task()
    t.signal("cancel it")
    t.step(cancel_activity(5))
    t.finish()


@scenario()
def activity_canceled_backoff(t):
    """A cancel during the backoff between attempts."""
    t.begin(activity("a", t.queue, retry_policy=retry(60)))
    t.activity_failed(t.activity_task(), app_failure("once"))
    t.describe("describe in backoff")
    t.signal("cancel it")
    t.step(cancel_activity(5))
    t.finish()


@scenario()
def activity_cancel_after_completed(t):
    """The cancel comes in the task during which the activity completed."""
    t.begin(activity("a", t.queue))
    running = t.activity_task()
    t.signal("cancel it")
    task = t.task()
    t.activity_done(running, "done already")
    t.complete(task, cancel_activity(5))
    t.finish()


@scenario()
def activity_by_id(t):
    """Completed, failed, heartbeat and cancelled by id while running."""
    t.begin(*[activity(name, t.queue, retry_policy=once()) for name in ("ok", "bad", "stop")])
    for _ in range(3):
        t.activity_call()
    by_id = {"workflow_id": t.wid}
    beat = "RecordActivityTaskHeartbeatById"
    t.does("heartbeat", beat, activity_id="ok", details=payloads("beat"), **by_id)
    t.does("complete", "RespondActivityTaskCompletedById", activity_id="ok",
           result=payloads("done"), **by_id)
    t.step()
    t.does("fail", "RespondActivityTaskFailedById", activity_id="bad",
           failure=app_failure("by id"), **by_id)
    t.step(cancel_activity(7))
    t.does("heartbeat of the cancelled", beat, activity_id="stop", **by_id)
    t.does("cancel", "RespondActivityTaskCanceledById", activity_id="stop",
           details=payloads("bye"), **by_id)
    t.step(done())
    t.does("complete again", "RespondActivityTaskCompletedById", activity_id="ok", **by_id)
    t.history()


@scenario()
def activity_by_id_not_started(t):
    """By id before any attempt started: completing works, the rest does not."""
    t.begin(activity("a", "nobody-polls"))
    by_id = {"workflow_id": t.wid, "activity_id": "a", "run_id": t.run}
    t.does("heartbeat", "RecordActivityTaskHeartbeatById", **by_id)
    t.does("fail", "RespondActivityTaskFailedById", failure=app_failure(), **by_id)
    t.does("cancel", "RespondActivityTaskCanceledById", **by_id)
    t.does("complete", "RespondActivityTaskCompletedById", result=payloads("r"), **by_id)
    t.finish()


@scenario()
def activity_by_id_in_backoff(t):
    """By id between two attempts."""
    t.begin(activity("a", t.queue, retry_policy=retry(60)))
    t.activity_failed(t.activity_task(), app_failure("first"))
    by_id = {"workflow_id": t.wid, "activity_id": "a"}
    t.does("heartbeat", "RecordActivityTaskHeartbeatById", **by_id)
    t.does("fail", "RespondActivityTaskFailedById", failure=app_failure(), **by_id)
    t.does("complete", "RespondActivityTaskCompletedById", result=payloads("r"), **by_id)
    t.finish()


@scenario()
def activity_answer_twice(t):
    """Second and late answers to the same attempt."""
    t.begin(activity("a", t.queue, retry_policy=retry(1, 1, 2)))
    first = t.activity_task()
    t.activity_failed(first, app_failure("one"))
    t.activity_failed(first, app_failure("one"), label="failed twice")
    t.heartbeat(first, label="heartbeat in backoff")
    t.activity_done(first, label="completed in backoff")
    second = t.activity_task()
    t.activity_done(first, label="completed with the old token")
    t.heartbeat(first, label="heartbeat with the old token")
    t.activity_done(second, "r")
    t.activity_done(second, "r", label="completed twice")
    t.activity_failed(second, app_failure(), label="failed after completed")
    t.activity_canceled(second, label="canceled after completed")
    t.heartbeat(second, label="heartbeat after completed")
    t.finish()


@scenario()
def activity_after_close(t):
    """The workflow ended while the activity ran."""
    t.begin(activity("a", t.queue))
    task = t.activity_task()
    t.terminate()
    t.describe()
    t.heartbeat(task)
    t.activity_done(task)
    t.activity_failed(task, app_failure())
    t.history()


@scenario()
def activity_of_closed_never_delivered(t):
    """A waiting activity of a closed workflow is not handed out any more."""
    t.begin(activity("a", t.queue))
    t.terminate()
    t.does("poll", "PollActivityTaskQueue", task_queue={"name": t.queue}, timeout=3)


@scenario()
def activity_oversized(t):
    """Result, failure, heartbeat and cancel details over the limit."""
    t.begin(*[activity(n, t.queue) for n in ("result", "failure", "beat", "cancel")])
    tasks = {}
    for _ in range(4):
        task = t.activity_call()
        tasks[task.activity_id] = task
    token = tasks["result"].task_token
    t.does("result", "RespondActivityTaskCompleted", task_token=token, result=blob(TOO_LARGE))
    t.step()
    big = app_failure("big", details=blob(TOO_LARGE), stack_trace="line", non_retryable=True)
    t.activity_failed(tasks["failure"], big, label="failure")
    t.step()
    token = tasks["beat"].task_token
    t.does("beat", "RecordActivityTaskHeartbeat", task_token=token, details=blob(TOO_LARGE))
    t.step(cancel_activity(8))
    token = tasks["cancel"].task_token
    t.does("cancel", "RespondActivityTaskCanceled", task_token=token, details=blob(TOO_LARGE))
    t.finish()


@scenario()
def activity_other_queue(t):
    """The activity's queue differs from the workflow's."""
    t.begin(activity("a", t.queue + "-other"))
    t.activity_done(t.activity_task(queue=t.queue + "-other"), "r")
    t.finish()


@scenario()
def activity_buffered_results(t):
    """Activities that end during a workflow task: results come after everything else."""
    t.begin(activity("a1", t.queue), activity("a2", t.queue))
    tasks = {}
    for _ in range(2):
        task = t.activity_call()
        tasks[task.activity_id] = task
    t.signal("begin")
    task = t.task()
    t.activity_done(tasks["a2"], "second")
    t.signal("between")
    t.activity_failed(tasks["a1"], app_failure("first", non_retryable=True))
    t.signal("last")
    t.complete(task, timer("t", 60))
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def activity_eager(t):
    """An activity asked for eagerly comes with the answer to the completion."""
    t.start()
    answer = t.complete(t.task(), activity("a", t.queue, request_eager_execution=True))
    tasks = answer.activity_tasks if answer else []
    if tasks:
        t.activity_done(tasks[0], "eager")
        t.finish()


@scenario()
def activity_identity(t):
    """Started and completed by different identities; worker metadata in the events."""
    t.begin(activity("a", t.queue))
    task = t.activity_task(identity="poller", worker_version_capabilities={"build_id": "b1"})
    t.activity_done(task, "r", identity="somebody else", worker_version={"build_id": "b2"})
    t.finish()


@scenario()
def activity_order(t):
    """Activities of one completion are delivered, completed out of order, one task for each."""
    t.begin(*[activity(f"a{i}", t.queue) for i in range(3)])
    tasks = {}
    for _ in range(3):
        task = t.activity_call()
        tasks[task.activity_id] = task
    for name in ("a2", "a0", "a1"):
        t.activity_done(tasks[name], name)
        t.step(*([done()] if name == "a1" else []))
    t.history()


@scenario()
def activity_many_wait_for_task(t):
    """Two results before the workflow task is taken: one task for both."""
    t.begin(activity("a0", t.queue), activity("a1", t.queue))
    tasks = {}
    for _ in range(2):
        task = t.activity_call()
        tasks[task.activity_id] = task
    t.activity_done(tasks["a1"], "one")
    time.sleep(0.2)
    t.activity_done(tasks["a0"], "zero")
    t.finish()


@scenario()
def command_metadata_and_groups(t):
    """A command's metadata and event groups are on the event it becomes, whatever the command."""
    def grouped(one, label):
        one.user_metadata.summary.CopyFrom(payload(label))
        one.event_group_markers.add().label.id = label
        one.event_group_markers.add().inbound_event.inbound_event_id = 1
        return one

    t.start()
    t.complete(t.task(), grouped(activity("a", t.queue), "activity"),
               grouped(timer("t", 60), "timer"),
               grouped(command("record_marker", marker_name="m"), "marker"),
               grouped(command("modify_workflow_properties",
                               upserted_memo={"fields": {"k": payload("v")}}), "memo"))
    t.signal()
    t.complete(t.task(), grouped(cancel_timer("t"), "cancel"), grouped(cancel_activity(5), "stop"),
               grouped(done("x"), "end"))
    t.history()


@scenario()
def activity_failed_with_cause(t):
    """The cause that a worker names for a failed activity is written nowhere."""
    t.start()
    causes = (1, 2, 3)
    t.step(*[activity(f"a{i}", f"{t.queue}-{i}", retry_policy=once()) for i in causes])
    for cause in causes:
        task = t.activity_task(queue=f"{t.queue}-{cause}")
        t.does("failed", "RespondActivityTaskFailed", task_token=task.task_token,
               failure=app_failure(), cause=cause)
    t.finish()
