"""A server process under test: started, killed, started again on the same file."""

import os
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXECUTABLE = os.path.abspath(
    os.environ.get("PERDURE_SERVER", os.path.join(ROOT, "build", "perdure")))
HOST = "127.0.0.1"


def free_port():
    """A port that is free now, outside the range from which the system picks client ports."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        with socket.socket() as s:
            try:
                s.bind((HOST, port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


class Server:
    """`with Server() as s:` gives s.address. The database file lives as long as the object."""

    def __init__(self, *arguments, port=None, in_memory=False):
        self.folder = tempfile.TemporaryDirectory(prefix="perdure-test-")
        self.port = port or free_port()
        self.address = f"{HOST}:{self.port}"
        self.log_path = os.path.join(self.folder.name, "server.log")
        self.command = [EXECUTABLE, "server", "start-dev", "--ip", HOST, "--port", str(self.port),
                        "--headless", "--log-level", "warn", *arguments]
        if not in_memory:
            self.command += ["--db-filename", os.path.join(self.folder.name, "test.db")]
        self.process = None

    def start(self, seconds=15):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            with socket.socket() as s:
                s.settimeout(1)
                if s.connect_ex((HOST, self.port)) == 0:
                    return self
            time.sleep(0.01)
        self.process.kill()
        raise RuntimeError(f"{' '.join(self.command)} does not listen:\n{self.log()}")

    def kill9(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=15):
        """Ends it by SIGTERM and returns its exit code; None when it had to be killed. A sanitizer
        that found something makes the code one other than 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill9()
            return None

    def log(self, lines=120):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.stop()
        self.folder.cleanup()
