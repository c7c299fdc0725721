"""The transfer: withdraw, deposit, and a refund when the deposit cannot succeed."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities import BankActivities, Transfer

RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=5),
    non_retryable_error_types=["InsufficientFunds"],
)


@workflow.defn
class MoneyTransfer:
    def __init__(self) -> None:
        self.stage = "starting"

    @workflow.run
    async def run(self, t: Transfer) -> str:
        self.stage = "withdrawing"
        withdrawn = await self._ask(BankActivities.withdraw, t, "Withdrawal failed", "NoMoney")
        self.stage = "depositing"
        try:
            deposited = await self._call(BankActivities.deposit, t)
        except ActivityError as e:
            workflow.logger.warning("deposit cannot succeed, refunding: %s", e.cause)
            self.stage = "refunding"
            await self._ask(BankActivities.refund, t, "Deposit and refund failed", "TransferLost")
            self.stage = "refunded"
            raise ApplicationError("Deposit failed, the money is back on the source account",
                                   type="DepositError") from e
        self.stage = "done"
        return f"withdrawal: {withdrawn}, deposit: {deposited}"

    @workflow.query
    def current_stage(self) -> str:
        return self.stage

    async def _call(self, step, t: Transfer) -> str:
        return await workflow.execute_activity_method(
            step, t, start_to_close_timeout=timedelta(seconds=6), retry_policy=RETRY)

    async def _ask(self, step, t: Transfer, sentence: str, kind: str) -> str:
        """A step without a way back: when it fails, the transfer fails."""
        try:
            return await self._call(step, t)
        except ActivityError as e:
            raise ApplicationError(f"{sentence}: {e.cause}", type=kind) from e
