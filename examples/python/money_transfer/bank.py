"""A small bank on one SQLite file. It books every request once, however often it is asked.

A request carries an idempotency key. The first request with a key makes one ledger entry; the same
request again gets the same receipt and books nothing. That is enforced by the schema (the key is
unique in the ledger), and it stays visible: `request` keeps a line for every time the bank was
asked, `entry` one for every time money moved. `python bank.py FILE` prints both;
`python bank.py FILE open NAME AMOUNT` opens an account.

The bank can be told to misbehave, so that the example has something to recover from.
"""

import contextlib
import sqlite3
import sys
import time
from dataclasses import dataclass

SCHEMA = """
CREATE TABLE IF NOT EXISTS account(
  name TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK(cents >= 0), open INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS entry(
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, account TEXT NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS request(
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, account TEXT NOT NULL, cents INTEGER NOT NULL,
  outcome TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fault(
  account TEXT PRIMARY KEY, kind TEXT NOT NULL, times INTEGER NOT NULL);
"""


class BankError(Exception):
    """The bank said no. Asking again may help or not: the classes below tell which."""


class BankUnavailable(BankError):
    """Not now. The same request may succeed later."""


class AccountClosed(BankError):
    """Never again, with this account."""


class InsufficientFunds(BankError):
    """Not without more money."""


@dataclass
class Receipt:
    entry: int
    repeated: bool  # the entry was there already

    def __str__(self):
        return f"entry {self.entry}" + (" (booked before)" if self.repeated else "")


class Bank:
    def __init__(self, path):
        self.path = path
        with self._connection() as db:
            db.executescript(SCHEMA)

    @contextlib.contextmanager
    def _connection(self):
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            yield db
        finally:
            db.close()

    def open_account(self, name, cents, is_open=True):
        with self._connection() as db:
            db.execute("INSERT INTO account VALUES(?, ?, ?)", (name, cents, is_open))

    def misbehave(self, account, kind, times):
        """kind `refuse`: BankUnavailable; `slow`: books at once but answers four seconds later."""
        with self._connection() as db:
            db.execute("INSERT OR REPLACE INTO fault VALUES(?, ?, ?)", (account, kind, times))

    def move(self, key, account, cents):
        """Adds cents (negative: takes them) to the account, once per key, and gives a receipt."""
        with self._connection() as db:
            db.execute("BEGIN IMMEDIATE")
            fault = self._next_fault(db, account)
            try:
                receipt = self._book(db, key, account, cents, fault)
                outcome = "booked before" if receipt.repeated else "booked"
            except BankError as e:
                receipt, outcome = e, type(e).__name__
            db.execute("INSERT INTO request(key, account, cents, outcome) VALUES(?, ?, ?, ?)",
                       (key, account, cents, outcome))
            db.execute("COMMIT")
        if isinstance(receipt, BankError):
            raise receipt
        if fault == "slow":
            time.sleep(4)
        return receipt

    @staticmethod
    def _next_fault(db, account):
        row = db.execute("SELECT kind FROM fault WHERE account = ? AND times > 0",
                         (account,)).fetchone()
        db.execute("UPDATE fault SET times = times - 1 WHERE account = ? AND times > 0", (account,))
        return row[0] if row else None

    @staticmethod
    def _book(db, key, account, cents, fault):
        row = db.execute("SELECT id, account, cents FROM entry WHERE key = ?", (key,)).fetchone()
        if row:
            if row[1:] != (account, cents):
                raise BankError(f"key {key} was used for another request")
            return Receipt(row[0], repeated=True)
        if fault == "refuse":
            raise BankUnavailable(f"no answer from the branch of {account}")
        row = db.execute("SELECT cents, open FROM account WHERE name = ?", (account,)).fetchone()
        if not row or not row[1]:
            raise AccountClosed(f"account {account} is closed")
        if row[0] + cents < 0:
            raise InsufficientFunds(f"account {account} holds {row[0]}, asked for {-cents}")
        db.execute("UPDATE account SET cents = cents + ? WHERE name = ?", (cents, account))
        entry = db.execute("INSERT INTO entry(key, account, cents) VALUES(?, ?, ?)",
                           (key, account, cents)).lastrowid
        return Receipt(entry, repeated=False)

    def balance(self, account):
        with self._connection() as db:
            row = db.execute("SELECT cents FROM account WHERE name = ?", (account,)).fetchone()
            return row[0] if row else None

    def entries(self):
        with self._connection() as db:
            return db.execute("SELECT id, key, account, cents FROM entry ORDER BY id").fetchall()

    def requests(self, after=0):
        """(id, key, account, cents, outcome) of every request since the one with id `after`."""
        with self._connection() as db:
            return db.execute("SELECT id, key, account, cents, outcome FROM request "
                              "WHERE id > ? ORDER BY id", (after,)).fetchall()


def money(cents):
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def main():
    if len(sys.argv) == 5 and sys.argv[2] == "open":
        Bank(sys.argv[1]).open_account(sys.argv[3], round(float(sys.argv[4]) * 100))
        return
    if len(sys.argv) != 2:
        sys.exit("usage: bank.py FILE [open NAME AMOUNT]")
    bank = Bank(sys.argv[1])
    print("requests, as often as the bank was asked:")
    for _, key, account, cents, outcome in bank.requests():
        print(f"  {account:18} {money(cents):>9}  {outcome:18} key {key}")
    print("ledger, as often as money moved:")
    for _, key, account, cents in bank.entries():
        print(f"  {account:18} {money(cents):>9}  {'':18} key {key}")


if __name__ == "__main__":
    main()
