"""Child workflows: their start, what comes back, what the end of the parent does to them."""

import time

from driver.registry import scenario
from driver.rpc import to_json
from driver.script import ScenarioFailed
from driver.values import (
    app_failure,
    cancel_external,
    child,
    command,
    done,
    fail,
    once,
    payload,
    payloads,
    retry,
    secs,
    signal_external,
)

TERMINATE, ABANDON, REQUEST_CANCEL = 1, 2, 3  # ParentClosePolicy
ALLOW, FAILED_ONLY, REJECT, TERMINATE_IF_RUNNING = 1, 2, 3, 4  # WorkflowIdReusePolicy


def kid(t, n=""):
    return f"{t.wid}-child{n}"


def kid_queue(t):
    return t.queue + "-child"


def one(t, n="", **fields):
    """The command that starts the child of this number."""
    return child(kid(t, n), kid_queue(t), **fields)


def kid_task(t, label="child's task", **fields):
    return t.task(label, queue=kid_queue(t), **fields)


def kid_step(t, *commands, **fields):
    """The child's next workflow task, answered with these commands."""
    return t.complete(kid_task(t), *commands, label="child completed", **fields)


def begin(t, *commands, **fields):
    """A parent that has given these commands and knows that its children are started."""
    t.start(**fields)
    t.step(*commands)
    t.step(label="start known")


def other_namespace(t):
    """A namespace that exists, and is not the workflow's."""
    name = t.wid + "-namespace"
    t.call("RegisterNamespace", namespace=name, workflow_execution_retention_period=secs(86400))
    return name


def wait_until_heard(t):
    """The ends of all children have come to the parent."""
    deadline = time.monotonic() + 10
    while t.call("DescribeWorkflowExecution", execution=t.execution()).pending_children:
        if time.monotonic() > deadline:
            raise ScenarioFailed("the end of a child did not come")
        time.sleep(0.05)


def both(t):
    """What happened to parent and child."""
    t.history(t.run)
    t.history(label="history of the child", workflow_id=kid(t))


def kid_execution(t, n=""):
    return t.execution(workflow_id=kid(t, n))


@scenario()
def child_completed(t):
    """A child starts, works and gives its result; both sides seen from outside on the way."""
    t.start()
    t.step(one(t, input=payloads("in")))
    t.task("start known to the parent", whole=True)
    t.describe("describe the parent")
    t.describe("describe the child", workflow_id=kid(t))
    t.terminate()
    both(t)


@scenario()
def child_result(t):
    """ChildWorkflowExecutionCompleted has the result of the child."""
    begin(t, one(t, input=payloads("in")))
    kid_step(t, done("out", 7))
    t.step(done())
    both(t)
    t.describe("describe the child", workflow_id=kid(t))


@scenario()
def child_without_result(t):
    """A child that completes without a result."""
    begin(t, one(t))
    kid_step(t, done())
    t.step(done())
    both(t)


@scenario()
def child_failed(t):
    """ChildWorkflowExecutionFailed has the whole failure of the child."""
    begin(t, one(t))
    failure = app_failure(
        "outer",
        "Outer",
        details=payloads("d"),
        stack_trace="at line 1",
        cause=app_failure("inner", "Inner", non_retryable=True),
    )
    kid_step(t, fail(failure))
    t.step(done())
    both(t)


@scenario()
def child_canceled(t):
    """The parent asks its child to cancel; the child agrees."""
    begin(t, one(t))
    t.signal()
    t.step(cancel_external(kid(t), child_workflow_only=True, reason="no longer"))
    t.step(label="cancel known")
    kid_step(t, command("cancel_workflow_execution", details=payloads("gone")))
    t.step(done())
    both(t)


@scenario()
def child_canceled_from_outside(t):
    """A client asks the child to cancel."""
    begin(t, one(t))
    t.cancel(workflow_execution=kid_execution(t), reason="client")
    kid_step(t, command("cancel_workflow_execution"))
    t.step(done())
    both(t)


@scenario()
def child_timed_out(t):
    """The child's run timeout passes."""
    begin(t, one(t, workflow_run_timeout=secs(1)))
    t.step(done())
    both(t)


@scenario()
def child_execution_timed_out(t):
    """The child's execution timeout passes."""
    begin(t, one(t, workflow_execution_timeout=secs(1)))
    t.step(done())
    both(t)


@scenario()
def child_terminated(t):
    """ChildWorkflowExecutionTerminated says nothing of the reason."""
    begin(t, one(t))
    t.terminate(workflow_execution=kid_execution(t), reason="why", details=payloads("d"))
    t.step(done())
    both(t)


@scenario()
def child_with_everything(t):
    """Every field of the command that a child can be given."""
    t.start(
        workflow_execution_timeout=secs(300),
        workflow_run_timeout=secs(200),
        header={"fields": {"of": payload("parent")}},
        memo={"fields": {"of": payload("parent")}},
        priority={"priority_key": 2, "fairness_key": "f", "fairness_weight": 2.0},
    )
    metadata = {"summary": payload("s"), "details": payload("d")}
    t.step(
        one(
            t,
            namespace="default",
            input=payloads("in", 2),
            workflow_execution_timeout=secs(100),
            workflow_run_timeout=secs(50),
            workflow_task_timeout=secs(7),
            parent_close_policy=REQUEST_CANCEL,
            control="control",
            workflow_id_reuse_policy=FAILED_ONLY,
            retry_policy=retry(2, 3, 4, non_retryable_error_types=["Bad"]),
            header={"fields": {"h": payload(1)}},
            memo={"fields": {"m": payload(1)}},
            priority={"priority_key": 4},
            user_metadata=metadata,
        )
    )
    t.step(label="start known")
    kid_task(t, whole=True)
    t.describe("describe the parent")
    t.describe("describe the child", workflow_id=kid(t))
    t.terminate(workflow_execution=kid_execution(t))
    t.step(done())
    both(t)


@scenario()
def child_search_attributes(t):
    """Search attributes of a child have their types; what is null is not there."""
    t.start()
    fields = {"BatcherUser": payload("me"), "TemporalChangeVersion": payload(None)}
    memo = {"fields": {"m": payload(None)}}
    t.step(one(t, search_attributes={"indexed_fields": fields}, memo=memo))
    t.step(label="start known")
    t.describe("describe the child", workflow_id=kid(t))
    t.history(t.run)
    t.history(label="history of the child", workflow_id=kid(t))
    t.terminate()


@scenario()
def child_timeouts_longer_than_the_parents(t):
    """What a child is given is not cut by what its parent has."""
    t.start(workflow_execution_timeout=secs(20), workflow_task_timeout=secs(5))
    t.step(one(t, workflow_execution_timeout=secs(100), workflow_task_timeout=secs(1000)))
    t.step(label="start known")
    t.terminate()
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t))
    both(t)


@scenario()
def child_on_the_parents_queue(t):
    """Without a task queue the command takes the parent's."""
    t.start()
    t.step(child(kid(t)))
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    t.terminate()
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t))
    t.history(label="history of the child", workflow_id=kid(t))


@scenario()
def child_already_running(t):
    """The id belongs to a running workflow: the start fails."""
    other_queue = {"name": t.queue + "-other"}
    t.start("start the other", workflow_id=kid(t), request_id="other", task_queue=other_queue)
    t.start()
    t.step(one(t, workflow_type={"name": "Wanted"}, control="c"))
    t.step(done(), label="answer known")
    t.history()
    t.terminate(workflow_execution=kid_execution(t))


def _after(t, last, policy, label):
    """A child whose id was used before by a run that ended with this command."""
    keep = t.wid
    t.wid = f"{keep}-{label}"
    t.start("start the other", workflow_id=kid(t), request_id="other")
    t.complete(t.task("task of the other"), last, label="the other ended")
    t.start()
    t.step(one(t, workflow_id_reuse_policy=policy))
    t.step(done(), label="answer known")
    t.history()
    t.wid = keep


@scenario()
def child_reuse_reject(t):
    """REJECT_DUPLICATE: the start of the child fails."""
    _after(t, done(), REJECT, "completed")


@scenario()
def child_reuse_failed_only(t):
    """ALLOW_DUPLICATE_FAILED_ONLY: not after a success, but after a failure."""
    _after(t, done(), FAILED_ONLY, "completed")
    _after(t, fail(), FAILED_ONLY, "failed")


@scenario()
def child_reuse_allow(t):
    """ALLOW_DUPLICATE: the id may be used again."""
    _after(t, done(), ALLOW, "completed")


@scenario()
def child_reuse_terminate_if_running(t):
    """TERMINATE_IF_RUNNING: the run that has the id makes room."""
    other_queue = {"name": t.queue + "-other"}
    t.start("start the other", workflow_id=kid(t), request_id="other", task_queue=other_queue)
    other = t.run
    parent = t.start()
    t.step(one(t, workflow_id_reuse_policy=TERMINATE_IF_RUNNING))
    t.step(label="start known")
    t.history(other, "history of the other", workflow_id=kid(t))
    t.terminate()
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t))
    t.history(parent.run_id)
    t.history(label="history of the child", workflow_id=kid(t))


@scenario()
def child_twice_in_one_task(t):
    """Two children of one id: the second start fails."""
    t.start()
    t.step(one(t), one(t, workflow_type={"name": "Second"}))
    t.wait_for("START_CHILD_WORKFLOW_EXECUTION_FAILED")
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    t.step(done())
    t.history()


@scenario()
def child_retried(t):
    """A child with a retry policy: the parent hears of its last run only."""
    begin(t, one(t, retry_policy=retry(1, 1, 3), input=payloads("in")))
    kid_step(t, fail())
    kid_step(t, done("second"))
    t.step(done())
    t.history(t.run)
    t.history(label="history of the second run", workflow_id=kid(t))


@scenario()
def child_retry_exhausted(t):
    """The failure of the last attempt, with the state of its retries."""
    begin(t, one(t, retry_policy=retry(1, 1, 2)))
    kid_step(t, fail(app_failure("first")))
    kid_step(t, fail(app_failure("second")))
    t.step(done())
    t.history(t.run)
    t.history(label="history of the second run", workflow_id=kid(t))


@scenario()
def child_retry_none(t):
    """One attempt only."""
    begin(t, one(t, retry_policy=once()))
    kid_step(t, fail())
    t.step(done())
    both(t)


@scenario()
def child_continues_as_new(t):
    """The result comes from the last run of the chain; the child is named by its first."""
    begin(t, one(t))
    kid_step(t, command("continue_as_new_workflow_execution", input=payloads("two")))
    t.describe("describe the parent meanwhile")
    kid_step(t, done("last"))
    t.step(done())
    t.history(t.run)
    t.history(label="history of the last run", workflow_id=kid(t))
    t.describe("describe the last run", workflow_id=kid(t))


@scenario()
def child_of_a_child(t):
    """The root execution of a grandchild is the first of them."""
    begin(t, one(t))
    kid_step(t, child(kid(t, 2), t.queue + "-grand"))
    t.task("grandchild's task", queue=t.queue + "-grand")
    t.history(label="history of the grandchild", workflow_id=kid(t, 2))
    t.describe("describe the grandchild", workflow_id=kid(t, 2))
    t.terminate()
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t, 2))
    t.history(label="end of the grandchild", workflow_id=kid(t, 2))


# --- the end of the parent


def _closed(t, policy, *last):
    begin(t, one(t, parent_close_policy=policy))
    if last:
        t.signal()
        t.step(*last)


@scenario()
def parent_close_terminate(t):
    """TERMINATE: the child ends with its parent."""
    _closed(t, TERMINATE, done())
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t))
    both(t)
    t.describe("describe the parent", t.run)


@scenario()
def parent_close_unset(t):
    """No policy is TERMINATE."""
    _closed(t, None, done())
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t))
    both(t)


@scenario()
def parent_close_abandon(t):
    """ABANDON: the child goes on, and nobody hears of its end."""
    _closed(t, ABANDON, done())
    t.describe("describe the parent", t.run)
    kid_step(t, done("alone"))
    both(t)
    t.describe("describe the child", workflow_id=kid(t))


@scenario()
def parent_close_request_cancel(t):
    """REQUEST_CANCEL: the child is asked to cancel."""
    _closed(t, REQUEST_CANCEL, done())
    t.wait_for("WORKFLOW_EXECUTION_CANCEL_REQUESTED", workflow_id=kid(t))
    kid_step(t, command("cancel_workflow_execution"))
    both(t)


@scenario()
def parent_close_failed(t):
    """A parent that fails."""
    _closed(t, TERMINATE, fail())
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t))
    both(t)


@scenario()
def parent_close_canceled(t):
    """A parent that is cancelled."""
    _closed(t, TERMINATE, command("cancel_workflow_execution"))
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t))
    both(t)


@scenario()
def parent_close_terminated(t):
    """A parent that is terminated."""
    _closed(t, REQUEST_CANCEL)
    t.terminate()
    t.wait_for("WORKFLOW_EXECUTION_CANCEL_REQUESTED", workflow_id=kid(t))
    t.terminate("terminate the child", workflow_execution=kid_execution(t))
    both(t)


@scenario()
def parent_close_timed_out(t):
    """A parent that times out."""
    t.start(workflow_run_timeout=secs(1))
    t.step(one(t))
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t))
    t.history(label="history of the child", workflow_id=kid(t))


@scenario()
def parent_close_continued_as_new(t):
    """A parent that continues as new has ended for its children."""
    _closed(t, TERMINATE, command("continue_as_new_workflow_execution"))
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t))
    both(t)
    t.task("task of the next run", whole=True)
    t.terminate()


@scenario()
def parent_close_retried(t):
    """A parent that is tried again has ended for its children, too."""
    begin(t, one(t), retry_policy=retry(1, 1, 2))
    t.signal()
    t.step(fail())
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t))
    both(t)
    t.terminate()


@scenario()
def parent_close_after_child_continued(t):
    """The policy follows the child's own continue-as-new."""
    begin(t, one(t))
    kid_step(t, command("continue_as_new_workflow_execution"))
    t.signal()
    t.step(done())
    t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t))
    t.history(label="history of the child's last run", workflow_id=kid(t))


@scenario()
def parent_close_child_ended(t):
    """A child that has ended already is left alone."""
    begin(t, one(t))
    kid_step(t, done("early"))
    t.step(done())
    both(t)
    t.describe("describe the parent", t.run)


@scenario()
def parent_continued_child_abandoned(t):
    """The end of an abandoned child is not told to the next run of its parent."""
    begin(t, one(t, parent_close_policy=ABANDON))
    t.signal()
    t.step(command("continue_as_new_workflow_execution"))
    t.step(label="task of the next run")
    kid_step(t, done("nobody hears"))
    t.signal()
    t.step(done())
    t.history(label="history of the next run")


@scenario()
def parent_closes_at_once(t):
    """A parent that ends in the completion that starts children: none is started."""
    for name, policy in (("none", None), ("abandon", ABANDON), ("cancel", REQUEST_CANCEL)):
        keep = t.wid
        t.wid = f"{keep}-{name}"
        t.start()
        t.step(one(t, parent_close_policy=policy), done())
        t.history()
        t.describe("describe the parent")
        t.does("describe the child", "DescribeWorkflowExecution", execution=kid_execution(t))
        t.wid = keep


# --- what is buffered


@scenario()
def child_started_during_task(t):
    """The start of a child is not seen by a task that is in flight."""
    t.start()
    task = t.next_in_hand(one(t))
    kid_task(t)
    t.signal()
    t.complete(task, label="in flight completed")
    t.step(done())
    t.history()


@scenario()
def child_completed_during_task(t):
    """The end of a child that comes during a task is written after all else."""
    begin(t, one(t))
    t.signal()
    task = t.task()
    kid_step(t, done("during"))
    wait_until_heard(t)
    t.describe("describe the parent")
    t.signal("second")
    t.complete(task, label="in flight completed")
    t.step(done())
    t.history()


@scenario()
def child_started_and_completed_during_task(t):
    """A child that starts and ends during one task: both events follow it."""
    t.start()
    task = t.next_in_hand(one(t))
    kid_step(t, fail())
    wait_until_heard(t)
    t.signal()
    t.complete(task, label="in flight completed")
    t.step(done())
    t.history()


@scenario()
def child_end_refuses_close(t):
    """A parent cannot end while the end of a child waits to be seen."""
    begin(t, one(t))
    t.signal()
    task = t.task()
    kid_step(t, done("unseen"))
    wait_until_heard(t)
    t.complete(task, done(), label="in flight completed")
    t.step(done())
    t.history()


@scenario()
def child_several(t):
    """Some children at once; what is pending is listed."""
    t.start()
    t.step(*[one(t, n) for n in range(3)])
    for n in range(3):
        t.wait_for("WORKFLOW_TASK_SCHEDULED", workflow_id=kid(t, n))
    t.step(label="start known")
    t.describe("describe the parent")
    t.terminate()
    for n in range(3):
        t.wait_for("WORKFLOW_EXECUTION_TERMINATED", workflow_id=kid(t, n))


# --- what is refused


def _refused(t, label, *commands, **fields):
    """One workflow with one task answered by these commands; what became of it is noted."""
    keep = t.wid
    t.wid = f"{keep}-{label.replace(' ', '-')}"
    t.start("start: " + label, **fields)
    t.complete(t.poll_call(), *commands, label="answer: " + label)
    t.history(label="history: " + label)
    t.terminate("terminate: " + label)
    t.wid = keep


@scenario()
def bad_child(t):
    """StartChildWorkflowExecution with missing or impossible attributes."""
    cases = {
        "no attributes": command("start_child_workflow_execution"),
        "no id": child("", t.queue),
        "no type": child("bad", t.queue, workflow_type=None),
        "empty type": child("bad", t.queue, workflow_type={"name": ""}),
        "long id": child("x" * 1001, t.queue),
        "long type": child("bad", t.queue, workflow_type={"name": "x" * 1001}),
        "long queue": child("bad", "x" * 1001),
        "reserved queue": child("bad", "/_sys/q/1"),
        "negative execution timeout": child(
            "bad", t.queue, workflow_execution_timeout=secs(-1)
        ),
        "negative run timeout": child("bad", t.queue, workflow_run_timeout=secs(-1)),
        "negative task timeout": child("bad", t.queue, workflow_task_timeout=secs(-1)),
        "mixed timeout": child("bad", t.queue, workflow_run_timeout={"seconds": 1, "nanos": -1}),
        "bad retry policy": child("bad", t.queue, retry_policy={"maximum_attempts": -1}),
        "negative priority": child("bad", t.queue, priority={"priority_key": -1}),
        "long fairness key": child("bad", t.queue, priority={"fairness_key": "x" * 65}),
        "unknown search attribute": child(
            "bad", t.queue, search_attributes={"indexed_fields": {"NoSuchField": payload("v")}}
        ),
        "unknown namespace": child("bad", t.queue, namespace="no-such-namespace"),
    }
    for label, case in cases.items():
        _refused(t, label, case)


@scenario()
def bad_child_cron(t):
    """A cron schedule that is none."""
    _refused(t, "none", child("bad", t.queue, cron_schedule="every day"))
    _refused(t, "never", child("bad", t.queue, cron_schedule="0 0 31 2 *"))


@scenario()
def bad_child_versioning_override(t):
    """A versioning override that is none."""
    _refused(t, "override", child("bad", t.queue, versioning_override={"behavior": 99}))


@scenario()
def child_unknown_policies(t):
    """Policies of numbers that nobody knows are written down as they are."""
    t.start()
    t.step(one(t, parent_close_policy=99, workflow_id_reuse_policy=99))
    t.note("initiated", to_json(t.wait_for("START_CHILD_WORKFLOW_EXECUTION_INITIATED")))
    t.terminate()


@scenario()
def bad_child_other_namespace(t):
    """Commands about workflows of another namespace are refused."""
    other = other_namespace(t)
    _refused(t, "child", child("bad", t.queue, namespace=other))
    _refused(t, "signal", signal_external("bad", namespace=other))
    _refused(t, "cancel", cancel_external("bad", namespace=other))


@scenario()
def bad_child_oversized(t):
    """Input, memo or header that is too large ends the parent."""
    large = "x" * (2 * 1024 * 1024 + 1)
    _refused(t, "input", child("bad", t.queue, input=payloads(large)))
    _refused(t, "memo", child("bad", t.queue, memo={"fields": {"m": payload(large)}}))


@scenario()
def bad_child_started_and_canceled(t):
    """Starting a child and asking it to cancel in one completion."""
    t.start()
    t.complete(t.task(), one(t), cancel_external(kid(t), child_workflow_only=True))
    t.history()
    t.terminate()


@scenario()
def child_canceled_before_known(t):
    """A child may be asked to cancel before its start is known to the worker."""
    t.start()
    task = t.next_in_hand(one(t))
    kid_task(t)
    t.complete(task, cancel_external(kid(t), child_workflow_only=True), label="in flight completed")
    t.wait_for("WORKFLOW_EXECUTION_CANCEL_REQUESTED", workflow_id=kid(t))
    t.wait_for("EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    t.history()
    t.terminate()


@scenario()
def pending_children_limit(t):
    """More children than a run may have."""
    t.start()
    t.complete(t.task(), *[one(t, n) for n in range(2001)])
    events = t.history()
    assert len(events) < 10
    t.terminate()


@scenario()
def child_priority(t):
    """What a child's priority leaves out comes from its parent."""
    t.start(priority={"priority_key": 2, "fairness_key": "f", "fairness_weight": 2.0})
    t.step(
        one(t, 1),
        one(t, 2, priority={"priority_key": 5}),
        one(t, 3, priority={"fairness_key": "g"}),
    )
    for n in (1, 2, 3):
        t.wait_for("WORKFLOW_TASK_SCHEDULED", workflow_id=kid(t, n))
        t.history(label=f"history of child {n}", workflow_id=kid(t, n))
    t.terminate()


# --- a parent that was reset


def _reset(t):
    """A parent whose child has started is reset to the task that heard of it."""
    begin(t, one(t))
    answer = t.does(
        "reset",
        "ResetWorkflowExecution",
        workflow_execution=t.execution(),
        reason="again",
        workflow_task_finish_event_id=9,
        request_id="reset",
    )
    t.run = answer.run_id


@scenario()
def reset_parent_signals_child(t):
    """To the run that came of a reset the children of the first are no children."""
    _reset(t)
    t.step(signal_external(kid(t), child_workflow_only=True))
    t.step(label="answer known")
    t.history(t.run)
    t.terminate()


@scenario()
def reset_parent_cancels_child(t):
    """Nor can it ask them as their parent to cancel."""
    _reset(t)
    t.step(cancel_external(kid(t), child_workflow_only=True))
    t.step(label="answer known")
    t.history(t.run)
    t.terminate()


@scenario()
def reset_parent_closes(t):
    """Its end is not theirs: they go on."""
    _reset(t)
    t.step(done())
    time.sleep(1)
    kid_step(t, done("on its own"))
    both(t)


@scenario()
def child_cron(t):
    """A child on a cron schedule: the end of one of its runs is told to nobody."""
    begin(t, one(t, cron_schedule="@every 1s"))
    kid_step(t, done("one"))
    kid_task(t)
    t.describe("describe the parent meanwhile")
    t.terminate(workflow_execution=kid_execution(t))
    t.step(done())
    t.history(t.run)
    t.history(label="history of the last run", workflow_id=kid(t))
