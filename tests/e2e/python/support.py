"""What the Python tests share: a client, a worker on a queue of its own, histories as names."""

import asyncio
import contextlib
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

logging.getLogger("temporalio").setLevel(logging.CRITICAL)  # failures here are on purpose


def unique(name):
    return f"{name}-{uuid.uuid4()}"


async def connect(server, seconds=15):
    """A client, also of a server that is only starting."""
    for attempt in range(seconds * 10):
        try:
            return await Client.connect(server.address)
        except RuntimeError:
            if attempt == seconds * 10 - 1:
                raise
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def worker(client, workflows, activities=(), queue=None, **options):
    queue = queue or unique("queue")
    with ThreadPoolExecutor(20) as threads:
        async with Worker(client, task_queue=queue, workflows=list(workflows),
                          activities=list(activities), activity_executor=threads,
                          workflow_runner=UnsandboxedWorkflowRunner(), **options):
            yield queue


async def event_names(handle):
    return [name_of(e) async for e in handle.fetch_history_events()]


def name_of(event):
    words = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").split("_")
    return "".join(w.capitalize() for w in words)


async def eventually(check, seconds=15):
    """Waits until the coroutine function gives something true, and returns that."""
    until = asyncio.get_running_loop().time() + seconds
    while True:
        found = await check()
        if found or asyncio.get_running_loop().time() > until:
            assert found, f"{check} stayed false for {seconds} s"
            return found
        await asyncio.sleep(0.05)
