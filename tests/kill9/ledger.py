"""What the clients meant to do, what the server acknowledged, and whether it is all in history."""

import hashlib
import json
from collections import Counter

import grpc
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import (EventType, WorkflowExecutionStatus,
                                     WorkflowTaskFailedCause)
from temporalio.api.workflowservice.v1 import (GetWorkflowExecutionHistoryRequest,
                                               ListWorkflowExecutionsRequest)

ENDS = {EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW}
STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
CONTINUED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
STARTS = {"start", "signal-with-start", "update-with-start"}


class Entry:
    """One operation. `outcome` stays None until the server answered it."""

    __slots__ = "op", "workflow", "detail", "outcome"

    def __init__(self, op, workflow, detail):
        self.op, self.workflow, self.detail = op, workflow, detail
        self.outcome = None


class Workflow:
    """One run, named by its workflow id; a run that another one led to has a name of its own."""

    __slots__ = ("name", "id", "run", "entries", "seen", "observed", "ended", "made_by", "deleting")

    def __init__(self, name, id):
        self.name, self.id = name, id
        self.run = None  # once the start was acknowledged
        self.entries = []
        self.seen = Beginning([])  # of the history, as of the last check
        self.observed = []  # beginnings that a worker was shown
        self.ended = False
        self.made_by = None  # "reset" or "continue"
        self.deleting = False  # asked for, maybe not answered yet


class Beginning:
    """The first events of a history, kept as a digest: there are very many."""

    __slots__ = "n", "digest"

    def __init__(self, events):
        events = list(events)
        while events and events[-1].event_type in (STARTED, SCHEDULED):
            events.pop()  # may be known to memory only: transient or speculative
        self.n, self.digest = len(events), digest(events)

    def is_of(self, events):
        return len(events) >= self.n and digest(events[:self.n]) == self.digest


def digest(events):
    made = hashlib.blake2b(digest_size=16)
    for e in events:
        made.update(e.SerializeToString(deterministic=True))
    return made.digest()


class Ledger:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8", buffering=1)
        self.workflows = {}
        self.changed = set()  # workflows, since they were checked
        self.acknowledged = Counter()
        self.dispatches = Counter()  # (workflow, scheduled event id) of long activities
        self.surprises = []

    def name_of(self, id, run):
        """What the ledger calls the run: the workflow id, or more for one that another led to."""
        first = self.workflows.get(id)
        return id if not first or first.run in (None, run) else f"{id}@{run}"

    def named(self, name):
        return self.workflows.setdefault(name, Workflow(name, name.split("@")[0]))

    def intend(self, op, name, detail=None):
        entry = Entry(op, self.named(name), detail)
        entry.workflow.entries.append(entry)
        entry.workflow.deleting |= op == "delete"
        self._write("intent", entry)
        return entry

    def follow(self, id, run, made_by):
        """This workflow has another run, which a reset or the end of one led to."""
        made = self.named(f"{id}@{run}")
        made.run, made.made_by = run, made_by
        self.changed.add(made)

    def follow_end(self, workflow, events):
        """The run that this one continues as, once."""
        if events and events[-1].event_type == CONTINUED:
            run = attributes(events[-1]).new_execution_run_id
            if not self.named(f"{workflow.id}@{run}").run:
                self.follow(workflow.id, run, "continue")

    def acknowledge(self, entry, outcome=True):
        entry.outcome = outcome
        self.changed.add(entry.workflow)
        if entry.op in STARTS:
            entry.workflow.run = outcome
        self.acknowledged[entry.op] += 1
        self._write("outcome", entry)

    def refuse(self, entry, code):
        entry.outcome = code
        self._write("refused", entry)

    def observe(self, name, events):
        """A worker was shown these events."""
        workflow = self.workflows.get(name)
        if workflow:
            workflow.observed.append(Beginning(events))
            self.changed.add(workflow)

    def surprise(self, text):
        self.surprises.append(text)

    def total(self):
        return sum(self.acknowledged.values())

    def unfinished(self):
        return [w for w in self.workflows.values() if w.run and not w.ended]

    def _write(self, what, entry):
        line = [what, entry.op, entry.workflow.name, entry.detail, str(entry.outcome)]
        self.file.write(json.dumps(line) + "\n")


async def read_history(load, workflow):
    """All events; none when the server does not know the run."""
    events, token = [], b""
    execution = WorkflowExecution(workflow_id=workflow.id, run_id=workflow.run)
    while True:
        request = GetWorkflowExecutionHistoryRequest(namespace="default", next_page_token=token,
                                                     execution=execution)
        try:
            page = await load.look(load.stub.GetWorkflowExecutionHistory, request)
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
    """What the operations of the ledger left in a history: how often, by operation and detail."""
    found = Counter({("start", None): 1})
    for e in events:
        a = attributes(e)
        if e.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            found.update(("signal", text) for text in payloads(a.input))
        elif e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            found["task", a.scheduled_event_id] += 1
        elif e.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            found.update(("activity", text) for text in payloads(a.result))
        elif e.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
            found["cancel", None] += 1
        elif e.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
            found["terminate", None] += 1
            found["reset", None] += 1  # ends the run that was open
        elif e.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
            found["update", a.meta.update_id] += 1
        elif e.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
            found["child", a.initiated_event_id] += 1
        elif e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            found["made by", "reset"] += a.cause == RESET
        elif e.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            found["made by", "continue"] += bool(a.continued_execution_run_id)
        elif e.event_type == CONTINUED:
            found["continue", None] += 1
    return found


# What the server keeps elsewhere: kept.py.
ELSEWHERE = {"pause", "options", "unpause", "delete"}


def left_by(entry):
    """What must be in history once the operation was acknowledged."""
    op, detail = entry.op, entry.detail
    if op in STARTS:
        return [("start", None)] + ([(op.split("-")[0], detail)] if detail else [])
    return [(op, detail)]


def judge_order(workflow, observed, events):
    """Gaps: sentences."""
    gaps = []
    if [e.event_id for e in events] != list(range(1, len(events) + 1)):
        gaps.append(f"{workflow.name}: event ids {[e.event_id for e in events]}")
    if not workflow.seen.is_of(events):
        gaps.append(f"{workflow.name}: its first {workflow.seen.n} events changed")
    for shown in observed:
        if not shown.is_of(events):
            gaps.append(f"{workflow.name}: {shown.n} events that a worker was shown changed")
    return gaps


def judge(workflow, entries, observed, events):
    """(lost, gaps): sentences. `entries` and `observed` are as of before the history was read."""
    if not events:
        workflow.ended = workflow.deleting
        return ([] if workflow.deleting else [f"{workflow.name}: its start"]), []
    lost, gaps = [], judge_order(workflow, observed, events)
    found = facts(events)
    for e in entries:
        # A signal that was recorded but not answered may find the workflow ended the second time.
        done = e.outcome is True or e.op in STARTS or e.op == "signal" and e.outcome == "NOT_FOUND"
        if done and e.op not in ELSEWHERE and not all(found[fact] for fact in left_by(e)):
            lost.append(f"{workflow.name}: {e.op} {e.detail} (answered {e.outcome})")
    for (op, detail), times in found.items():
        if times > 1:
            gaps.append(f"{workflow.name}: {op} {detail} recorded {times} times")
    if workflow.made_by and not found["made by", workflow.made_by]:
        lost.append(f"{workflow.name}: that it was made by a {workflow.made_by}")
    workflow.seen = Beginning(events)
    deleted = any(e.op == "delete" and e.outcome is True for e in entries)
    workflow.ended = events[-1].event_type in ENDS and not deleted
    return lost, gaps


async def judge_lists(load, workflow, events):
    """Lost: a run that is not listed, or listed as open after its end. `events` are older."""
    if not events or workflow.deleting:
        return []
    found = await load.look(load.stub.ListWorkflowExecutions, ListWorkflowExecutionsRequest(
        namespace="default", query=f"WorkflowId = '{workflow.id}'"))
    for run in found.executions:
        if run.execution.run_id == workflow.run:
            still_open = run.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
            ended = events[-1].event_type in ENDS
            return [f"{workflow.name}: its end in lists"] if ended and still_open else []
    return [f"{workflow.name}: its place in lists"]
