"""Batch operations over a list of executions or a query."""

import time

from driver.registry import scenario
from driver.rpc import RpcError, to_json
from driver.values import payload, payloads, timer
from temporalio.api.enums.v1 import batch_operation_pb2 as batch_enum

from scenarios.namespaces import own

STATE = batch_enum.BatchOperationState
RUNNING = STATE.Value("BATCH_OPERATION_STATE_RUNNING")


def start_some(t, count=3):
    """Workflows with one completed task and a timer, in a namespace of their own; their ids."""
    own(t)
    ids = [f"{t.wid}-{i}" for i in range(count)]
    for i, wid in enumerate(ids):
        t.call("StartWorkflowExecution", **t.start_fields(workflow_id=wid, request_id=f"r{i}"))
        t.call(
            "RespondWorkflowTaskCompleted",
            task_token=t.poll_call().task_token,
            commands=[timer("t", 60)],
            identity="worker",
        )
    return ids


def executions(ids):
    return [{"workflow_id": wid} for wid in ids]


def batch(t, label="start the batch", job=None, **fields):
    fields.setdefault("reason", "a reason")
    return t.does(label, "StartBatchOperation", job_id=job or t.wid, **fields)


def ended(t, job):
    """Waits for the end of a batch and returns what is said of it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = t.call("DescribeBatchOperation", job_id=job)
        if answer.state != RUNNING:
            break
        time.sleep(0.2)
    return answer


def over(t, label="describe the batch", job=None):
    t.note(label, to_json(ended(t, job or t.wid)))


def last_events(t, ids, label="last events"):
    found = []
    for wid in ids:
        page = t.call("GetWorkflowExecutionHistory", execution={"workflow_id": wid})
        last = page.history.events[-1]
        attributes = to_json(last.workflow_execution_terminated_event_attributes)
        attributes.pop("identity", None)  # of the original: its own worker's
        found.append([last.event_id, last.event_type, attributes])
    t.note(label, found)


def types(t, ids, label="event types"):
    found = []
    for wid in ids:
        page = t.call("GetWorkflowExecutionHistory", execution={"workflow_id": wid})
        found.append([e.event_type for e in page.history.events])
    t.note(label, found)


def end(t, ids):
    for wid in ids:
        try:
            t.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": wid})
        except RpcError:
            pass


@scenario()
def batch_terminate(t):
    """Terminates some executions."""
    ids = start_some(t)
    operation = {"identity": "operator", "details": payloads("why")}
    batch(t, executions=executions(ids), termination_operation=operation)
    over(t)
    last_events(t, ids)


@scenario()
def batch_cancel(t):
    """Asks for cancellation."""
    ids = start_some(t)
    batch(t, executions=executions(ids), cancellation_operation={"identity": "operator"})
    over(t)
    types(t, ids)
    end(t, ids)


@scenario()
def batch_signal(t):
    """Signals."""
    ids = start_some(t)
    operation = {
        "signal": "hello",
        "input": payloads("x"),
        "header": {"fields": {"h": payload(1)}},
        "identity": "operator",
    }
    batch(t, executions=executions(ids), signal_operation=operation)
    over(t)
    types(t, ids)
    end(t, ids)


@scenario()
def batch_delete(t):
    """Deletes."""
    ids = start_some(t, 2)
    batch(t, executions=executions(ids), deletion_operation={"identity": "operator"})
    over(t)
    time.sleep(1)
    for i, wid in enumerate(ids):
        t.does(f"describe {i}", "DescribeWorkflowExecution", execution={"workflow_id": wid})


def _reset_two(t, **how):
    ids = start_some(t, 2)
    batch(t, executions=executions(ids), reset_operation={"identity": "operator", **how})
    over(t)
    types(t, ids)
    end(t, ids)


@scenario()
def batch_reset_first(t):
    """Resets to the first workflow task."""
    _reset_two(t, options={"first_workflow_task": {}})


@scenario()
def batch_reset_last(t):
    """Resets to the last workflow task."""
    _reset_two(t, options={"last_workflow_task": {}})


@scenario()
def batch_reset_legacy_type(t):
    """The older field for the kind of reset."""
    _reset_two(t, reset_type=1)


@scenario()
def batch_reset_legacy_type_last(t):
    """The older field, for the last workflow task."""
    _reset_two(t, reset_type=2)


@scenario()
def batch_some_missing(t):
    """Executions that are not there, or closed already."""
    ids = start_some(t, 2)
    t.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": ids[0]})
    wanted = executions([*ids, t.wid + "-nobody"])
    batch(t, executions=wanted, termination_operation={"identity": "operator"})
    over(t)
    types(t, ids)


@scenario()
def batch_same_job(t):
    """A job id that is taken."""
    ids = start_some(t, 1)
    batch(t, executions=executions(ids), signal_operation={"signal": "one"})
    over(t)
    batch(t, "after its end", executions=executions(ids), signal_operation={"signal": "three"})
    types(t, ids)
    end(t, ids)


@scenario()
def batch_stop(t):
    """Stopped while it runs."""
    ids = start_some(t, 3)
    batch(
        t,
        executions=executions(ids),
        max_operations_per_second=0.2,
        signal_operation={"signal": "slow"},
    )
    time.sleep(0.5)
    running = t.call("DescribeBatchOperation", job_id=t.wid)
    t.note("state while it runs", STATE.Name(running.state))
    t.does("stop", "StopBatchOperation", job_id=t.wid, reason="enough", identity="operator")
    answer = t.call("DescribeBatchOperation", job_id=t.wid)
    t.note("state", STATE.Name(answer.state))
    t.note("reason", answer.reason)
    t.does("stop again", "StopBatchOperation", job_id=t.wid, reason="enough")
    end(t, ids)


@scenario()
def batch_errors(t):
    """What is refused."""
    own(t)
    one = [{"workflow_id": t.wid}]
    signal = {"signal": "s"}

    def refused(label, **fields):
        batch(t, label, job=t.wid + "-refused", **fields)

    t.does("no job id", "StartBatchOperation", executions=one, signal_operation=signal)
    refused("no reason", reason="", executions=one, signal_operation=signal)
    refused("no operation", executions=one)
    refused("neither query nor executions", signal_operation=signal)
    both = {"visibility_query": "WorkflowId = 'x'", "executions": one}
    refused("query and executions", signal_operation=signal, **both)
    refused("no signal name", executions=one, signal_operation={})
    refused("reset without type", executions=one, reset_operation={})
    t.does("describe nothing", "DescribeBatchOperation")
    t.does("describe unknown", "DescribeBatchOperation", job_id="nobody")
    t.does("stop nothing", "StopBatchOperation")
    t.does("stop without reason", "StopBatchOperation", job_id="nobody")
    t.does("stop unknown", "StopBatchOperation", job_id="nobody", reason="r")


@scenario()
def batch_list(t):
    """Batches are listed, newest first."""
    ids = start_some(t, 1)
    for i in range(2):
        job = f"{t.wid}-job-{i}"
        operation = {"signal": "s"}
        batch(t, f"start {i}", job=job, executions=executions(ids), signal_operation=operation)
        over(t, f"describe {i}", job=job)
        time.sleep(1)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        listed = t.call("ListBatchOperations", page_size=100).operation_info
        own = [b for b in listed if b.job_id.startswith(t.wid)]
        if len(own) == 2 and all(b.state != RUNNING for b in own):
            break
        time.sleep(0.2)
    t.note("listed", [to_json(b) for b in sorted(own, key=lambda b: b.job_id)])
    page = t.call("ListBatchOperations", page_size=1)
    t.note("a page", [len(page.operation_info), bool(page.next_page_token)])
    end(t, ids)


@scenario()
def batch_query(t):
    """Over a query."""
    ids = start_some(t)
    query = f"WorkflowId STARTS_WITH '{t.wid}-' AND ExecutionStatus = 'Running'"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if t.call("CountWorkflowExecutions", query=query).count == 3:
            break
        time.sleep(0.2)
    batch(t, visibility_query=query, termination_operation={"identity": "operator"})
    over(t)
    types(t, ids)


@scenario()
def batch_cancel_has_no_cause(t):
    """The reason of the batch is not that of the requests."""
    ids = start_some(t, 1)
    batch(t, executions=executions(ids), cancellation_operation={"identity": "operator"})
    over(t)
    page = t.call("GetWorkflowExecutionHistory", execution={"workflow_id": ids[0]})
    asked = page.history.events[-2].workflow_execution_cancel_requested_event_attributes
    t.note("cause", asked.cause)
    end(t, ids)
