#!/usr/bin/env python3
"""Runs the meson tests of one build folder and counts the tests inside each program.

Usage: tests/unit.py BUILD-DIR [TEST...]. A program that prints TAP (cmocka does when asked) or ends
with `N passed, N failed` counts by that; any other counts as one check by its exit code.
"""

import json
import os
import re
import subprocess
import sys


def count(run):
    text = run.get("stdout", "")
    good = run["result"] in ("OK", "EXPECTEDFAIL")
    closing = re.findall(r"^(\d+) passed, (\d+) failed\s*$", text, re.M)
    ok = len(re.findall(r"^ok \d+", text, re.M))
    bad = len(re.findall(r"^not ok \d+", text, re.M))
    if closing:
        ok, bad = map(int, closing[-1])
    if good and not bad:
        return max(ok, 1), 0
    return ok, max(bad, 1)


def main():
    build, names = sys.argv[1], sys.argv[2:]
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP",
               ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:halt_on_error=1",
               UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
    done = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "-q", *names], env=env,
                          capture_output=True, text=True)
    log = os.path.join(build, "meson-logs", "testlog.json")
    if done.returncode and not os.path.exists(log):
        print(done.stdout + done.stderr)
        return 1
    passed = failed = 0
    with open(log, encoding="utf-8") as f:
        for line in f:
            run = json.loads(line)
            p, n = count(run)
            passed, failed = passed + p, failed + n
            print(f"{'not ok' if n else 'ok'} {run['name']} ({p} passed, {n} failed, "
                  f"{run['duration']:.2f} s)")
            if n:
                print(run.get("stdout", ""), run.get("stderr", ""), sep="\n")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
