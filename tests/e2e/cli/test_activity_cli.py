"""`temporal activity ...` and `temporal task-queue ...` as a person types them."""

import asyncio
import json
import uuid

import pytest
from cli_support import QUEUE, Flaky, Parked, Served, typed
from temporalio.client import Client


@pytest.fixture(scope="module", autouse=True)
def running_worker(shared_server):
    with Served(shared_server):
        yield


def cli(server, *words, expect=0):
    done = typed(server.address, *words, "--output", "json")
    assert done.code == expect, (words, done.out, done.error)
    return done.out if expect == 0 else done.error


class Case:
    """A workflow whose activity is pending."""

    def __init__(self, server, handle, activity_id):
        self.server, self.handle, self.activity_id = server, handle, activity_id

    async def pending(self):
        found = await self.handle.describe()
        return found.raw_description.pending_activities[0]

    async def until(self, check, seconds=10):
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            found = (await self.handle.describe()).raw_description.pending_activities
            if found and check(found[0]):
                return found[0]
            assert asyncio.get_running_loop().time() < deadline, found
            await asyncio.sleep(0.05)

    def act(self, verb, *words, expect=0):
        return cli(self.server, "activity", verb, "--workflow-id", self.handle.id,
                   "--activity-id", self.activity_id, *words, expect=expect)


async def with_case(server, definition, test):
    client = await Client.connect(server.address)
    handle = await client.start_workflow(definition.run, id=f"activity-cli-{uuid.uuid4().hex[:8]}",
                                         task_queue=QUEUE)
    await test(Case(server, handle, definition.__name__.lower()))
    if (await handle.describe()).close_time is None:
        await handle.terminate()


async def test_complete(shared_server):
    async def body(case):
        await case.until(lambda a: a.last_worker_identity)
        case.act("complete", "--result", '"from the command line"')
        assert await case.handle.result() == "from the command line"

    await with_case(shared_server, Parked, body)


async def test_fail(shared_server):
    async def body(case):
        await case.until(lambda a: a.last_worker_identity)
        case.act("fail", "--reason", "enough", "--detail", '{"a":1}')
        with pytest.raises(Exception) as error:
            await case.handle.result()
        assert error.value.cause.cause.message == "enough"

    await with_case(shared_server, Parked, body)


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
                               QUEUE))
        types = {p["taskQueueType"] for p in found["pollers"]}
        assert types == {"workflow", "activity"}, found

    await with_case(shared_server, Parked, body)


async def test_task_queue_config(shared_server):
    queue = f"configured-{uuid.uuid4().hex[:8]}"
    cli(shared_server, "task-queue", "config", "set", "--task-queue", queue, "--task-queue-type",
        "activity", "--queue-rps-limit", "5", "--queue-rps-limit-reason", "slow down")
    found = cli(shared_server, "task-queue", "config", "get", "--task-queue", queue,
                "--task-queue-type", "activity")
    assert "slow down" in found, found
