#!/usr/bin/env python3
"""Type-checks the TypeScript tests and runs them with the Node that `./dev test` put in PATH."""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    checked = subprocess.run(["node", "node_modules/typescript/bin/tsc", "-p", "."], cwd=HERE,
                             capture_output=True, text=True)
    good = checked.returncode == 0
    print(f"{'ok' if good else 'not ok'} types\n{checked.stdout}", flush=True)
    child = subprocess.Popen(["node", "main.ts"], cwd=HERE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace")
    counts = (0, 1)  # no closing line: the run itself failed
    for line in child.stdout:
        closing = re.match(r"(\d+) passed, (\d+) failed$", line)
        if closing:
            counts = tuple(map(int, closing.groups()))
        else:
            print(line, end="", flush=True)
    passed, failed = counts
    if child.wait() and not failed:
        failed = 1
        print(f"not ok exit code {child.returncode}")
    print(f"{passed + good} passed, {failed + (not good)} failed")
    return 1 if failed or not good else 0


if __name__ == "__main__":
    sys.exit(main())
