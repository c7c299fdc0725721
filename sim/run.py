#!/usr/bin/env python3
"""The suite `sim`: seeds, regressions, broken builds that must be caught, and equal traces.

Usage: sim/run.py [--full]. Prints `ok NAME` / `not ok NAME` per check; the last line is
`N passed, N failed`. The checks:

- SEEDS seeds and those of sim/seeds.txt run clean
- every broken build (--mutant) is caught by one of its first seeds, and by which invariant
- the same seeds give the same traces with gcc and clang (--full: -O0 and -O3 too)
"""

import argparse
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join("sim", "perdure-sim")
SEEDS, FULL_SEEDS = 200, 2000
STEPS, FULL_STEPS = 15000, 30000
HASH_SEEDS, FULL_HASH_SEEDS = 24, 200
MUTANT_SEEDS = 60

results = {True: 0, False: 0}


def check(good, name, text=""):
    results[bool(good)] += 1
    print(f"{'ok' if good else 'not ok'} {name}", flush=True)
    if not good and text:
        print(text, flush=True)


def run(build, *args):
    return subprocess.run([os.path.join(ROOT, build, PROGRAM), *map(str, args)],
                          capture_output=True, text=True, errors="replace")


def dev_build(kind):
    subprocess.run([os.path.join(ROOT, "dev"), "build", kind, PROGRAM], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    return "build" if kind == "release" else f"build-{kind}"


def plain_build(name, compiler, level):
    folder = os.path.join(ROOT, name)
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        subprocess.run(["meson", "setup", folder, f"-Doptimization={level}", "-Ddebug=false"],
                       cwd=ROOT, check=True, env=dict(os.environ, CC=compiler),
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", folder, PROGRAM], check=True, stdout=subprocess.DEVNULL)
    return name


def seeds_clean(build, n, steps):
    done = run(build, "--seeds", n, "--steps", steps)
    failed = re.findall(r"^not ok seed (\d+)", done.stdout, re.M)
    results[True] += n - len(failed)
    results[False] += len(failed)
    print("\n".join(line for line in done.stdout.splitlines() if not re.match(r"\d+ passed", line)))


def regressions():
    """Lines of seeds.txt: seed, steps, what it found."""
    with open(os.path.join(ROOT, "sim", "seeds.txt"), encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                seed, steps, _ = line.split(None, 2)
                yield int(seed), int(steps)


def mutants(build):
    text = run(build, "--help").stdout
    return re.findall(r"^      (\w+) +", text, re.M)


def first_catch(build, mutant):
    """(seed, invariant) of the first seed that sees this broken build, or None."""
    for seed in range(1, MUTANT_SEEDS + 1):
        done = run(build, "--seed", seed, "--steps", 6000, "--mutant", mutant)
        caught = re.search(r"^broken (\w+)", done.stdout, re.M)
        if caught:
            return seed, caught.group(1)
    return None


def hashes(build, n):
    text = run(build, "--seeds", n, "--hashes").stdout
    return sorted(re.findall(r"^seed (\d+) hash (\w+)", text, re.M))


def same_traces(builds, n):
    expected = hashes(builds[0], n)
    for build in builds[1:]:
        got = hashes(build, n)
        check(expected and got == expected, f"{n} traces of {builds[0]} and {build} are the same",
              str(sorted(set(got) ^ set(expected))[:4]))


def main():
    ap = argparse.ArgumentParser(description="The suite sim.")
    ap.add_argument("--full", action="store_true")
    full = ap.parse_args().full
    build = dev_build("debug")
    seeds_clean(build, FULL_SEEDS if full else SEEDS, FULL_STEPS if full else STEPS)
    for seed, steps in regressions():
        done = run(build, "--seed", seed, "--steps", steps)
        check(done.returncode == 0, f"regression seed {seed}, {steps} steps", done.stdout)
    for name in mutants(build):
        caught = first_catch(build, name)
        check(caught, f"broken build {name} is caught" +
              (f" by {caught[1]}, seed {caught[0]}" if caught else ""))
    builds = [build, dev_build("clang")]
    if full:
        builds += [dev_build("release"), plain_build("build-sim-gcc-O0", "gcc", "0"),
                   plain_build("build-sim-clang-O0", "clang", "0")]
    same_traces(builds, FULL_HASH_SEEDS if full else HASH_SEEDS)
    print(f"{results[True]} passed, {results[False]} failed")
    return 1 if results[False] else 0


if __name__ == "__main__":
    sys.exit(main())
