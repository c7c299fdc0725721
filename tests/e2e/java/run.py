#!/usr/bin/env python3
"""Builds the Java tests and runs them. Needs `mvn` and a JDK of 17 or newer."""

import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), "harness"))

import program  # noqa: E402


def main():
    with tempfile.TemporaryDirectory(prefix="perdure-java-") as folder:
        jars = os.path.join(folder, "jars")
        command = ["mvn", "-q", "-B", f"-DbuildDirectory={folder}", "package",
                   "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
        if not program.build(command, HERE):
            return 1
        classes = os.pathsep.join([os.path.join(folder, "classes"), os.path.join(jars, "*")])
        return program.run(["java", "-cp", classes, "e2e.Main"], HERE)


if __name__ == "__main__":
    sys.exit(main())
