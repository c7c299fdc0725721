"""`temporal activity ...` and `temporal task-queue ...` as a person types them."""

import json
import os
import subprocess
import sys
import time
import uuid
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

TEMPORAL = os.path.join(os.path.dirname(sys.executable), "temporal")


def cli(server, *words, expect=0):
    done = subprocess.run(
        [TEMPORAL, *words, "--address", server.address, "--output", "json"],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == expect, (words, done.stdout, done.stderr)
    return done.stdout if expect == 0 else done.stderr


@activity.defn
async def patient() -> str:
    """Waits for its outcome from elsewhere."""
    activity.raise_complete_async()


@activity.defn
async def flaky() -> str:
    raise RuntimeError("not yet")


@workflow.defn(name="Patient")
class Patient:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            patient, start_to_close_timeout=timedelta(minutes=5), activity_id="the-activity")


@workflow.defn(name="Flaky")
class Flaky:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            flaky, start_to_close_timeout=timedelta(minutes=5), activity_id="the-activity",
            retry_policy=RetryPolicy(initial_interval=timedelta(minutes=5)))


class Case:
    """A workflow whose activity is pending."""

    def __init__(self, server, client, queue, handle):
        self.server, self.client, self.queue, self.handle = server, client, queue, handle

    async def pending(self):
        found = await self.handle.describe()
        return found.raw_description.pending_activities[0]

    async def until(self, check, seconds=10):
        deadline = time.monotonic() + seconds
        while True:
            found = (await self.handle.describe()).raw_description.pending_activities
            if found and check(found[0]):
                return found[0]
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    def act(self, verb, *words, expect=0):
        return cli(self.server, "activity", verb, "--workflow-id", self.handle.id,
                   "--activity-id", "the-activity", *words, expect=expect)


async def with_case(server, definition, test):
    client = await Client.connect(server.address)
    queue = f"activity-cli-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=queue, workflows=[Patient, Flaky],
                      activities=[patient, flaky],
                      workflow_runner=UnsandboxedWorkflowRunner()):
        handle = await client.start_workflow(definition.run, id=queue, task_queue=queue)
        await test(Case(server, client, queue, handle))


async def test_complete(shared_server):
    async def body(case):
        await case.until(lambda a: a.last_worker_identity)
        case.act("complete", "--result", '"from the command line"')
        assert await case.handle.result() == "from the command line"

    await with_case(shared_server, Patient, body)


async def test_fail(shared_server):
    async def body(case):
        await case.until(lambda a: a.last_worker_identity)
        case.act("fail", "--reason", "enough", "--detail", '{"a":1}')
        with pytest.raises(Exception) as error:
            await case.handle.result()
        assert error.value.cause.cause.message == "enough"

    await with_case(shared_server, Patient, body)


async def test_pause_reset_unpause(shared_server):
    async def body(case):
        await case.until(lambda a: a.attempt == 2)
        case.act("pause", "--reason", "look first", "--identity", "operator")
        paused = await case.pending()
        assert paused.paused and paused.pause_info.manual.reason == "look first"
        assert "already paused" in case.act("pause", expect=1)
        case.act("reset", "--keep-paused")
        assert (await case.pending()).attempt == 1
        case.act("unpause")
        await case.until(lambda a: a.attempt == 2 and not a.paused)

    await with_case(shared_server, Flaky, body)


async def test_update_options(shared_server):
    async def body(case):
        await case.until(lambda a: a.attempt == 2)
        answer = json.loads(case.act("update-options", "--retry-initial-interval", "100ms",
                                     "--retry-maximum-attempts", "3"))
        assert "3" in json.dumps(answer)
        changed = await case.pending()
        assert changed.activity_options.retry_policy.maximum_attempts == 3
        with pytest.raises(Exception):
            await case.handle.result()

    await with_case(shared_server, Flaky, body)


async def test_task_queue_describe(shared_server):
    async def body(case):
        await case.until(lambda a: a.last_worker_identity)
        found = json.loads(cli(shared_server, "task-queue", "describe", "--task-queue",
                               case.queue))
        types = {p["taskQueueType"] for p in found["pollers"]}
        assert types == {"workflow", "activity"}, found

    await with_case(shared_server, Patient, body)


async def test_task_queue_config(shared_server):
    queue = f"configured-{uuid.uuid4().hex[:8]}"
    cli(shared_server, "task-queue", "config", "set", "--task-queue", queue, "--task-queue-type",
        "activity", "--queue-rps-limit", "5", "--queue-rps-limit-reason", "slow down")
    found = cli(shared_server, "task-queue", "config", "get", "--task-queue", queue,
                "--task-queue-type", "activity")
    assert "slow down" in found, found
