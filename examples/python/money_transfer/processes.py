"""The demo's background processes: a server and a worker, each known by a pid file."""

import json
import os
import signal
import socket
import subprocess
import time


class Background:
    """One process that outlives the demo. state/NAME.json remembers it, state/NAME.log hears it."""

    def __init__(self, state, name, command):
        self.name, self.command = name, [str(c) for c in command]
        self.note = os.path.join(state, f"{name}.json")
        self.log = os.path.join(state, f"{name}.log")
        self.child = None

    def pid(self):
        """Its process id, or None when it does not run (or the number is somebody else's now)."""
        if self.child:
            self.child.poll()  # reaps it when it is ours and gone
        try:
            with open(self.note, encoding="utf-8") as f:
                note = json.load(f)
            with open(f"/proc/{note['pid']}/stat", encoding="utf-8") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except (OSError, ValueError, KeyError):
            return None
        alive = fields[0] not in "ZX" and fields[19] == note["started"]
        return note["pid"] if alive else None

    def remembered_command(self):
        try:
            with open(self.note, encoding="utf-8") as f:
                return json.load(f)["command"]
        except (OSError, ValueError, KeyError):
            return None

    def start(self):
        with open(self.log, "ab") as log:
            child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        with open(f"/proc/{child.pid}/stat", encoding="utf-8") as f:
            started = f.read().rsplit(")", 1)[1].split()[19]
        with open(self.note, "w", encoding="utf-8") as f:
            json.dump({"pid": child.pid, "started": started, "command": self.command}, f)
        self.child = child
        return child.pid

    def signal(self, number):
        pid = self.pid()
        if pid:
            os.kill(pid, number)
        return pid

    def wait_gone(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.pid():
                return True
            time.sleep(0.02)
        return False

    def kill(self):
        pid = self.signal(signal.SIGKILL)
        self.wait_gone(10)
        return pid

    def stop(self):
        """SIGTERM, and SIGKILL for one that does not listen. True when it was running."""
        if not self.signal(signal.SIGTERM):
            return False
        if not self.wait_gone(15):
            self.kill()
        return True

    def last_words(self, lines=15):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""


def port_busy(host, port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((host, port)) == 0
