"""What `./dev run` shows: four money transfers, the last of them through a crash.

Starts the server (or uses the one an earlier run left), plays the transfers with the official SDK,
prints each Event History, checks balances and histories, and leaves server and worker running.
Exit code 1 when a check fails, 2 when it cannot begin.
"""

import argparse
import asyncio
import os
import sys
import time

from temporalio.client import Client, WorkflowFailureError

from activities import Transfer
from bank import Bank, money
from history import attributes, event_name, lines
from processes import Background, port_busy
from start import chain
from worker import TASK_QUEUE
from workflows import MoneyTransfer

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
HOST = "127.0.0.1"


def say(text=""):
    print(text, flush=True)


def give_up(text):
    print(f"\n{text}", file=sys.stderr, flush=True)
    sys.exit(2)


class Demo:
    def __init__(self, args):
        self.address = f"{HOST}:{args.port}"
        self.port, self.state, self.executable = args.port, args.state, args.server
        os.makedirs(self.state, exist_ok=True)
        self.bank_file = os.path.join(self.state, "bank.db")
        self.server = Background(self.state, "server", [
            self.executable, "server", "start-dev", "--ip", HOST, "--port", self.port, "--headless",
            "--db-filename", os.path.join(self.state, "perdure.db"), "--log-level", "warn"])
        self.worker = Background(self.state, "worker", [
            sys.executable, os.path.join(HERE, "worker.py"), "--address", self.address,
            "--bank", self.bank_file])
        self.run = time.strftime("%H%M%S")
        self.checks = self.failed = self.shown_requests = 0

    # Processes

    async def start_server(self):
        began = time.monotonic()
        self.server.start()
        client = await self.connect(15)
        if not client:
            give_up(f"The server did not answer on {self.address}. Its last words, from "
                    f"{os.path.relpath(self.server.log)}:\n{self.server.last_words()}")
        say(f"  server answers on {self.address} after {(time.monotonic() - began) * 1000:.0f} ms "
            f"(pid {self.server.pid()})")
        return client

    async def connect(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.server.pid():
            if port_busy(HOST, self.port):
                try:
                    return await Client.connect(self.address)
                except RuntimeError:  # listening, but not serving yet
                    pass
            await asyncio.sleep(0.02)
        return None

    async def begin(self):
        self.worker.stop()
        if self.server.pid() and self.server.remembered_command() == self.server.command:
            newer = os.path.getmtime(self.executable) > os.path.getmtime(self.server.note)
            if not newer:
                say(f"Using the server that is running on {self.address} "
                    f"(pid {self.server.pid()})")
                client = await self.connect(5)
                if client:
                    return client
        self.server.stop()
        if port_busy(HOST, self.port):
            give_up(f"Port {self.port} is in use by a program that ./dev run did not start. "
                    f"Stop it, or take another port: ./dev run --port {self.port + 10000}")
        say(f"Starting {os.path.relpath(self.executable)}")
        return await self.start_server()

    def open_bank(self):
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.bank_file + suffix):
                os.remove(self.bank_file + suffix)
        self.bank = Bank(self.bank_file)
        for name in ("alice", "carol", "erin", "grace"):
            self.bank.open_account(name, 100_00)
        for name in ("bob", "dave", "heidi"):
            self.bank.open_account(name, 0)
        self.bank.open_account("frank", 0, is_open=False)
        self.bank.misbehave("dave", "refuse", 2)
        self.bank.misbehave("heidi", "slow", 1)

    # Transfers

    def show_bank(self):
        for number, key, account, cents, outcome in self.bank.requests(self.shown_requests):
            self.shown_requests = number
            say(f"  bank: {account:6} {money(cents):>7}  {outcome:18} key ...{key[-14:]}")

    async def watch(self, task):
        """Shows what the bank hears until the task is done."""
        while not task.done():
            self.show_bank()
            await asyncio.wait([task], timeout=0.05)
        self.show_bank()

    async def start(self, client, name, source, target):
        self.source, self.target = source, target
        handle = await client.start_workflow(
            MoneyTransfer.run, Transfer(source, target, 25_00), task_queue=TASK_QUEUE,
            id=f"transfer-{name}-{self.run}")
        say(f"  started {handle.id}: {money(25_00)} from {source} to {target}")
        return handle

    async def finish(self, handle):
        """Waits for the end, shows it and the history; returns the error chain (empty: success)."""
        task = asyncio.ensure_future(handle.result())
        await self.watch(task)
        errors = []
        try:
            say(f"  result: {task.result()}")
        except WorkflowFailureError as e:
            errors = chain(e)
            say("  result: " + "\n    because ".join(errors))
        events = [e async for e in handle.fetch_history_events()]
        say("  Event History:")
        for line in lines(events):
            say(f"  {line}")
        self.check("history has no gap",
                   [e.event_id for e in events] == list(range(1, len(events) + 1)))
        return errors, events

    def check(self, what, good, detail=""):
        self.checks += 1
        self.failed += not good
        say(f"  {'ok    ' if good else 'FAILED'} {what}{f' ({detail})' if detail else ''}")

    def check_balances(self, source, target):
        for name, want in ((self.source, source), (self.target, target)):
            have = self.bank.balance(name)
            self.check(f"{name} has {money(want)}", have == want, "" if have == want else
                       f"it is {money(have)}")

    def check_end(self, events, want):
        self.check(f"ended with {want}", event_name(events[-1]) == want)

    def attempts(self, events, failure_type):
        """The highest attempt among activities whose last failure has this type."""
        found = 0
        for e in events:
            a = attributes(e)
            if event_name(e) == "ActivityTaskStarted" and a.HasField("last_failure"):
                info = a.last_failure.application_failure_info
                kind = info.type or a.last_failure.WhichOneof("failure_info")
                if kind == failure_type:
                    found = max(found, a.attempt)
        return found

    async def plain(self, client):
        say("\n1. A plain transfer")
        errors, events = await self.finish(await self.start(client, "plain", "alice", "bob"))
        self.check("succeeded", not errors)
        self.check_balances(75_00, 25_00)

    async def retried(self, client):
        say("\n2. The bank of the target does not answer twice")
        errors, events = await self.finish(await self.start(client, "retried", "carol", "dave"))
        self.check("succeeded", not errors)
        self.check("the deposit's third attempt knows the last failure",
                   self.attempts(events, "BankUnavailable") == 3)
        self.check_balances(75_00, 25_00)

    async def refunded(self, client):
        say("\n3. The target account is closed: a non-retryable failure, and a refund")
        errors, events = await self.finish(await self.start(client, "refunded", "erin", "frank"))
        self.check("failed with DepositError, caused by AccountClosed",
                   any("(DepositError)" in e for e in errors) and "(AccountClosed)" in errors[-1])
        self.check_end(events, "WorkflowExecutionFailed")
        asked = [r for r in self.bank.requests() if r[2] == "frank"]
        self.check("the closed account was asked once", len(asked) == 1)
        self.check_balances(100_00, 0)

    async def crashed(self, client):
        say("\n4. Server and worker are killed between the bank's booking and its answer")
        handle = await self.start(client, "crashed", "grace", "heidi")
        until = time.monotonic() + 20
        while not self.bank.balance("heidi") and time.monotonic() < until:
            self.show_bank()
            await asyncio.sleep(0.02)
        self.show_bank()
        before = [e async for e in handle.fetch_history_events()]
        say(f"  -- SIGKILL to server (pid {self.server.kill()}) and worker "
            f"(pid {self.worker.kill()}); {len(before)} events were acknowledged --")
        client = await self.start_server()
        say(f"  worker started (pid {self.worker.start()}); the deposit's timeout brings the retry")
        errors, events = await self.finish(client.get_workflow_handle(handle.id))
        self.check("succeeded", not errors)
        self.check("every event from before the crash is there, unchanged",
                   events[:len(before)] == before)
        keys = [r[1] for r in self.bank.requests() if r[2] == "heidi"]
        booked = [e for e in self.bank.entries() if e[2] == "heidi"]
        self.check("the bank was asked twice with one key and booked once",
                   len(keys) == 2 and len(set(keys)) == 1 and len(booked) == 1,
                   f"asked {len(keys)} times, {len(set(keys))} key, {len(booked)} entry")
        self.check_balances(75_00, 25_00)
        return client

    async def play(self):
        client = await self.begin()
        self.open_bank()
        say(f"  worker started (pid {self.worker.start()})")
        await self.plain(client)
        await self.retried(client)
        await self.refunded(client)
        await self.crashed(client)
        total = sum(self.bank.balance(n) for n in
                    ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"))
        say("\nAltogether")
        self.check("no money was made or lost", total == 400_00, f"the bank holds {money(total)}")
        return self.close()

    def close(self):
        show = os.path.relpath
        say(f"\n{self.checks - self.failed} checks passed, {self.failed} failed.\n")
        say(f"The server goes on on {self.address} (pid {self.server.pid()}), and so does the "
            f"worker (pid {self.worker.pid()}).")
        here = show(HERE)
        python = show(sys.executable) if sys.executable.startswith(ROOT) else sys.executable
        temporal = os.path.join(os.path.dirname(python), "temporal")
        say(f"  look:     {temporal} workflow show --address {self.address} "
            f"-w transfer-crashed-{self.run}")
        say(f"  the bank: {python} {show(os.path.join(HERE, 'bank.py'))} {show(self.bank_file)}")
        say(f"  one more: {python} {here}/start.py --address {self.address} alice bob 12.50")
        say(f"  logs:     {show(self.server.log)}, {show(self.worker.log)}")
        say("  stop:     ./dev stop")
        return 1 if self.failed else 0

    def stop(self):
        for process in (self.worker, self.server):
            pid = process.pid()
            say(f"{process.name}: " + (f"stopped (pid {pid})" if process.stop()
                                       else "was not running"))
        return 0


def main():
    ap = argparse.ArgumentParser(description="Four money transfers, one through a crash.")
    ap.add_argument("--server", default=os.path.join(ROOT, "build", "perdure"), metavar="FILE")
    ap.add_argument("--port", type=int, default=7233)
    ap.add_argument("--state", default=os.path.join(ROOT, ".dev", "run"), metavar="DIR")
    ap.add_argument("--stop", action="store_true", help="end what an earlier run left running")
    args = ap.parse_args()
    args.state = os.path.abspath(args.state)
    demo = Demo(args)
    if args.stop:
        return demo.stop()
    if not os.access(args.server, os.X_OK):
        give_up(f"{args.server} is not there: ./dev build makes it")
    return asyncio.run(demo.play())


if __name__ == "__main__":
    sys.exit(main())
