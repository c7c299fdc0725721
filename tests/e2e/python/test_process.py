"""The server as a process: kill -9 and restart, orderly end, and SDK helpers that launch it."""

import asyncio
import time
from datetime import timedelta

from server import EXECUTABLE, Server
from support import connect, event_names, eventually, unique, worker
from temporalio import activity, workflow
from temporalio.testing import WorkflowEnvironment

ran = []


@activity.defn
async def note(step: str) -> str:
    ran.append((step, activity.info().attempt))
    await asyncio.sleep(0.05)
    return step


@workflow.defn
class Steps:
    def __init__(self) -> None:
        self.signals: list = []

    @workflow.run
    async def run(self, name: str) -> list:
        done = []
        for i in range(6):
            done.append(await workflow.execute_activity(
                note, f"{name}-{i}", start_to_close_timeout=timedelta(seconds=5)))
            await asyncio.sleep(0.3)
        await workflow.wait_condition(lambda: len(self.signals) == 2)
        return done + self.signals

    @workflow.signal
    def add(self, what: str) -> None:
        self.signals.append(what)


async def test_a_workflow_goes_on_after_kill_9(server):
    with Server() as own:
        client = await connect(own)
        handle = await client.start_workflow(Steps.run, "a", id=unique("kill"), task_queue="steps")
        await handle.signal(Steps.add, "before")
        async with worker(client, [Steps], [note], queue="steps"):

            async def half_way():
                return (await event_names(handle)).count("ActivityTaskCompleted") >= 2

            await eventually(half_way)
            before = [e async for e in handle.fetch_history_events()]
            own.kill9()
            await asyncio.sleep(0.5)
            own.start()
            fresh = await connect(own)
            handle = fresh.get_workflow_handle(handle.id)
            after = [e async for e in handle.fetch_history_events()]
            assert after[:len(before)] == before
            await handle.signal(Steps.add, "after")
            result = await handle.result()
        assert result == [f"a-{i}" for i in range(6)] + ["before", "after"]
        events = [e async for e in handle.fetch_history_events()]
        assert [e.event_id for e in events] == list(range(1, len(events) + 1))


async def test_a_timer_that_was_due_while_the_server_was_down_fires(server):
    with Server() as own:
        client = await connect(own)
        handle = await client.start_workflow(Steps.run, "b", id=unique("down"), task_queue="steps",
                                             start_delay=timedelta(seconds=1))
        own.kill9()
        await asyncio.sleep(1.2)
        own.start()
        client = await connect(own)
        handle = client.get_workflow_handle(handle.id)
        for what in ("x", "y"):
            await handle.signal(Steps.add, what)
        async with worker(client, [Steps], [note], queue="steps"):
            assert len(await handle.result()) == 8


async def test_sigterm_is_an_orderly_end(server):
    with Server() as own:
        client = await connect(own)
        async with worker(client, [Steps], [note], queue="steps"):
            await client.start_workflow(Steps.run, "c", id="orderly", task_queue="steps")
            began = time.monotonic()
            assert await asyncio.to_thread(own.stop) == 0
            assert time.monotonic() - began < 12
            own.start()
            began = time.monotonic()
        assert time.monotonic() - began < 15  # the worker's polls were answered, not parked
        client = await connect(own)
        assert (await client.get_workflow_handle("orderly").describe()).history_length >= 2


async def test_the_sdk_test_environment_launches_it(server):
    env = await WorkflowEnvironment.start_local(dev_server_existing_path=EXECUTABLE)
    try:
        async with worker(env.client, [Steps], [note]) as queue:
            handle = await env.client.start_workflow(Steps.run, "d", id=unique("env"),
                                                     task_queue=queue)
            for what in ("x", "y"):
                await handle.signal(Steps.add, what)
            assert len(await handle.result()) == 8
    finally:
        await env.shutdown()


async def test_the_sdk_test_environment_with_its_options(server):
    env = await WorkflowEnvironment.start_local(
        dev_server_existing_path=EXECUTABLE, namespace="other", dev_server_extra_args=[
            "--dynamic-config-value", "limit.blobSize.error=10240",
            "--dynamic-config-value", "system.unknownKey=\"0s\"",
            "--dynamic-config-value", "limit.blobSize.error=20480"])
    try:
        assert env.client.namespace == "other"
        await env.client.start_workflow("Any", id="any", task_queue="nobody")
        assert (await env.client.get_workflow_handle("any").describe()).history_length == 2
    finally:
        await env.shutdown()
