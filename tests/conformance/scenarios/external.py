"""Signals and cancel requests that a workflow sends to another one."""

import time

from driver.registry import scenario
from driver.values import (
    cancel_external,
    child,
    command,
    done,
    payload,
    payloads,
    secs,
    signal_external,
)


def other(t):
    return t.wid + "-other"


def other_queue(t):
    return t.queue + "-other"


def start_other(t, **fields):
    answer = t.start(
        "start the other",
        workflow_id=other(t),
        request_id="other",
        task_queue={"name": other_queue(t)},
        **fields,
    )
    t.complete(t.poll_call(queue=other_queue(t)), label="the other's first task")
    return answer.run_id


def end(t):
    """The sender hears and ends; what happened to both."""
    t.step(done())
    t.history(t.run)
    t.history(label="history of the other", workflow_id=other(t))
    t.terminate("terminate the other", workflow_execution=t.execution(workflow_id=other(t)))


@scenario()
def signal_external_delivered(t):
    """The signal reaches the other workflow, and the sender hears of it."""
    start_other(t)
    t.start()
    t.step(
        signal_external(
            other(t),
            namespace="default",
            input=payloads("in"),
            control="control",
            header={"fields": {"h": payload(1)}},
        )
    )
    task = t.task("task of the other", queue=other_queue(t))
    t.complete(task, label="the other completed")
    end(t)


@scenario()
def signal_external_by_run_id(t):
    """One run is meant."""
    run = start_other(t)
    t.begin(signal_external(other(t), run))
    end(t)


@scenario()
def signal_external_unknown(t):
    """Nobody has this id."""
    t.begin(signal_external(other(t), control="control"))
    t.finish()


@scenario()
def signal_external_unknown_run(t):
    """The id is known, the run is not."""
    start_other(t)
    t.begin(signal_external(other(t), "00000000-0000-4000-8000-000000000000"))
    end(t)


@scenario()
def signal_external_closed(t):
    """The other workflow has ended."""
    start_other(t)
    t.terminate("the other ends", workflow_execution=t.execution(workflow_id=other(t)))
    t.begin(signal_external(other(t)))
    end(t)


@scenario()
def signal_external_self(t):
    """A workflow that signals itself."""
    t.begin(signal_external(t.wid))
    t.step(label="answer known")
    t.history()
    t.terminate()


@scenario()
def signal_external_child_only(t):
    """child_workflow_only: the target must be a child of the sender."""
    start_other(t)
    t.begin(signal_external(other(t), child_workflow_only=True))
    end(t)


@scenario()
def signal_external_to_child(t):
    """A parent signals its child."""
    t.begin(child(other(t), other_queue(t)))
    t.step(signal_external(other(t), child_workflow_only=True, input=payloads("to child")))
    t.step(label="answer known")
    t.task("task of the child", queue=other_queue(t), whole=True)
    t.history()
    t.terminate()


@scenario()
def signal_external_to_continued_child(t):
    """The child has continued as new: the signal reaches its newest run."""
    t.begin(child(other(t), other_queue(t)))
    task = t.task("start known")
    again = command("continue_as_new_workflow_execution")
    t.complete(t.task("task of the child", queue=other_queue(t)), again, label="continued")
    t.complete(task, signal_external(other(t), child_workflow_only=True))
    t.step(label="answer known")
    t.history()
    t.task("task of the next run", queue=other_queue(t), whole=True)
    t.terminate()


@scenario()
def signal_external_during_tasks(t):
    """Both are in the middle of a task: the events wait."""
    start_other(t)
    t.signal("wake", label="wake the other", workflow_execution=t.execution(workflow_id=other(t)))
    busy = t.task("task of the other", queue=other_queue(t))
    t.start()
    task = t.next_in_hand(signal_external(other(t)))
    t.describe("describe the other", workflow_id=other(t))
    t.signal()
    t.complete(task, label="in flight completed")
    t.complete(busy, label="the other completed")
    end(t)


@scenario()
def signal_external_several(t):
    """Signals keep the order of the commands."""
    start_other(t)
    t.begin(signal_external(other(t), name="one"))
    t.step(signal_external(other(t), name="two"), label="answer known")
    end(t)


@scenario()
def signal_external_and_close(t):
    """The sender ends in the same completion: the signal is not sent."""
    start_other(t)
    t.begin(signal_external(other(t)), done())
    t.signal("after", label="a later signal", workflow_execution=t.execution(workflow_id=other(t)))
    t.history(t.run)
    t.history(label="history of the other", workflow_id=other(t))
    t.terminate("terminate the other", workflow_execution=t.execution(workflow_id=other(t)))


@scenario()
def signal_external_delayed_start(t):
    """The other workflow waits for its delay: the signal is recorded, no task follows."""
    t.start(
        "start the other",
        workflow_id=other(t),
        request_id="other",
        workflow_start_delay=secs(30),
    )
    t.begin(signal_external(other(t)))
    end(t)


def _refused(t, label, *commands):
    keep = t.wid
    t.wid = f"{keep}-{label.replace(' ', '-')}"
    t.start("start: " + label)
    t.complete(t.poll_call(), *commands, label="answer: " + label)
    t.history(label="history: " + label)
    t.terminate("terminate: " + label)
    t.wid = keep


@scenario()
def bad_signal_external(t):
    """SignalExternalWorkflowExecution with missing or impossible attributes."""
    cases = {
        "no attributes": command("signal_external_workflow_execution"),
        "no execution": command("signal_external_workflow_execution", signal_name="s"),
        "no id": signal_external(""),
        "long id": signal_external("x" * 1001),
        "bad run id": signal_external("w", "not-a-uuid"),
        "no name": signal_external("w", name=""),
        "unknown namespace": signal_external("w", namespace="no-such-namespace"),
    }
    for label, case in cases.items():
        _refused(t, label, case)


@scenario()
def signal_external_long_name(t):
    """The name of a signal to another workflow has no limit of its own."""
    t.begin(signal_external(other(t), name="x" * 1001))
    t.step(done(), label="answer known")
    t.history()


@scenario()
def bad_signal_external_oversized(t):
    """An input that is too large ends the sender."""
    large = payloads("x" * (2 * 1024 * 1024 + 1))
    _refused(t, "input", signal_external("w", input=large))


@scenario()
def pending_signals_limit(t):
    """More signals under way than a run may have."""
    t.start()
    t.complete(t.task(), *[signal_external(other(t)) for _ in range(2001)])
    t.history()
    t.terminate()


# --- cancel


@scenario()
def cancel_external_delivered(t):
    """The request reaches the other workflow, and the sender hears of it."""
    start_other(t)
    t.begin(cancel_external(other(t), namespace="default", control="control", reason="enough"))
    task = t.task("task of the other", queue=other_queue(t))
    t.complete(task, command("cancel_workflow_execution"), label="the other completed")
    end(t)


@scenario()
def cancel_external_by_run_id(t):
    """One run is meant."""
    run = start_other(t)
    t.begin(cancel_external(other(t), run))
    end(t)


@scenario()
def cancel_external_twice(t):
    """A second request changes nothing."""
    start_other(t)
    t.begin(cancel_external(other(t)))
    t.step(cancel_external(other(t)), label="again")
    end(t)


@scenario()
def cancel_external_unknown(t):
    """Nobody has this id."""
    t.begin(cancel_external(other(t), control="control"))
    t.finish()


@scenario()
def cancel_external_unknown_run(t):
    """The id is known, the run is not."""
    start_other(t)
    t.begin(cancel_external(other(t), "00000000-0000-4000-8000-000000000000"))
    end(t)


@scenario()
def cancel_external_closed(t):
    """The other workflow has ended: that counts as done."""
    start_other(t)
    t.terminate("the other ends", workflow_execution=t.execution(workflow_id=other(t)))
    t.begin(cancel_external(other(t)))
    end(t)


@scenario()
def cancel_external_self(t):
    """A workflow that asks itself to cancel."""
    t.begin(cancel_external(t.wid))
    t.step(label="answer known")
    t.history()
    t.terminate()


@scenario()
def cancel_external_child_only(t):
    """child_workflow_only: the target must be a child of the sender."""
    start_other(t)
    t.begin(cancel_external(other(t), child_workflow_only=True))
    end(t)


@scenario()
def cancel_external_child_of_another(t):
    """A child of one workflow is not the child of another."""
    keep = t.wid
    t.wid += "-parent"
    t.start("start the parent", task_queue={"name": t.queue + "-parent"})
    t.complete(t.poll_call(queue=t.queue + "-parent"), child(keep + "-other", other_queue(t)))
    t.complete(t.poll_call(queue=t.queue + "-parent"), label="start known")
    t.wid = keep
    t.begin(cancel_external(other(t), child_workflow_only=True))
    end(t)
    t.terminate(workflow_execution=t.execution(workflow_id=keep + "-parent"))


@scenario()
def cancel_external_during_tasks(t):
    """Both are in the middle of a task: the events wait."""
    start_other(t)
    t.signal("wake", label="wake the other", workflow_execution=t.execution(workflow_id=other(t)))
    busy = t.task("task of the other", queue=other_queue(t))
    t.start()
    task = t.next_in_hand(cancel_external(other(t)))
    time.sleep(0.2)  # the answer waits in the buffer, which nobody can see
    t.signal()
    t.complete(task, label="in flight completed")
    t.complete(busy, label="the other completed")
    end(t)


@scenario()
def cancel_external_and_close(t):
    """The sender ends in the same completion: the request is not sent."""
    start_other(t)
    t.begin(cancel_external(other(t)), done())
    t.signal("after", label="a later signal", workflow_execution=t.execution(workflow_id=other(t)))
    t.history(t.run)
    t.history(label="history of the other", workflow_id=other(t))
    t.terminate("terminate the other", workflow_execution=t.execution(workflow_id=other(t)))


@scenario()
def bad_cancel_external(t):
    """RequestCancelExternalWorkflowExecution with missing or impossible attributes."""
    cases = {
        "no attributes": command("request_cancel_external_workflow_execution"),
        "no id": cancel_external(""),
        "long id": cancel_external("x" * 1001),
        "bad run id": cancel_external("w", "not-a-uuid"),
        "unknown namespace": cancel_external("w", namespace="no-such-namespace"),
    }
    for label, case in cases.items():
        _refused(t, label, case)


@scenario()
def pending_cancels_limit(t):
    """More cancel requests under way than a run may have."""
    t.start()
    t.complete(t.task(), *[cancel_external(f"{other(t)}-{n}") for n in range(2001)])
    t.history()
    t.terminate()
