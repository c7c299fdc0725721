#!/usr/bin/env python3
"""Random sequences of operations, played on the original and on our server, must look the same.

  run.py                    the suite: the recorded sequences, on our server (PERDURE_SERVER or
                            build/perdure), compared with what the original answered
  run.py --live N           N new sequences on both servers; differences are shrunk and printed
  run.py --show NAME        a recorded sequence and the original's answers
  run.py --replay FILE      a sequence as JSON ({"name", "operations"}) on both servers

Options: --seed TEXT, --skip N (leave out the first N sequences of the seed), --jobs N, --shapes
(count the ordered pairs that were played; always done with --live), --keep FOLDER (write every
difference there, as a report and as JSON for --replay), --record N (the first N sequences that both
answer alike become those of the suite, with the original's answers), --coverage FILE (adds what was
played to what earlier and concurrent runs have played, and writes what is rare among all of it),
--original and --ours HOST:PORT (servers that run already).
"""

import argparse
import contextlib
import itertools
import json
import sys
import unittest
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHARED_EVERY = 20  # sequences
sys.path[:0] = [str(HERE), str(HERE.parent)]

import judge  # noqa: E402
import recorded  # noqa: E402
import coverage  # noqa: E402
from coverage import Coverage  # noqa: E402
from driver import original  # noqa: E402
from driver.compare import explain, kind_of  # noqa: E402
from driver.rpc import Server  # noqa: E402
from generate import Generator  # noqa: E402
from harness.server import Server as OurServer  # noqa: E402
from sequence import Sequence, lines  # noqa: E402


def generated(options, count, generator=None):
    """Sequences are written when they are asked for: what was played until then steers them."""
    generator = generator or Generator(options.seed)
    for _ in range(options.skip):
        generator.next()
    for _ in range(count):
        yield generator.next()


def in_parallel(function, items, jobs):
    """Yields (item, result or the exception NoOutcome) as they end; items are taken when there is
    somebody to do them."""

    def guarded(item):
        try:
            return function(item)
        except judge.NoOutcome as none:
            return none

    items, waiting = iter(items), {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        while True:
            for item in itertools.islice(items, jobs - len(waiting)):
                waiting[pool.submit(guarded, item)] = item
            if not waiting:
                return
            for ended in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(ended), ended.result()


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


def patient_original():
    """One that answers many lists a second."""
    return original.Original({"frontend.namespaceRPS.visibility": 10000})


class Results:
    """Counts and prints what became of sequences."""

    def __init__(self, keep, shared=None, generator=None):
        self.keep = Path(keep) if keep else None
        self.shared, self.generator = shared, generator
        self.coverage = Coverage()
        self.unshared = Coverage()
        self.to_record, self.records = 0, []
        self.same, self.slow, self.different = 0, [], []
        self.proofs_failed = 0

    def add(self, sequence, played):
        self.same += 1
        self.coverage.add(played.operations)
        self.unshared.add(played.operations)
        if self.generator:
            self.generator.was_played(sequence, played.operations)
        if self.shared and self.unshared.sequences >= SHARED_EVERY:
            self.share()
        if len(self.records) < self.to_record and played.operations == sequence.operations:
            self.records.append((sequence, played.steps))
            if len(self.records) == self.to_record:
                recorded.save(original.version(), self.records)
                print(f"{self.to_record} sequences recorded", flush=True)

    def share(self):
        """What all runs together have played steers this one, too."""
        total = self.unshared.merge_into(self.shared)
        self.unshared = Coverage()
        if self.generator:
            self.generator.pairs = total.pairs
        return total

    def note_difference(self, sequence, found, expected, actual):
        """As it was met; it is played again, and shrunk, at the end."""
        print(f"differs: {sequence.name}: {kind_of(found[0])}", flush=True)
        self._keep(sequence, judge.report(sequence, found, expected, actual), "whole")

    def _keep(self, sequence, lines, suffix):
        if self.keep:
            self.keep.mkdir(parents=True, exist_ok=True)
            file = self.keep / f"{sequence.name}.{suffix}"
            file.with_suffix(f".{suffix}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
            file.with_suffix(f".{suffix}.json").write_text(json.dumps(sequence.to_json()))

    def add_slow(self, none):
        self.slow.append(none)
        print(f"no outcome: {none}", flush=True)

    def add_different(self, sequence, found, report):
        text = "\n".join(report)
        self.different.append((sequence, kind_of(found[0])))
        print(text, flush=True)
        self._keep(sequence, report, "shrunk")

    def close(self):
        if self.shared:
            total = self.share()
            print("all runs together: " + "\n".join(total.lines()))
        for sequence, kind in self.different:
            print(f"  {sequence.name}: {kind}")
        if self.slow:
            print(f"{len(self.slow)} sequences had no outcome")
        failed = len(self.different) + self.proofs_failed
        print(f"{self.same} passed, {failed} failed")
        return 1 if failed or not self.same else 0


def live(options, sequences, generator=None):
    """Plays them on both servers."""
    results = Results(options.keep, options.coverage, generator)
    results.to_record = options.record
    with connected(patient_original, options.original) as one:
        with connected(our_server, options.ours) as other:
            different = []
            run = in_parallel(lambda s: judge.compare(s, one, other), sequences, options.jobs)
            for sequence, outcome in run:
                if isinstance(outcome, judge.NoOutcome):
                    results.add_slow(outcome)
                elif outcome[0]:
                    different.append(sequence)
                    results.note_difference(sequence, *outcome)
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
    if options.replay:
        value = json.loads(Path(options.replay).read_text(encoding="utf-8"))
        return live(options, [Sequence.from_json(value)])
    if options.live:
        played = coverage.read(options.coverage).pairs if options.coverage else ()
        generator = Generator(options.seed, played)
        return live(options, generated(options, options.live, generator), generator)
    return suite(options)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("live", "record", "skip"):
        parser.add_argument(f"--{name}", type=int, default=0)
    for name in ("show", "replay", "keep", "coverage", "original", "ours"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=32)
    parser.add_argument("--shapes", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
