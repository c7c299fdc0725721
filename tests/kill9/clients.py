"""The load: starters and signallers, a scripted worker, activity workers; all keep the ledger."""

import asyncio
import itertools
import uuid
from collections import Counter

import grpc
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import (ActivityType, Payload, Payloads, WorkflowExecution,
                                      WorkflowType)
from temporalio.api.enums.v1 import CommandType, EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import message_pb2 as update_pb2
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
ENDS = {CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION}
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


def command(kind):
    """A command of this type and its attributes, to be filled in."""
    made = Command(command_type=getattr(CommandType, f"COMMAND_TYPE_{kind}"))
    attributes = getattr(made, f"{kind.lower()}_command_attributes")
    attributes.SetInParent()
    return made, attributes


def complete():
    made, attributes = command("COMPLETE_WORKFLOW_EXECUTION")
    attributes.result.CopyFrom(data('"done"'))
    return [made]


def schedule_activity(kind):
    made, a = command("SCHEDULE_ACTIVITY_TASK")
    a.activity_id = "1"
    a.activity_type.CopyFrom(ActivityType(name=kind))
    a.task_queue.name = LONG_QUEUE if kind == "long" else QUEUE
    a.start_to_close_timeout.seconds = 120 if kind == "long" else 3
    return [made]


def timer_and_child(name):
    timer, t = command("START_TIMER")
    t.timer_id = "1"
    t.start_to_fire_timeout.nanos = 20_000_000
    child, c = command("START_CHILD_WORKFLOW_EXECUTION")
    c.workflow_id = f"{name}/child"
    c.workflow_type.CopyFrom(WorkflowType(name="child"))
    c.task_queue.name = QUEUE
    c.workflow_task_timeout.seconds = 2
    return [timer, child]


def decide_ledger(name, have):
    """An activity, then a timer and a child, and three signals from outside."""
    if not have["ACTIVITY_TASK_SCHEDULED"]:
        return schedule_activity("ledger")
    if not have["ACTIVITY_TASK_COMPLETED"]:
        return []
    if not have["TIMER_STARTED"]:
        return timer_and_child(name)
    ready = have["TIMER_FIRED"] and have["CHILD_WORKFLOW_EXECUTION_COMPLETED"]
    return complete() if ready and have["WORKFLOW_EXECUTION_SIGNALED"] >= SIGNALS else []


def decide_long(name, have):
    if not have["ACTIVITY_TASK_SCHEDULED"]:
        return schedule_activity("long")
    return complete() if have["ACTIVITY_TASK_COMPLETED"] else []


def decide_waiting(name, have):
    """Does what an operator says: ends by a cancel request or a signal."""
    if have["WORKFLOW_EXECUTION_CANCEL_REQUESTED"]:
        return [command("CANCEL_WORKFLOW_EXECUTION")[0]]
    return complete() if have["WORKFLOW_EXECUTION_SIGNALED"] else []


DECIDE = {"ledger": decide_ledger, "long": decide_long, "waiting": decide_waiting,
          "child": lambda name, have: complete()}


def event_kinds(events):
    return Counter(EventType.Name(e.event_type).removeprefix("EVENT_TYPE_") for e in events)


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


def add_message(request, update, kind, body):
    """A message about this update, and the command that gives it its place."""
    message = request.messages.add(id=f"{update.protocol_instance_id}/{kind}",
                                   protocol_instance_id=update.protocol_instance_id)
    message.body.Pack(body)
    made, attributes = command("PROTOCOL_MESSAGE")
    attributes.message_id = message.id
    request.commands.append(made)


def complete_updates(task, request):
    for update in task.messages:
        asked = update_pb2.Request()
        update.body.Unpack(asked)
        add_message(request, update, "accept", update_pb2.Acceptance(
            accepted_request_message_id=update.id, accepted_request=asked,
            accepted_request_sequencing_event_id=update.event_id))
        done = update_pb2.Response(meta=asked.meta)
        done.outcome.success.CopyFrom(data('"done"'))
        add_message(request, update, "complete", done)


async def answer_workflow_task(load, stub, task):
    execution, events = task.workflow_execution, task.history.events
    name = load.ledger.name_of(execution.workflow_id, execution.run_id)
    load.ledger.observe(name, events)
    scheduled = [e.event_id for e in events
                 if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED][-1]
    commands = DECIDE[task.workflow_type.name](execution.workflow_id, event_kinds(events))
    entry = load.ledger.intend("task", name, scheduled)
    request = RespondWorkflowTaskCompletedRequest(namespace="default", task_token=task.task_token,
                                                  identity="kill9")
    complete_updates(task, request)
    request.commands.extend(commands)
    # Timed out meanwhile; or a signal came in while the workflow wanted to end.
    answer = await load.insist(stub.RespondWorkflowTaskCompleted, request, entry,
                               {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT})
    if answer:
        load.ledger.acknowledge(entry)
        if commands and commands[0].command_type in ENDS:
            load.ledger.workflows[name].ended = True


async def workflow_worker(load):
    stub = load.connect()
    request = PollWorkflowTaskQueueRequest(namespace="default", task_queue=TaskQueue(name=QUEUE),
                                           identity="kill9")
    while True:
        task = await poll(stub.PollWorkflowTaskQueue, request)
        if task:
            await answer_workflow_task(load, stub, task)


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
