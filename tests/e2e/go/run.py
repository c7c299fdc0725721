#!/usr/bin/env python3
"""Builds the Go tests and runs them. Needs `go`; the modules come from its proxy."""

import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), "harness"))

import program  # noqa: E402


def main():
    with tempfile.TemporaryDirectory(prefix="perdure-go-") as folder:
        binary = os.path.join(folder, "e2e")
        if not program.build(["go", "build", "-o", binary, "."], HERE):
            return 1
        return program.run([binary], HERE)


if __name__ == "__main__":
    sys.exit(main())
