"""What the tests of the official command line share: typing a command, and workers behind it."""

import asyncio
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

TEMPORAL = os.path.join(os.path.dirname(sys.executable), "temporal")
QUEUE = "cli"


@dataclass
class Typed:
    """What a command printed, and how it ended."""

    code: int
    out: str
    error: str


def typed(address, *words, seconds=60):
    done = subprocess.run([TEMPORAL, *words, "--address", address], capture_output=True, text=True,
                          timeout=seconds, stdin=subprocess.DEVNULL)
    return Typed(done.returncode, done.stdout, done.stderr)


def start(kind, name, *more):
    return ("workflow", "start", "--type", kind, "-t", QUEUE, "-w", name, *more)


@activity.defn
async def shout(text: str) -> str:
    return text.upper()


@activity.defn
async def refuse() -> None:
    raise ApplicationError("no", "details", type="Refused")


@activity.defn
async def wait_for_it() -> str:
    """Its outcome comes from elsewhere."""
    activity.raise_complete_async()


@activity.defn
async def flaky() -> str:
    raise ApplicationError("not yet", type="Flaky")


@workflow.defn(name="Shout")
class Shout:
    @workflow.run
    async def run(self, text: str) -> str:
        return await workflow.execute_activity(shout, text, activity_id="shout",
                                               start_to_close_timeout=timedelta(seconds=5))


@workflow.defn(name="Refused")
class Refused:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(refuse, start_to_close_timeout=timedelta(seconds=5),
                                        retry_policy=RetryPolicy(maximum_attempts=1))


@workflow.defn(name="Parked")
class Parked:
    @workflow.run
    async def run(self) -> str:
        return str(await workflow.execute_activity(
            wait_for_it, activity_id="parked", schedule_to_close_timeout=timedelta(hours=1),
            retry_policy=RetryPolicy(maximum_attempts=1)))


@workflow.defn(name="Flaky")
class Flaky:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            flaky, start_to_close_timeout=timedelta(minutes=5), activity_id="flaky",
            retry_policy=RetryPolicy(initial_interval=timedelta(minutes=5)))


@workflow.defn(name="Again")
class Again:
    """Continues as new once."""

    @workflow.run
    async def run(self, times: int) -> str:
        if times:
            workflow.continue_as_new(times - 1)
        return "enough"


@workflow.defn(name="Wait")
class Wait:
    def __init__(self) -> None:
        self.name = None

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.name is not None)
        return f"called {self.name}"

    @workflow.signal
    def call(self, name: str) -> None:
        self.name = name

    @workflow.query
    def state(self) -> str:
        return "waiting" if self.name is None else "called"

    @workflow.update
    def rename(self, name: str) -> str:
        old, self.name = self.name, name
        return f"{old} is {name}"

    @rename.validator
    def no_empty_name(self, name: str) -> None:
        if not name:
            raise ApplicationError("a name is needed", type="Empty")


class Served:
    """A server with a worker in a thread of its own: the tests block on the command line."""

    def __init__(self, server):
        self.server = server
        self.loop, self.stop = asyncio.new_event_loop(), asyncio.Event()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.serve(),))

    async def serve(self):
        client = await Client.connect(self.server.address)
        async with Worker(client, task_queue=QUEUE,
                          workflows=[Shout, Refused, Parked, Flaky, Again, Wait],
                          activities=[shout, refuse, wait_for_it, flaky], identity="worker",
                          workflow_runner=UnsandboxedWorkflowRunner()):
            self.ready.set()
            await self.stop.wait()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(20)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()

    def run(self, *words):
        return typed(self.server.address, *words, seconds=20)
