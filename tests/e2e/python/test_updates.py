"""Updates: handlers and validators, what clients wait for, starts that bring an update along."""

import asyncio
from datetime import timedelta

import pytest
from server import EXECUTABLE, Server
from support import connect, event_names, eventually, unique, worker
from temporalio import activity, workflow
from temporalio.client import (WithStartWorkflowOperation, WorkflowUpdateFailedError,
                               WorkflowUpdateStage)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode


@activity.defn
async def double(n: int) -> int:
    return 2 * n


@workflow.defn
class Counter:
    """A number that updates change."""

    def __init__(self) -> None:
        self.value = 0
        self.ended = self.go = False

    @workflow.run
    async def run(self) -> int:
        await workflow.wait_condition(lambda: self.ended and workflow.all_handlers_finished())
        return self.value

    @workflow.update
    async def add(self, n: int) -> int:
        self.value += n
        return self.value

    @add.validator
    def not_negative(self, n: int) -> None:
        if n < 0:
            raise ApplicationError("only up", type="Negative")

    @workflow.update
    async def add_doubled(self, n: int) -> int:
        doubled = await workflow.execute_activity(
            double, n, start_to_close_timeout=timedelta(seconds=10))
        self.value += doubled
        return self.value

    @workflow.update
    async def wait_and_add(self, n: int) -> int:
        await workflow.wait_condition(lambda: self.go)
        self.value += n
        return self.value

    @workflow.update
    async def fail(self) -> None:
        raise ApplicationError("it cannot be", type="Impossible")

    @workflow.signal
    def proceed(self) -> None:
        self.go = True

    @workflow.signal
    def end(self) -> None:
        self.ended = True


async def started(client, queue, name="update"):
    return await client.start_workflow(Counter.run, id=unique(name), task_queue=queue)


async def test_updates_change_and_answer(server):
    client = await connect(server)
    async with worker(client, [Counter], [double]) as queue:
        handle = await started(client, queue)
        assert await handle.execute_update(Counter.add, 1) == 1
        assert await handle.execute_update(Counter.add_doubled, 4) == 9
        await handle.signal(Counter.end)
        assert await handle.result() == 9
    names = await event_names(handle)
    assert names.count("WorkflowExecutionUpdateAccepted") == 2
    assert names.count("WorkflowExecutionUpdateCompleted") == 2


async def test_a_validator_refuses_without_a_trace(server):
    client = await connect(server)
    async with worker(client, [Counter]) as queue:
        handle = await started(client, queue)
        assert await handle.execute_update(Counter.add, 1) == 1
        before = await event_names(handle)
        for _ in range(3):
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await handle.execute_update(Counter.add, -1)
            assert refused.value.cause.type == "Negative"
        assert await event_names(handle) == before
        assert await handle.execute_update(Counter.add, 2) == 3


async def test_a_handler_fails(server):
    client = await connect(server)
    async with worker(client, [Counter]) as queue:
        handle = await started(client, queue)
        with pytest.raises(WorkflowUpdateFailedError) as failed:
            await handle.execute_update(Counter.fail)
        assert (failed.value.cause.message, failed.value.cause.type) == \
            ("it cannot be", "Impossible")


async def test_accepted_first_and_its_result_later(server):
    client = await connect(server)
    async with worker(client, [Counter]) as queue:
        handle = await started(client, queue)
        update = await handle.start_update(Counter.wait_and_add, 5, id="slow",
                                           wait_for_stage=WorkflowUpdateStage.ACCEPTED)
        result = asyncio.create_task(update.result())
        await handle.signal(Counter.proceed)
        assert await result == 5
        again = handle.get_update_handle_for(Counter.wait_and_add, "slow")
        assert await again.result() == 5
        # The same id is the same update.
        assert await handle.execute_update(Counter.wait_and_add, 5, id="slow") == 5


async def test_an_update_waits_for_a_worker(server):
    client = await connect(server)
    queue = unique("queue")
    handle = await started(client, queue)
    update = asyncio.create_task(handle.execute_update(Counter.add, 7))
    await asyncio.sleep(0.5)
    async with worker(client, [Counter], queue=queue):
        assert await update == 7


async def test_many_at_once(server):
    client = await connect(server)
    async with worker(client, [Counter], [double]) as queue:
        handle = await started(client, queue)
        calls = [handle.execute_update(Counter.add_doubled, 1) for _ in range(9)]
        assert sorted(await asyncio.gather(*calls)) == [2 * n for n in range(1, 10)]


async def test_a_workflow_that_ends_leaves_no_update_waiting(server):
    client = await connect(server)
    async with worker(client, [Counter]) as queue:
        handle = await started(client, queue)
        update = await handle.start_update(Counter.wait_and_add, 1,
                                           wait_for_stage=WorkflowUpdateStage.ACCEPTED)
        await handle.terminate()
        with pytest.raises(WorkflowUpdateFailedError) as failed:
            await update.result()
        assert failed.value.cause.type == "AcceptedUpdateCompletedWorkflow"
        with pytest.raises(RPCError) as missing:
            await handle.execute_update(Counter.add, 1)
        assert missing.value.status == RPCStatusCode.NOT_FOUND


async def test_start_and_update_in_one(server):
    client = await connect(server)
    async with worker(client, [Counter]) as queue:
        name = unique("with-start")

        def operation():
            return WithStartWorkflowOperation(
                Counter.run, id=name, task_queue=queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING)

        first, second = operation(), operation()
        assert await client.execute_update_with_start_workflow(
            Counter.add, 3, start_workflow_operation=first) == 3
        assert await client.execute_update_with_start_workflow(
            Counter.add, 4, start_workflow_operation=second) == 7
        one, other = await first.workflow_handle(), await second.workflow_handle()
        assert one.first_execution_run_id == other.first_execution_run_id
        await one.signal(Counter.end)
        assert await other.result() == 7


async def test_updates_survive_kill_9():
    if "perdure" not in EXECUTABLE:
        pytest.skip("the original keeps nothing")
    with Server() as own:
        client = await connect(own)
        async with worker(client, [Counter], queue="updates") as queue:
            handle = await client.start_workflow(Counter.run, id="kept", task_queue=queue)
            await handle.execute_update(Counter.add, 1, id="done")
            await handle.start_update(Counter.wait_and_add, 5, id="slow",
                                      wait_for_stage=WorkflowUpdateStage.ACCEPTED)
            own.kill9()
            await asyncio.sleep(0.3)
            own.start()
            client = await connect(own)
            handle = client.get_workflow_handle("kept")
            assert await handle.execute_update(Counter.add, 1, id="done") == 1
            slow = handle.get_update_handle_for(Counter.wait_and_add, "slow")
            await handle.signal(Counter.proceed)
            assert await slow.result() == 6

            async def answers():
                return await handle.execute_update(Counter.add, 10) == 16

            assert await eventually(answers)
