#!/usr/bin/env python3
"""The suites of `./dev test`: what they are, how long they may take, and one count of all checks.

A suite is a list of commands. Every command ends with a line `N passed, N failed`; one that ends
without such a line, or with a bad exit code and no failure counted, is itself one failed check. A
suite whose files are not in the tree is not listed. Progress lines (`ok NAME`, `not ok NAME`) are
counted while a suite runs; everything else it prints is in .dev/test/SUITE.log.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, ".dev", "test")
PYTHON = os.path.join(ROOT, ".dev", "venv", "bin", "python")
PYTHON_131 = os.path.join(ROOT, ".dev", "venv-1.31", "bin", "python")
DEBIAN_PYTHON = "/usr/bin/python3"
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed\s*$")
OVERTIME = 3  # a suite is ended at so many times its budget

current = None  # the running command; it leads its own process group


class Suite:
    """A budget of 0 means: not in this form of the run, unless it is named. Needs are files, and
    programs that not every machine has."""

    def __init__(self, name, what, budget, full_budget, needs, commands, full=None,
                 server="build/perdure", programs=()):
        self.programs = programs
        self.name, self.what, self.needs, self.server = name, what, needs, server
        self.budgets = {False: budget, True: full_budget}
        self.commands, self.full = commands, full or commands

    def present(self):
        return (all(os.path.exists(os.path.join(ROOT, p)) for p in self.needs) and
                all(shutil.which(p) for p in self.programs))

    def budget(self, full):
        return self.budgets[full] or self.budgets[True]


def meson_tests(kind):
    return [["./dev", "build", kind, "all"], [DEBIAN_PYTHON, "tests/unit.py", f"build-{kind}"]]


def e2e(*args, python=PYTHON):
    return [python, "-m", "pytest", "-p", "no:cacheprovider", "-v", "--tb=short", *args]


SERVER = ["./dev", "build", "release"]
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:suppressions=" +
                    os.path.join(ROOT, "tests", "tsan.supp"),
}

SUITES = [
    Suite("tidy", "the house rules, and tests of the test tools", 20, 20, ["tests/tidy.py"],
          [[DEBIAN_PYTHON, "tests/tidy_test.py"], [DEBIAN_PYTHON, "tests/run_test.py"],
           [DEBIAN_PYTHON, "tests/tidy.py"], [DEBIAN_PYTHON, "tests/docs_test.py"]]),
    Suite("unit", "unit tests, gcc", 100, 150, ["tests/unit.py"], meson_tests("debug")),
    Suite("sanitize", "unit tests, clang with ASan and UBSan", 160, 210, ["tests/unit.py"],
          meson_tests("asan")),
    Suite("tsan", "unit tests, clang with TSan", 0, 200, ["tests/unit.py"], meson_tests("tsan")),
    Suite("proto", "the codec against libprotobuf", 60, 300, ["tests/proto/run.py"],
          [[DEBIAN_PYTHON, "tests/proto/run.py"]],
          [[DEBIAN_PYTHON, "tests/proto/run.py", "--full"]]),
    Suite("omission", "every method and request field is used, or listed with a reason", 20, 20,
          ["tests/omission/run.py"],
          [["./dev", "build", "debug", "all"], [DEBIAN_PYTHON, "tests/omission/run.py"]]),
    Suite("sim", "simulated clock, scheduler and crashes", 90, 600, ["sim/run.py"],
          [[PYTHON, "sim/run.py"]],
          [[PYTHON, "sim/run.py", "--full"], [PYTHON, "sim/code_mutants.py"]]),
    Suite("e2e-python", "official Python SDK, newest and 1.31", 210, 240,
          ["tests/e2e/python", "src/server/meson.build"],
          [SERVER, e2e("tests/e2e/python"), e2e("tests/e2e/python", python=PYTHON_131)]),
    Suite("e2e-server", "the process: flags, TLS, metrics, drain", 30, 60,
          ["tests/e2e/server", "src/server/meson.build"], [SERVER, e2e("tests/e2e/server")]),
    Suite("e2e-typescript", "official TypeScript SDK, alone and with Python", 90, 90,
          ["tests/e2e/typescript/package-lock.json", "src/server/meson.build"],
          [SERVER, [PYTHON, "tests/e2e/typescript/run.py"], e2e("tests/e2e/polyglot")]),
    Suite("e2e-cli", "official command line; --full: every verb, also typed to the original", 60,
          130, ["tests/e2e/cli", "src/server/meson.build"],
          [SERVER, e2e("tests/e2e/cli", "--ignore=tests/e2e/cli/test_same_as_original.py")],
          [SERVER, e2e("tests/e2e/cli")]),
    Suite("e2e-go", "official Go SDK, where go is installed", 0, 120,
          ["tests/e2e/go/run.py", "src/server/meson.build"],
          [SERVER, [PYTHON, "tests/e2e/go/run.py"]], programs=["go"]),
    Suite("e2e-java", "official Java SDK, where mvn is installed", 0, 120,
          ["tests/e2e/java/run.py", "src/server/meson.build"],
          [SERVER, [PYTHON, "tests/e2e/java/run.py"]], programs=["mvn", "java"]),
    Suite("e2e-asan", "official Python SDK against the server with ASan and UBSan", 120, 150,
          ["tests/e2e/python", "src/server/meson.build"],
          [["./dev", "build", "asan", "perdure"], e2e("tests/e2e/python")],
          server="build-asan/perdure"),
    Suite("e2e-tsan", "official Python SDK against the server with TSan", 0, 240,
          ["tests/e2e/python", "src/server/meson.build"],
          [["./dev", "build", "tsan", "perdure"], e2e("tests/e2e/python")],
          server="build-tsan/perdure"),
    Suite("hostile", "hostile input beside a healthy client", 30, 30,
          ["tests/hostile/run.py", "src/server/meson.build"],
          [SERVER, [PYTHON, "tests/hostile/run.py"]]),
    Suite("example", "the money transfer of ./dev run", 60, 60,
          ["examples/python/money_transfer/demo_test.py", "src/server/meson.build"],
          [SERVER, [PYTHON, "examples/python/money_transfer/demo_test.py"]]),
    Suite("conformance", "event histories of the original server", 150, 300,
          ["tests/conformance/run.py", "src/server/meson.build"],
          [SERVER, [PYTHON, "tests/conformance/run.py"]],
          [SERVER, [PYTHON, "tests/conformance/run.py", "--full"]]),
    Suite("differential", "random sequences, compared with what the original answered", 60, 60,
          ["tests/differential/run.py", "src/server/meson.build"],
          [SERVER, [PYTHON, "tests/differential/run.py"]]),
    Suite("kill9", "kill -9 under load, every acknowledgement kept", 120, 1000,
          ["tests/kill9/run.py", "src/server/meson.build"],
          [SERVER, [PYTHON, "tests/kill9/run.py", "--canary"],
           [PYTHON, "tests/kill9/run.py", "--cycles", "30"]],
          [SERVER, [PYTHON, "tests/kill9/run.py", "--canary"],
           [PYTHON, "tests/kill9/run.py", "--cycles", "300"]]),
    Suite("fuzz", "fuzz targets, short", 120, 400, ["fuzz/run.py"],
          [["./dev", "fuzz", "--seconds", "10"]], [["./dev", "fuzz", "--seconds", "60"]]),
]


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """One line that moves on a terminal; a line every 20 s elsewhere."""

    def __init__(self, label, deadline):
        self.label, self.deadline = label, deadline
        self.started = self.shown = time.monotonic()
        self.ok = self.bad = 0
        self.tty = sys.stdout.isatty()

    def show(self):
        now = time.monotonic()
        if now - self.shown < (0.2 if self.tty else 20):
            return
        self.shown = now
        line = f"{self.label} {clock(now - self.started)}  {self.ok} passed, {self.bad} not"
        print(f"\r\x1b[K{line}" if self.tty else f"  ... {line}", end="" if self.tty else "\n",
              flush=True)

    def clear(self):
        if self.tty:
            print("\r\x1b[K", end="", flush=True)


def run_command(command, log, progress, env):
    """Returns (passed, failed, sentence or None)."""
    global current
    log.write(f"$ {' '.join(command)}\n")
    log.flush()
    child = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             errors="replace", start_new_session=True)
    current = child
    closing, done = [], threading.Event()

    def read():
        for line in child.stdout:
            log.write(line)
            if CLOSING.match(line):
                closing[:] = [tuple(map(int, CLOSING.match(line).groups()))]
            elif line.startswith("ok ") or " PASSED " in line:
                progress.ok += 1
            elif line.startswith("not ok ") or " FAILED " in line or " ERROR " in line:
                progress.bad += 1
        done.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    late = False
    while not done.wait(0.2):
        progress.show()
        if child.poll() is not None and done.wait(5):
            break
        if time.monotonic() > progress.deadline or child.poll() is not None:
            late = child.poll() is None
            break
    end_group(child)
    reader.join(5)
    log.flush()
    if late:
        passed, failed = closing[0] if closing else (progress.ok, progress.bad)
        return passed, failed + 1, f"ended: over {OVERTIME} times its budget"
    return judge(command, child.returncode, closing)


def judge(command, code, closing):
    if command[:2] == ["./dev", "build"]:
        return (0, 0, None) if code == 0 else (0, 1, "does not build")
    if not closing:
        return 0, 1, f"exit code {code} and no closing count"
    passed, failed = closing[0]
    if code and not failed:
        return passed, 1, f"exit code {code}"
    if not passed and not failed:
        return 0, 1, "ran no check"
    return passed, failed, None


def end_group(child):
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        for _ in range(20):
            if child.poll() is not None:
                break
            time.sleep(0.1)
    if child.poll() is None:
        child.wait()


def run_suite(suite, label, full):
    budget = suite.budget(full)
    path = os.path.join(LOGS, f"{suite.name}.log")
    progress = Progress(label, time.monotonic() + budget * OVERTIME)
    env = dict(os.environ, PERDURE_SERVER=os.path.join(ROOT, suite.server),
               PYTHONUNBUFFERED="1", PYTHONDONTWRITEBYTECODE="1", **SANITIZER_OPTIONS)
    for name in [n for n in env if n.startswith("TEMPORAL_")]:
        del env[name]
    passed = failed = 0
    reasons = []
    with open(path, "w", encoding="utf-8") as log:
        for command in suite.full if full else suite.commands:
            p, f, reason = run_command(command, log, progress, env)
            passed, failed = passed + p, failed + f
            if reason:
                reasons.append(f"{' '.join(command)}: {reason}")
            if reason and not p:
                break
    progress.clear()
    took = time.monotonic() - progress.started
    over = ", over budget" if took > budget else ""
    print(f"{label} {passed} passed, {failed} failed in {clock(took)} of {clock(budget)}{over}",
          flush=True)
    if failed:
        for reason in reasons:
            print(f"  {reason}")
        print_tail(path)
    return passed, failed


def print_tail(path, lines=60):
    with open(path, encoding="utf-8") as f:
        text = f.read().splitlines()
    bad = [line for line in text if line.startswith("not ok ") or " FAILED " in line]
    for line in bad[:40]:
        print(f"  | {line}")
    print(f"  end of {os.path.relpath(path, ROOT)}:")
    for line in [t for t in text if not t.startswith("ok ")][-lines:]:
        # A closing count inside a log must not be taken for the count of the whole run.
        print(f"  | {line}")
    sys.stdout.flush()


def main():
    ap = argparse.ArgumentParser(description="Runs the test suites.")
    ap.add_argument("--full", action="store_true", help="the long forms")
    ap.add_argument("--list", action="store_true", help="list the suites and their budgets")
    ap.add_argument("--names", action="store_true", help="only print which suites would run")
    ap.add_argument("suites", nargs="*", metavar="SUITE")
    args = ap.parse_args()
    present = [s for s in SUITES if s.present()]
    if args.list:
        for s in present:
            here = "" if s.budgets[args.full] else " (with --full, or when named)"
            print(f"{s.name:15} {clock(s.budget(args.full)):>6}  {s.what}{here}")
        return 0
    unknown = sorted(set(args.suites) - {s.name for s in present})
    if unknown:
        ap.error(f"no such suite: {', '.join(unknown)} (./dev test --list shows them)")
    chosen = [s for s in present if s.name in args.suites or
              not args.suites and s.budgets[args.full]]
    if args.names:
        print(f" {' '.join(s.name for s in chosen)} ")
        return 0
    os.makedirs(LOGS, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    total = sum(s.budget(args.full) for s in chosen)
    print(f"{len(chosen)} suites, budget {clock(total)}", flush=True)
    passed = failed = 0
    for n, suite in enumerate(chosen, 1):
        p, f = run_suite(suite, f"[{n}/{len(chosen)}] {suite.name:14}", args.full)
        passed, failed = passed + p, failed + f
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        if current:
            end_group(current)
