"""What the clients meant to do, what the server acknowledged, and whether it is all in history."""

import json
from collections import Counter

import grpc
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest

ENDS = {EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT}
STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED


class Entry:
    """One operation. `outcome` stays None until the server answered it."""

    def __init__(self, op, workflow, detail):
        self.op, self.workflow, self.detail = op, workflow, detail
        self.outcome = None


class Workflow:
    def __init__(self, name):
        self.name = name
        self.run = None  # once the start was acknowledged
        self.entries = []
        self.seen = []  # events of the last check, encoded
        self.observed = []  # beginnings of the history that a worker was shown
        self.dirty = self.ended = False


class Ledger:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8", buffering=1)
        self.workflows = {}
        self.acknowledged = Counter()
        self.dispatches = Counter()  # (workflow, scheduled event id) of long activities
        self.surprises = []

    def intend(self, op, name, detail=None):
        workflow = self.workflows.setdefault(name, Workflow(name))
        entry = Entry(op, workflow, detail)
        workflow.entries.append(entry)
        self._write("intent", entry)
        return entry

    def acknowledge(self, entry, outcome=True):
        entry.outcome = outcome
        entry.workflow.dirty = True
        if entry.op == "start":
            entry.workflow.run = outcome
        self.acknowledged[entry.op] += 1
        self._write("outcome", entry)

    def refuse(self, entry, code):
        entry.outcome = code
        self._write("refused", entry)

    def observe(self, name, events):
        """A worker was shown these events; the trailing workflow task may still be transient."""
        events = list(events)
        while events and events[-1].event_type in (STARTED, SCHEDULED):
            events.pop()
        workflow = self.workflows.get(name)
        if workflow:
            workflow.observed.append([e.SerializeToString(deterministic=True) for e in events])
            workflow.dirty = True

    def surprise(self, text):
        self.surprises.append(text)

    def total(self):
        return sum(self.acknowledged.values())

    def _write(self, what, entry):
        line = [what, entry.op, entry.workflow.name, entry.detail, str(entry.outcome)]
        self.file.write(json.dumps(line) + "\n")


async def read_history(stub, workflow):
    """All events; none when the server does not know the run."""
    events, token = [], b""
    while True:
        try:
            page = await stub.GetWorkflowExecutionHistory(GetWorkflowExecutionHistoryRequest(
                namespace="default", next_page_token=token, execution=WorkflowExecution(
                    workflow_id=workflow.name, run_id=workflow.run)), timeout=10)
        except grpc.aio.AioRpcError as e:
            if e.code() != grpc.StatusCode.NOT_FOUND:
                raise
            return []
        events += page.history.events
        token = page.next_page_token
        if not token:
            return events


def attributes(event):
    which = event.WhichOneof("attributes")
    return getattr(event, which) if which else None


def payloads(message):
    return [p.data.decode() for p in message.payloads]


def facts(events):
    """What the operations of the ledger left in a history."""
    signals, tasks, activities = Counter(), set(), Counter()
    for e in events:
        a = attributes(e)
        if e.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            signals.update(payloads(a.input))
        elif e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            tasks.add(a.scheduled_event_id)
        elif e.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            activities.update(payloads(a.result))
    return signals, tasks, activities


def judge(workflow, entries, observed, events):
    """(lost, gaps): sentences. `entries` and `observed` are as of before the history was read."""
    if not events:
        return [f"{workflow.name}: its start"], []
    lost, gaps = [], []
    encoded = [e.SerializeToString(deterministic=True) for e in events]
    if [e.event_id for e in events] != list(range(1, len(events) + 1)):
        gaps.append(f"{workflow.name}: event ids {[e.event_id for e in events]}")
    if encoded[:len(workflow.seen)] != workflow.seen:
        gaps.append(f"{workflow.name}: its first {len(workflow.seen)} events changed")
    for shown in observed:
        if encoded[:len(shown)] != shown:
            gaps.append(f"{workflow.name}: {len(shown)} events that a worker was shown changed")
    signals, tasks, activities = facts(events)
    for e in entries:
        done = e.outcome is True
        if e.op == "signal":
            times = signals[e.detail]
            if (done or e.outcome == "NOT_FOUND") and times == 0:
                lost.append(f"{workflow.name}: signal {e.detail} (answered {e.outcome})")
            if times > 1:
                gaps.append(f"{workflow.name}: signal {e.detail} recorded {times} times")
        elif e.op == "task" and done and e.detail not in tasks:
            lost.append(f"{workflow.name}: completion of the workflow task scheduled by {e.detail}")
        elif e.op == "activity":
            if done and activities[e.detail] == 0:
                lost.append(f"{workflow.name}: activity result {e.detail}")
            if activities[e.detail] > 1:
                gaps.append(f"{workflow.name}: activity result {e.detail} recorded twice")
    workflow.seen = encoded
    workflow.ended = events[-1].event_type in ENDS
    return lost, gaps
