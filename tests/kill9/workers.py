"""Scripted workers: what each kind of workflow does next follows from its history."""

import asyncio
from collections import Counter

import grpc
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import ActivityType, WorkflowType
from temporalio.api.enums.v1 import CommandType, EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import message_pb2 as update_pb2
from temporalio.api.workflowservice.v1 import (PollActivityTaskQueueRequest,
                                               PollWorkflowTaskQueueRequest,
                                               RespondActivityTaskCompletedRequest,
                                               RespondWorkflowTaskCompletedRequest)

from clients import NOT_NOW, QUEUE, SIGNALS, data

LONG_QUEUE, IDLE_QUEUE = "ledger-long", "ledger-idle"  # nobody polls the idle one
ACTIVITY_QUEUES = {"ledger": QUEUE, "long": LONG_QUEUE, "controlled": IDLE_QUEUE}
LONG_SECONDS, CONTROLLED_SECONDS = 8, 120
CONTINUE = CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION
ENDS = {CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION, CONTINUE}


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
    a.task_queue.name = ACTIVITY_QUEUES[kind]
    a.start_to_close_timeout.seconds = 3 if kind == "ledger" else CONTROLLED_SECONDS
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


def decide_controlled(name, have):
    """Its activity is never handed out: an operator pauses and changes it, and signals the end."""
    if have["WORKFLOW_EXECUTION_SIGNALED"]:
        return complete()
    return [] if have["ACTIVITY_TASK_SCHEDULED"] else schedule_activity("controlled")


def decide_chain(name, have):
    """Two runs; the first one waits for a signal."""
    if have["WORKFLOW_EXECUTION_STARTED, CONTINUED"]:
        return complete()
    if not have["WORKFLOW_EXECUTION_SIGNALED"]:
        return []
    made, c = command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION")
    c.workflow_type.CopyFrom(WorkflowType(name="chain"))
    c.task_queue.name = QUEUE
    return [made]


DECIDE = {"ledger": decide_ledger, "long": decide_long, "waiting": decide_waiting,
          "controlled": decide_controlled, "chain": decide_chain,
          "child": lambda name, have: complete()}


def event_kinds(events):
    found = Counter(EventType.Name(e.event_type).removeprefix("EVENT_TYPE_") for e in events)
    if events[0].workflow_execution_started_event_attributes.continued_execution_run_id:
        found["WORKFLOW_EXECUTION_STARTED, CONTINUED"] += 1
    return found


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
    continues = commands and commands[0].command_type == CONTINUE
    entry = load.ledger.intend("continue" if continues else "task", name,
                               None if continues else scheduled)
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
        await asyncio.sleep(LONG_SECONDS)
    entry = load.ledger.intend("activity", name, f"{name}-attempt-{task.attempt}")
    answer = await load.insist(
        stub.RespondActivityTaskCompleted, RespondActivityTaskCompletedRequest(
            namespace="default", task_token=task.task_token, result=data(entry.detail),
            identity="kill9"), entry, {grpc.StatusCode.NOT_FOUND})
    if answer is not None:
        load.ledger.acknowledge(entry)
