"""What operators do to workflows: resets, deletions, batches; and namespaces to keep them apart."""

import asyncio
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from support import connect, event_names, eventually, unique, worker
from temporalio import activity, workflow
from temporalio.api.batch.v1 import (BatchOperationDeletion, BatchOperationSignal,
                                     BatchOperationTermination)
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import BatchOperationState, ResetReapplyExcludeType
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest
from temporalio.api.workflowservice.v1 import (DeleteWorkflowExecutionRequest,
                                               DescribeBatchOperationRequest,
                                               DescribeNamespaceRequest,
                                               RegisterNamespaceRequest,
                                               ResetWorkflowExecutionRequest,
                                               StartBatchOperationRequest,
                                               StopBatchOperationRequest,
                                               UpdateNamespaceRequest)
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from server import Server

tries = []


@activity.defn
async def number_the_try(wid: str) -> int:
    tries.append(wid)
    return tries.count(wid)


@workflow.defn
class Gather:
    """Collects signals and updates until there are as many as it was told."""

    def __init__(self) -> None:
        self.heard = []

    @workflow.run
    async def run(self, wanted: int) -> list:
        nth = await workflow.execute_activity(number_the_try, workflow.info().workflow_id,
                                              start_to_close_timeout=timedelta(seconds=10))
        await workflow.wait_condition(lambda: len(self.heard) >= wanted)
        return [nth, *self.heard]

    @workflow.signal
    def say(self, text: str) -> None:
        self.heard.append(text)

    @workflow.update
    def tell(self, text: str) -> int:
        self.heard.append(text)
        return len(self.heard)

    @workflow.query
    def so_far(self) -> list:
        return self.heard


def gathering(client, **options):
    return worker(client, [Gather], [number_the_try], **options)


async def gather(client, queue, wanted, wid=None):
    return await client.start_workflow(Gather.run, wanted, id=wid or unique("gather"),
                                       task_queue=queue)


# --- resets


async def reset(client, handle, finish=4, **fields):
    """The handle of the run that goes on."""
    answer = await client.workflow_service.reset_workflow_execution(ResetWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=handle.id),
        reason="again", request_id=unique("reset"), workflow_task_finish_event_id=finish,
        **fields))
    return client.get_workflow_handle(handle.id, run_id=answer.run_id)


async def test_a_reset_does_the_work_anew_and_hears_everything_again(server):
    client = await connect(server)
    async with gathering(client) as queue:
        handle = await gather(client, queue, 3)
        await eventually(lambda: heard(handle, []))
        await handle.signal(Gather.say, "a")
        assert await handle.execute_update(Gather.tell, "b") == 2
        await handle.signal(Gather.say, "c")
        assert await handle.result() == [1, "a", "b", "c"]
        again = await reset(client, handle)
        assert await again.result() == [2, "a", "b", "c"]
        names = await event_names(again)
        assert names[3] == "WorkflowTaskFailed"
        assert names[4:7] == ["WorkflowExecutionSignaled", "WorkflowExecutionUpdateAdmitted",
                              "WorkflowExecutionSignaled"]
        newest = client.get_workflow_handle(handle.id)
        assert await newest.result() == [2, "a", "b", "c"]


async def test_a_reset_may_leave_out_what_was_sent(server):
    client = await connect(server)
    async with gathering(client) as queue:
        handle = await gather(client, queue, 2)
        await eventually(lambda: heard(handle, []))
        await handle.signal(Gather.say, "a")
        await handle.execute_update(Gather.tell, "b")
        await handle.result()
        without = ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE
        again = await reset(client, handle, reset_reapply_exclude_types=[without])
        await eventually(lambda: heard(again, ["a"]))
        await again.signal(Gather.say, "c")
        assert await again.result() == [2, "a", "c"]


async def heard(handle, what):
    return await handle.query(Gather.so_far) == what


async def test_a_reset_ends_the_run_that_is_open(server):
    client = await connect(server)
    async with gathering(client) as queue:
        handle = await gather(client, queue, 1)
        first = (await handle.describe()).run_id
        await eventually(lambda: heard(handle, []))
        again = await reset(client, handle)
        old = client.get_workflow_handle(handle.id, run_id=first)
        assert (await old.describe()).status == WorkflowExecutionStatus.TERMINATED
        await again.signal(Gather.say, "x")
        assert (await again.result())[1:] == ["x"]


# --- deletions


async def delete(client, handle):
    await client.workflow_service.delete_workflow_execution(DeleteWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=handle.id)))


async def is_gone(handle):
    try:
        await handle.describe()
    except RPCError as error:
        assert error.status == RPCStatusCode.NOT_FOUND
        return True
    return False


async def listed(client, query):
    return [w.id async for w in client.list_workflows(query)]


async def test_a_deleted_workflow_is_nowhere_any_more(server):
    client = await connect(server)
    async with gathering(client) as queue:
        handle = await gather(client, queue, 0)
        await handle.result()
        await delete(client, handle)
        await eventually(lambda: is_gone(handle), 60)
        with pytest.raises(RPCError):
            await handle.fetch_history()
        assert await listed(client, f"WorkflowId = '{handle.id}'") == []
        again = await gather(client, queue, 0, wid=handle.id)
        assert (await again.result())[0] == 2


async def test_deleting_an_open_workflow_ends_it_for_those_who_wait(server):
    client = await connect(server)
    async with gathering(client) as queue:
        handle = await gather(client, queue, 1)
        await eventually(lambda: heard(handle, []))
        waiting = asyncio.create_task(handle.result())
        await asyncio.sleep(0.3)
        await delete(client, handle)
        with pytest.raises((WorkflowFailureError, RPCError)):
            await asyncio.wait_for(waiting, 20)
        await eventually(lambda: is_gone(handle), 60)


# --- batches


async def batch(client, **fields):
    job = unique("batch")
    fields.setdefault("reason", "a reason")
    await client.workflow_service.start_batch_operation(StartBatchOperationRequest(
        namespace=client.namespace, job_id=job, **fields))
    return job


async def progress(client, job):
    return await client.workflow_service.describe_batch_operation(DescribeBatchOperationRequest(
        namespace=client.namespace, job_id=job))


async def ended(client, job):
    found = await progress(client, job)
    return found if found.state != BatchOperationState.BATCH_OPERATION_STATE_RUNNING else None


async def many(client, queue, n, wanted=1):
    prefix = unique("many")
    handles = [await gather(client, queue, wanted, wid=f"{prefix}-{i}") for i in range(n)]
    await eventually(lambda: all_listed(client, prefix, n))
    return f"WorkflowId STARTS_WITH '{prefix}'", handles


async def all_listed(client, prefix, n):
    return (await client.count_workflows(f"WorkflowId STARTS_WITH '{prefix}'")).count == n


async def test_batches_signal_terminate_and_delete(server):
    client = await connect(server)
    async with gathering(client) as queue:
        query, handles = await many(client, queue, 12, wanted=2)
        signal = BatchOperationSignal(signal="say")
        signal.input.payloads.extend(await client.data_converter.encode(["all"]))
        job = await batch(client, visibility_query=query, signal_operation=signal)
        found = await eventually(lambda: ended(client, job))
        assert (found.complete_operation_count, found.failure_operation_count) == (12, 0)
        for handle in handles:
            await eventually(lambda handle=handle: heard(handle, ["all"]))
        job = await batch(client, visibility_query=query,
                          termination_operation=BatchOperationTermination(identity="operator"))
        await eventually(lambda: ended(client, job))
        assert {(await h.describe()).status for h in handles} == {
            WorkflowExecutionStatus.TERMINATED}
        job = await batch(client, visibility_query=query,
                          deletion_operation=BatchOperationDeletion(identity="operator"))
        await eventually(lambda: ended(client, job))
        for handle in handles:
            await eventually(lambda handle=handle: is_gone(handle), 60)


async def test_a_batch_goes_on_after_a_crash_and_signals_each_once():
    with Server() as server:
        client = await connect(server)
        async with gathering(client) as queue:
            query, handles = await many(client, queue, 20, wanted=2)
            signal = BatchOperationSignal(signal="say")
            signal.input.payloads.extend(await client.data_converter.encode(["once"]))
            job = await batch(client, visibility_query=query, signal_operation=signal,
                              max_operations_per_second=20)
            await eventually(lambda: some_done(client, job))
            server.kill9()
            server.start()
            client = await connect(server)
            found = await eventually(lambda: ended(client, job), 30)
            assert found.complete_operation_count == 20
        for handle in handles:
            names = await event_names(client.get_workflow_handle(handle.id))
            assert names.count("WorkflowExecutionSignaled") == 1


async def some_done(client, job):
    return (await progress(client, job)).complete_operation_count >= 3


async def test_a_batch_is_stopped(server):
    client = await connect(server)
    async with gathering(client) as queue:
        query, handles = await many(client, queue, 5)
        job = await batch(client, visibility_query=query, max_operations_per_second=1,
                          termination_operation=BatchOperationTermination())
        await client.workflow_service.stop_batch_operation(StopBatchOperationRequest(
            namespace=client.namespace, job_id=job, reason="enough", identity="operator"))
        found = await progress(client, job)
        assert found.state == BatchOperationState.BATCH_OPERATION_STATE_FAILED
        await asyncio.sleep(1.5)
        assert (await progress(client, job)).complete_operation_count < 5
        still_open = [h for h in handles if await is_open(h)]
        assert still_open
        for handle in still_open:
            await handle.signal(Gather.say, "x")


async def is_open(handle):
    return (await handle.describe()).status == WorkflowExecutionStatus.RUNNING


# --- namespaces


async def namespace(client, **fields):
    name = unique("namespace")
    fields.setdefault("workflow_execution_retention_period", Duration(seconds=86400))
    await client.workflow_service.register_namespace(RegisterNamespaceRequest(
        namespace=name, **fields))
    inside = await Client.connect(client.service_client.config.target_host, namespace=name)
    await eventually(lambda: is_known(inside))
    return inside


async def is_known(client):
    try:
        await client.count_workflows()
    except RPCError:
        return False
    return True


async def test_namespaces_keep_equal_ids_apart(server):
    client = await connect(server)
    one, two = await namespace(client), await namespace(client)
    async with gathering(one) as queue, gathering(two, queue=queue):
        first = await gather(one, queue, 1, wid="same")
        second = await gather(two, queue, 1, wid="same")
        await first.signal(Gather.say, "one")
        await second.signal(Gather.say, "two")
        assert (await first.result())[1:] == ["one"]
        assert (await second.result())[1:] == ["two"]
        assert await listed(one, "") == await listed(two, "") == ["same"]


async def test_a_namespace_is_described_as_it_was_made_and_changed(server):
    client = await connect(server)
    inside = await namespace(client, description="what for", owner_email="o@example.com",
                             data={"k": "v"})
    change = UpdateNamespaceRequest(namespace=inside.namespace)
    change.config.workflow_execution_retention_ttl.CopyFrom(Duration(seconds=7200))
    change.config.custom_search_attribute_aliases["Keyword01"] = "Color"
    await client.workflow_service.update_namespace(change)
    found = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(
        namespace=inside.namespace))
    assert found.namespace_info.description == "what for"
    assert found.namespace_info.owner_email == "o@example.com"
    assert dict(found.namespace_info.data) == {"k": "v"}
    assert found.config.workflow_execution_retention_ttl.seconds == 7200
    assert dict(found.config.custom_search_attribute_aliases) == {"Keyword01": "Color"}


async def test_a_deleted_namespace_takes_everything_with_it(server):
    client = await connect(server)
    inside = await namespace(client)
    name = inside.namespace
    async with gathering(inside) as queue:
        await (await gather(inside, queue, 0, wid="gone")).result()
    await client.operator_service.delete_namespace(DeleteNamespaceRequest(namespace=name))
    with pytest.raises(RPCError) as error:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=name))
    assert error.value.status == RPCStatusCode.NOT_FOUND
    await client.workflow_service.register_namespace(RegisterNamespaceRequest(
        namespace=name, workflow_execution_retention_period=Duration(seconds=86400)))
    await eventually(lambda: is_known(inside), 30)
    assert await is_gone(inside.get_workflow_handle("gone"))
    assert await listed(inside, "") == []
