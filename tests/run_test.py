#!/usr/bin/env python3
"""The suite runner must not take silence, a bad exit or a hang for success."""

import io
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run  # noqa: E402


def outcome(code, seconds=20):
    progress = run.Progress("test", time.monotonic() + seconds)
    return run.run_command([sys.executable, "-c", code], io.StringIO(), progress,
                           dict(os.environ))


CASES = [
    ("a closing count is taken", "print('3 passed, 1 failed'); raise SystemExit(1)",
     lambda r: r == (3, 1, None)),
    ("the last closing count wins", "print('9 passed, 0 failed\\n2 passed, 0 failed')",
     lambda r: r == (2, 0, None)),
    ("silence is a failure", "pass", lambda r: r[:2] == (0, 1)),
    ("no check is a failure", "print('0 passed, 0 failed')", lambda r: r[:2] == (0, 1)),
    ("a bad exit code is a failure", "print('3 passed, 0 failed'); raise SystemExit(7)",
     lambda r: r[:2] == (3, 1) and "7" in r[2]),
    ("death by signal is a failure", "import os; print('1 passed, 0 failed', flush=True); "
     "os.kill(os.getpid(), 9)", lambda r: r[1] == 1),
    ("a count inside a line does not count", "print('so 3 passed, 0 failed here')",
     lambda r: r[:2] == (0, 1)),
]


def main():
    failed = 0
    for name, code, expected in CASES:
        result = outcome(code)
        failed += not expected(result)
        print(f"ok {name}" if expected(result) else f"not ok {name}: {result}")
    began = time.monotonic()
    result = outcome("import subprocess, time; print('ok a', flush=True); "
                     "subprocess.run(['sleep', '60'])", seconds=1)
    good = result[:2] == (1, 1) and "budget" in result[2] and time.monotonic() - began < 20
    failed += not good
    print("ok a hang is ended" if good else f"not ok a hang is ended: {result}")
    short = sum(s.budgets[False] for s in run.SUITES)
    full = sum(s.budgets[True] for s in run.SUITES)
    good = short <= 25 * 60 and full <= 75 * 60
    failed += not good
    print(f"{'ok' if good else 'not ok'} the budgets fit: {run.clock(short)}, {run.clock(full)}")
    print(f"{len(CASES) + 2 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
