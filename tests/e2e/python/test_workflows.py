"""Workflows: signals, queries, timers, ends, ids, workflow-task failures, sticky queues."""

import asyncio
import time
from datetime import timedelta

import pytest
from support import connect, event_names, eventually, name_of, unique, worker
from temporalio import workflow
from temporalio.client import (WorkflowContinuedAsNewError, WorkflowExecutionStatus,
                               WorkflowFailureError, WorkflowQueryFailedError)
from temporalio.common import (QueryRejectCondition, RetryPolicy, WorkflowIDConflictPolicy,
                               WorkflowIDReusePolicy)
from temporalio.exceptions import (ApplicationError, CancelledError, TerminatedError, TimeoutError,
                                   WorkflowAlreadyStartedError)
from temporalio.service import RPCError, RPCStatusCode


@workflow.defn
class Collect:
    """Holds what it is sent until it is told to end."""

    def __init__(self) -> None:
        self.items: list = []
        self.ended = False

    @workflow.run
    async def run(self) -> list:
        await workflow.wait_condition(lambda: self.ended)
        return self.items

    @workflow.signal
    def add(self, item: int) -> None:
        self.items.append(item)

    @workflow.signal
    def end(self) -> None:
        self.ended = True

    @workflow.query
    def so_far(self) -> list:
        return self.items

    @workflow.query
    def refuse(self) -> str:
        raise ApplicationError("not for you", type="Private")


async def test_signals_arrive_once_and_in_order(server):
    client = await connect(server)
    queue = unique("queue")
    handle = await client.start_workflow(Collect.run, id=unique("signal"), task_queue=queue)
    for i in range(10):  # before there is a worker
        await handle.signal(Collect.add, i)
    async with worker(client, [Collect], queue=queue):
        for i in range(10, 30):
            await handle.signal(Collect.add, i)
        await handle.signal(Collect.end)
        assert await handle.result() == list(range(30))


async def test_signal_with_start(server):
    client = await connect(server)
    async with worker(client, [Collect]) as queue:
        name = unique("signal-start")
        first = await client.start_workflow(Collect.run, id=name, task_queue=queue,
                                            start_signal="add", start_signal_args=[1])
        second = await client.start_workflow(Collect.run, id=name, task_queue=queue,
                                             start_signal="add", start_signal_args=[2])
        assert first.result_run_id == second.result_run_id or \
            first.first_execution_run_id == second.first_execution_run_id
        await first.signal(Collect.end)
        assert await first.result() == [1, 2]


async def test_queries_while_running_and_after_the_end(server):
    client = await connect(server)
    async with worker(client, [Collect]) as queue:
        handle = await client.start_workflow(Collect.run, id=unique("query"), task_queue=queue)
        assert await handle.query(Collect.so_far) == []
        await handle.signal(Collect.add, 5)
        assert await handle.query(Collect.so_far) == [5]
        await handle.signal(Collect.end)
        await handle.result()
        assert await handle.query(Collect.so_far) == [5]
        with pytest.raises(WorkflowQueryFailedError, match="not for you"):
            await handle.query(Collect.refuse)
        with pytest.raises(WorkflowQueryFailedError):
            await handle.query("no_such_query")
        with pytest.raises(Exception) as rejected:
            await handle.query(Collect.so_far, reject_condition=QueryRejectCondition.NOT_OPEN)
        assert "Rejected" in type(rejected.value).__name__


@workflow.defn
class Timers:
    @workflow.run
    async def run(self) -> list:
        order = []

        async def after(ms: int) -> None:
            await asyncio.sleep(ms / 1000)
            order.append(ms)

        await asyncio.gather(after(900), after(300), after(600))
        return order


async def test_timers_fire_in_time_order(server):
    client = await connect(server)
    began = time.monotonic()
    async with worker(client, [Timers]) as queue:
        handle = await client.start_workflow(Timers.run, id=unique("timer"), task_queue=queue)
        assert await handle.result() == [300, 600, 900]
    assert time.monotonic() - began >= 0.9
    names = await event_names(handle)
    assert (names.count("TimerStarted"), names.count("TimerFired")) == (3, 3)


@workflow.defn
class CancelTimer:
    @workflow.run
    async def run(self) -> str:
        timer = asyncio.create_task(asyncio.sleep(100))
        await asyncio.sleep(0.1)
        timer.cancel()
        try:
            await timer
        except asyncio.CancelledError:
            return "cancelled"
        return "fired"


async def test_a_timer_can_be_cancelled(server):
    client = await connect(server)
    async with worker(client, [CancelTimer]) as queue:
        handle = await client.start_workflow(CancelTimer.run, id=unique("t"), task_queue=queue)
        assert await handle.result() == "cancelled"
    assert "TimerCanceled" in await event_names(handle)


@workflow.defn
class Sleeper:
    """Sleeps, and cleans up when cancelled."""

    @workflow.run
    async def run(self, swallow: bool) -> str:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            if not swallow:
                raise
            await asyncio.sleep(0.1)
            return "cleaned up"
        return "slept"


@pytest.mark.parametrize("swallow", [False, True])
async def test_cancel_a_workflow(server, swallow):
    client = await connect(server)
    async with worker(client, [Sleeper]) as queue:
        handle = await client.start_workflow(Sleeper.run, swallow, id=unique("c"), task_queue=queue)
        await handle.cancel()
        if swallow:
            assert await handle.result() == "cleaned up"
            return
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        assert isinstance(failed.value.cause, CancelledError)
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED


async def test_terminate_needs_no_worker(server):
    client = await connect(server)
    handle = await client.start_workflow(Sleeper.run, False, id=unique("t"), task_queue="nobody")
    await handle.terminate("detail", 3, reason="wrong one")
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, TerminatedError)
    last = [e async for e in handle.fetch_history_events()][-1]
    a = last.workflow_execution_terminated_event_attributes
    assert (name_of(last), a.reason) == ("WorkflowExecutionTerminated", "wrong one")
    with pytest.raises(RPCError) as again:
        await handle.terminate()
    assert again.value.status == RPCStatusCode.NOT_FOUND


@workflow.defn
class Countdown:
    @workflow.run
    async def run(self, n: int) -> str:
        if n:
            workflow.continue_as_new(n - 1)
        return "lift-off"


async def test_continue_as_new(server):
    client = await connect(server)
    async with worker(client, [Countdown]) as queue:
        handle = await client.start_workflow(Countdown.run, 3, id=unique("can"), task_queue=queue)
        assert await handle.result() == "lift-off"
        with pytest.raises(WorkflowContinuedAsNewError):
            await handle.result(follow_runs=False)
        first = client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        assert (await event_names(first))[-1] == "WorkflowExecutionContinuedAsNew"
        last = (await client.get_workflow_handle(handle.id).describe()).raw_description
        assert last.workflow_execution_info.first_run_id == handle.first_execution_run_id
        with pytest.raises(RPCError):
            await client.get_workflow_handle(handle.id, run_id="no-uuid").describe()


broken = True


@workflow.defn
class Buggy:
    @workflow.run
    async def run(self) -> str:
        if broken:
            raise ValueError("a bug")
        return "fixed"


async def test_a_failed_workflow_task_is_retried_until_the_code_is_fixed(server):
    global broken
    broken = True
    client = await connect(server)
    async with worker(client, [Buggy]) as queue:
        handle = await client.start_workflow(Buggy.run, id=unique("bug"), task_queue=queue)

        async def failed():
            return "WorkflowTaskFailed" in await event_names(handle)

        await eventually(failed)
        assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
        broken = False
        assert await handle.result() == "fixed"
    events = [e async for e in handle.fetch_history_events()]
    failure = [e for e in events if name_of(e) == "WorkflowTaskFailed"]
    assert len(failure) == 1  # later attempts are transient: they leave no event
    assert failure[0].workflow_task_failed_event_attributes.failure.message == "a bug"


@workflow.defn
class FailOnce:
    @workflow.run
    async def run(self) -> int:
        if workflow.info().attempt == 1:
            raise ApplicationError("first", type="First")
        return workflow.info().attempt


async def test_workflow_retry_policy(server):
    client = await connect(server)
    async with worker(client, [FailOnce]) as queue:
        handle = await client.start_workflow(
            FailOnce.run, id=unique("wr"), task_queue=queue,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)))
        assert await handle.result() == 2
        first = client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        assert (await event_names(first))[-1] == "WorkflowExecutionFailed"


@pytest.mark.parametrize("limit", ["run_timeout", "execution_timeout"])
async def test_workflow_timeouts(server, limit):
    client = await connect(server)
    async with worker(client, [Sleeper]) as queue:
        handle = await client.start_workflow(Sleeper.run, False, id=unique("wt"), task_queue=queue,
                                             **{limit: timedelta(seconds=1)})
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        assert isinstance(failed.value.cause, TimeoutError)
    assert (await handle.describe()).status == WorkflowExecutionStatus.TIMED_OUT


async def test_a_running_id_is_taken(server):
    client = await connect(server)
    name = unique("id")
    start = dict(id=name, task_queue="nobody")
    first = await client.start_workflow(Sleeper.run, False, **start)
    with pytest.raises(WorkflowAlreadyStartedError) as taken:
        await client.start_workflow(Sleeper.run, False, **start)
    assert taken.value.run_id == first.first_execution_run_id
    same = await client.start_workflow(Sleeper.run, False, **start,
                                       id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING)
    assert same.first_execution_run_id == first.first_execution_run_id
    other = await client.start_workflow(
        Sleeper.run, False, **start, id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING)
    assert other.first_execution_run_id != first.first_execution_run_id
    old = client.get_workflow_handle(name, run_id=first.first_execution_run_id)
    assert (await old.describe()).status == WorkflowExecutionStatus.TERMINATED
    await other.terminate()


@pytest.mark.parametrize("policy,allowed", [
    (WorkflowIDReusePolicy.ALLOW_DUPLICATE, True),
    (WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY, False),
    (WorkflowIDReusePolicy.REJECT_DUPLICATE, False)])
async def test_an_id_of_a_completed_run(server, policy, allowed):
    client = await connect(server)
    async with worker(client, [Countdown]) as queue:
        start = dict(id=unique("reuse"), task_queue=queue)
        await client.execute_workflow(Countdown.run, 0, **start)
        if allowed:
            assert await client.execute_workflow(Countdown.run, 0, **start,
                                                 id_reuse_policy=policy) == "lift-off"
            return
        with pytest.raises(WorkflowAlreadyStartedError):
            await client.start_workflow(Countdown.run, 0, **start, id_reuse_policy=policy)


async def test_describe_shows_memo_times_and_counts(server):
    client = await connect(server)
    async with worker(client, [Countdown]) as queue:
        handle = await client.start_workflow(Countdown.run, 0, id=unique("describe"),
                                             task_queue=queue, memo={"owner": "tests"})
        await handle.result()
    d = await handle.describe()
    assert await d.memo() == {"owner": "tests"}
    assert d.status == WorkflowExecutionStatus.COMPLETED
    assert d.workflow_type == "Countdown" and d.task_queue == queue
    assert d.history_length == 5
    assert d.start_time <= d.execution_time <= d.close_time


async def test_start_delay(server):
    client = await connect(server)
    began = time.monotonic()
    async with worker(client, [Countdown]) as queue:
        await client.execute_workflow(Countdown.run, 0, id=unique("delay"), task_queue=queue,
                                      start_delay=timedelta(seconds=1))
    assert time.monotonic() - began >= 1


async def test_history_can_be_followed_live(server):
    client = await connect(server)
    async with worker(client, [Collect]) as queue:
        handle = await client.start_workflow(Collect.run, id=unique("follow"), task_queue=queue)
        seen = []

        async def follow():
            async for e in handle.fetch_history_events(wait_new_event=True):
                seen.append(name_of(e))

        following = asyncio.create_task(follow())
        for i in range(3):
            await handle.signal(Collect.add, i)
            await asyncio.sleep(0.1)
        await handle.signal(Collect.end)
        await asyncio.wait_for(following, 20)
    assert seen == await event_names(handle)
    assert seen.count("WorkflowExecutionSignaled") == 4


async def test_a_history_of_many_pages(server):
    client = await connect(server)
    queue = unique("queue")
    handle = await client.start_workflow(Collect.run, id=unique("pages"), task_queue=queue)
    for i in range(60):
        await handle.signal(Collect.add, i)
    events = [e async for e in handle.fetch_history_events(page_size=7)]
    assert [e.event_id for e in events] == list(range(1, 63))
    async with worker(client, [Collect], queue=queue):
        await handle.signal(Collect.end)
        assert await handle.result() == list(range(60))


async def test_workers_without_a_cache(server):
    client = await connect(server)
    async with worker(client, [Timers, Collect], max_cached_workflows=0) as queue:
        handle = await client.start_workflow(Collect.run, id=unique("nocache"), task_queue=queue)
        for i in range(5):
            await handle.signal(Collect.add, i)
            assert len(await handle.query(Collect.so_far)) == i + 1
        await handle.signal(Collect.end)
        assert await handle.result() == list(range(5))


async def test_the_next_worker_takes_over_at_once(server):
    client = await connect(server)
    queue = unique("queue")
    async with worker(client, [Collect], queue=queue):
        handle = await client.start_workflow(Collect.run, id=unique("sticky"), task_queue=queue)
        await handle.signal(Collect.add, 1)
        assert await handle.query(Collect.so_far) == [1]
    began = time.monotonic()
    async with worker(client, [Collect], queue=queue):
        await handle.signal(Collect.end)
        assert await handle.result() == [1]
    assert time.monotonic() - began < 9  # less than the sticky queue's own timeout


async def test_health_and_unknown_methods(server):
    client = await connect(server)
    assert await client.service_client.check_health()
    missing = client.get_workflow_handle(unique("missing"))
    for call in (missing.describe, missing.cancel, missing.terminate,
                 lambda: missing.signal("x"), lambda: missing.query("x")):
        with pytest.raises(RPCError) as refused:
            await call()
        assert refused.value.status == RPCStatusCode.NOT_FOUND
