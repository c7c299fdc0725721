"""Activities: results, retries, failures, timeouts, heartbeats, cancellation."""

import asyncio
import threading
import time
from datetime import timedelta

import pytest
from support import connect, event_names, eventually, name_of, unique, worker
from temporalio import activity, workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import (ActivityError, ApplicationError, CancelledError, RetryState,
                                   TimeoutError, TimeoutType)

SHORT = timedelta(seconds=10)
QUICK = RetryPolicy(initial_interval=timedelta(milliseconds=20), backoff_coefficient=1.0)


@activity.defn
def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class Greet:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=SHORT)


async def test_one_activity(server):
    client = await connect(server)
    async with worker(client, [Greet], [greet]) as queue:
        handle = await client.start_workflow(Greet.run, "you", id=unique("greet"), task_queue=queue)
        assert await handle.result() == "Hello, you!"
    assert await event_names(handle) == [
        "WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted",
        "WorkflowTaskCompleted", "ActivityTaskScheduled", "ActivityTaskStarted",
        "ActivityTaskCompleted", "WorkflowTaskScheduled", "WorkflowTaskStarted",
        "WorkflowTaskCompleted", "WorkflowExecutionCompleted"]


@activity.defn
def fail_until(attempt: int) -> int:
    if activity.info().attempt < attempt:
        raise ApplicationError(f"not yet {activity.info().attempt}", type="NotYet")
    return activity.info().attempt


@workflow.defn
class Retry:
    @workflow.run
    async def run(self, attempt: int) -> int:
        return await workflow.execute_activity(fail_until, attempt, start_to_close_timeout=SHORT,
                                               retry_policy=QUICK)


async def test_retries_until_it_succeeds(server):
    client = await connect(server)
    async with worker(client, [Retry], [fail_until]) as queue:
        handle = await client.start_workflow(Retry.run, 4, id=unique("retry"), task_queue=queue)
        assert await handle.result() == 4
    started = [e async for e in handle.fetch_history_events() if name_of(e) ==
               "ActivityTaskStarted"]
    assert len(started) == 1
    a = started[0].activity_task_started_event_attributes
    assert a.attempt == 4
    assert a.last_failure.message == "not yet 3"
    assert a.last_failure.application_failure_info.type == "NotYet"


@activity.defn
def fail_with_chain(kind: str) -> None:
    try:
        try:
            raise KeyError("account 7")
        except KeyError as e:
            raise ApplicationError("no such account", {"id": 7}, "more", type="Lookup") from e
    except ApplicationError as e:
        raise ApplicationError("cannot transfer", type=kind,
                               non_retryable=kind == "Final") from e


@workflow.defn
class Chain:
    @workflow.run
    async def run(self, kind: str) -> None:
        await workflow.execute_activity(
            fail_with_chain, kind, start_to_close_timeout=SHORT,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=20),
                                     maximum_attempts=3, non_retryable_error_types=["Listed"]))


@pytest.mark.parametrize("kind,state", [
    ("Final", RetryState.NON_RETRYABLE_FAILURE), ("Listed", RetryState.NON_RETRYABLE_FAILURE),
    ("Other", RetryState.MAXIMUM_ATTEMPTS_REACHED)])
async def test_failure_chain_arrives_whole(server, kind, state):
    client = await connect(server)
    async with worker(client, [Chain], [fail_with_chain]) as queue:
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow(Chain.run, kind, id=unique("chain"), task_queue=queue)
    in_activity = failed.value.cause
    assert isinstance(in_activity, ActivityError)
    assert (in_activity.activity_type, in_activity.retry_state) == ("fail_with_chain", state)
    outer = in_activity.cause
    assert isinstance(outer, ApplicationError)
    assert (outer.message, outer.type, outer.non_retryable) == (
        "cannot transfer", kind, kind == "Final")
    inner = outer.cause
    assert (inner.message, inner.type, list(inner.details)) == (
        "no such account", "Lookup", [{"id": 7}, "more"])
    assert inner.cause.type == "KeyError"
    assert inner.cause.cause is None


@activity.defn
def choose_delay() -> float:
    if activity.info().attempt == 1:
        raise ApplicationError("later", str(time.time()),
                               next_retry_delay=timedelta(milliseconds=1500))
    return time.time()


@workflow.defn
class Delay:
    @workflow.run
    async def run(self) -> float:
        return await workflow.execute_activity(choose_delay, start_to_close_timeout=SHORT,
                                               retry_policy=QUICK)


async def test_next_retry_delay_overrides_the_policy(server):
    client = await connect(server)
    began = time.time()
    async with worker(client, [Delay], [choose_delay]) as queue:
        end = await client.execute_workflow(Delay.run, id=unique("delay"), task_queue=queue)
    assert end - began >= 1.5


@activity.defn
async def too_slow() -> None:
    await asyncio.sleep(30)


@workflow.defn
class TimeOut:
    @workflow.run
    async def run(self, kind: str) -> str:
        soon = timedelta(milliseconds=600)
        limits = {
            "start_to_close": dict(start_to_close_timeout=soon),
            "schedule_to_close": dict(schedule_to_close_timeout=soon),
            "schedule_to_start": dict(schedule_to_start_timeout=soon, start_to_close_timeout=SHORT,
                                      task_queue=workflow.info().task_queue + "-nobody"),
            "heartbeat": dict(start_to_close_timeout=SHORT, heartbeat_timeout=soon),
        }[kind]
        try:
            await workflow.execute_activity(too_slow, retry_policy=RetryPolicy(maximum_attempts=1),
                                            **limits)
        except ActivityError as e:
            assert isinstance(e.cause, TimeoutError)
            return e.cause.type.name
        return "no timeout"


@pytest.mark.parametrize("kind", [
    "start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat"])
async def test_timeouts(server, kind):
    client = await connect(server)
    async with worker(client, [TimeOut], [too_slow]) as queue:
        handle = await client.start_workflow(TimeOut.run, kind, id=unique("timeout"),
                                             task_queue=queue)
        # With one attempt a start-to-close limit is also the schedule-to-close limit.
        assert (await handle.result()).lower() == kind
    assert "ActivityTaskTimedOut" in await event_names(handle)


@activity.defn
async def beat_once() -> list:
    info = activity.info()
    if info.attempt == 1:
        activity.heartbeat("page", 17)
        await asyncio.sleep(30)
    return list(info.heartbeat_details)


@workflow.defn
class Beat:
    @workflow.run
    async def run(self, attempts: int) -> list:
        try:
            return await workflow.execute_activity(
                beat_once, start_to_close_timeout=SHORT,
                heartbeat_timeout=timedelta(milliseconds=700),
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=20),
                                         maximum_attempts=attempts))
        except ActivityError as e:
            assert isinstance(e.cause, TimeoutError)
            assert e.cause.type == TimeoutType.HEARTBEAT
            return ["timed out", *e.cause.last_heartbeat_details]


@pytest.mark.parametrize("attempts,result", [(1, ["timed out", "page", 17]), (2, ["page", 17])])
async def test_heartbeat_details_survive_the_timeout(server, attempts, result):
    client = await connect(server)
    async with worker(client, [Beat], [beat_once]) as queue:
        assert await client.execute_workflow(Beat.run, attempts, id=unique("beat"),
                                             task_queue=queue) == result


cancelled_in_activity = threading.Event()


@activity.defn
async def beat_until_cancelled() -> str:
    try:
        while True:
            activity.heartbeat("alive")
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        cancelled_in_activity.set()
        raise


@workflow.defn
class Cancel:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            beat_until_cancelled, start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=1),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED)


async def test_cancel_reaches_the_activity_through_its_heartbeat(server):
    client = await connect(server)
    async with worker(client, [Cancel], [beat_until_cancelled]) as queue:
        handle = await client.start_workflow(Cancel.run, id=unique("cancel"), task_queue=queue)

        async def beating():
            pending = (await handle.describe()).raw_description.pending_activities
            return pending and pending[0].HasField("heartbeat_details")

        await eventually(beating)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, CancelledError)
    assert cancelled_in_activity.is_set()
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    names = await event_names(handle)
    assert {"WorkflowExecutionCancelRequested", "ActivityTaskCancelRequested",
            "ActivityTaskCanceled"} <= set(names)
    assert names[-1] == "WorkflowExecutionCanceled"


@workflow.defn
class Pending:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            fail_until, 100, start_to_close_timeout=SHORT,
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=30)))


async def test_a_retrying_activity_is_described(server):
    client = await connect(server)
    async with worker(client, [Pending], [fail_until]) as queue:
        handle = await client.start_workflow(Pending.run, id=unique("pending"), task_queue=queue)

        async def failed_once():
            pending = (await handle.describe()).raw_description.pending_activities
            return pending and pending[0].attempt == 2 and pending[0]

        found = await eventually(failed_once)
        assert found.activity_type.name == "fail_until"
        assert found.last_failure.message == "not yet 1"
        assert found.last_failure.application_failure_info.type == "NotYet"
        await handle.terminate("enough")


@activity.defn
async def complete_elsewhere() -> str:
    activity.raise_complete_async()


@workflow.defn
class Elsewhere:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(complete_elsewhere, activity_id="form",
                                               start_to_close_timeout=SHORT)


@pytest.mark.parametrize("outcome", ["complete", "fail", "heartbeat"])
async def test_completion_by_id_from_outside(server, outcome):
    client = await connect(server)
    async with worker(client, [Elsewhere], [complete_elsewhere]) as queue:
        handle = await client.start_workflow(Elsewhere.run, id=unique("async"), task_queue=queue)
        outside = client.get_async_activity_handle(workflow_id=handle.id, run_id=None,
                                                   activity_id="form")

        async def started():
            pending = (await handle.describe()).raw_description.pending_activities
            return pending and pending[0].state == 2  # STARTED

        await eventually(started)
        if outcome == "fail":
            await outside.fail(ApplicationError("refused", type="Form", non_retryable=True))
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
            assert failed.value.cause.cause.type == "Form"
            return
        if outcome == "heartbeat":
            await outside.heartbeat("half")
        await outside.complete("signed")
        assert await handle.result() == "signed"


@workflow.defn
class Many:
    @workflow.run
    async def run(self, count: int) -> int:
        done = await asyncio.gather(*(
            workflow.execute_activity(greet, str(i), start_to_close_timeout=SHORT)
            for i in range(count)))
        return len(set(done))


async def test_fifty_activities_at_once(server):
    client = await connect(server)
    async with worker(client, [Many], [greet]) as queue:
        assert await client.execute_workflow(Many.run, 50, id=unique("many"),
                                             task_queue=queue) == 50


@activity.defn
def double(blob: str) -> str:
    return blob + blob


@workflow.defn
class Large:
    @workflow.run
    async def run(self, blob: str) -> int:
        return len(await workflow.execute_activity(double, blob, start_to_close_timeout=SHORT))


async def test_large_payloads_pass(server):
    client = await connect(server)
    async with worker(client, [Large], [double]) as queue:
        assert await client.execute_workflow(Large.run, "x" * 500_000, id=unique("large"),
                                             task_queue=queue) == 1_000_000


@workflow.defn
class Local:
    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_local_activity(
            fail_until, 2, start_to_close_timeout=SHORT,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=20)))


async def test_local_activity(server):
    client = await connect(server)
    async with worker(client, [Local], [fail_until]) as queue:
        handle = await client.start_workflow(Local.run, id=unique("local"), task_queue=queue)
        assert await handle.result() == 2
    names = await event_names(handle)
    assert "MarkerRecorded" in names
    assert "ActivityTaskScheduled" not in names
