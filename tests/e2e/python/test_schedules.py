"""Schedules and cron with the official SDK: what they start, watch, remember, and survive."""

import asyncio
from datetime import datetime, timedelta, timezone

import pytest
from support import connect, eventually, unique, worker
from temporalio import workflow
from temporalio.client import (Schedule, ScheduleActionExecutionStartWorkflow,
                               ScheduleActionStartWorkflow, ScheduleAlreadyRunningError,
                               ScheduleBackfill, ScheduleCalendarSpec, ScheduleIntervalSpec,
                               ScheduleOverlapPolicy, SchedulePolicy, ScheduleRange, ScheduleSpec,
                               ScheduleState, ScheduleUpdate, WorkflowFailureError)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from server import EXECUTABLE, Server


@workflow.defn
class Remember:
    """Says what it knows of the run before; fails when it is asked to."""

    @workflow.run
    async def run(self, order: str) -> str:
        before = "nothing"
        if workflow.has_last_completion_result():
            before = workflow.get_last_completion_result(str)
        failure = workflow.get_last_failure()
        if order == "fail":
            raise ApplicationError("as asked")
        if order == "wait":
            await workflow.wait_condition(lambda: False)
        return f"{order} after {before[:20]}" + (f", {failure.cause or failure}" if failure else "")


def every(seconds):
    return ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=seconds))])


def starts(queue, order="work", **options):
    return ScheduleActionStartWorkflow(Remember.run, order, id=unique("scheduled"),
                                       task_queue=queue, **options)


async def described(handle, holds):
    async def check():
        d = await handle.describe()
        return d if holds(d) else None
    return await eventually(check)


async def test_description_is_what_was_asked_for(server):
    client = await connect(server)
    spec = ScheduleSpec(
        calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(3, 9, 2)], comment="odd hours")],
        cron_expressions=["0 12 * * MON"], time_zone_name="Europe/Berlin",
        start_at=datetime(2090, 1, 1, tzinfo=timezone.utc), jitter=timedelta(seconds=5))
    handle = await client.create_schedule(
        unique("schedule"),
        Schedule(action=starts("q", memo={"m": "v"}), spec=spec,
                 policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ONE,
                                       catchup_window=timedelta(minutes=5)),
                 state=ScheduleState(note="noted", paused=True)),
        memo={"of": "the schedule"})
    d = await handle.describe()
    assert d.schedule.policy.overlap is ScheduleOverlapPolicy.BUFFER_ONE
    assert d.schedule.policy.catchup_window == timedelta(minutes=5)
    assert d.schedule.state.note == "noted" and d.schedule.state.paused
    assert [c.hour for c in d.schedule.spec.calendars] == [(ScheduleRange(3, 9, 2),),
                                                           (ScheduleRange(12, 12, 1),)]
    assert d.schedule.spec.time_zone_name == "Europe/Berlin"
    assert len(d.info.next_action_times) == 10
    assert await d.memo_value("of") == "the schedule"
    with pytest.raises(ScheduleAlreadyRunningError):
        await client.create_schedule(handle.id, Schedule(action=starts("q"), spec=spec))
    await handle.delete()
    with pytest.raises(RPCError) as gone:
        await handle.describe()
    assert gone.value.status is RPCStatusCode.NOT_FOUND


async def test_actions_follow_each_other(server):
    client = await connect(server)
    async with worker(client, [Remember]) as queue:
        handle = await client.create_schedule(
            unique("schedule"), Schedule(action=starts(queue), spec=every(1)))
        d = await described(handle, lambda d: d.info.num_actions >= 3)
        await handle.pause(note="enough")
        ids = [a.action.workflow_id for a in d.info.recent_actions]
        results = [await client.get_workflow_handle(i).result() for i in ids[:3]]
        assert results[0] == "work after nothing" and results[1].startswith("work after work")
        assert (await handle.describe()).schedule.state.note == "enough"
        await handle.delete()


async def test_update_changes_what_is_started(server):
    client = await connect(server)
    async with worker(client, [Remember]) as queue:
        handle = await client.create_schedule(
            unique("schedule"), Schedule(action=starts(queue), spec=ScheduleSpec()))

        def changed(given):
            schedule = given.description.schedule
            schedule.action.args = ["changed"]
            schedule.spec.intervals = [ScheduleIntervalSpec(every=timedelta(days=7))]
            return ScheduleUpdate(schedule=schedule)

        await handle.update(changed)
        await described(handle, lambda d: d.info.last_updated_at)
        await handle.trigger()
        d = await described(handle, lambda d: d.info.num_actions == 1)
        started = d.info.recent_actions[0].action
        assert isinstance(started, ScheduleActionExecutionStartWorkflow)
        assert await client.get_workflow_handle(started.workflow_id).result() == \
            "changed after nothing"
        await handle.delete()


async def test_failures_pause_and_are_told(server):
    client = await connect(server)
    async with worker(client, [Remember]) as queue:
        handle = await client.create_schedule(
            unique("schedule"), Schedule(action=starts(queue, "fail"), spec=ScheduleSpec(),
                                         policy=SchedulePolicy(pause_on_failure=True)))
        await handle.trigger()
        d = await described(handle, lambda d: d.schedule.state.paused)
        assert "paused due to workflow failure" in d.schedule.state.note
        assert "as asked" in d.schedule.state.note
        await handle.delete()


async def test_backfill(server):
    client = await connect(server)
    async with worker(client, [Remember]) as queue:
        handle = await client.create_schedule(
            unique("schedule"), Schedule(action=starts(queue), spec=every(60),
                                         state=ScheduleState(paused=True)))
        end = datetime(2020, 1, 1, 0, 30, tzinfo=timezone.utc)
        await handle.backfill(ScheduleBackfill(start_at=end - timedelta(minutes=24), end_at=end,
                                               overlap=ScheduleOverlapPolicy.ALLOW_ALL))
        d = await described(handle, lambda d: d.info.num_actions == 25)
        assert d.info.recent_actions[-1].scheduled_at == end
        await handle.delete()


async def test_terminate_other(server):
    client = await connect(server)
    async with worker(client, [Remember]) as queue:
        handle = await client.create_schedule(
            unique("schedule"),
            Schedule(action=starts(queue, "wait"), spec=every(1),
                     policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.TERMINATE_OTHER)))
        d = await described(handle, lambda d: d.info.num_actions >= 2)
        first = d.info.recent_actions[0].action.workflow_id
        with pytest.raises(WorkflowFailureError) as ended:
            await client.get_workflow_handle(first).result()
        assert "terminated by schedule overlap policy" in str(ended.value.cause)
        await handle.pause()
        await handle.delete()


async def test_cron(server):
    client = await connect(server)
    async with worker(client, [Remember]) as queue:
        handle = await client.start_workflow(Remember.run, "cron", id=unique("cron"),
                                             task_queue=queue, cron_schedule="@every 1s")

        async def third():
            d = await client.get_workflow_handle(handle.id).describe()
            given = [e async for e in client.get_workflow_handle(
                handle.id, run_id=d.run_id).fetch_history_events()][0]
            result = given.workflow_execution_started_event_attributes.last_completion_result
            return result.payloads and b"cron after cron" in result.payloads[0].data

        await eventually(third)
        await client.get_workflow_handle(handle.id).terminate()


@pytest.mark.skipif("temporal" in EXECUTABLE, reason="loses nothing only where that is promised")
async def test_no_action_is_lost_or_doubled_although_the_server_is_killed():
    """Five kills in the midst: every second that the server lived has one workflow, none has two,
    and what waited in the buffer is started after the restart."""
    with Server() as own:
        client = await connect(own)
        async with worker(client, [Remember]) as queue:
            handle = await client.create_schedule(
                unique("schedule"),
                Schedule(action=starts(queue), spec=every(1),
                         policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ALL)))
            began = datetime.now(timezone.utc)
            for _ in range(5):
                await asyncio.sleep(1.3)
                own.kill9()
                own.start()
            d = await described(handle, lambda d: d.info.num_actions >= 8)
            times = [a.scheduled_at for a in d.info.recent_actions]
            assert len(set(times)) == len(times)
            steps = {(b - a).total_seconds() for a, b in zip(times, times[1:])}
            assert steps == {1.0}, f"since {began}: {times}"
            for action in d.info.recent_actions[:5]:
                await client.get_workflow_handle(action.action.workflow_id).result()
            await handle.pause()
