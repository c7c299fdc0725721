"""perdure.api.v1.DiagnosticsService: the ledger of attempts, and why a workflow fails or waits."""

import asyncio
import os
from datetime import timedelta

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from server import EXECUTABLE
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

SERVICE = "perdure.api.v1.DiagnosticsService"


def schema():
    """What the build gave its code generator."""
    built = os.path.join(os.path.dirname(EXECUTABLE), "src", "proto", "pb.descriptors")
    pool = DescriptorPool()
    with open(built, "rb") as f:
        for file in FileDescriptorSet.FromString(f.read()).file:
            pool.Add(file)
    return pool


POOL = schema()


class Diagnostics:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)

    def call(self, name, **fields):
        method = POOL.FindServiceByName(SERVICE).FindMethodByName(name)
        request = message_factory.GetMessageClass(method.input_type)
        answer = message_factory.GetMessageClass(method.output_type)
        call = self.channel.unary_unary(f"/{SERVICE}/{name}", request.SerializeToString,
                                        answer.FromString)
        return call(request(**{"namespace": "default", **fields}), timeout=10)

    def refused(self, name, **fields):
        with pytest.raises(grpc.RpcError) as failed:
            self.call(name, **fields)
        return failed.value.code(), failed.value.details()


@pytest.fixture
def diagnostics(server):
    d = Diagnostics(server.address)
    yield d
    d.channel.close()


@activity.defn
async def charge(most: int) -> None:
    n = activity.info().attempt
    wait = timedelta(hours=1) if n == most else timedelta(milliseconds=10)
    try:
        raise ValueError(f"socket {n}")
    except ValueError as cause:
        raise ApplicationError(f"declined {n}", type="Declined", next_retry_delay=wait) from cause


@workflow.defn
class Pay:
    @workflow.run
    async def run(self, most: int, attempts: int) -> None:
        await workflow.execute_activity(
            charge, most, activity_id="charge", start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=attempts))


@workflow.defn
class Wait:
    @workflow.run
    async def run(self) -> None:
        await asyncio.gather(workflow.sleep(3600),
                             workflow.execute_child_workflow("Nobody", id="diagnosed-child",
                                                             task_queue="nobody"))


def names(enum, value):
    return POOL.FindEnumTypeByName(f"perdure.api.v1.{enum}").values_by_number[value].name


async def pending(handle, attempt):
    while True:
        seen = (await handle.describe()).raw_description.pending_activities
        if seen and seen[0].attempt == attempt and seen[0].HasField("next_attempt_schedule_time"):
            return
        await asyncio.sleep(0.02)


def worker(client, *workflows):
    return Worker(client, task_queue="diagnostics", workflows=workflows, activities=[charge],
                  workflow_runner=UnsandboxedWorkflowRunner())


async def test_attempts_of_a_retried_activity(server, diagnostics):
    client = await Client.connect(server.address)
    async with worker(client, Pay):
        handle = await client.start_workflow(Pay.run, args=[3, 0], id="attempts",
                                             task_queue="diagnostics")
        await pending(handle, 4)
        run = {"workflow_id": "attempts"}
        first = diagnostics.call("ListActivityAttempts", execution=run, activity_id="charge",
                                 page_size=2)
        assert [a.number for a in first.attempts] == [3, 2] and first.more
        assert first.pending.attempt == 4
        newest = first.attempts[0]
        assert newest.failure.message == "declined 3"
        assert newest.failure.cause.message == "socket 3"
        assert newest.next_delay.ToTimedelta() == timedelta(hours=1)
        assert newest.started_time.ToNanoseconds() <= newest.ended_time.ToNanoseconds()
        rest = diagnostics.call("ListActivityAttempts", execution=run, before_number=2,
                                scheduled_event_id=first.scheduled_event_id)
        assert [a.failure.message for a in rest.attempts] == ["declined 1"] and not rest.more

        why = diagnostics.call("ExplainWorkflow", execution=run)
        assert why.summary == ("Running: activity charge (charge) failed 3 times,"
                               " the last time with: socket 3")
        (problem,) = why.problems
        assert names("ProblemKind", problem.kind) == "PROBLEM_KIND_ACTIVITY_RETRYING"
        assert [(x.kind, x.type, x.message) for x in problem.chain] == [
            ("Application", "Declined", "declined 3"), ("Application", "ValueError", "socket 3")]
        assert problem.failure == newest.failure
        (step,) = why.next_steps
        assert names("NextStepKind", step.kind) == "NEXT_STEP_KIND_ACTIVITY_RETRY"
        assert step.at == first.pending.next_attempt_schedule_time

        await handle.terminate(reason="enough")
        why = diagnostics.call("ExplainWorkflow", execution=run)
        assert why.problems[0].reason.endswith(": enough") and not why.next_steps
        kept = diagnostics.call("ListActivityAttempts", execution=run,
                                scheduled_event_id=first.scheduled_event_id)
        assert [a.number for a in kept.attempts] == [3, 2, 1]
        assert not kept.HasField("pending")


async def test_why_a_workflow_failed(server, diagnostics):
    client = await Client.connect(server.address)
    async with worker(client, Pay):
        with pytest.raises(WorkflowFailureError):
            await client.execute_workflow(Pay.run, args=[9, 2], id="failed",
                                          task_queue="diagnostics")
    why = diagnostics.call("ExplainWorkflow", execution={"workflow_id": "failed"})
    assert why.summary == "Failed: socket 2"
    (problem,) = why.problems
    assert [x.kind for x in problem.chain] == ["Activity", "Application", "Application"]
    assert problem.failure.cause.cause.message == "socket 2"


async def test_what_a_workflow_waits_for(server, diagnostics):
    client = await Client.connect(server.address)
    async with worker(client, Wait):
        handle = await client.start_workflow(Wait.run, id="waits", task_queue="diagnostics")
        while not (await handle.describe()).raw_description.pending_children:
            await asyncio.sleep(0.02)
        why = diagnostics.call("ExplainWorkflow", execution={"workflow_id": "waits"})
        timer, child = why.next_steps
        assert names("NextStepKind", timer.kind) == "NEXT_STEP_KIND_TIMER"
        assert timer.HasField("at")
        assert names("NextStepKind", child.kind) == "NEXT_STEP_KIND_CHILD_RESULT"
        assert (child.id, child.type) == ("diagnosed-child", "Nobody")
        nobody = diagnostics.call("ExplainWorkflow", execution={"workflow_id": "diagnosed-child"})
        assert nobody.summary == "Running, waits for a worker of task queue nobody"
        await handle.terminate()


def test_bad_requests_are_refused(diagnostics):
    invalid, missing = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    run = {"workflow_id": "no such workflow"}
    for fields in ({"execution": run}, {"execution": run, "activity_id": "a",
                                        "scheduled_event_id": 5},
                   {"execution": run, "activity_id": "a", "page_size": -1},
                   {"execution": run, "activity_id": "a", "before_number": -1},
                   {"execution": run, "scheduled_event_id": -1}, {"activity_id": "a"}):
        assert diagnostics.refused("ListActivityAttempts", **fields)[0] == invalid, fields
    assert diagnostics.refused("ListActivityAttempts", execution=run, activity_id="a")[0] == missing
    assert diagnostics.refused("ExplainWorkflow")[0] == invalid
    assert diagnostics.refused("ExplainWorkflow", execution=run) == (
        missing, "workflow not found for ID: no such workflow")
    assert diagnostics.refused("ExplainWorkflow", execution=run, namespace="nowhere") == (
        missing, "Namespace nowhere is not found.")
