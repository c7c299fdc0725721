#!/usr/bin/env python3
"""Random sequences of operations, played on the original and on our server, must look the same.

  run.py                    the suite: the recorded sequences, on our server (PERDURE_SERVER or
                            build/perdure), compared with what the original answered
  run.py --live N           N new sequences on both servers; differences are shrunk and printed
  run.py --record N         N new sequences on the original; what it answers the same way twice is
                            kept for the suite
  run.py --show NAME        a recorded sequence and the original's answers
  run.py --replay FILE      a sequence as JSON ({"name", "operations"}) on both servers

Options: --seed TEXT, --skip N (leave out the first N sequences of the seed), --jobs N, --shapes
(count the ordered pairs that were played; always done with --live), --keep FOLDER (write every
difference there, as a report and as JSON for --replay), --original and --ours HOST:PORT (servers
that run already).
"""

import argparse
import contextlib
import json
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import judge  # noqa: E402
import recorded  # noqa: E402
from coverage import Coverage  # noqa: E402
from driver import original  # noqa: E402
from driver.compare import explain, kind_of  # noqa: E402
from driver.rpc import Server  # noqa: E402
from generate import Generator  # noqa: E402
from harness.server import Server as OurServer  # noqa: E402
from sequence import Sequence, lines  # noqa: E402


def generated(options, count):
    generator = Generator(options.seed)
    for _ in range(options.skip):
        generator.next()
    return [generator.next() for _ in range(count)]


def in_parallel(function, items, jobs):
    """Yields (item, result or the exception NoOutcome) as they end."""

    def guarded(item):
        try:
            return function(item)
        except judge.NoOutcome as none:
            return none

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting = {pool.submit(guarded, item): item for item in items}
        for ended in as_completed(waiting):
            yield waiting[ended], ended.result()


@contextlib.contextmanager
def connected(start, address):
    """A connection to a server that runs already, or to one that is started for the purpose."""
    with contextlib.ExitStack() as stack:
        server = Server(address or stack.enter_context(start()))
        stack.callback(server.close)
        yield server


@contextlib.contextmanager
def our_server():
    with OurServer() as running:
        yield running.address


class Results:
    """Counts and prints what became of sequences."""

    def __init__(self, keep):
        self.keep = Path(keep) if keep else None
        self.coverage = Coverage()
        self.same, self.slow, self.different = 0, [], []
        self.proofs_failed = 0

    def add(self, sequence, played):
        self.same += 1
        self.coverage.add(played.operations)

    def add_slow(self, none):
        self.slow.append(none)
        print(f"no outcome: {none}", flush=True)

    def add_different(self, sequence, found, report):
        text = "\n".join(report)
        self.different.append((sequence, kind_of(found[0])))
        print(text, flush=True)
        if self.keep:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / f"{sequence.name}.txt").write_text(text + "\n", encoding="utf-8")
            (self.keep / f"{sequence.name}.json").write_text(json.dumps(sequence.to_json()))

    def close(self):
        for sequence, kind in self.different:
            print(f"  {sequence.name}: {kind}")
        if self.slow:
            print(f"{len(self.slow)} sequences had no outcome")
        failed = len(self.different) + self.proofs_failed
        print(f"{self.same} passed, {failed} failed")
        return 1 if failed or not self.same else 0


def live(options, sequences):
    results = Results(options.keep)
    with connected(original.Original, options.original) as one:
        with connected(our_server, options.ours) as other:
            different = []
            run = in_parallel(lambda s: judge.compare(s, one, other), sequences, options.jobs)
            for sequence, outcome in run:
                if isinstance(outcome, judge.NoOutcome):
                    results.add_slow(outcome)
                elif outcome[0]:
                    different.append(sequence)
                else:
                    results.add(sequence, outcome[1])
            shrink_all(different, one, other, options, results)
    print("\n".join(results.coverage.lines()))
    return results.close()


def shrink_all(sequences, one, other, options, results):
    """Only what differs here again counts, with fewer sequences at a time."""

    def smaller(sequence):
        found, expected, actual = judge.compare(sequence, one, other)
        if not found:
            return sequence, found, expected, None
        shrunk = judge.shrink(sequence, one, other)
        return shrunk, found, expected, list(judge.shown(shrunk, one, other))

    jobs = max(1, options.jobs // 4)
    for sequence, outcome in in_parallel(smaller, sequences, jobs):
        if isinstance(outcome, judge.NoOutcome):
            results.add_slow(outcome)
            continue
        shrunk, found, expected, report = outcome
        if found:
            results.add_different(shrunk, found, report)
        else:
            results.add(sequence, expected)


def record(options):
    """Keeps the answers of sequences the original plays twice the same way."""
    kept = []
    with connected(original.Original, options.original) as server:

        def twice(sequence):
            first = judge.play(sequence, server, is_original=True)
            shorter = judge.only_played(sequence, first)
            if shorter.operations != sequence.operations:
                first = judge.play(shorter, server, is_original=True)
            second = judge.play(shorter, server, is_original=True)
            same = not judge.differences(first.steps, second.steps)
            return (shorter, first.steps) if same else None

        sequences = generated(options, options.record)
        for sequence, outcome in in_parallel(twice, sequences, options.jobs):
            if outcome is None or isinstance(outcome, judge.NoOutcome):
                print(f"not kept: {sequence.name}", flush=True)
            else:
                kept.append(outcome)
    kept.sort(key=lambda entry: [int(p) for p in entry[0].name.split("-") if p.isdigit()])
    recorded.save(original.version(), kept)
    print(f"{len(kept)} sequences, {recorded.FILE.stat().st_size} bytes")
    return 0


def prove(results):
    """The test of the test, counted like sequences."""
    import test_differential

    tests = unittest.defaultTestLoader.loadTestsFromModule(test_differential)
    found = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(tests)
    results.proofs_failed = len(found.failures) + len(found.errors)
    results.same += found.testsRun - results.proofs_failed


def suite(options):
    """The recorded sequences; what differs is played once more, alone."""
    results = Results(options.keep)
    prove(results)
    entries = {sequence.name: (sequence, steps) for sequence, steps in recorded.read()}
    with connected(our_server, options.ours) as server:

        def check(name):
            sequence, steps = entries[name]
            played = judge.play(sequence, server)
            return judge.differences(steps, played.steps), played

        again = []
        for name, outcome in in_parallel(check, entries, options.jobs):
            if isinstance(outcome, judge.NoOutcome) or outcome[0]:
                again.append(name)
            else:
                results.add(entries[name][0], outcome[1])
                print(f"ok {name}", flush=True)
        for name, outcome in in_parallel(check, again, 1):
            sequence, steps = entries[name]
            if isinstance(outcome, judge.NoOutcome):
                results.add_slow(outcome)
            elif outcome[0]:
                found, played = outcome
                report = [f"not ok {name}", *lines(sequence)]
                report += explain(steps, played.steps, found[: judge.FIRST_SHOWN])
                results.add_different(sequence, found, report)
            else:
                results.add(sequence, outcome[1])
                print(f"ok {name}", flush=True)
    if options.shapes:
        print("\n".join(results.coverage.lines()))
    return results.close()


def show(name):
    for sequence, steps in recorded.read():
        if sequence.name == name:
            print(f"{name}, answered by {recorded.version()}")
            print("\n".join(lines(sequence)))
            for label, value in steps:
                print(f"{label}: {json.dumps(value, indent=1)}")
            return 0
    print("recorded: " + " ".join(sequence.name for sequence, _ in recorded.read()))
    return 1


def main():
    options = arguments()
    if options.show:
        return show(options.show)
    if options.record:
        return record(options)
    if options.replay:
        value = json.loads(Path(options.replay).read_text(encoding="utf-8"))
        return live(options, [Sequence.from_json(value)])
    if options.live:
        return live(options, generated(options, options.live))
    return suite(options)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("live", "record", "skip"):
        parser.add_argument(f"--{name}", type=int, default=0)
    for name in ("show", "replay", "keep", "original", "ours"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=32)
    parser.add_argument("--shapes", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
