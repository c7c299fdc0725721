"""Clients that update, cancel, terminate, reset and delete workflows; all is in the ledger."""

import asyncio
import itertools
import random
import uuid

import grpc
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.workflowservice.v1 import (CreateScheduleRequest, DeleteScheduleRequest,
                                               DeleteWorkflowExecutionRequest,
                                               PatchScheduleRequest,
                                               RequestCancelWorkflowExecutionRequest,
                                               ResetWorkflowExecutionRequest,
                                               SignalWorkflowExecutionRequest,
                                               TerminateWorkflowExecutionRequest,
                                               UpdateWorkflowExecutionRequest)

from clients import data, start

GONE = {grpc.StatusCode.NOT_FOUND}
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
        await self.send("signal", name, "SignalWorkflowExecution", SignalWorkflowExecutionRequest(
            namespace="default", workflow_execution=WorkflowExecution(workflow_id=name),
            signal_name="end", input=data(f"{name}-end"), request_id=str(uuid.uuid4())),
            f"{name}-end")

    async def update(self, name):
        request = UpdateWorkflowExecutionRequest(
            namespace="default", workflow_execution=WorkflowExecution(workflow_id=name))
        request.wait_policy.lifecycle_stage = COMPLETED
        request.request.meta.update_id = f"{name}-update"
        request.request.input.name = "change"
        await self.send("update", name, "UpdateWorkflowExecution", request, f"{name}-update")

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
            self.load.ledger.follow(name, answer.run_id)
        await self.terminate(name, answer.run_id if answer else "")

    async def run(self):
        ways = [self.cancel, self.terminate, self.delete, self.signal, self.reset]
        for n in itertools.count():
            if not self.load.starting:
                return
            name = f"operated-{self.number}-{n}"
            if not await start(self.load, self.stub, name, "waiting"):
                continue
            way = self.random.choice(ways)
            if way == self.reset or self.random.random() < 0.5:
                await self.update(name)
            await way(name)
            await asyncio.sleep(0.05)


async def keep_schedules(load):
    """Creates paused schedules, notes something in them, deletes every other one."""
    stub = load.connect()
    note = {"state": {"paused": True, "notes": "created"}, "action": {"start_workflow": {
        "workflow_id": "none", "workflow_type": {"name": "none"}, "task_queue": {"name": "none"}}}}

    async def send(op, id, method, request, outcome, harmless=()):
        """Between the intent and the answer nobody knows which of two states is right."""
        load.ledger.schedules.pop(id, None)
        entry = load.ledger.intend(op, f"schedule-{id}")
        answer = await load.insist(getattr(stub, method), request, entry, harmless)
        if answer is not None or harmless:
            load.ledger.acknowledge(entry)
            load.ledger.schedules[id] = outcome

    for n in itertools.count():
        if not load.starting:
            return
        id = f"kept-{n}"
        await send("schedule", id, "CreateSchedule", CreateScheduleRequest(
            namespace="default", schedule_id=id, request_id=str(uuid.uuid4()), schedule=note),
            "created")
        patch = PatchScheduleRequest(namespace="default", schedule_id=id, request_id=id)
        patch.patch.pause = "noted"
        await send("patch", id, "PatchSchedule", patch, "noted")
        if n % 2:
            await send("unschedule", id, "DeleteSchedule", DeleteScheduleRequest(
                namespace="default", schedule_id=id), None, GONE)
        await asyncio.sleep(0.1)
