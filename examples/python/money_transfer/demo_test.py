"""The demo as a test: a first run, a second one that finds the server running, and the refusals.

PERDURE_SERVER names the server executable. Prints `ok`/`not ok` lines and `N passed, N failed`.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
SERVER = os.environ.get("PERDURE_SERVER", os.path.join(ROOT, "build", "perdure"))

counts = {True: 0, False: 0}


def check(what, good, output=""):
    counts[bool(good)] += 1
    print(f"{'ok' if good else 'not ok'} {what}", flush=True)
    if not good:
        print(output)


def python(program, *args):
    done = subprocess.run([sys.executable, os.path.join(HERE, program), *map(str, args)],
                          capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    done.stderr += f"({program} ended with {done.returncode})\n"
    return done


def ended(done, code):
    """Threads of the SDK now and then abort the interpreter as it ends, after all was printed."""
    return done.returncode in (code, -signal.SIGABRT)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def count_checks(out):
    """The demo's own checks are checks of this test."""
    for line in out.splitlines():
        m = re.match(r"^  (ok    |FAILED) (.*)", line)
        if m:
            check(f"demo: {m.group(2)}", m.group(1) != "FAILED", out)


def main():
    port = free_port()
    with tempfile.TemporaryDirectory() as state:
        common = ["--server", SERVER, "--port", port, "--state", state]
        try:
            first = python("demo.py", *common)
            count_checks(first.stdout)
            check("first run", ended(first, 0), first.stdout + first.stderr)
            began = time.monotonic()
            second = python("demo.py", *common)
            check("second run uses the running server", ended(second, 0) and
                  "Using the server that is running" in second.stdout,
                  second.stdout + second.stderr)
            check("second run takes seconds", time.monotonic() - began < 30)
            more = python("start.py", "--address", f"127.0.0.1:{port}", "alice", "bob", "5")
            check("one more transfer", ended(more, 0) and "withdrawal" in more.stdout,
                  more.stdout + more.stderr)
            poor = python("start.py", "--address", f"127.0.0.1:{port}", "alice", "bob", "5000")
            check("too poor is not retried", ended(poor, 1) and
                  "(InsufficientFunds)" in poor.stdout, poor.stdout + poor.stderr)
        finally:
            stopped = python("demo.py", *common, "--stop")
        check("stop ends both", stopped.stdout.count("stopped") == 2, stopped.stdout)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            port = s.getsockname()[1]
            busy = python("demo.py", "--server", SERVER, "--port", port, "--state", state)
            check("a busy port is named", busy.returncode == 2 and f"Port {port} is in use" in
                  busy.stderr, busy.stdout + busy.stderr)
    print(f"{counts[True]} passed, {counts[False]} failed")
    return 1 if counts[False] else 0


if __name__ == "__main__":
    sys.exit(main())
