#!/usr/bin/env python3
"""Hostile input against a running server. See README.md; the last line is `N passed, N failed`."""

import argparse
import json
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "harness")]
sys.dont_write_bytecode = True

import grpc  # noqa: E402

import cases  # noqa: E402
import wire  # noqa: E402
from server import HOST, Server  # noqa: E402

RECORDED = os.path.join(HERE, "recorded.json")
MAX_ANSWER = 200
ROUNDS = 5
counts = {True: 0, False: 0}


def check(good, what, *details):
    counts[bool(good)] += 1
    print(f"{'ok' if good else 'not ok'} {what}", flush=True)
    for line in () if good else details:
        print(f"  {line}", flush=True)


class Healthy(threading.Thread):
    """A client beside the hostile ones, on its own connection: a call every few milliseconds."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.channel = grpc.insecure_channel(address)
        self.ask = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        self.calls, self.slowest, self.errors, self.ended = 0, 0.0, [], False

    def run(self):
        while not self.ended:
            begin = time.monotonic()
            try:
                self.ask(b"", timeout=2, compression=grpc.Compression.Gzip)
            except grpc.RpcError as e:
                self.errors.append(f"{e.code().name}: {e.details()}")
            self.calls += 1
            self.slowest = max(self.slowest, time.monotonic() - begin)
            time.sleep(0.005)


def rss_kib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def by_frames(row, port):
    w = wire.Wire(HOST, port)
    start = b"" if row.raw else wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0)
    w.send(start + row.given)
    answer = w.outcome()
    w.close()
    return answer


def by_request(row, channel):
    method, request = row.given
    try:
        channel.unary_unary(wire.SERVICE + method)(request, timeout=3)
        return "OK"
    except grpc.RpcError as e:
        return f"{e.code().name}: {e.details()}"


def answers(server, rows, rounds):
    """Yields (row, answer, RSS in KiB); in every round the answers must be the same."""
    channel = grpc.insecure_channel(server.address)
    for row in rows * rounds:
        given = row.given
        answer = by_frames(row, server.port) if isinstance(given, bytes) else by_request(
            row, channel)
        yield row, answer[:MAX_ANSWER], rss_kib(server.process)
    channel.close()


def compare(row, answer, recorded, seen):
    ours, original = recorded[row.name]["ours"], recorded[row.name]["original"]
    if answer == ours and row in seen:
        return
    seen.add(row)
    check(answer == ours, row.name, f"got:      {answer}", f"expected: {ours}",
          f"original: {original}")
    if (ours != original) != bool(row.because):
        check(False, f"{row.name}: a difference has a reason, and only a difference", row.because)


def print_table(recorded):
    print("| input | our answer | the original's, where it differs | because |\n|---|---|---|---|")
    for row in cases.ROWS:
        ours, original = recorded[row.name]["ours"], recorded[row.name]["original"]
        print(f"| {row.name} | {ours} | {original if ours != original else ''} | {row.because} |")


def run(args, rows, recorded):
    with Server() as server:
        time.sleep(5 if args.record == "original" else 0)
        healthy = Healthy(server.address)
        healthy.start()
        seen, largest = set(), 0
        for row, answer, rss in answers(server, rows, 1 if args.record else ROUNDS):
            largest = max(largest, rss)
            if args.record:
                recorded.setdefault(row.name, {})[args.record] = answer
                print(f"{row.name}: {answer}", flush=True)
            else:
                compare(row, answer, recorded, seen)
        healthy.ended = True
        healthy.join()
        check(not healthy.errors, f"a healthy client beside them ({healthy.calls} calls, slowest "
              f"{healthy.slowest * 1000:.0f} ms)", *healthy.errors[:5])
        check(largest <= args.max_rss_mib * 1024,
              f"memory: at most {largest >> 10} MiB, the bound is {args.max_rss_mib}")
        check(server.process.poll() is None, "the server is still there", server.log())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", choices=["ours", "original"],
                        help="write the answers of the server named by PERDURE_SERVER")
    parser.add_argument("--table", action="store_true", help="print the table and end")
    parser.add_argument("--max-rss-mib", type=int, default=128)
    parser.add_argument("names", nargs="*", help="only rows whose name contains one of these")
    args = parser.parse_args()
    rows = [r for r in cases.ROWS if not args.names or any(n in r.name for n in args.names)]
    recorded = {}
    if os.path.exists(RECORDED):
        with open(RECORDED, encoding="utf-8") as f:
            recorded = json.load(f)
    if args.table:
        print_table(recorded)
        return 0
    run(args, rows, recorded)
    if args.record:
        with open(RECORDED, "w", encoding="utf-8") as f:
            json.dump({r.name: recorded[r.name] for r in cases.ROWS if r.name in recorded}, f,
                      indent=1, ensure_ascii=False)
            f.write("\n")
    print(f"{counts[True]} passed, {counts[False]} failed")
    return 1 if counts[False] else 0


if __name__ == "__main__":
    sys.exit(main())
