"""The official Python SDK as worker and client; histories are read by raw calls."""

import asyncio
import logging
from datetime import timedelta

import sdk_workflows as w
from driver.registry import scenario
from driver.rpc import to_json
from driver.script import summary
from temporalio.client import Client, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

TASK_TIMEOUT = timedelta(seconds=2)
QUIET = Runtime(telemetry=TelemetryConfig(logging=None))
logging.getLogger("temporalio").setLevel(logging.CRITICAL)


def _chain(error):
    """What a user sees of an exception: the types and messages down the causes."""
    out = []
    while error is not None:
        one = {"class": type(error).__name__, "message": getattr(error, "message", str(error))}
        for name in ("type", "non_retryable", "retry_state", "activity_type"):
            value = getattr(error, name, None)
            if value is not None:
                one[name] = str(getattr(value, "name", value))
        out.append(one)
        error = error.cause if isinstance(error, (FailureError, WorkflowFailureError)) else None
    return out


class Sdk:
    """One worker and one client on the script's queue."""

    def __init__(self, t, client, worker):
        self.t, self.client, self.worker = t, client, worker

    async def start(self, workflow, *args, **fields):
        handle = await self.client.start_workflow(
            workflow, args=args, id=self.t.wid, task_queue=self.t.queue, **fields
        )
        self.t.run = handle.first_execution_run_id
        return handle

    async def result(self, handle):
        try:
            self.t.note("result", await handle.result())
        except WorkflowFailureError as error:
            self.t.note("result", _chain(error))


def _with_sdk(t, body, **worker_fields):
    async def main():
        client = await Client.connect(
            t.server.address, identity="sdk-client", runtime=QUIET
        )
        worker = Worker(
            client,
            task_queue=t.queue,
            workflows=w.WORKFLOWS,
            activities=w.ACTIVITIES,
            workflow_runner=UnsandboxedWorkflowRunner(),
            identity="sdk-worker",
            build_id="scripted-build",
            graceful_shutdown_timeout=timedelta(seconds=0),
            **worker_fields,
        )
        async with worker:
            await asyncio.wait_for(body(Sdk(t, client, worker)), 60)

    asyncio.run(main())


def _plain(t, workflow, *args, **fields):
    async def body(sdk):
        await sdk.result(await sdk.start(workflow, *args, **fields))

    _with_sdk(t, body)
    t.history(t.run)


@scenario()
def sdk_transfer(t):
    """Money transfer: both activities succeed."""
    _plain(t, w.Transfer.run, "alice", "bob", 10)


@scenario()
def sdk_transfer_without_cache(t):
    """The same with a worker that keeps no workflow: every task carries the whole history."""

    async def body(sdk):
        await sdk.result(await sdk.start(w.Transfer.run, "alice", "bob", 10))

    _with_sdk(t, body, max_cached_workflows=0)
    t.history(t.run)


@scenario()
def sdk_transfer_retried(t):
    """The deposit fails twice, then succeeds."""
    _plain(t, w.Transfer.run, "alice", "slow", 10)


@scenario()
def sdk_transfer_exhausted(t):
    """The deposit fails three times: the money goes back and the workflow fails."""
    _plain(t, w.Transfer.run, "alice", "broken", 10)


@scenario()
def sdk_transfer_refused(t):
    """The deposit fails for good at once."""
    _plain(t, w.Transfer.run, "alice", "closed", 10)


@scenario()
def sdk_timeout_start_to_close(t):
    """An activity that hangs: start-to-close."""
    _plain(t, w.Timeouts.run, "start to close")


@scenario()
def sdk_timeout_heartbeat(t):
    """An activity that stops beating."""
    _plain(t, w.Timeouts.run, "heartbeat")


@scenario()
def sdk_timeout_schedule_to_close(t):
    """An activity that hangs: schedule-to-close."""
    _plain(t, w.Timeouts.run, "schedule to close")


@scenario()
def sdk_timeout_schedule_to_start(t):
    """An activity nobody takes."""
    _plain(t, w.Timeouts.run, "schedule to start")


@scenario()
def sdk_cancelled(t):
    """The workflow is cancelled, passes it on to its activity and ends as cancelled."""

    async def body(sdk):
        handle = await sdk.start(w.Cancellable.run)
        while not (await handle.describe()).raw_description.pending_activities:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        await handle.cancel()
        await sdk.result(handle)

    _with_sdk(t, body)
    t.history(t.run)


@scenario()
def sdk_terminated(t):
    """A termination as the client sees it."""

    async def body(sdk):
        handle = await sdk.start(w.Basket.run)
        await handle.query(w.Basket.content)
        await handle.terminate("for a reason", reason="enough")
        await sdk.result(handle)

    _with_sdk(t, body)
    t.history(t.run)


@scenario()
def sdk_signals_and_queries(t):
    """Signals and queries of a waiting workflow, and a query that fails."""

    async def body(sdk):
        handle = await sdk.start(w.Basket.run)
        sdk.t.note("content", await handle.query(w.Basket.content))
        for item in ("apple", "pear"):
            await handle.signal(w.Basket.add, item)
            sdk.t.note("content", await handle.query(w.Basket.content))
        try:
            await handle.query(w.Basket.trouble)
        except WorkflowQueryFailedError as error:
            sdk.t.note("trouble", str(error))
        await handle.signal(w.Basket.close)
        await sdk.result(handle)
        sdk.t.note("content after close", await handle.query(w.Basket.content))

    _with_sdk(t, body)
    t.history(t.run)


@scenario()
def sdk_signal_with_start(t):
    """Signal-with-start by the client, then again while it runs."""

    async def body(sdk):
        for item in ("apple", "pear"):
            handle = await sdk.start(
                w.Basket.run, start_signal="add", start_signal_args=[item]
            )
            sdk.t.note("content", await handle.query(w.Basket.content))
        await handle.signal(w.Basket.close)
        await sdk.result(handle)

    _with_sdk(t, body)
    t.history()


@scenario()
def sdk_continue_as_new(t):
    """Two runs follow the first; the client follows them to the result."""

    async def body(sdk):
        await sdk.result(await sdk.start(w.Countdown.run, 2))

    _with_sdk(t, body)
    t.history(t.run, "history of the first run")
    t.history(label="history of the last run")


@scenario()
def sdk_timer(t):
    """A sleep with a summary."""
    _plain(t, w.Sleeper.run)


@scenario()
def sdk_local_activity(t):
    """A local activity leaves a marker."""
    _plain(t, w.Local.run)


@scenario()
def sdk_workflow_retry(t):
    """A workflow that fails twice with a retry policy of its own."""

    async def body(sdk):
        policy = RetryPolicy(
            initial_interval=timedelta(seconds=1), backoff_coefficient=1, maximum_attempts=2
        )
        await sdk.result(await sdk.start(w.Failing.run, retry_policy=policy))

    _with_sdk(t, body)
    t.history(t.run, "history of the first run")
    t.history(label="history of the last run")


@scenario()
def sdk_task_failure_repaired(t):
    """The workflow's code has a bug; a later worker without the bug completes it."""

    async def broken(sdk):
        await sdk.start(w.Faulty.run, task_timeout=TASK_TIMEOUT)
        await asyncio.to_thread(t.wait_for, "WORKFLOW_TASK_FAILED")

    async def repaired(sdk):
        await sdk.result(sdk.client.get_workflow_handle(t.wid))

    w.Faulty.broken = True
    _with_sdk(t, broken)
    w.Faulty.broken = False
    _with_sdk(t, repaired)
    w.Faulty.broken = True
    events = t.events()
    t.note("history", [summary(event) for event in events])
    t.note("the failure", to_json(events[3]))


@scenario()
def sdk_already_started(t):
    """Starting twice, and rejecting duplicates after the end, as the client reports it."""

    async def body(sdk):
        handle = await sdk.start(w.Basket.run)
        try:
            await sdk.start(w.Basket.run)
        except WorkflowAlreadyStartedError as error:
            sdk.t.note("while running", str(error))
        await handle.signal(w.Basket.close)
        await sdk.result(handle)
        try:
            await sdk.start(
                w.Basket.run, id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE
            )
        except WorkflowAlreadyStartedError as error:
            sdk.t.note("after the end", str(error))

    _with_sdk(t, body)
