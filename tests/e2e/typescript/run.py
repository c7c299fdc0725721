#!/usr/bin/env python3
"""Type-checks the TypeScript tests and runs them with the Node that `./dev test` put in PATH."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), "harness"))

import program  # noqa: E402


def main():
    checked = subprocess.run(["node", "node_modules/typescript/bin/tsc", "-p", "."], cwd=HERE,
                             capture_output=True, text=True)
    good = checked.returncode == 0
    print(f"{'ok' if good else 'not ok'} types\n{checked.stdout}", flush=True)
    passed, failed = program.relay(["node", "main.ts"], HERE)
    print(f"{passed + good} passed, {failed + (not good)} failed")
    return 1 if failed or not good else 0


if __name__ == "__main__":
    sys.exit(main())
