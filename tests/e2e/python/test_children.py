"""Child workflows and other workflows: results, failures, ends of parents, signals, cancels."""

import asyncio
import random
from collections import Counter
from datetime import timedelta

import pytest
from server import Server
from support import connect, event_names, eventually, unique, worker
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import (ApplicationError, CancelledError, ChildWorkflowError, RetryState,
                                   TerminatedError, TimeoutError, TimeoutType,
                                   WorkflowAlreadyStartedError)
from temporalio.workflow import ParentClosePolicy

PART = timedelta(milliseconds=300)


@workflow.defn
class Kid:
    """Does what it is told, and shows what it heard."""

    def __init__(self) -> None:
        self.heard: list = []

    @workflow.run
    async def run(self, what: str) -> list:
        if what == "fail":
            try:
                raise ApplicationError("inner", {"account": 7}, type="Inner")
            except ApplicationError as e:
                raise ApplicationError("outer", type="Outer", non_retryable=True) from e
        if what == "flaky" and workflow.info().attempt < 3:
            raise ApplicationError(f"attempt {workflow.info().attempt}", type="Flaky")
        if what == "continue":
            workflow.continue_as_new("done")
        if what == "wait":
            await workflow.wait_condition(lambda: "go" in self.heard)
        if what == "sleep":
            await asyncio.sleep(3600)
        parent = workflow.info().parent
        return [what, self.heard, parent.workflow_id if parent else None]

    @workflow.signal
    def tell(self, word: str) -> None:
        self.heard.append(word)

    @workflow.query
    def words(self) -> list:
        return self.heard


@workflow.defn
class Parent:
    @workflow.run
    async def run(self, what: str, options: dict) -> list:
        timeout = options.pop("timeout", None)
        attempts = options.pop("attempts", None)
        return await workflow.execute_child_workflow(
            Kid.run, what, id=workflow.info().workflow_id + "-kid",
            execution_timeout=timedelta(seconds=timeout) if timeout else None,
            retry_policy=RetryPolicy(initial_interval=PART, backoff_coefficient=1.0,
                                     maximum_attempts=attempts) if attempts else None)


async def parent_of(client, queue, what, **options):
    return await client.start_workflow(Parent.run, args=[what, options], id=unique("parent"),
                                       task_queue=queue)


def kid_of(client, parent):
    return client.get_workflow_handle(parent.id + "-kid")


async def started(handle):
    async def there():
        try:
            return (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
        except Exception:
            return False

    await eventually(there)


async def test_a_child_gives_its_result(server):
    client = await connect(server)
    async with worker(client, [Parent, Kid]) as queue:
        parent = await parent_of(client, queue, "done")
        assert await parent.result() == ["done", [], parent.id]
        kid = await kid_of(client, parent).describe()
    assert (kid.parent_id, kid.root_id) == (parent.id, parent.id)
    assert await event_names(parent) == [
        "WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted",
        "WorkflowTaskCompleted", "StartChildWorkflowExecutionInitiated",
        "ChildWorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted",
        "WorkflowTaskCompleted", "ChildWorkflowExecutionCompleted", "WorkflowTaskScheduled",
        "WorkflowTaskStarted", "WorkflowTaskCompleted", "WorkflowExecutionCompleted"]


async def test_the_failure_chain_of_a_child_arrives_whole(server):
    client = await connect(server)
    async with worker(client, [Parent, Kid]) as queue:
        parent = await parent_of(client, queue, "fail")
        with pytest.raises(WorkflowFailureError) as failed:
            await parent.result()
    in_child = failed.value.cause
    assert isinstance(in_child, ChildWorkflowError)
    assert (in_child.workflow_type, in_child.workflow_id) == ("Kid", parent.id + "-kid")
    assert in_child.retry_state == RetryState.RETRY_POLICY_NOT_SET
    outer = in_child.cause
    assert (outer.message, outer.type, outer.non_retryable) == ("outer", "Outer", True)
    inner = outer.cause
    assert (inner.message, inner.type, list(inner.details)) == (
        "inner", "Inner", [{"account": 7}])


async def test_a_child_is_retried_by_its_policy(server):
    client = await connect(server)
    async with worker(client, [Parent, Kid]) as queue:
        parent = await parent_of(client, queue, "flaky", attempts=3)
        assert (await parent.result())[0] == "flaky"
        parent = await parent_of(client, queue, "flaky", attempts=2)
        with pytest.raises(WorkflowFailureError) as failed:
            await parent.result()
    assert failed.value.cause.retry_state == RetryState.MAXIMUM_ATTEMPTS_REACHED
    assert failed.value.cause.cause.message == "attempt 2"


async def test_the_result_is_that_of_the_last_run(server):
    client = await connect(server)
    async with worker(client, [Parent, Kid]) as queue:
        parent = await parent_of(client, queue, "continue")
        assert (await parent.result())[0] == "done"


async def test_a_child_times_out(server):
    client = await connect(server)
    async with worker(client, [Parent, Kid]) as queue:
        parent = await parent_of(client, queue, "sleep", timeout=1)
        with pytest.raises(WorkflowFailureError) as failed:
            await parent.result()
    cause = failed.value.cause.cause
    assert isinstance(cause, TimeoutError)
    assert cause.type == TimeoutType.START_TO_CLOSE


async def test_a_child_is_terminated(server):
    client = await connect(server)
    async with worker(client, [Parent, Kid]) as queue:
        parent = await parent_of(client, queue, "sleep")
        kid = kid_of(client, parent)
        await started(kid)
        await kid.terminate("enough")
        with pytest.raises(WorkflowFailureError) as failed:
            await parent.result()
    assert isinstance(failed.value.cause.cause, TerminatedError)


async def test_a_cancelled_parent_cancels_its_child(server):
    client = await connect(server)
    async with worker(client, [Parent, Kid]) as queue:
        parent = await parent_of(client, queue, "sleep")
        await started(kid_of(client, parent))
        await parent.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await parent.result()
        assert isinstance(failed.value.cause, CancelledError)
        assert (await kid_of(client, parent).describe()).status == WorkflowExecutionStatus.CANCELED


@workflow.defn
class Leaver:
    """Starts a child, and ends without it."""

    def __init__(self) -> None:
        self.told = False

    @workflow.run
    async def run(self, policy: int) -> None:
        await workflow.start_child_workflow(
            Kid.run, "wait", id=workflow.info().workflow_id + "-kid",
            parent_close_policy=ParentClosePolicy(policy))
        await workflow.wait_condition(lambda: self.told)

    @workflow.signal
    def leave(self) -> None:
        self.told = True


@pytest.mark.parametrize("policy,status", [
    (ParentClosePolicy.TERMINATE, WorkflowExecutionStatus.TERMINATED),
    (ParentClosePolicy.REQUEST_CANCEL, WorkflowExecutionStatus.CANCELED),
    (ParentClosePolicy.ABANDON, WorkflowExecutionStatus.COMPLETED)])
async def test_the_end_of_a_parent(server, policy, status):
    client = await connect(server)
    async with worker(client, [Leaver, Kid]) as queue:
        parent = await client.start_workflow(Leaver.run, int(policy), id=unique("leaver"),
                                             task_queue=queue)
        kid = kid_of(client, parent)
        await started(kid)
        await parent.signal(Leaver.leave)
        await parent.result()
        if policy == ParentClosePolicy.ABANDON:
            await kid.signal(Kid.tell, "go")

        async def ended():
            return (await kid.describe()).status == status

        await eventually(ended)


@workflow.defn
class Twice:
    @workflow.run
    async def run(self) -> str:
        name = workflow.info().workflow_id + "-kid"
        first = await workflow.start_child_workflow(Kid.run, "wait", id=name)
        try:
            await workflow.start_child_workflow(Kid.run, "wait", id=name)
        except WorkflowAlreadyStartedError as e:
            await first.signal(Kid.tell, "go")
            await first
            return e.workflow_id
        return "nothing"


async def test_a_child_whose_id_is_taken_is_refused(server):
    client = await connect(server)
    async with worker(client, [Twice, Kid]) as queue:
        name = unique("twice")
        assert await client.execute_workflow(Twice.run, id=name, task_queue=queue) == name + "-kid"


@workflow.defn
class Sender:
    @workflow.run
    async def run(self, to: str, what: str) -> str:
        other = workflow.get_external_workflow_handle_for(Kid.run, to)
        try:
            if what == "cancel":
                await other.cancel()
            else:
                await other.signal(Kid.tell, what)
        except ApplicationError as e:
            return f"{e.type}: {e.message}"
        return "done"


async def send(client, queue, to, what):
    return await client.execute_workflow(Sender.run, args=[to, what], id=unique("sender"),
                                         task_queue=queue)


async def test_a_workflow_signals_another(server):
    client = await connect(server)
    async with worker(client, [Sender, Kid]) as queue:
        kid = await client.start_workflow(Kid.run, "wait", id=unique("other"), task_queue=queue)
        assert await send(client, queue, kid.id, "word") == "done"
        assert await send(client, queue, kid.id, "go") == "done"
        assert (await kid.result())[1] == ["word", "go"]
        assert "not" in await send(client, queue, kid.id, "late")
        assert "not" in await send(client, queue, unique("nobody"), "x")


async def test_a_workflow_cancels_another(server):
    client = await connect(server)
    async with worker(client, [Sender, Kid]) as queue:
        kid = await client.start_workflow(Kid.run, "sleep", id=unique("other"), task_queue=queue)
        assert await send(client, queue, kid.id, "cancel") == "done"
        with pytest.raises(WorkflowFailureError) as failed:
            await kid.result()
        assert isinstance(failed.value.cause, CancelledError)
        assert await send(client, queue, kid.id, "cancel") == "done"
        assert "not" in await send(client, queue, unique("nobody"), "cancel")


@workflow.defn
class Family:
    """Many children one after the other, a few at a time; each is also told something."""

    @workflow.run
    async def run(self, count: int) -> list:
        async def one(i: int) -> str:
            kid = await workflow.start_child_workflow(
                Kid.run, "wait", id=f"{workflow.info().workflow_id}-{i}")
            await kid.signal(Kid.tell, "go")
            return f"{i} {(await kid)[1]}"

        results = []
        for first in range(0, count, 5):
            results += await asyncio.gather(*[one(i) for i in range(first, first + 5)])
        return results


async def test_every_child_ends_once_although_the_server_is_killed(server):
    with Server() as own:
        client = await connect(own)
        count = 60
        handle = await client.start_workflow(Family.run, count, id="family", task_queue="family")
        async with worker(client, [Family, Kid], queue="family"):
            for _ in range(6):
                await asyncio.sleep(random.uniform(0.05, 0.6))
                own.kill9()
                own.start()
            fresh = await connect(own)
            handle = fresh.get_workflow_handle(handle.id)
            assert await handle.result() == [f"{i} ['go']" for i in range(count)]
            names = Counter(await event_names(handle))
        for name in ("StartChildWorkflowExecutionInitiated", "ChildWorkflowExecutionStarted",
                     "ChildWorkflowExecutionCompleted", "ExternalWorkflowExecutionSignaled"):
            assert names[name] == count
