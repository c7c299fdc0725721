"""DeleteWorkflowExecution: a run disappears, whatever it was doing."""

import time

from driver.registry import scenario
from driver.rpc import RpcError
from driver.values import activity, command, done, timer


def delete(t, label="delete", run_id=None, wid=None):
    execution = {"workflow_id": t.wid if wid is None else wid, "run_id": run_id or ""}
    t.does(label, "DeleteWorkflowExecution", workflow_execution=execution)


def wait_gone(t, run_id):
    """The original deletes in the background."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        try:
            t.call("DescribeWorkflowExecution", execution=t.execution(run_id))
        except RpcError:
            return
        time.sleep(0.1)


def _history(t, label, run_id=None):
    t.does(label, "GetWorkflowExecutionHistory", execution=t.execution(run_id))


@scenario()
def delete_closed(t):
    """A closed run: every way to ask for it says that it is not there."""
    t.start()
    t.step(done())
    delete(t)
    wait_gone(t, t.run)
    t.describe("describe by workflow id")
    t.describe("describe by run id", t.run)
    _history(t, "history by workflow id")
    _history(t, "history by run id", t.run)
    t.signal()
    t.cancel()
    t.terminate()
    t.query()
    delete(t, "delete again", t.run)


@scenario()
def delete_open_with_pending(t):
    """An open run with a timer, an activity and a task in flight: late answers find nothing."""
    t.start()
    t.step(timer("t", 60), activity("a", t.queue))
    work = t.activity_task()
    t.signal("wake")
    task = t.task()
    delete(t)
    wait_gone(t, t.run)
    t.complete(task, done())
    t.activity_done(work, "late")
    t.heartbeat(work, "late")
    t.describe("describe after")


@scenario()
def delete_older_run(t):
    """An older run of the id goes, the current one stays."""
    t.start()
    t.step(done())
    older = t.run
    t.start("start again", request_id="second-start")
    delete(t, run_id=older)
    wait_gone(t, older)
    t.describe("describe the older run", older)
    t.describe("describe the current run")
    t.terminate()


@scenario()
def delete_current_run(t):
    """The current run goes, an older one stays but is not the current one."""
    t.start()
    t.step(done())
    older = t.run
    t.start("start again", request_id="second-start")
    t.step(done())
    delete(t)
    wait_gone(t, t.run)
    t.describe("describe the current run")
    t.describe("describe the older run", older)


@scenario()
def delete_and_start_again(t):
    """After the deletion the id is free, whatever the policy says."""
    t.start()
    t.step(done())
    delete(t)
    wait_gone(t, t.run)
    time.sleep(3)  # of the original: the id is free last of all
    t.start("start again", request_id="second-start", workflow_id_reuse_policy=3)
    t.step(done())
    t.history(t.run)


@scenario()
def delete_same_request_id(t):
    """The request id of a deleted start is forgotten too."""
    t.start()
    t.step(done())
    first = t.run
    delete(t)
    wait_gone(t, t.run)
    time.sleep(3)
    t.start("start again")
    t.note("another run", t.run != first)
    t.terminate()


@scenario()
def delete_of_chain(t):
    """One run of a chain of continued runs."""
    t.start()
    t.step(command("continue_as_new_workflow_execution"))
    delete(t, run_id=t.run)
    wait_gone(t, t.run)
    t.describe("describe the first run", t.run)
    t.step(done())
    t.describe("describe the last run")


@scenario()
def delete_while_history_is_awaited(t):
    """A client that waits for the close event of a run that is deleted."""
    t.start()
    waiting = t.later(
        t.call,
        "GetWorkflowExecutionHistory",
        execution=t.execution(t.run),
        wait_new_event=True,
        history_event_filter_type=2,
    )
    time.sleep(0.3)
    delete(t)
    try:
        page = waiting.result(30)
        kinds = [e.WhichOneof("attributes") for e in page.history.events]
        reasons = [
            e.workflow_execution_terminated_event_attributes.reason for e in page.history.events
        ]
        t.note("what the waiting client got", [kinds, reasons])
    except RpcError as error:
        t.note("what the waiting client got", error.to_json())


@scenario()
def delete_errors(t):
    """What is not there and what is not valid."""
    delete(t, "unknown workflow")
    delete(t, "unknown run", "5a4ac5f7-9a5d-4f5e-8bd7-5a4a1d9c2f00")
    delete(t, "run id is no UUID", "nonsense")
    delete(t, "no workflow id", wid="")
    t.does("nothing", "DeleteWorkflowExecution")
    t.does("unknown namespace", "DeleteWorkflowExecution", namespace="nowhere")


@scenario()
def delete_base_of_reset(t):
    """A child reports to the run that started it: once that is deleted, the run that a reset made
    of it hears nothing."""
    start_child = command(
        "start_child_workflow_execution",
        workflow_id=f"{t.wid}-child",
        workflow_type={"name": "Child"},
        task_queue={"name": f"{t.queue}-child"},
        parent_close_policy=2,
    )
    t.start()
    base = t.run
    t.step(start_child)
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    t.step()
    new = t.does(
        "reset",
        "ResetWorkflowExecution",
        workflow_execution=t.execution(),
        workflow_task_finish_event_id=8,
        reason="a reason",
        request_id="reset-request",
    ).run_id
    t.step()
    delete(t, "delete the base", base)
    wait_gone(t, base)
    child = t.poll_call(queue=f"{t.queue}-child")
    t.complete(child, done("of the child"), label="child completed")
    time.sleep(2)
    t.history(new, "history of the new run")
    t.terminate()
