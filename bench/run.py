#!/usr/bin/env python3
"""Benchmarks: what a workflow costs the server, in CPU time, beside the original.

  ./dev bench [w1] [--against temporal] [--in-flight 16,64] [--workflows N]
  ./dev bench shapes | retries | pending | idle [--against temporal]

Each server is started fresh, warmed up, measured with the C load generator and ended; with
--against both run in turn in the same call. Server CPU is user+sys from /proc. Ours is durable (a
file, synchronous=FULL) unless --memory; the original keeps everything in memory.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, name, durable):
        self.name = name
        self.port, self.metrics_port = free_port(), free_port()
        self.folder = tempfile.mkdtemp(prefix="perdure-bench-", dir=os.path.join(ROOT, ".dev"))
        command = [self.binary(), "server", "start-dev", "--headless", "--port", str(self.port),
                   "--log-level", "error", "--metrics-port", str(self.metrics_port)]
        if name == "temporal":
            # Without this the original's own rate limits would be what is measured.
            for key in ("frontend.rps", "frontend.namespaceRPS", "frontend.namespaceCount",
                        "history.rps", "matching.rps", "frontend.persistenceMaxQPS",
                        "history.persistenceMaxQPS", "matching.persistenceMaxQPS"):
                command += ["--dynamic-config-value", f"{key}=1000000"]
        if durable:
            command += ["--db-filename", os.path.join(self.folder, "bench.db")]
        begun = time.monotonic()
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.wait_ready()
        self.ready_s = time.monotonic() - begun

    def binary(self):
        if self.name == "temporal":
            return os.path.join(ROOT, ".dev", "venv", "bin", "temporal")
        return os.path.join(ROOT, "build", "perdure")

    def wait_ready(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                load(self, workflows=1, in_flight=1, activities=0, quiet=True)
                return
            except RuntimeError:
                time.sleep(0.02)
        with open(os.path.join(self.folder, "log"), errors="replace") as log:
            sys.exit(f"bench: {self.name} did not start: {log.read()[-2000:]}")

    def cpu_ms(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK_MS

    def rss_mib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            for line in f:
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) / 1024
        return 0.0

    def metrics(self):
        """Our own counters by name; nothing for the original."""
        if self.name == "temporal":
            return {}
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        found = {}
        with urllib.request.urlopen(url, timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line and not line.startswith("#"):
                    name, value = line.rsplit(" ", 1)
                    found[name] = float(value)
        return found

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def load(server, quiet=False, history=False, **flags):
    command = [os.path.join(ROOT, "build", "bench", "load"), "--port", str(server.port)]
    for flag, value in flags.items():
        if value is not False:
            command += [f"--{flag.replace('_', '-')}"] + ([] if value is True else [str(value)])
    if history:
        command.append("--history")
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout) if done.stdout.strip() else {}


def counter(metrics, part):
    return sum(v for k, v in metrics.items() if k.split("{")[0] == part)


def measure(server, warm, **flags):
    """One measured run: CPU per workflow and what else the run says."""
    if warm:
        load(server, **{**flags, "workflows": warm})
    before_ms, before = server.cpu_ms(), server.metrics()
    result = load(server, history=True, **flags)
    after_ms, after = server.cpu_ms(), server.metrics()
    n = result["workflows"]
    result["cpu_us"] = (after_ms - before_ms) * 1000 / n
    result["rss_mib"] = server.rss_mib()
    for name in ("perdure_commits_total", "perdure_syncs_total"):
        if after:
            result[name] = (counter(after, name) - counter(before, name)) / n
    if after:
        grown = counter(after, "perdure_database_bytes") - counter(before, "perdure_database_bytes")
        result["disk_bytes"] = grown / n
    return result


def show(name, what, r):
    extra = ""
    if "perdure_commits_total" in r:
        extra = (f"  commits/wf {r['perdure_commits_total']:.2f}"
                 f"  syncs/wf {r['perdure_syncs_total']:.2f}"
                 f"  disk {r['disk_bytes']:.0f} B/wf")
    print(f"{name:9} {what:28} server CPU {r['cpu_us']:9.1f} us/wf  {r['per_second']:8.1f} wf/s"
          f"  p50 {r['p50_ms']:8.2f} ms  p99 {r['p99_ms']:8.2f} ms  RSS {r['rss_mib']:6.1f} MiB"
          + extra, flush=True)


def ratio(ours, theirs):
    print(f"{'ratio':9} CPU 1/{theirs['cpu_us'] / max(ours['cpu_us'], 0.1):.0f}"
          f"   throughput x{ours['per_second'] / theirs['per_second']:.1f}"
          f"   p50 1/{theirs['p50_ms'] / max(ours['p50_ms'], 0.001):.0f}", flush=True)


def servers(args):
    return ["perdure"] + (["temporal"] if args.against else [])


def started(name, args):
    server = Server(name, durable=name == "perdure" and not args.memory)
    print(f"{name:9} ready in {server.ready_s * 1000:.0f} ms, idle RSS {server.rss_mib():.1f} MiB",
          flush=True)
    return server


def bench_w1(args, per=None, compare=True, **flags):
    results, histories = {}, {}
    for name in servers(args):
        server = started(name, args)
        try:
            for c in args.in_flight:
                n = args.workflows or (per or {"perdure": 20000, "temporal": 500})[name]
                if c == 1:
                    n = min(n, 500 if name == "perdure" else 100)
                r = measure(server, max(min(n // 10, 500), 1), workflows=n, in_flight=c, **flags)
                results[name, c] = r
                histories.setdefault(c, {})[name] = r["history"]
                show(name, f"{n} workflows, {c} in flight", r)
        finally:
            server.stop()
    if args.against:
        for c in args.in_flight:
            if compare:
                print(f"{c} in flight: histories {same(histories[c])}")
            ratio(results["perdure", c], results["temporal", c])


def same(by_name):
    return "agree" if len(set(by_name.values())) == 1 else f"DIFFER: {by_name}"


def bench_retries(args):
    """200 workflows whose activity fails ten times with 1 ms backoff."""
    args.in_flight = [16]
    args.workflows = args.workflows or 200
    bench_w1(args, failures=10)


SHAPES = {
    "fan-out": ("100 activities", {"activities": 100}),
    "signals": ("10 signals", {"activities": 0, "signals": 10}),
    "query": ("a query and a signal", {"activities": 0, "query": True}),
    "update": ("an update", {"activities": 0, "update": True}),
    "child": ("a child workflow", {"activities": 0, "child": True}),
}


def bench_shapes(args):
    """Workflows of other shapes than one activity, 16 in flight."""
    args.in_flight = [16]
    for name, (what, flags) in SHAPES.items():
        print(f"{name}: workflows with {what}", flush=True)
        few = name == "fan-out"
        bench_w1(args, per={"perdure": 500 if few else 5000, "temporal": 20 if few else 200},
                 compare=False, **flags)  # when a message arrives is a race


def bench_pending(args):
    """One workflow with 2,000 pending activities: the cost of each completion."""
    for name in servers(args):
        server = started(name, args)
        try:
            before = server.cpu_ms()
            r = load(server, workflows=1, in_flight=1, activities=2000, pollers=16)
            cpu = (server.cpu_ms() - before) * 1000 / 2000
            print(f"{name:9} 2,000 pending activities: server CPU {cpu:.1f} us per completion,"
                  f" {r['seconds']:.2f} s in all")
        finally:
            server.stop()


def bench_idle(args):
    """Idle CPU with 20 parked pollers of each kind."""
    for name in servers(args):
        server = started(name, args)
        try:
            parked = subprocess.Popen([os.path.join(ROOT, "build", "bench", "load"), "--port",
                                       str(server.port), "--park", "20000", "--pollers", "20"])
            time.sleep(3)  # connected, polls parked
            before = server.cpu_ms()
            time.sleep(15)
            print(f"{name:9} 20 parked pollers of each kind: CPU"
                  f" {(server.cpu_ms() - before) / 15000 * 100:.3f} % of a core,"
                  f" RSS {server.rss_mib():.1f} MiB")
            parked.wait()
        finally:
            server.stop()


BENCHES = {"w1": bench_w1, "shapes": bench_shapes, "retries": bench_retries,
           "pending": bench_pending, "idle": bench_idle}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", nargs="?", default="w1", choices=sorted(BENCHES))
    parser.add_argument("--against", choices=["temporal"], help="measure the original too")
    parser.add_argument("--in-flight", default="1,16,64",
                        type=lambda t: [int(x) for x in t.split(",")])
    parser.add_argument("--workflows", type=int, default=0, help="instead of the default number")
    parser.add_argument("--memory", action="store_true", help="ours without a file")
    args = parser.parse_args()
    os.makedirs(os.path.join(ROOT, ".dev"), exist_ok=True)
    BENCHES[args.bench](args)


if __name__ == "__main__":
    main()
