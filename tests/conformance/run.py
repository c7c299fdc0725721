#!/usr/bin/env python3
"""Runs the conformance scenarios.

  run.py                         the suite: are all fields compared, does our server (PERDURE_SERVER
                                 or build/perdure) answer as recorded, and are ten recordings, other
                                 ones every day, still true of the original; --full: all of them
  run.py --list                  every scenario with a line about it
  run.py --matrix                every value of the protocol and the scenarios that show it
  run.py --check HOST:PORT       run them against a server and compare with the recordings
  run.py --live                  the same against the original itself, started for the purpose
  run.py --record                run them against the original and renew the recordings

Options: --only NAME (repeatable, shell patterns), --rotate N (N scenarios, others every day),
--without FEATURE (leave out scenarios that need it), --jobs N, --original (the server checked is
the original: apply no deliberate difference), --details (print all that a failed scenario saw),
--again (run what failed once more, alone), --summary (count equal differences over scenarios).
"""

import argparse
import datetime
import json
import sys
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatchcase
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import matrix  # noqa: E402
from differences import ours  # noqa: E402
from driver import original, recording, registry  # noqa: E402
from driver.compare import explain, kind_of, record_differences  # noqa: E402
from driver.normalise import Normaliser  # noqa: E402
from driver.rpc import Server  # noqa: E402
from driver.script import Script  # noqa: E402


def play(scenario, server):
    """Runs one scenario. Returns what it asked for, its normalised steps, and what stopped it."""
    script = Script(server, scenario.name, uuid.uuid4().hex[:8])
    problem = None
    try:
        scenario.run(script)
    except Exception as error:  # what a scenario meets is its result
        where = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno for f in where if "scenarios" in f.filename), 0)
        problem = f"{type(error).__name__}: {error} (line {line} of the scenario's file)"
    finally:
        script.close()
    return script.asked, Normaliser(scenario.name, script.names()).record(script.steps), problem


def judge(scenario, steps, problem, is_original):
    """The lines that say why a scenario failed, and its differences; both empty when it passed."""
    expected = recording.read(scenario.name)
    if expected is None:
        return ["  never recorded: run.py --record --only " + scenario.name], []
    if not is_original:
        expected = ours(scenario.name, expected)
    found = list(record_differences(expected, steps))
    lines = list(explain(expected, steps, found)) if found else []
    return ([f"  stopped: {problem}"] if problem else []) + lines, found


def print_summary(kinds):
    """kinds: the names of the scenarios by kind of difference."""
    print("differences by the number of scenarios that show them:")
    for kind, names in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"{len(names):4} {kind}  ({', '.join(sorted(names)[:3])})")


def chosen(options):
    names = sorted(registry.load())
    if options.only:
        names = [n for n in names if any(fnmatchcase(n, p) for p in options.only)]
    found = [registry.SCENARIOS[n] for n in names]
    found = [s for s in found if not s.needs & set(options.without)]
    return rotated(found, options.rotate) if options.rotate else found


def rotated(scenarios, count):
    """So many of them, spread over the list; tomorrow the next ones."""
    step = max(1, len(scenarios) // count)
    first = datetime.date.today().toordinal() % step
    return scenarios[first::step][:count]


def play_all(scenarios, address, jobs):
    """Yields (scenario, asked, steps, problem, seconds) at each end; server-wide ones first."""
    server = Server(address)

    def timed(scenario):
        began = time.monotonic()
        return scenario, *play(scenario, server), time.monotonic() - began

    try:
        for scenario in [s for s in scenarios if s.server_wide]:
            yield timed(scenario)
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            waiting = [pool.submit(timed, s) for s in scenarios if not s.server_wide]
            for ended in as_completed(waiting):
                yield ended.result()
    finally:
        server.close()


def record(scenarios, jobs):
    failed = 0
    version = original.version()
    with original.Original() as address:
        for scenario, asked, steps, problem, seconds in play_all(scenarios, address, jobs):
            if problem:
                failed += 1
                print(f"not ok {scenario.name}\n  {problem}", flush=True)
                print("  last seen: " + json.dumps(steps[-3:], indent=1)[-2000:])
                continue
            old = recording.read(scenario.name)
            same = old is not None and not any(record_differences(old, steps))
            recording.save(scenario.name, version, asked, old if same else steps)
            word = "unchanged" if same else "recorded"
            print(f"{word} {scenario.name} ({seconds:.1f} s)", flush=True)
    return len(scenarios) - failed, failed


def check(scenarios, address, options):
    """With --again what failed is run once more, alone: a crowded machine upsets timings."""
    failed, kinds = [], {}
    is_original = options.original or options.live
    for scenario, _, steps, problem, seconds in play_all(scenarios, address, options.jobs):
        lines, found = judge(scenario, steps, problem, is_original)
        for difference in found:
            kinds.setdefault(kind_of(difference), set()).add(scenario.name)
        print(f"{'not ok' if lines else 'ok'} {scenario.name} ({seconds:.1f} s)", flush=True)
        if lines:
            failed.append(scenario)
            print("\n".join(lines), flush=True)
            if options.details:
                print(json.dumps(steps, indent=1))
    if options.summary:
        print_summary(kinds)
    if options.again and failed:
        print(f"once more, one at a time: {len(failed)}")
        options.again, options.jobs = False, 1
        passed, still = check(failed, address, options)
        return len(scenarios) - len(failed) + passed, still
    return len(scenarios) - len(failed), len(failed)


def prove():
    """The tests of the comparison itself and of the matrix, counted like scenarios."""
    import unittest

    tests = unittest.defaultTestLoader.loadTestsFromNames(["test_recordings", "test_matrix"])
    found = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(tests)
    failed = len(found.failures) + len(found.errors)
    return found.testsRun - failed, failed


def check_live(scenarios, options):
    options.live = options.again = True
    print(f"the original: {len(scenarios)} scenarios")
    with original.Original() as address:
        return check(scenarios, address, options)


def suite(options):
    """Everything `./dev test` wants to know."""
    from harness.server import EXECUTABLE
    from harness.server import Server as OurServer

    counts = [prove()]
    scenarios = chosen(options)
    print(f"{EXECUTABLE}: {len(scenarios)} scenarios")
    with OurServer() as ours_running:
        counts.append(check(scenarios, ours_running.address, options))
    counts.append(check_live(scenarios if options.full else rotated(scenarios, 10), options))
    return sum(passed for passed, _ in counts), sum(failed for _, failed in counts)


def main():
    options = arguments()
    if options.matrix:
        matrix.show()
        return 0
    scenarios = chosen(options)
    if options.list:
        for scenario in scenarios:
            needs = f" [{', '.join(sorted(scenario.needs))}]" if scenario.needs else ""
            print(f"{scenario.name:36} {scenario.summary}{needs}")
        return 0
    if options.record:
        passed, failed = record(scenarios, options.jobs)
    elif options.live:
        passed, failed = check_live(scenarios, options)
    elif options.check:
        original.wait_until_ready(options.check, 10)
        passed, failed = check(scenarios, options.check, options)
    else:
        passed, failed = suite(options)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = ("list", "matrix", "record", "live")
    for flag in (*verbs, "full", "original", "details", "again", "summary"):
        parser.add_argument(f"--{flag}", action="store_true")
    parser.add_argument("--check", metavar="HOST:PORT")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--rotate", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=16)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
