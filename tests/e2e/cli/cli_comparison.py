"""The same command typed to two servers: what is printed is compared as JSON, after what cannot be
equal (ids, times, sizes) is named instead."""

import asyncio
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cli_support import TEMPORAL
from server import HOST, Server, free_port
from temporalio.client import Client

ORIGINAL = os.environ.get("TEMPORAL_ORIGINAL", TEMPORAL)
UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
WORKER = re.compile(r"\d+@")
DELETED = re.compile(r"-deleted-[0-9a-f]{5}")
PLACE = re.compile(r" \(at character \d+ of the query\)")  # our errors say where
# Said by a namespace only of what is built.
UNBUILT = {"standaloneActivities", "standaloneActivityBatchOperations",
           "standaloneActivityOperatorCommands", "standaloneActivityStartDelay",
           "workflowTaskCompletionSizeLimitError", "httpAddress"}
# Differs from server to server, or from run to run: only that it is there is compared.
UNEQUAL = {"historySizeBytes", "taskId", "workerInstanceKey", "executionDuration", "runTime",
           "nextPageToken", "requestId", "currentRetryInterval", "backlogIncreaseRate",
           "tasksAddRate", "address", "durationMillis", "stateTransitionCount",
           "startWorkflowStatus",  # the original forgets how what overlaps has ended
           "coreUsedFlags", "tasksDispatchRate", "approximateBacklogAge"}
# The command line prints them in no order.
UNORDERED = {"stats", "pollers"}


class Original(Server):
    """The server inside the official command line."""

    def __init__(self):
        super().__init__(in_memory=True)
        self.port = free_port()
        self.address = f"{HOST}:{self.port}"
        self.command[0] = ORIGINAL

    def start(self, seconds=30):
        super().start(seconds)
        asyncio.run(self.serves())
        return self

    async def serves(self):
        for _ in range(100):
            try:
                client = await Client.connect(self.address)
                await client.count_workflows()
                return
            except Exception:
                await asyncio.sleep(0.1)
        raise RuntimeError("the original does not answer")


class Names:
    """Gives what cannot be equal names in the order of appearance."""

    def __init__(self):
        self.ids = {}

    def text(self, text):
        if text.startswith("Stack for "):  # the tasks of a Python workflow are in no order
            text = "\n".join(sorted(text.split("\n")))
        text = UUID.sub(lambda m: self.ids.setdefault(m[0], f"<id {len(self.ids) + 1}>"), text)
        text = DELETED.sub("-deleted-<id>", text)
        return WORKER.sub("<pid>@", TIME.sub("<time>", PLACE.sub("", text)))

    def value(self, value, key=""):
        if isinstance(value, dict):
            return {self.text(k): self.value(v, k) for k, v in value.items() if k not in UNBUILT}
        if key in UNEQUAL:
            return "<any>"
        if isinstance(value, list):
            values = [self.value(v) for v in value]
            return sorted(values, key=json.dumps) if key in UNORDERED else values
        return self.text(value) if isinstance(value, str) else value


def printed(out):
    """JSON, or several values of JSON one after the other, or plain text."""
    values, at, decoder = [], 0, json.JSONDecoder()
    while at < len(out):
        if out[at].isspace():
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(out, at)
        except ValueError:
            return [out]
        values.append(value)
    return values


def differences(ours, theirs, path=""):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from differences(ours.get(key, "absent"), theirs.get(key, "absent"),
                                   f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for n, (x, y) in enumerate(zip(ours, theirs)):
            yield from differences(x, y, f"{path}[{n}]")
    elif ours != theirs:
        yield f"{path}: original {theirs!r}, ours {ours!r}"


class Both:
    """The same command to both servers, and one answer. Names stay equal over a test."""

    def __init__(self, servers):
        self.servers, self.names = servers, (Names(), Names())

    def __call__(self, *arguments, order=None, only=None):
        """An argument that is a pair has a value for each server. Of a list, entries may be put in
        an order, and some only compared."""
        with ThreadPoolExecutor(2) as pool:
            ours, theirs = pool.map(lambda i: self.said(i, arguments, order, only), (0, 1))
        different = list(differences(ours, theirs))
        assert not different, "\n".join([" ".join(map(str, arguments)), *different])
        return ours

    def said(self, i, arguments, order, only):
        names = self.names[i]
        words = [a[i] if isinstance(a, tuple) else a for a in arguments]
        done = self.servers[i].run(*words, "--output", "json")
        values = printed(done.out)
        if only:
            values = [[e for e in v if only(e)] if isinstance(v, list) else v for v in values]
        if order:
            values = [sorted(v, key=order) if isinstance(v, list) else v for v in values]
        return {"code": done.code, "out": names.value(values), "error": names.text(done.error)}

    def each(self, *arguments):
        """What each printed, where it cannot be the same."""
        return [s.run(*arguments, "--output", "json") for s in self.servers]

    def batch(self, *arguments):
        """Starts a batch on each; its job ids, once both have ended."""
        answers = [json.loads(done.out) for done in self.each(*arguments)]
        job = tuple(answer["batchJobId"] for answer in answers)
        self.until("COMPLETED", "batch", "describe", "--job-id", job)
        return job

    def until(self, wanted, *arguments):
        """Repeats a command on each server until its output holds the text."""
        for i, server in enumerate(self.servers):
            words = [a[i] if isinstance(a, tuple) else a for a in arguments]
            for _ in range(100):
                done = server.run(*words, "--output", "json")
                if wanted in done.out + done.error:
                    break
                time.sleep(0.1)
            else:
                pytest.fail(f"{' '.join(words)}: never {wanted}")
