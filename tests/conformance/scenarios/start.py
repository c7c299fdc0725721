"""StartWorkflowExecution: identifiers in use, request ids, delays, eager starts."""

import threading
import time

from driver.registry import scenario
from driver.values import done, fail, payload, payloads, retry, secs
from temporalio.api.enums.v1 import workflow_pb2 as status_enum

FAIL, USE_EXISTING, TERMINATE_EXISTING = 1, 2, 3
ALLOW_DUPLICATE, FAILED_ONLY, REJECT_DUPLICATE, TERMINATE_IF_RUNNING = 1, 2, 3, 4


@scenario()
def start_conflict_fail(t):
    """A second start of a running workflow: refused by default and with conflict policy FAIL."""
    t.start()
    t.start("by default", request_id="second")
    t.start("FAIL", request_id="third", workflow_id_conflict_policy=FAIL)
    t.start("reject duplicate", request_id="fourth", workflow_id_reuse_policy=REJECT_DUPLICATE)
    t.history()


@scenario()
def start_conflict_use_existing(t):
    """USE_EXISTING answers with the running run and leaves no event."""
    t.start()
    t.start("use existing", request_id="second", workflow_id_conflict_policy=USE_EXISTING)
    t.start("the same again", request_id="second", workflow_id_conflict_policy=USE_EXISTING)
    t.history()
    t.describe()


@scenario()
def start_conflict_attach(t):
    """USE_EXISTING with on_conflict_options records what was attached in an event."""
    t.start()
    link = {
        "workflow_event": {
            "namespace": "default",
            "workflow_id": "other",
            "run_id": "b1946ac9-2f5e-4e1a-9a3b-6a1d2c3e4f50",
            "event_ref": {"event_id": 1, "event_type": 1},
        }
    }
    options = {"attach_request_id": True, "attach_links": True}
    for label in ("attached", "attached again"):
        t.start(
            label,
            request_id="second",
            workflow_id_conflict_policy=USE_EXISTING,
            on_conflict_options=options,
            links=[link],
        )
    t.history()
    t.describe()


@scenario()
def start_conflict_terminate_existing(t):
    """TERMINATE_EXISTING ends the old run and starts the new one."""
    first = t.start()
    second = t.start(
        "terminate existing",
        request_id="second",
        workflow_id_conflict_policy=TERMINATE_EXISTING,
    )
    t.history(first.run_id, "history of the old run")
    t.history(second.run_id, "history of the new run")


@scenario()
def start_conflict_terminate_existing_at_once(t):
    """Who describes the workflow meanwhile never meets the old run without the new one."""
    t.start()
    stop = threading.Event()

    def watch():
        met = set()
        while not stop.is_set():
            info = t.call("DescribeWorkflowExecution", execution=t.execution())
            met.add(info.workflow_execution_info.status)
        return met

    watching = t.later(watch)
    for i in range(20):
        fields = t.start_fields(
            request_id=f"again-{i}", workflow_id_conflict_policy=TERMINATE_EXISTING
        )
        t.call("StartWorkflowExecution", **fields)
    stop.set()
    names = sorted(status_enum.WorkflowExecutionStatus.Name(s) for s in watching.result(10))
    t.note("every status met", names)
    t.terminate()


@scenario()
def start_terminate_if_running(t):
    """The older spelling, a reuse policy, with a workflow task in the old worker's hands."""
    first = t.start()
    t.task()
    second = t.start(
        "terminate if running",
        request_id="second",
        workflow_id_reuse_policy=TERMINATE_IF_RUNNING,
    )
    t.history(first.run_id, "history of the old run")
    t.history(second.run_id, "history of the new run")


@scenario()
def start_after_completed(t):
    """Every reuse policy after a completed run."""
    t.start()
    t.step(done())
    t.start("reject", request_id="r1", workflow_id_reuse_policy=REJECT_DUPLICATE)
    t.start("failed only", request_id="r2", workflow_id_reuse_policy=FAILED_ONLY)
    t.start("allow", request_id="r3", workflow_id_reuse_policy=ALLOW_DUPLICATE)
    t.step(done())
    t.start("by default", request_id="r4")
    t.step(done())
    t.start("terminate if running", request_id="r5", workflow_id_reuse_policy=TERMINATE_IF_RUNNING)
    t.step(done())
    t.start("use existing", request_id="r6", workflow_id_conflict_policy=USE_EXISTING)
    t.history()


@scenario()
def start_after_failed(t):
    """Reuse policies after failed, cancelled, terminated and timed out runs."""
    t.start()
    t.step(fail())
    t.start("reject after failed", request_id="r1", workflow_id_reuse_policy=REJECT_DUPLICATE)
    t.start("after failed", request_id="r2", workflow_id_reuse_policy=FAILED_ONLY)
    t.terminate()
    t.start(
        "after terminated",
        request_id="r3",
        workflow_id_reuse_policy=FAILED_ONLY,
        workflow_run_timeout=secs(1),
    )
    t.wait_for("WORKFLOW_EXECUTION_TIMED_OUT")
    t.start("after timed out", request_id="r4", workflow_id_reuse_policy=FAILED_ONLY)
    t.history()


@scenario()
def start_request_id(t):
    """A repeated request id gets the first answer, while the run is open and after it closed."""
    t.start()
    t.start("again while open")
    t.start("again with another type", workflow_type={"name": "Other"})
    t.step(done())
    t.start("again after close")
    t.start("again, rejecting", workflow_id_reuse_policy=REJECT_DUPLICATE)
    t.start("other id", request_id="other")
    t.start("first id after a newer run")
    t.describe()


@scenario()
def start_without_request_id(t):
    """The server makes a request id up; two such starts are two starts."""
    t.start(request_id=None)
    t.start("second", request_id=None)
    t.describe()


@scenario()
def start_delay(t):
    """A delayed start has one event until the delay is over."""
    began = time.monotonic()
    t.start(workflow_start_delay=secs(2))
    t.history(label="history before")
    t.describe("describe before")
    t.step(done())
    t.within("first task after", time.monotonic() - began, 1.9, 6)
    t.history()
    t.describe("describe after")


@scenario()
def start_delay_signal(t):
    """A signal during the delay is recorded and wakes nobody."""
    began = time.monotonic()
    t.start(workflow_start_delay=secs(2))
    t.signal("early", "bird")
    t.history(label="history before")
    t.step(done())
    t.within("first task after", time.monotonic() - began, 1.9, 6)
    t.history()


@scenario()
def start_delay_cancel(t):
    """A cancel request during the delay wakes the workflow at once."""
    began = time.monotonic()
    t.start(workflow_start_delay=secs(8))
    t.cancel(reason="changed my mind")
    t.step(done())
    t.within("first task after", time.monotonic() - began, 0, 5)
    t.history()


@scenario()
def start_delay_terminate(t):
    """Terminated before its first workflow task was ever scheduled."""
    t.start(workflow_start_delay=secs(30))
    t.terminate(reason="never mind")
    t.history()


@scenario()
def start_delay_query(t):
    """Queries before the first workflow task, within and beyond their own deadline."""
    t.start(workflow_start_delay=secs(30))
    t.query(timeout=3)
    t.terminate()
    t.query(label="query after termination", timeout=3)


@scenario()
def start_with_links(t):
    """Links of a start are kept with the first event."""
    link = {
        "workflow_event": {
            "namespace": "default",
            "workflow_id": "other",
            "run_id": "b1946ac9-2f5e-4e1a-9a3b-6a1d2c3e4f50",
            "event_ref": {"event_id": 5, "event_type": 10},
        }
    }
    t.start(links=[link])
    t.history()


@scenario()
def start_eager(t):
    """The first workflow task comes with the answer to the start."""
    from driver.script import summary

    answer = t.call(
        "StartWorkflowExecution", **t.start_fields(request_eager_execution=True)
    )
    task = answer.eager_workflow_task
    t.note("first event", summary(task.history.events[0]) if task.history.events else "none")
    t.note_task("eager task", task, whole=True)
    t.complete(task, done())
    t.history()


@scenario()
def start_eager_repeated(t):
    """The same eager start again while its task is running, and after."""
    fields = t.start_fields(request_eager_execution=True)
    answer = t.does("start", "StartWorkflowExecution", **fields)
    t.does("again", "StartWorkflowExecution", **fields)
    t.complete(answer.eager_workflow_task, done())
    t.does("after close", "StartWorkflowExecution", **fields)


@scenario()
def start_timeouts_resolved(t):
    """How timeouts of a start are filled in and capped, read from the first event."""
    cases = {
        "none": {},
        "execution only": {"workflow_execution_timeout": secs(100)},
        "run only": {"workflow_run_timeout": secs(50)},
        "run above execution": {
            "workflow_execution_timeout": secs(100),
            "workflow_run_timeout": secs(500),
        },
        "task above 120": {"workflow_task_timeout": secs(600)},
        "task above run": {"workflow_task_timeout": secs(60), "workflow_run_timeout": secs(30)},
        "above a hundred years": {"workflow_run_timeout": secs(4_000_000_000)},
        "retry policy empty": {"retry_policy": {}},
        "retry policy one attempt": {"retry_policy": {"maximum_attempts": 1}},
        "retry policy": {"retry_policy": retry(0.5, 3.0, 7, maximum_interval=secs(4))},
        "retry expires": {"retry_policy": {}, "workflow_execution_timeout": secs(100)},
        "null memo": {"memo": {"fields": {"a": payload(None), "b": payload(1)}}},
        "empty input": {"input": payloads()},
    }
    for label, fields in cases.items():
        t.wid, keep = f"{t.wid}-{label.replace(' ', '-')}", t.wid
        t.start(label, **fields)
        t.history(label="history: " + label)
        t.terminate(label="terminate " + label)
        t.wid = keep
