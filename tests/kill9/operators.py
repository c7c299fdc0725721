"""Clients that update, cancel, terminate, reset and delete workflows, and control an activity; all
is in the ledger."""

import asyncio
import itertools
import random
import uuid

import grpc
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy
from temporalio.api.workflowservice.v1 import (DeleteWorkflowExecutionRequest,
                                               DescribeWorkflowExecutionRequest,
                                               ExecuteMultiOperationRequest, PauseActivityRequest,
                                               RequestCancelWorkflowExecutionRequest,
                                               ResetWorkflowExecutionRequest,
                                               TerminateWorkflowExecutionRequest,
                                               UnpauseActivityRequest,
                                               UpdateActivityOptionsRequest,
                                               UpdateWorkflowExecutionRequest)

from clients import signal, start, start_request
from workers import CONTROLLED_SECONDS

GONE = {grpc.StatusCode.NOT_FOUND}
USE_EXISTING = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
COMPLETED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED


class Operator:
    """One workflow of the kind `waiting` after the other, each ended in one of several ways."""

    def __init__(self, load, number):
        self.load, self.number = load, number
        self.stub = load.connect()
        self.random = random.Random(number)

    async def send(self, op, name, method, request, detail=None, harmless=GONE):
        entry = self.load.ledger.intend(op, name, detail)
        answer = await self.load.insist(getattr(self.stub, method), request, entry, harmless)
        if answer is not None:
            self.load.ledger.acknowledge(entry)
        return answer

    async def cancel(self, name):
        await self.send("cancel", name, "RequestCancelWorkflowExecution",
                        RequestCancelWorkflowExecutionRequest(
                            namespace="default", request_id=str(uuid.uuid4()),
                            workflow_execution=WorkflowExecution(workflow_id=name)))

    async def terminate(self, name, run=""):
        execution = WorkflowExecution(workflow_id=name, run_id=run)
        await self.send("terminate", name, "TerminateWorkflowExecution",
                        TerminateWorkflowExecutionRequest(
                            namespace="default", workflow_execution=execution))

    async def delete(self, name):
        await self.send("delete", name, "DeleteWorkflowExecution", DeleteWorkflowExecutionRequest(
            namespace="default", workflow_execution=WorkflowExecution(workflow_id=name)))

    async def signal(self, name):
        await signal(self.load, self.stub, name, f"{name}-end")

    def update_request(self, name):
        request = UpdateWorkflowExecutionRequest(
            namespace="default", workflow_execution=WorkflowExecution(workflow_id=name))
        request.wait_policy.lifecycle_stage = COMPLETED
        request.request.meta.update_id = f"{name}-update"
        request.request.input.name = "change"
        return request

    async def update(self, name):
        await self.send("update", name, "UpdateWorkflowExecution", self.update_request(name),
                        f"{name}-update")

    async def update_with_start(self, name):
        request = ExecuteMultiOperationRequest(namespace="default")
        begin = request.operations.add().start_workflow
        begin.CopyFrom(start_request(name, "waiting"))
        begin.workflow_id_conflict_policy = USE_EXISTING
        request.operations.add().update_workflow.CopyFrom(self.update_request(name))
        entry = self.load.ledger.intend("update-with-start", name, f"{name}-update")
        answer = await self.load.insist(self.stub.ExecuteMultiOperation, request, entry)
        if answer:
            self.load.ledger.acknowledge(entry, answer.responses[0].start_workflow.run_id)
        return answer

    async def reset(self, name):
        """Back to the first workflow task, which has been completed. A repeated reset is a second
        one; the run that a lost answer made is ended by it."""
        workflow = self.load.ledger.workflows[name]
        answer = await self.send("reset", name, "ResetWorkflowExecution",
                                 ResetWorkflowExecutionRequest(
                                     namespace="default", request_id=str(uuid.uuid4()),
                                     workflow_task_finish_event_id=4, reason="kill9",
                                     workflow_execution=WorkflowExecution(
                                         workflow_id=name, run_id=workflow.run)))
        if answer:
            self.load.ledger.follow(name, answer.run_id, "reset")
        await self.terminate(name, answer.run_id if answer else "")

    async def begin(self, name):
        """Starts it, half the time with an update; whether that went well."""
        if self.random.random() < 0.25:
            return await self.update_with_start(name)
        begun = await start(self.load, self.stub, name, "waiting")
        if begun and self.random.random() < 0.4:
            await self.update(name)
        return begun

    async def one(self, name):
        way = self.random.choice([self.cancel, self.terminate, self.delete, self.signal,
                                  self.reset])
        begun = await self.begin(name)
        if begun and way == self.reset and not self.has_completed_task(name):
            await self.update(name)
        if begun:
            await way(name)

    def has_completed_task(self, name):
        return any(e.op.startswith("update") for e in self.load.ledger.workflows[name].entries)

    async def run(self):
        for n in itertools.count():
            if not self.load.starting:
                return
            await self.one(f"{type(self).__name__}-{self.number}-{n}")
            await asyncio.sleep(0.05)


class ActivityOperator(Operator):
    """Pauses, changes and unpauses the activity of one `controlled` workflow after the other."""

    SECONDS = 90  # what it may run, once changed

    async def change(self, op, name, method, request, value):
        key = "activity", name
        self.load.kept.doubt(*key)
        if await self.send(op, name, method, request, harmless=()) is not None:
            self.load.kept.acknowledge(*key, value)

    async def pending(self, name):
        """Waits until it has been scheduled."""
        request = DescribeWorkflowExecutionRequest(
            namespace="default", execution=WorkflowExecution(workflow_id=name))
        while not (await self.load.ask(self.stub.DescribeWorkflowExecution,
                                       request)).pending_activities:
            await asyncio.sleep(0.02)

    async def one(self, name):
        if not await start(self.load, self.stub, name, "controlled"):
            return
        await self.pending(name)
        execution = WorkflowExecution(workflow_id=name)
        which = {"namespace": "default", "execution": execution, "id": "1"}
        await self.change("pause", name, "PauseActivity", PauseActivityRequest(**which),
                          (True, CONTROLLED_SECONDS))
        request = UpdateActivityOptionsRequest(**which)
        request.activity_options.start_to_close_timeout.seconds = self.SECONDS
        request.update_mask.paths.append("start_to_close_timeout")
        await self.change("options", name, "UpdateActivityOptions", request, (True, self.SECONDS))
        await asyncio.sleep(self.random.random())
        await self.change("unpause", name, "UnpauseActivity", UnpauseActivityRequest(**which),
                          (False, self.SECONDS))
        await asyncio.sleep(self.random.random())
        self.load.kept.doubt("activity", name)
        await self.signal(name)
