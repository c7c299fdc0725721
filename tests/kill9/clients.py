"""What all clients share, and those who start and signal workflows. All keep the ledger."""

import asyncio
import itertools
import random
import uuid

import grpc
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.operatorservice.v1.service_pb2_grpc import OperatorServiceStub
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (SignalWithStartWorkflowExecutionRequest,
                                               SignalWorkflowExecutionRequest,
                                               StartWorkflowExecutionRequest)
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

import kept

QUEUE = "ledger"
SIGNALS = 3
OPEN_PER_STARTER = 4
NOT_NOW = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
           grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED}
OPTIONS = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", 50),
           ("grpc.max_reconnect_backoff_ms", 200), ("grpc.use_local_subchannel_pool", 1)]


def data(text):
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=text.encode())])


class Load:
    """Shared by all clients: the ledger, and whether to go on."""

    def __init__(self, address, ledger):
        self.address, self.ledger, self.kept = address, ledger, kept.Kept()
        self.channels = []
        self.stub, self.operator = self.connect(), self.connect_operator()
        self.starting = True
        self.going = asyncio.Event()  # cleared: no operation is sent until it is set again
        self.going.set()

    def channel(self):
        self.channels.append(grpc.aio.insecure_channel(self.address, options=OPTIONS))
        return self.channels[-1]

    def connect(self):
        return WorkflowServiceStub(self.channel())

    def connect_operator(self):
        return OperatorServiceStub(self.channel())

    async def ask(self, call, request):
        """Sends until there is an answer, or a refusal, which is raised."""
        while True:
            await self.going.wait()
            answer = await self.look(call, request, tries=1)
            if answer is not None:
                return answer

    async def look(self, call, request, tries=300):
        """The same for a check, which waits for nobody. None after so many tries."""
        for _ in range(tries):
            try:
                return await call(request, timeout=10)
            except grpc.aio.AioRpcError as e:
                if e.code() not in NOT_NOW:
                    raise
            await asyncio.sleep(0.03)
        return None

    async def insist(self, call, request, entry, harmless=()):
        """The same for an operation of the ledger. None when the server refused."""
        try:
            return await self.ask(call, request)
        except grpc.aio.AioRpcError as e:
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


async def signal_with_start(load, stub, name, kind, text):
    """Starts it with its first signal."""
    entry = load.ledger.intend("signal-with-start", name, text)
    plain = start_request(name, kind)
    request = SignalWithStartWorkflowExecutionRequest(
        namespace="default", workflow_id=name, workflow_type=plain.workflow_type,
        task_queue=plain.task_queue, identity="kill9", request_id=plain.request_id,
        workflow_task_timeout=plain.workflow_task_timeout, signal_name="note",
        signal_input=data(text))
    answer = await load.insist(stub.SignalWithStartWorkflowExecution, request, entry)
    if answer:
        load.ledger.acknowledge(entry, answer.run_id)
    return answer


async def signal(load, stub, name, text):
    entry = load.ledger.intend("signal", name, text)
    execution = WorkflowExecution(workflow_id=name, run_id=load.ledger.workflows[name].run)
    request = SignalWorkflowExecutionRequest(
        namespace="default", workflow_execution=execution, signal_name="note", input=data(text),
        identity="kill9", request_id=str(uuid.uuid4()))
    # A signal that was recorded but not answered may find the workflow ended.
    if await load.insist(stub.SignalWorkflowExecution, request, entry,
                         {grpc.StatusCode.NOT_FOUND}):
        load.ledger.acknowledge(entry)


async def starter(load, number):
    """Starts workflows and sends each its signals; the same request id until it is answered."""
    stub, dice = load.connect(), random.Random(number)
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
        notes = [f"{name}-{i}" for i in range(SIGNALS)]
        way = dice.random()
        if way < 0.2:
            begun = await signal_with_start(load, stub, name, "ledger", notes.pop())
        elif way < 0.4:
            begun, notes = await start(load, stub, name, "chain"), notes[:1]
        else:
            begun = await start(load, stub, name, "ledger")
        for text in notes if begun else []:
            await signal(load, stub, name, text)
