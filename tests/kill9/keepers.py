"""Clients that make, change and delete what is not a workflow: schedules, namespaces with their
search attributes, batches. What was acknowledged is in `load.kept` (kept.py)."""

import asyncio
import itertools
import uuid

import grpc
from temporalio.api.batch.v1 import BatchOperationSignal
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, DeleteNamespaceRequest
from temporalio.api.workflowservice.v1 import (CreateScheduleRequest,
                                               DescribeBatchOperationRequest,
                                               DeleteScheduleRequest, PatchScheduleRequest,
                                               RegisterNamespaceRequest,
                                               StartBatchOperationRequest, UpdateNamespaceRequest)

import kept
from clients import data, start

GONE = {grpc.StatusCode.NOT_FOUND}
KNOWN = {grpc.StatusCode.ALREADY_EXISTS}
BATCH = 6  # workflows


class Keeper:
    """Does one thing after the other, as long as workflows are started."""

    def __init__(self, load):
        self.load, self.stub, self.operator = load, load.connect(), load.connect_operator()

    async def send(self, op, method, request, key, value, harmless=()):
        """A repeated request may find that its effect is there already: `harmless`."""
        self.load.kept.doubt(*key)
        entry = self.load.ledger.intend(op, "/".join(key))
        answer = await self.load.insist(method, request, entry, harmless)
        if answer is not None or entry.outcome in {code.name for code in harmless}:
            self.load.ledger.acknowledge(entry)
            self.load.kept.acknowledge(*key, value)

    async def run(self):
        for n in itertools.count():
            if not self.load.starting:
                return
            await self.one(n)


class Schedules(Keeper):
    """Creates paused schedules, notes something in them, deletes every other one."""

    schedule = {"state": {"paused": True, "notes": "created"}, "action": {"start_workflow": {
        "workflow_id": "none", "workflow_type": {"name": "none"}, "task_queue": {"name": "none"}}}}

    async def one(self, n):
        id = f"kept-{n}"
        key = "schedule", id
        await self.send("schedule", self.stub.CreateSchedule, CreateScheduleRequest(
            namespace="default", schedule_id=id, request_id=str(uuid.uuid4()),
            schedule=self.schedule), key, "created")
        patch = PatchScheduleRequest(namespace="default", schedule_id=id, request_id=id)
        patch.patch.pause = "noted"
        await self.send("patch", self.stub.PatchSchedule, patch, key, "noted")
        if n % 2:
            await self.send("unschedule", self.stub.DeleteSchedule, DeleteScheduleRequest(
                namespace="default", schedule_id=id), key, kept.GONE, GONE)
        await asyncio.sleep(0.1)


class Namespaces(Keeper):
    """Registers namespaces with a search attribute, describes them anew, deletes every other."""

    async def one(self, n):
        id = f"kept-{n}"
        key = "namespace", id
        await self.send("namespace", self.stub.RegisterNamespace, RegisterNamespaceRequest(
            namespace=id, description="new", workflow_execution_retention_period={
                "seconds": 86400}), key, "new", KNOWN)
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await self.send("attribute", self.operator.AddSearchAttributes, AddSearchAttributesRequest(
            namespace=id, search_attributes={"Kept": keyword}), ("attributes", id),
            {"Kept": keyword}, KNOWN)
        update = UpdateNamespaceRequest(namespace=id)
        update.update_info.description = "told"
        await self.send("describe", self.stub.UpdateNamespace, update, key, "told")
        if n % 2:
            self.load.kept.doubt("attributes", id)
            await self.send("unname", self.operator.DeleteNamespace, DeleteNamespaceRequest(
                namespace=id), key, kept.GONE, GONE)
        await asyncio.sleep(0.5)


class Batches(Keeper):
    """Signals some waiting workflows at once; named one by one, or by a query."""

    async def one(self, n):
        names = [f"batched-{n}-{i}" for i in range(BATCH)]
        for name in names:
            await start(self.load, self.stub, name, "waiting")
        job = f"batch-{n}"
        signal = BatchOperationSignal(signal="end", input=data(job), identity="kill9")
        request = StartBatchOperationRequest(namespace="default", job_id=job, reason="kill9",
                                             signal_operation=signal)
        if n % 2:
            request.visibility_query = f"WorkflowId STARTS_WITH 'batched-{n}-'"
        else:
            request.executions.extend(WorkflowExecution(workflow_id=name) for name in names)
        entries = [self.load.ledger.intend("signal", name, job) for name in names]
        await self.send("batch", self.stub.StartBatchOperation, request, ("batch", job), True,
                        KNOWN)
        done = await self.end_of(job)
        if not done or done.complete_operation_count != BATCH:
            self.load.ledger.surprise(f"{job}: {done}")
            return
        for entry in entries:
            self.load.ledger.acknowledge(entry)

    async def end_of(self, job):
        """Its description once it has ended; None when the server does not know it."""
        request = DescribeBatchOperationRequest(namespace="default", job_id=job)
        try:
            while True:
                found = await self.load.ask(self.stub.DescribeBatchOperation, request)
                if found.state == kept.DONE:
                    return found
                await asyncio.sleep(0.05)
        except grpc.aio.AioRpcError as e:
            if e.code() not in GONE:
                raise
            return None


ALL = [Schedules, Namespaces, Batches]
