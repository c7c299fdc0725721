"""Workflows and activities of the scenarios that use the official Python SDK."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

QUICK = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=1.0, maximum_attempts=3
)
SHORT = timedelta(seconds=10)


@activity.defn
async def withdraw(account: str, amount: int) -> str:
    return f"withdrawn {amount} from {account}"


@activity.defn
async def deposit(account: str, amount: int) -> str:
    if account == "closed":
        raise ApplicationError("account is closed", account, type="Closed", non_retryable=True)
    if account == "slow" and activity.info().attempt < 3:
        raise RuntimeError("bank is busy")
    if account == "broken":
        try:
            raise ValueError("no such row")
        except ValueError as error:
            raise RuntimeError("bank is broken") from error
    return f"deposited {amount} to {account}"


@activity.defn
async def refund(account: str, amount: int) -> str:
    return f"refunded {amount} to {account}"


@activity.defn
async def hang(_: str) -> str:
    """Beats once and then hangs until it is cancelled."""
    activity.heartbeat("still here")
    await asyncio.sleep(60)
    return "never"


@activity.defn
async def beat_until_cancelled() -> str:
    try:
        while True:
            activity.heartbeat("beat")
            await asyncio.sleep(0.2)
    except asyncio.CancelledError:
        raise


@workflow.defn
class Transfer:
    @workflow.run
    async def run(self, source: str, target: str, amount: int) -> str:
        await self._step(withdraw, source, amount)
        try:
            return await self._step(deposit, target, amount)
        except ActivityError:
            await self._step(refund, source, amount)
            raise

    async def _step(self, what, account, amount):
        return await workflow.execute_activity(
            what, args=[account, amount], start_to_close_timeout=SHORT, retry_policy=QUICK
        )


@workflow.defn
class Timeouts:
    """Runs the hanging activity with the timeout that is asked for."""

    @workflow.run
    async def run(self, kind: str) -> str:
        fields = {"start_to_close_timeout": SHORT}
        if kind == "start to close":
            fields = {"start_to_close_timeout": timedelta(seconds=1)}
        elif kind == "heartbeat":
            fields["heartbeat_timeout"] = timedelta(seconds=1)
        elif kind == "schedule to close":
            fields = {"schedule_to_close_timeout": timedelta(seconds=1)}
        elif kind == "schedule to start":
            fields["schedule_to_start_timeout"] = timedelta(seconds=1)
            fields["task_queue"] = "nobody-polls"
        policy = RetryPolicy(maximum_attempts=1)
        return await workflow.execute_activity(hang, kind, retry_policy=policy, **fields)


@workflow.defn
class Cancellable:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            beat_until_cancelled,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=1),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


@workflow.defn
class Basket:
    """Collects what is signalled until the signal "close"."""

    def __init__(self):
        self.items = []
        self.closed = False

    @workflow.run
    async def run(self) -> list:
        await workflow.wait_condition(lambda: self.closed)
        return self.items

    @workflow.signal
    def add(self, item: str) -> None:
        self.items.append(item)

    @workflow.signal
    def close(self) -> None:
        self.closed = True

    @workflow.query
    def content(self) -> list:
        return self.items

    @workflow.query
    def trouble(self) -> str:
        raise ApplicationError("no answer", type="Trouble")


@workflow.defn
class Countdown:
    @workflow.run
    async def run(self, left: int) -> str:
        if left > 0:
            workflow.continue_as_new(left - 1)
        return "zero"


@workflow.defn
class Sleeper:
    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(timedelta(seconds=1), summary="a nap")
        return "awake"


@workflow.defn
class Local:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_local_activity(
            withdraw, args=["a", 1], start_to_close_timeout=SHORT
        )


@workflow.defn
class Faulty:
    """Its task fails as long as broken is set: a bug, and its repair by a new worker."""

    broken = True

    @workflow.run
    async def run(self) -> str:
        if Faulty.broken:
            raise RuntimeError("a bug")
        return "repaired"


@workflow.defn
class Failing:
    @workflow.run
    async def run(self) -> str:
        raise ApplicationError("always", {"some": "detail"}, type="Always")


WORKFLOWS = [
    Transfer,
    Timeouts,
    Cancellable,
    Basket,
    Countdown,
    Sleeper,
    Local,
    Faulty,
    Failing,
]
ACTIVITIES = [withdraw, deposit, refund, hang, beat_until_cancelled]
