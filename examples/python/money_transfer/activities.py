"""What touches the world outside: one bank request per activity."""

from dataclasses import dataclass

from temporalio import activity
from temporalio.exceptions import ApplicationError

from bank import AccountClosed, Bank, BankError, money


@dataclass
class Transfer:
    source: str
    target: str
    cents: int


class BankActivities:
    def __init__(self, bank: Bank):
        self.bank = bank

    @activity.defn
    def withdraw(self, t: Transfer) -> str:
        return self._move(t.source, -t.cents)

    @activity.defn
    def deposit(self, t: Transfer) -> str:
        return self._move(t.target, t.cents)

    @activity.defn
    def refund(self, t: Transfer) -> str:
        return self._move(t.source, t.cents)

    def _move(self, account: str, cents: int) -> str:
        # The same for every attempt of this activity, and no other activity has it.
        info = activity.info()
        key = f"{info.workflow_run_id}-{info.activity_id}"
        refused = f"the bank refused {money(cents)} for {account}"
        try:
            return str(self.bank.move(key, account, cents))
        except AccountClosed as e:
            # No retry can help, whoever calls: the activity itself says so.
            raise ApplicationError(refused, type="AccountClosed", non_retryable=True) from e
        except BankError as e:
            # The caller's retry policy decides by the type.
            raise ApplicationError(refused, account, type=type(e).__name__) from e
