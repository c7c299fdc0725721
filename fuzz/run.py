#!/usr/bin/env python3
"""Runs the fuzz targets from their seeds for some seconds each.

    fuzz/run.py [--seconds N] [--build DIR] [NAME...]

Prints one check per target with its runs and the edges it covered. The canary passes when its bug is
found. An input that breaks a target is kept in <build>/fuzz/ and its path printed. Without --build,
build-fuzz is brought up to date.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CANARY = "canary_fuzz"


def fuzz(program, seconds, artifacts):
    """(exit code, output); what the run adds to the seeds is thrown away."""
    seeds = os.path.join(ROOT, "fuzz", "corpus", os.path.basename(program))
    with tempfile.TemporaryDirectory() as found:
        command = [program, f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10",
                   "-rss_limit_mb=1024", "-print_final_stats=1", f"-artifact_prefix={artifacts}/",
                   found] + ([seeds] if os.path.isdir(seeds) else [])
        run = subprocess.run(command, capture_output=True, text=True, errors="replace",
                             env=dict(os.environ, UBSAN_OPTIONS="halt_on_error=1"))
    return run.returncode, run.stderr


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seconds", type=int, default=10)
    ap.add_argument("--build")
    ap.add_argument("names", nargs="*", help="all by default")
    args = ap.parse_args()
    if not args.build:
        args.build = os.path.join(ROOT, "build-fuzz")
        subprocess.run([os.path.join(ROOT, "dev"), "build", "fuzz", "all"], check=True)
    artifacts = os.path.join(args.build, "fuzz")
    programs = sorted(p for p in glob.glob(os.path.join(artifacts, "*_fuzz")) if os.access(p, os.X_OK))
    passed = failed = 0
    for program in programs:
        name = os.path.basename(program)
        if args.names and name not in args.names and name.removesuffix("_fuzz") not in args.names:
            continue
        code, log = fuzz(program, args.seconds, artifacts)
        edges = re.findall(r"cov: (\d+)", log)
        runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", log)
        good = "AddressSanitizer: heap-buffer-overflow" in log if name == CANARY else code == 0
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok' if good else 'not ok'} {name} ({runs[-1] if runs else '?'} runs, "
              f"{edges[-1] if edges else '?'} edges)", flush=True)
        if not good:
            print("\n".join(x for x in log.split("\n") if not x.startswith("#"))[:6000])
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
