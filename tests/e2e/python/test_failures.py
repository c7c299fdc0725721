"""What guides to failures promise: conversion, wrapping, retryability, compensation, secrecy."""

import dataclasses
from datetime import timedelta

import pytest
from support import connect, event_names, eventually, name_of, unique, worker
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import WorkflowTaskFailedCause as Cause
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.converter import DataConverter, DefaultFailureConverter, PayloadCodec
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

SHORT = timedelta(seconds=10)
THREE = RetryPolicy(initial_interval=timedelta(milliseconds=20), maximum_attempts=3)


async def has(handle, name):
    return name in await event_names(handle)


def permanent():
    return ApplicationError("no such card", "4711", type="InvalidCard", non_retryable=True)


@activity.defn
def fail(how: str) -> None:
    if how == "plain":
        raise LookupError("not here")
    if how == "with a cause":
        raise LookupError("not here") from KeyError("drawer")
    if how == "permanent":
        raise permanent()
    try:
        raise permanent()
    except ApplicationError as e:
        if how == "wrapped in a plain error":
            raise RuntimeError("payment failed") from e
        raise ApplicationError("payment failed", type="Payment", non_retryable=True) from e


@workflow.defn
class Failing:
    @workflow.run
    async def run(self, how: str, listed: list[str]) -> None:
        policy = dataclasses.replace(THREE, non_retryable_error_types=listed)
        await workflow.execute_activity(fail, how, start_to_close_timeout=SHORT,
                                        retry_policy=policy)


async def failed(client, queue, how, listed=()):
    """The application error behind the failed activity, and how many attempts were made."""
    handle = await client.start_workflow(Failing.run, args=[how, list(listed)], id=unique("fail"),
                                         task_queue=queue)
    with pytest.raises(WorkflowFailureError) as error:
        await handle.result()
    assert isinstance(error.value.cause, ActivityError)
    events = [e async for e in handle.fetch_history_events()]
    started = next(e for e in events if name_of(e) == "ActivityTaskStarted")
    closed = events[-1].workflow_execution_failed_event_attributes
    assert closed.failure.activity_failure_info.activity_type.name == "fail"
    in_activity = next(e for e in events if name_of(e) == "ActivityTaskFailed")
    assert in_activity.activity_task_failed_event_attributes.failure == closed.failure.cause
    return error.value.cause.cause, started.activity_task_started_event_attributes.attempt


async def test_any_error_becomes_an_application_error_that_is_retried(server):
    client = await connect(server)
    async with worker(client, [Failing], [fail]) as queue:
        plain, attempts = await failed(client, queue, "plain")
        caused, _ = await failed(client, queue, "with a cause")
    assert isinstance(plain, ApplicationError)
    assert (plain.message, plain.type, plain.non_retryable) == ("not here", "LookupError", False)
    assert (list(plain.details), plain.cause) == ([], None)
    assert not plain.failure.application_failure_info.HasField("next_retry_delay")
    assert "raise LookupError" in plain.failure.stack_trace
    assert attempts == 3
    assert (caused.cause.type, caused.cause.message) == ("KeyError", "'drawer'")


async def test_a_permanent_error_is_not_retried(server):
    client = await connect(server)
    async with worker(client, [Failing], [fail]) as queue:
        error, attempts = await failed(client, queue, "permanent")
    assert (error.message, list(error.details), attempts) == ("no such card", ["4711"], 1)


async def test_the_outermost_error_decides_about_retries(server):
    client = await connect(server)
    async with worker(client, [Failing], [fail]) as queue:
        plain, attempts = await failed(client, queue, "wrapped in a plain error")
        assert (plain.type, plain.non_retryable, attempts) == ("RuntimeError", False, 3)
        assert (plain.cause.type, plain.cause.non_retryable) == ("InvalidCard", True)
        kept, attempts = await failed(client, queue, "wrapped in an application error")
        assert (kept.type, kept.non_retryable, attempts) == ("Payment", True, 1)


async def test_each_caller_decides_by_its_own_list(server):
    client = await connect(server)
    async with worker(client, [Failing], [fail]) as queue:
        _, patient = await failed(client, queue, "plain", ["Other"])
        _, hasty = await failed(client, queue, "plain", ["LookupError"])
        _, by_cause = await failed(client, queue, "with a cause", ["KeyError"])
    assert (patient, hasty, by_cause) == (3, 1, 3)


log = []


@activity.defn
def book(what: str) -> None:
    log.append(what)
    if what in ("ship", "undo pay"):
        raise ApplicationError(f"{what} is impossible", type="Impossible", non_retryable=True)


@workflow.defn
class Saga:
    @workflow.run
    async def run(self) -> None:
        undo = []
        try:
            for what in ("reserve", "pay", "ship"):
                undo.append("undo " + what)
                await workflow.execute_activity(book, what, start_to_close_timeout=SHORT)
        except ActivityError as error:
            for what in reversed(undo):
                try:
                    await workflow.execute_activity(book, what, start_to_close_timeout=SHORT)
                except ActivityError:
                    pass
            raise ApplicationError(f"order failed: {error.cause}", type="OrderFailed") from error


async def test_compensation_in_reverse_order_then_failure(server):
    log.clear()
    client = await connect(server)
    async with worker(client, [Saga], [book]) as queue:
        with pytest.raises(WorkflowFailureError) as error:
            await client.execute_workflow(Saga.run, id=unique("saga"), task_queue=queue)
    assert log == ["reserve", "pay", "ship", "undo ship", "undo pay", "undo reserve"]
    assert error.value.cause.type == "OrderFailed"
    assert error.value.cause.cause.cause.message == "ship is impossible"


@activity.defn
def key() -> str:
    info = activity.info()
    keys.append(f"{info.workflow_run_id}-{info.activity_id}")
    if info.attempt == 1:
        raise RuntimeError("the answer was lost")
    return keys[-1]


keys = []


@workflow.defn
class Keys:
    @workflow.run
    async def run(self) -> list[str]:
        return [await workflow.execute_activity(key, start_to_close_timeout=SHORT,
                                                retry_policy=THREE) for _ in range(2)]


async def test_an_idempotency_key_is_the_same_in_every_attempt(server):
    keys.clear()
    client = await connect(server)
    async with worker(client, [Keys], [key]) as queue:
        first, second = await client.execute_workflow(Keys.run, id=unique("key"), task_queue=queue)
        other, _ = await client.execute_workflow(Keys.run, id=unique("key"), task_queue=queue)
    assert keys[:4] == [first, first, second, second]
    assert len({first, second, other}) == 3


@workflow.defn
class LocalFailure:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.execute_local_activity(fail, "permanent", start_to_close_timeout=SHORT)
        except ActivityError as error:
            return f"wrapped: {error.cause}"
        except ApplicationError as error:
            return error.type
        return "no error"


async def test_a_failed_local_activity_leaves_a_marker_with_its_failure(server):
    client = await connect(server)
    async with worker(client, [LocalFailure], [fail]) as queue:
        handle = await client.start_workflow(LocalFailure.run, id=unique("local"),
                                             task_queue=queue)
        assert await handle.result() == "InvalidCard"
    markers = [e.marker_recorded_event_attributes async for e in handle.fetch_history_events()
               if name_of(e) == "MarkerRecorded"]
    assert [m.marker_name for m in markers] == ["core_local_activity"]
    assert markers[0].failure.message == "no such card"


order = ["one", "two"]


@activity.defn
def named(name: str) -> str:
    return name


@workflow.defn
class Reordered:
    def __init__(self) -> None:
        self.told = 0

    @workflow.run
    async def run(self) -> list[str]:
        results = []
        for name in order:
            results.append(await workflow.execute_activity(
                named, name, activity_id=name, start_to_close_timeout=SHORT))
            await workflow.wait_condition(lambda: self.told > len(results) - 1)
        return results

    @workflow.signal
    def go(self) -> None:
        self.told += 1


async def test_code_that_no_longer_fits_the_history_fails_the_task_until_it_fits_again(server):
    client = await connect(server)
    queue = unique("queue")
    order[:] = ["one", "two"]
    async with worker(client, [Reordered], [named], queue):
        handle = await client.start_workflow(Reordered.run, id=unique("order"), task_queue=queue)
        await handle.signal(Reordered.go)
        await eventually(lambda: has(handle, "ActivityTaskCompleted"))
    order[:] = ["two", "one"]
    async with worker(client, [Reordered], [named], queue):
        await handle.signal(Reordered.go)
        await eventually(lambda: has(handle, "WorkflowTaskFailed"))
        order[:] = ["one", "two"]
        assert await handle.result() == ["one", "two"]
    causes = [e.workflow_task_failed_event_attributes.cause
              async for e in handle.fetch_history_events() if name_of(e) == "WorkflowTaskFailed"]
    assert set(causes) == {Cause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR}


class Backwards(PayloadCodec):
    """A cipher that no one would use."""

    async def encode(self, payloads):
        return [Payload(metadata={"encoding": b"backwards"}, data=p.SerializeToString()[::-1])
                for p in payloads]

    async def decode(self, payloads):
        return [Payload.FromString(p.data[::-1]) for p in payloads]


class Secret(DefaultFailureConverter):
    def __init__(self):
        super().__init__(encode_common_attributes=True)


async def test_a_failure_converter_hides_messages_and_stacks(server):
    await connect(server)
    converter = DataConverter(payload_codec=Backwards(), failure_converter_class=Secret)
    client = await Client.connect(server.address, data_converter=converter)
    async with worker(client, [Failing], [fail]) as queue:
        handle = await client.start_workflow(Failing.run, args=["plain", []], id=unique("secret"),
                                             task_queue=queue)
        with pytest.raises(WorkflowFailureError) as error:
            await handle.result()
    assert error.value.cause.cause.message == "not here"
    events = [e async for e in handle.fetch_history_events()]
    assert not any(b"not here" in e.SerializeToString() for e in events)
    started = next(e for e in events if name_of(e) == "ActivityTaskStarted")
    last = started.activity_task_started_event_attributes.last_failure
    assert (last.message, last.stack_trace) == ("Encoded failure", "")
    assert last.application_failure_info.type == "LookupError"
    assert last.HasField("encoded_attributes")


@workflow.defn
class Impatient:
    @workflow.run
    async def run(self, caught: bool) -> str:
        try:
            await workflow.execute_activity(fail, "plain", start_to_close_timeout=SHORT)
        except ActivityError as error:
            assert is_cancelled_exception(error)
            if not caught:
                raise
        return "went on"


@pytest.mark.parametrize("caught", [True, False])
async def test_a_cancelled_activity_may_be_survived(server, caught):
    client = await connect(server)
    async with worker(client, [Impatient], [fail]) as queue:
        handle = await client.start_workflow(Impatient.run, caught, id=unique("impatient"),
                                             task_queue=queue)
        await eventually(lambda: has(handle, "ActivityTaskScheduled"))
        await handle.cancel()
        if caught:
            assert await handle.result() == "went on"
        else:
            with pytest.raises(WorkflowFailureError):
                await handle.result()
    last = (await event_names(handle))[-1]
    assert last == ("WorkflowExecutionCompleted" if caught else "WorkflowExecutionCanceled")


@activity.defn
def large() -> str:
    return "x" * (3 * 1024 * 1024)


@workflow.defn
class TooLarge:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(large, start_to_close_timeout=SHORT,
                                               retry_policy=RetryPolicy(maximum_attempts=1))


async def test_workers_know_how_large_a_payload_may_be(server):
    client = await connect(server)
    async with worker(client, [TooLarge], [large]) as queue:
        with pytest.raises(WorkflowFailureError) as error:
            await client.execute_workflow(TooLarge.run, id=unique("large"), task_queue=queue)
    assert isinstance(error.value.cause, ActivityError)
    assert error.value.cause.cause.type == "PayloadsTooLarge"
