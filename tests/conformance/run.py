#!/usr/bin/env python3
"""Runs the conformance scenarios.

  run.py --list                  every scenario with a line about it
  run.py --check HOST:PORT       run them against a server and compare with the recordings
  run.py --live                  the same against the original itself, started for the purpose
  run.py --record                run them against the original and renew the recordings

Options: --only NAME (repeatable, shell patterns), --rotate N (N scenarios, others every day),
--without FEATURE (leave out scenarios that need it), --jobs N, --original (the server checked is
the original: apply no deliberate difference), --details (print all that a failed scenario saw),
--again (run what failed once more, alone).
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

sys.path.insert(0, str(Path(__file__).resolve().parent))

from differences import ours  # noqa: E402
from driver import original, recording, registry  # noqa: E402
from driver.compare import explain, record_differences  # noqa: E402
from driver.normalise import Normaliser  # noqa: E402
from driver.rpc import Server  # noqa: E402
from driver.script import Script  # noqa: E402


def play(scenario, server):
    """Runs one scenario. Returns its normalised steps and what stopped it, if anything did."""
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
    return Normaliser(scenario.name, script.names()).record(script.steps), problem


def judge(scenario, steps, problem, is_original):
    """The lines that say why a scenario failed; empty when it passed."""
    expected = recording.read(scenario.name)
    if expected is None:
        return ["  never recorded: run.py --record --only " + scenario.name]
    if not is_original:
        expected = ours(scenario.name, expected)
    found = list(record_differences(expected, steps))
    lines = list(explain(expected, steps, found)) if found else []
    return ([f"  stopped: {problem}"] if problem else []) + lines


def chosen(arguments):
    names = sorted(registry.load())
    if arguments.only:
        names = [n for n in names if any(fnmatchcase(n, p) for p in arguments.only)]
    found = [registry.SCENARIOS[n] for n in names]
    found = [s for s in found if not s.needs & set(arguments.without)]
    if arguments.rotate and arguments.rotate < len(found):
        first = datetime.date.today().toordinal() * arguments.rotate % len(found)
        found = (found + found)[first : first + arguments.rotate]
    return found


def play_all(scenarios, address, jobs):
    """Yields (scenario, steps, problem, seconds) as they end; server-wide ones run alone first."""
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
        for scenario, steps, problem, seconds in play_all(scenarios, address, jobs):
            if problem:
                failed += 1
                print(f"FAILED {scenario.name}\n  {problem}", flush=True)
                print("  last seen: " + json.dumps(steps[-3:], indent=1)[-2000:])
                continue
            old = recording.read(scenario.name)
            same = old is not None and not any(record_differences(old, steps))
            recording.save(scenario.name, version, old if same else steps)
            word = "unchanged" if same else "recorded"
            print(f"{word} {scenario.name} ({seconds:.1f} s)", flush=True)
    return len(scenarios) - failed, failed


def check(scenarios, address, options):
    """With --again what failed is run once more, alone: a crowded machine upsets timings."""
    failed = []
    is_original = options.original or options.live
    for scenario, steps, problem, seconds in play_all(scenarios, address, options.jobs):
        lines = judge(scenario, steps, problem, is_original)
        print(f"{'FAILED' if lines else 'ok'} {scenario.name} ({seconds:.1f} s)", flush=True)
        if lines:
            failed.append(scenario)
            print("\n".join(lines), flush=True)
            if options.details:
                print(json.dumps(steps, indent=1))
    if options.again and failed:
        print(f"once more, one at a time: {len(failed)}")
        options.again, options.jobs = False, 1
        passed, still = check(failed, address, options)
        return len(scenarios) - len(failed) + passed, still
    return len(scenarios) - len(failed), len(failed)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--check", metavar="HOST:PORT")
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--rotate", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=16)
    parser.add_argument("--original", action="store_true")
    parser.add_argument("--details", action="store_true")
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    scenarios = chosen(arguments)
    if arguments.list:
        for scenario in scenarios:
            needs = f" [{', '.join(sorted(scenario.needs))}]" if scenario.needs else ""
            print(f"{scenario.name:44} {scenario.summary}{needs}")
        return 0
    if arguments.record:
        passed, failed = record(scenarios, arguments.jobs)
    elif arguments.live:
        with original.Original() as address:
            passed, failed = check(scenarios, address, arguments)
    elif arguments.check:
        passed, failed = check(scenarios, arguments.check, arguments)
    else:
        parser.print_help()
        return 2
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
