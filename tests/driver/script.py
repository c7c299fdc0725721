"""Script: one scenario's worker and client in one hand, and the record of what it saw.

Every convenience call notes its answer under a label, in the order of the script. Calls made in
the background are noted when their result is asked for, so that a record has one order.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from temporalio.api.enums.v1 import event_type_pb2 as event_enum
from temporalio.api.enums.v1 import failed_cause_pb2 as cause_enum

from .named import in_request
from .rpc import RpcError, request_type, to_json
from .values import done, payloads, timer

DEFAULT_TIMEOUT_S = 20
POLL_TIMEOUT_S = 15  # tried twice


class ScenarioFailed(Exception):
    """The script could not go on; what was noted so far is still in the record."""


class Script:
    def __init__(self, server, name, nonce):
        self.server = server
        self.name = name
        self.namespace = "default"
        self.wid = f"{name}-{nonce}"
        self.queue = f"{name}-queue-{nonce}"
        self.sticky = f"{name}-sticky-{nonce}"
        self._names = [(self.wid, "$wid"), (self.queue, "$queue"), (self.sticky, "$sticky")]
        self.steps = []
        self.asked = set()  # names of enum values in its requests
        self._labels = {}
        self._pool = ThreadPoolExecutor(max_workers=8)

    def close(self):
        self._pool.shutdown(wait=False, cancel_futures=True)

    def names(self):
        """What the driver chose for this run, and how the record calls it."""
        return self._names

    # --- the record

    def note(self, label, value):
        count = self._labels[label] = self._labels.get(label, 0) + 1
        self.steps.append([label if count == 1 else f"{label} {count}", value])
        return value

    def forget_last(self):
        """The last note is taken back: the step is tried again."""
        label, _ = self.steps.pop()
        self._labels.pop(label, None)

    def within(self, label, seconds, low, high):
        """Notes that a time lies in a range; outside of it the time itself is noted."""
        inside = low <= seconds <= high
        self.note(label, f"within {low} to {high} s" if inside else f"{seconds:.3f} s")

    # --- calls

    def call(self, method, timeout=DEFAULT_TIMEOUT_S, metadata=(), **fields):
        """One call; raises RpcError. Nothing is noted."""
        request = request_type(method)()
        known = request.DESCRIPTOR.fields_by_name
        if "namespace" in known:
            fields.setdefault("namespace", self.namespace)
        if "identity" in known:
            fields.setdefault("identity", "script")
        request = request_type(method)(**{k: v for k, v in fields.items() if v is not None})
        self.asked |= in_request(request)
        return self.server.call(method, request, timeout, metadata)

    def does(self, label, method, **fields):
        """One call whose answer, or error, is noted. Returns the answer or None."""
        try:
            answer = self.call(method, **fields)
        except RpcError as error:
            self.note(label, error.to_json())
            return None
        self.note(label, to_json(answer))
        return answer

    def later(self, function, *args, **fields):
        """Starts a call in the background; .result() waits for it."""
        return self._pool.submit(function, *args, **fields)

    def settle(self, label, future, timeout=DEFAULT_TIMEOUT_S):
        """Notes how a background call ended. Returns its answer or None."""
        try:
            answer = future.result(timeout)
        except RpcError as error:
            self.note(label, error.to_json())
            return None
        self.note(label, to_json(answer))
        return answer

    # --- client

    def start_fields(self, **fields):
        fields.setdefault("workflow_id", self.wid)
        fields.setdefault("workflow_type", {"name": "Scripted"})
        fields.setdefault("task_queue", {"name": self.queue})
        fields.setdefault("request_id", "start-request")
        return {k: v for k, v in fields.items() if v is not None}

    def start(self, label="start", **fields):
        """Starts the scenario's workflow; the answer's run id is kept as self.run."""
        answer = self.does(label, "StartWorkflowExecution", **self.start_fields(**fields))
        if answer is not None:
            self.run = answer.run_id
        return answer

    def execution(self, run_id=None, workflow_id=None):
        return {"workflow_id": workflow_id or self.wid, "run_id": run_id or ""}

    def signal(self, name="sig", *values, label="signal", **fields):
        fields.setdefault("workflow_execution", self.execution())
        if values:
            fields["input"] = payloads(*values)
        return self.does(label, "SignalWorkflowExecution", signal_name=name, **fields)

    def cancel(self, label="cancel", **fields):
        fields.setdefault("workflow_execution", self.execution())
        return self.does(label, "RequestCancelWorkflowExecution", **fields)

    def terminate(self, label="terminate", **fields):
        fields.setdefault("workflow_execution", self.execution())
        return self.does(label, "TerminateWorkflowExecution", **fields)

    def query_call(self, query_type="state", **fields):
        fields.setdefault("execution", self.execution())
        return self.call("QueryWorkflow", query={"query_type": query_type}, **fields)

    def query(self, query_type="state", label="query", **fields):
        fields.setdefault("execution", self.execution())
        return self.does(label, "QueryWorkflow", query={"query_type": query_type}, **fields)

    def describe(self, label="describe", run_id=None, workflow_id=None):
        """The original lists what is pending in no order: it is noted by its ids."""
        try:
            execution = self.execution(run_id, workflow_id)
            answer = self.call("DescribeWorkflowExecution", execution=execution)
        except RpcError as error:
            self.note(label, error.to_json())
            return None
        noted = to_json(answer)
        noted.get("pending_activities", []).sort(key=lambda a: a["activity_id"])
        noted.get("pending_children", []).sort(key=lambda c: int(c["initiated_id"]))
        self.note(label, noted)
        return answer

    def events(self, run_id=None, workflow_id=None, **fields):
        """All events of a run, page by page; nothing is noted."""
        found, token = [], b""
        while True:
            page = self.call(
                "GetWorkflowExecutionHistory",
                execution=self.execution(run_id, workflow_id),
                next_page_token=token,
                **fields,
            )
            found += page.history.events
            token = page.next_page_token
            if not token:
                return found

    def history(self, run_id=None, label="history", workflow_id=None):
        """Notes every event of a run, whole."""
        found = self.events(run_id, workflow_id)
        self.note(label, [to_json(event) for event in found])
        return found

    def wait_for(self, event_type, run_id=None, timeout=15, workflow_id=None):
        """Waits until the history holds an event of this type (without its EVENT_TYPE_ prefix)."""
        wanted = event_enum.EventType.Value("EVENT_TYPE_" + event_type)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                found = self.events(run_id, workflow_id)
            except RpcError:  # it may not have started yet
                found = []
            for event in found:
                if event.event_type == wanted:
                    return event
            time.sleep(0.1)
        raise ScenarioFailed(f"no {event_type} within {timeout} s")

    # --- worker, workflow tasks

    def poll_call(self, queue=None, sticky=False, timeout=POLL_TIMEOUT_S, **fields):
        """Polls until a workflow task comes; the whole wait is bounded."""
        task_queue = {"name": queue or self.queue}
        if sticky:
            task_queue = {"name": self.sticky, "kind": 2, "normal_name": self.queue}
        fields.setdefault("identity", "worker")
        for _ in range(2):
            task = self.call(
                "PollWorkflowTaskQueue", timeout=timeout, task_queue=task_queue, **fields
            )
            if task.task_token:
                return task
        raise ScenarioFailed("no workflow task came")

    def task(self, label="workflow task", whole=False, **fields):
        """Takes the next workflow task. Its history is noted as a list of types unless whole."""
        return self.note_task(label, self.poll_call(**fields), whole)

    def note_task(self, label, task, whole=False):
        noted = to_json(task)
        if not whole and "history" in noted:
            noted["history"] = [summary(event) for event in task.history.events]
        self.note(label, noted)
        return task

    def complete(self, task, *commands, label="completed", **fields):
        """Answers a workflow task; returns the response, or None after an error."""
        fields.setdefault("identity", "worker")
        try:
            answer = self.call(
                "RespondWorkflowTaskCompleted",
                task_token=task.task_token,
                commands=list(commands),
                **fields,
            )
        except RpcError as error:
            self.note(label, error.to_json())
            return None
        noted = to_json(answer)
        if "workflow_task" in noted and "history" in noted["workflow_task"]:
            events = answer.workflow_task.history.events
            noted["workflow_task"]["history"] = [summary(event) for event in events]
        self.note(label, noted)
        return answer

    def next_in_hand(self, *commands):
        """Takes and answers a task; the next one comes in hand, started before anything can have
        come of the commands."""
        answer = self.complete(
            self.task(),
            *commands,
            force_create_new_workflow_task=True,
            return_new_workflow_task=True,
        )
        return answer.workflow_task

    def fail_task(
        self, task, cause="WORKFLOW_WORKER_UNHANDLED_FAILURE", label="task failed", **fields
    ):
        """cause: the name without its prefix, or None."""
        fields.setdefault("identity", "worker")
        if cause:
            name = "WORKFLOW_TASK_FAILED_CAUSE_" + cause
            fields["cause"] = cause_enum.WorkflowTaskFailedCause.Value(name)
        return self.does(label, "RespondWorkflowTaskFailed", task_token=task.task_token, **fields)

    def step(self, *commands, **fields):
        """Takes the next workflow task and answers it with these commands."""
        task = self.task()
        self.complete(task, *commands, **fields)
        return task

    def begin(self, *commands, **fields):
        """Starts the workflow and answers its first task."""
        self.start(**fields)
        self.step(*commands)

    def finish(self):
        """Completes the workflow with its next task and notes its history."""
        self.step(done())
        self.history()

    def idle(self, **fields):
        """A workflow whose first task is done: nothing is pending but a long timer."""
        self.begin(timer("t", 60), **fields)

    def sticky_attributes(self, seconds=5):
        return {
            "worker_task_queue": {"name": self.sticky, "kind": 2, "normal_name": self.queue},
            "schedule_to_start_timeout": {"seconds": seconds},
        }

    # --- worker, activities

    def activity_call(self, queue=None, timeout=POLL_TIMEOUT_S, **fields):
        fields.setdefault("identity", "worker")
        for _ in range(2):
            task = self.call(
                "PollActivityTaskQueue",
                timeout=timeout,
                task_queue={"name": queue or self.queue},
                **fields,
            )
            if task.task_token:
                return task
        raise ScenarioFailed("no activity task came")

    def activity_task(self, label="activity task", **fields):
        task = self.activity_call(**fields)
        self.note(label, to_json(task))
        return task

    def heartbeat(self, task, *values, label="heartbeat"):
        fields = {"details": payloads(*values)} if values else {}
        return self.does(
            label,
            "RecordActivityTaskHeartbeat",
            task_token=task.task_token,
            identity="worker",
            **fields,
        )

    def activity_done(self, task, *values, label="activity completed", **fields):
        if values:
            fields["result"] = payloads(*values)
        fields.setdefault("identity", "worker")
        return self.does(
            label, "RespondActivityTaskCompleted", task_token=task.task_token, **fields
        )

    def activity_failed(self, task, failure, label="activity failed", **fields):
        fields.setdefault("identity", "worker")
        return self.does(
            label,
            "RespondActivityTaskFailed",
            task_token=task.task_token,
            failure=failure,
            **fields,
        )

    def activity_canceled(self, task, *values, label="activity canceled", **fields):
        if values:
            fields["details"] = payloads(*values)
        fields.setdefault("identity", "worker")
        return self.does(
            label, "RespondActivityTaskCanceled", task_token=task.task_token, **fields
        )


def summary(event):
    """One event in a line."""
    name = event_enum.EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
    return f"{event.event_id} {name}"
