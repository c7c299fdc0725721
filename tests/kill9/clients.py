"""The load: starters and signallers, a scripted worker, activity workers; all keep the ledger."""

import asyncio
import itertools
import uuid

import grpc
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import (ActivityType, Payload, Payloads, WorkflowExecution,
                                      WorkflowType)
from temporalio.api.enums.v1 import CommandType, EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (PollActivityTaskQueueRequest,
                                               PollWorkflowTaskQueueRequest,
                                               RespondActivityTaskCompletedRequest,
                                               RespondWorkflowTaskCompletedRequest,
                                               SignalWorkflowExecutionRequest,
                                               StartWorkflowExecutionRequest)
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

QUEUE, LONG_QUEUE = "ledger", "ledger-long"
SIGNALS = 3
OPEN_PER_STARTER = 4
LONG_SECONDS = 8
NOT_NOW = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
           grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED}
OPTIONS = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", 50),
           ("grpc.max_reconnect_backoff_ms", 200), ("grpc.use_local_subchannel_pool", 1)]


def data(text):
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=text.encode())])


class Load:
    """Shared by all clients: the ledger, what is open, and whether to go on starting."""

    def __init__(self, address, ledger):
        self.address, self.ledger = address, ledger
        self.channels = []
        self.stub = self.connect()
        self.starting = True
        self.long_running = 0

    def connect(self):
        channel = grpc.aio.insecure_channel(self.address, options=OPTIONS)
        self.channels.append(channel)
        return WorkflowServiceStub(channel)

    async def insist(self, call, request, entry, harmless=()):
        """Sends until there is an answer. Returns it, or None when the server refused."""
        while True:
            try:
                return await call(request, timeout=10)
            except grpc.aio.AioRpcError as e:
                if e.code() in NOT_NOW:
                    await asyncio.sleep(0.03)
                    continue
                self.ledger.refuse(entry, e.code().name)
                if e.code() not in harmless:
                    self.ledger.surprise(f"{entry.op} {entry.workflow.name}: {e.code().name} "
                                         f"{e.details()}")
                return None


def start_request(name, kind):
    return StartWorkflowExecutionRequest(
        namespace="default", workflow_id=name, workflow_type=WorkflowType(name=kind),
        task_queue=TaskQueue(name=QUEUE), identity="kill9", request_id=str(uuid.uuid4()),
        workflow_task_timeout={"seconds": 2})


async def start(load, stub, name, kind):
    entry = load.ledger.intend("start", name)
    answer = await load.insist(stub.StartWorkflowExecution, start_request(name, kind), entry)
    if answer:
        load.ledger.acknowledge(entry, answer.run_id)
    return answer


async def starter(load, number):
    """Starts workflows and sends each its signals; the same request id until it is answered."""
    stub = load.connect()
    mine = []
    for n in itertools.count():
        mine = [name for name in mine if not load.ledger.workflows[name].ended]
        if not load.starting:
            return
        if len(mine) >= OPEN_PER_STARTER:
            await asyncio.sleep(0.02)
            continue
        name = f"ledger-{number}-{n}"
        mine.append(name)
        if not await start(load, stub, name, "ledger"):
            continue
        for i in range(SIGNALS):
            entry = load.ledger.intend("signal", name, f"{name}-{i}")
            request = SignalWorkflowExecutionRequest(
                namespace="default", workflow_execution=WorkflowExecution(workflow_id=name),
                signal_name="note", input=data(entry.detail), identity="kill9",
                request_id=str(uuid.uuid4()))
            # A signal that was recorded but not answered may find the workflow ended.
            if await load.insist(stub.SignalWorkflowExecution, request, entry,
                                 {grpc.StatusCode.NOT_FOUND}):
                load.ledger.acknowledge(entry)


def decide(kind, events):
    """The scripted workflow: activity, timer, three signals, end. Long ones: one long activity."""
    have = {e.event_type for e in events}
    signals = sum(e.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED for e in events)
    if EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED not in have:
        command = Command(command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK)
        a = command.schedule_activity_task_command_attributes
        a.activity_id = "1"
        a.activity_type.CopyFrom(ActivityType(name=kind))
        a.task_queue.name = LONG_QUEUE if kind == "long" else QUEUE
        a.start_to_close_timeout.seconds = 120 if kind == "long" else 3
        return [command]
    if EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED not in have:
        return []
    if kind != "long" and EventType.EVENT_TYPE_TIMER_STARTED not in have:
        command = Command(command_type=CommandType.COMMAND_TYPE_START_TIMER)
        command.start_timer_command_attributes.timer_id = "1"
        command.start_timer_command_attributes.start_to_fire_timeout.nanos = 20_000_000
        return [command]
    if kind != "long" and (EventType.EVENT_TYPE_TIMER_FIRED not in have or signals < SIGNALS):
        return []
    command = Command(command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION)
    command.complete_workflow_execution_command_attributes.result.CopyFrom(data('"done"'))
    return [command]


async def poll(call, request):
    """One task, or None: nothing came, or the server is away."""
    try:
        answer = await call(request, timeout=70)
        return answer if answer.task_token else None
    except grpc.aio.AioRpcError as e:
        if e.code() not in NOT_NOW:
            raise
        await asyncio.sleep(0.03)
        return None


async def workflow_worker(load):
    stub = load.connect()
    request = PollWorkflowTaskQueueRequest(namespace="default", task_queue=TaskQueue(name=QUEUE),
                                           identity="kill9")
    while True:
        task = await poll(stub.PollWorkflowTaskQueue, request)
        if not task:
            continue
        name, events = task.workflow_execution.workflow_id, task.history.events
        load.ledger.observe(name, events)
        scheduled = [e.event_id for e in events
                     if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED][-1]
        commands = decide(task.workflow_type.name, events)
        entry = load.ledger.intend("task", name, scheduled)
        answer = await load.insist(
            stub.RespondWorkflowTaskCompleted, RespondWorkflowTaskCompletedRequest(
                namespace="default", task_token=task.task_token, commands=commands,
                identity="kill9"), entry,
            # Timed out meanwhile; or a signal came in while the workflow wanted to end.
            {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT})
        if answer:
            load.ledger.acknowledge(entry)
            if commands and commands[0].command_type == \
                    CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION:
                load.ledger.workflows[name].ended = True


async def activity_worker(load, queue):
    stub = load.connect()
    request = PollActivityTaskQueueRequest(namespace="default", task_queue=TaskQueue(name=queue),
                                           identity="kill9")
    running = set()
    while True:
        task = await poll(stub.PollActivityTaskQueue, request)
        if not task:
            continue
        if queue == LONG_QUEUE:
            load.ledger.dispatches[task.workflow_execution.workflow_id] += 1
        work = asyncio.ensure_future(activity(load, stub, task, queue))
        running.add(work)
        work.add_done_callback(running.discard)


async def activity(load, stub, task, queue):
    name = task.workflow_execution.workflow_id
    if queue == LONG_QUEUE:
        load.long_running += 1
        await asyncio.sleep(LONG_SECONDS)
        load.long_running -= 1
    entry = load.ledger.intend("activity", name, f"{name}-attempt-{task.attempt}")
    answer = await load.insist(
        stub.RespondActivityTaskCompleted, RespondActivityTaskCompletedRequest(
            namespace="default", task_token=task.task_token, result=data(entry.detail),
            identity="kill9"), entry, {grpc.StatusCode.NOT_FOUND})
    if answer is not None:
        load.ledger.acknowledge(entry)
