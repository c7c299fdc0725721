#!/usr/bin/env python3
"""kill -9 under load. See README.md; the last line is `N passed, N failed`."""

import argparse
import asyncio
import os
import random
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "harness")]
sys.dont_write_bytecode = True

import clients  # noqa: E402
import keepers  # noqa: E402
import ledger  # noqa: E402
import operators  # noqa: E402
import workers  # noqa: E402
from server import Server  # noqa: E402

MOST_LISTED = 100  # runs that are looked up in lists, of those of one check

counts = {True: 0, False: 0}


def check(good, what, details=()):
    counts[bool(good)] += 1
    print(f"{'ok' if good else 'not ok'} {what}", flush=True)
    for line in [] if good else list(details)[:10]:
        print(f"  {line}", flush=True)


class Run:
    def __init__(self, args, server, book):
        self.args, self.server, self.book = args, server, book
        self.random = random.Random(args.seed)
        self.load = None  # made inside the event loop
        self.restarts = []
        self.lost, self.gaps = [], []

    async def verify(self):
        """Checks what changed since the last time, while nothing new is sent: the work is what the
        clients made in between, however long the run. Returns how many histories it read."""
        self.load.going.clear()
        pending = [w for w in self.book.changed if w.run]
        self.book.changed.clear()
        listed = set(self.random.sample(pending, min(len(pending), MOST_LISTED)))
        records = list(self.load.kept.changed)
        self.load.kept.changed.clear()
        gate = asyncio.Semaphore(8)

        async def one(check, *arguments):
            async with gate:
                await check(*arguments)

        await asyncio.gather(*(one(self.verify_run, w, w in listed) for w in pending),
                             *(one(self.verify_record, key) for key in records))
        self.load.going.set()
        return len(pending)

    async def verify_run(self, workflow, listed):
        entries = [e for e in workflow.entries if e.outcome is not None]
        observed, workflow.observed = workflow.observed, []
        events = await ledger.read_history(self.load, workflow)
        lost, gaps = ledger.judge(workflow, entries, observed, events)
        self.lost += lost
        self.gaps += gaps
        self.book.follow_end(workflow, events)
        if listed:
            self.lost += await ledger.judge_lists(self.load, workflow, events)

    async def verify_record(self, key):
        self.lost += await self.load.kept.judge(self.load, key)

    async def crash(self):
        """Kills the server at a random moment after enough was acknowledged."""
        target = self.book.total() + self.args.acks
        until = time.monotonic() + 60
        while self.book.total() < target and time.monotonic() < until:
            await asyncio.sleep(0.005)
        # A started task is durable 100 ms after its dispatch at the latest; the long activity of
        # this cycle must have been handed out for longer.
        await asyncio.sleep(0.15 + self.random.random() * 0.4)
        enough = self.book.total() >= target
        self.server.kill9()
        await asyncio.sleep(self.random.random() * 0.1)
        began = time.monotonic()
        await asyncio.to_thread(self.server.start, 30)
        self.restarts.append(time.monotonic() - began)
        return enough

    async def long_activity(self, cycle):
        """Starts a long one and waits until a worker runs it."""
        name = f"long-{cycle}"
        await clients.start(self.load, self.load.stub, name, "long")
        until = time.monotonic() + 20
        while not self.book.dispatches[name] and time.monotonic() < until:
            await asyncio.sleep(0.005)

    async def cycle(self, number):
        before = self.book.total()
        await self.long_activity(number)
        enough = await self.crash()
        self.lost, self.gaps = [], []
        read = await self.verify()
        acks = self.book.total() - before
        if self.args.canary:
            kinds = {sentence.split()[0] for sentence in self.lost}
            check({"schedule", "namespace", "batch"} < kinds,
                  f"a server that forgets is caught: {len(self.lost)} of {acks} lost", self.lost)
            return
        check(enough and not self.lost and not self.gaps,
              f"cycle {number}: {acks} acknowledged, {read} histories read, {len(self.lost)} lost, "
              f"{len(self.gaps)} gaps" + ("" if enough else ", too few acknowledged in time"),
              self.lost + self.gaps)

    async def finish(self):
        """No more starts: everything must come to its end. Then all is checked once more."""
        self.load.starting = False
        until = time.monotonic() + 60
        self.lost, self.gaps = [], []
        while self.book.unfinished() and time.monotonic() < until:
            await asyncio.sleep(0.3)
            self.book.changed.update(self.book.unfinished())
            await self.verify()
        open_ones = [w.name for w in self.book.unfinished()]
        self.book.changed.update(self.book.workflows.values())
        self.load.kept.changed.update(self.load.kept.values)
        await self.verify()
        check(not self.lost, "acknowledged operations lost: 0", self.lost)
        check(not self.gaps, "history gaps: 0", self.gaps)
        check(not open_ones, f"every started workflow ends ({len(self.book.workflows)})", open_ones)
        again = {n: c for n, c in self.book.dispatches.items() if c != 1}
        check(not again and len(self.book.dispatches) == self.args.cycles,
              f"{len(self.book.dispatches)} activities of {workers.LONG_SECONDS} s across a crash, "
              "each handed out once", [f"{n}: {c} times" for n, c in again.items()])
        check(not self.book.surprises, "no unexpected answer", self.book.surprises)

    def jobs(self):
        load, n = self.load, self.args.clients
        yield from (clients.starter(load, i) for i in range(n))
        yield from (operators.Operator(load, i).run() for i in range(n // 4))
        yield operators.ActivityOperator(load, 0).run()
        yield from (keeper(load).run() for keeper in keepers.ALL)
        yield from (workers.workflow_worker(load) for _ in range(6))
        for queue in (clients.QUEUE, clients.QUEUE, clients.QUEUE, workers.LONG_QUEUE):
            yield workers.activity_worker(load, queue)

    async def play(self):
        self.load = clients.Load(self.server.address, self.book)
        jobs = [asyncio.ensure_future(job) for job in self.jobs()]
        for number in range(1, self.args.cycles + 1):
            await self.cycle(number)
            for job in jobs:
                if job.done() and job.exception():
                    raise job.exception()
        if not self.args.canary:
            await self.finish()
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        for channel in self.load.channels:
            await channel.close()


def check_file(server):
    """After an orderly end the database must be sound."""
    check(server.stop() is not None, "the server ends on SIGTERM")
    path = os.path.join(server.folder.name, "test.db")
    with sqlite3.connect(path) as db:
        said = [row[0] for row in db.execute("PRAGMA integrity_check")]
    check(said == ["ok"], "the database file is sound", said)


def main():
    ap = argparse.ArgumentParser(description="kill -9 under load")
    ap.add_argument("--cycles", type=int, default=30)
    ap.add_argument("--clients", type=int, default=16)
    ap.add_argument("--acks", type=int, default=100, help="acknowledgements per cycle, at least")
    ap.add_argument("--seed", type=int, default=None)
    ap.add_argument("--canary", action="store_true",
                    help="one cycle without a database file: passes when losses are found")
    ap.add_argument("--ledger", default=None, metavar="FILE", help="keep the ledger here")
    args = ap.parse_args()
    args.seed = args.seed if args.seed is not None else random.randrange(1 << 30)
    if args.canary:
        args.cycles = 1
    print(f"seed {args.seed}, {args.cycles} cycles, {args.clients} clients", flush=True)
    with Server(in_memory=args.canary) as server:
        book = ledger.Ledger(args.ledger or os.path.join(server.folder.name, "ledger.jsonl"))
        run = Run(args, server, book)
        try:
            asyncio.run(run.play())
        except Exception:
            print(server.log(), flush=True)
            raise
        if not args.canary:
            check_file(server)
        kinds = ", ".join(f"{n} {op}" for op, n in sorted(book.acknowledged.items()))
        print(f"acknowledged: {kinds}; restart to listening: median "
              f"{sorted(run.restarts)[len(run.restarts) // 2] * 1000:.0f} ms")
    print(f"{counts[True]} passed, {counts[False]} failed")
    return 1 if counts[False] else 0


if __name__ == "__main__":
    sys.exit(main())
