"""Runs a test program of another language against a server, and counts what it says.

The program is given the server's address, prints `ok NAME` or `not ok NAME` for each check and ends
with `N passed, N failed`.
"""

import re
import subprocess

from server import Server

CLOSING = re.compile(r"(\d+) passed, (\d+) failed$")


def build(command, folder):
    """False, and what it printed, when the program does not build."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace")
    if done.returncode != 0:
        print(f"{done.stdout}\nnot ok {' '.join(command)}\n0 passed, 1 failed", flush=True)
    return done.returncode == 0


def relay(command, folder):
    """(passed, failed) of a program, as it says. Prints every other line as it comes."""
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace")
    counts = (0, 1)  # no closing line: the run itself failed
    for line in child.stdout:
        closing = CLOSING.match(line)
        if closing:
            counts = tuple(map(int, closing.groups()))
        else:
            print(line, end="", flush=True)
    passed, failed = counts
    if child.wait() and not failed:
        failed = 1
        print(f"not ok exit code {child.returncode}")
    return passed, failed


def run(command, folder):
    """The exit code: 0 when all passed. Prints every line as it comes, the count last."""
    with Server() as server:
        passed, failed = relay([*command, server.address], folder)
        if failed:
            print(server.log())
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
