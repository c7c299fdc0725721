"""The official command line says the same of our server as of the original, in JSON.

Each test types the same commands to both servers, with a worker of the same code behind each, and
compares what is printed, after what cannot be equal (ids, times, sizes) is named instead.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from datetime import timedelta

import pytest
from server import HOST, Server, free_port
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

TEMPORAL = os.path.join(os.path.dirname(sys.executable), "temporal")
ORIGINAL = os.environ.get("TEMPORAL_ORIGINAL", TEMPORAL)
QUEUE = "cli-same"
UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
WORKER = re.compile(r"\d+@")
PLACE = re.compile(r" \(at character \d+ of the query\)")  # our errors say where
# Said by a namespace only of what is built.
UNBUILT = {"reportedProblemsSearchAttribute", "standaloneActivities",
           "standaloneActivityBatchOperations", "standaloneActivityOperatorCommands",
           "standaloneActivityStartDelay", "workflowTaskCompletionSizeLimitError"}
# Differs from server to server, or from run to run: only that it is there is compared.
UNEQUAL = {"historySizeBytes", "taskId", "workerInstanceKey", "executionDuration", "runTime",
           "nextPageToken", "requestId", "currentRetryInterval", "backlogIncreaseRate",
           "tasksAddRate", "durationMillis", "stateTransitionCount",
           "coreUsedFlags", "tasksDispatchRate", "approximateBacklogAge"}


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


@activity.defn
async def shout(text: str) -> str:
    return text.upper()


@activity.defn
async def refuse() -> None:
    raise ApplicationError("no", "details", type="Refused")


@activity.defn
async def wait_for_it() -> str:
    activity.raise_complete_async()


@workflow.defn(name="Shout")
class Shout:
    @workflow.run
    async def run(self, text: str) -> str:
        return await workflow.execute_activity(shout, text, activity_id="shout",
                                               start_to_close_timeout=timedelta(seconds=5))


@workflow.defn(name="Refused")
class Refused:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(refuse, start_to_close_timeout=timedelta(seconds=5),
                                        retry_policy=RetryPolicy(maximum_attempts=1))


@workflow.defn(name="Parked")
class Parked:
    @workflow.run
    async def run(self) -> str:
        return str(await workflow.execute_activity(
            wait_for_it, activity_id="parked", schedule_to_close_timeout=timedelta(hours=1),
            retry_policy=RetryPolicy(maximum_attempts=1)))


@workflow.defn(name="Wait")
class Wait:
    def __init__(self) -> None:
        self.name = None

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.name is not None)
        return f"called {self.name}"

    @workflow.signal
    def call(self, name: str) -> None:
        self.name = name

    @workflow.query
    def state(self) -> str:
        return "waiting" if self.name is None else "called"

    @workflow.update
    def rename(self, name: str) -> str:
        old, self.name = self.name, name
        return f"{old} is {name}"

    @rename.validator
    def no_empty_name(self, name: str) -> None:
        if not name:
            raise ApplicationError("a name is needed", type="Empty")


class Served:
    """A server with a worker, in a thread of its own: the tests block on the command line."""

    def __init__(self, server):
        self.server = server
        self.loop, self.stop = asyncio.new_event_loop(), asyncio.Event()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.serve(),))

    async def serve(self):
        client = await Client.connect(self.server.address)
        async with Worker(client, task_queue=QUEUE, workflows=[Shout, Refused, Parked, Wait],
                          activities=[shout, refuse, wait_for_it], identity="worker",
                          workflow_runner=UnsandboxedWorkflowRunner()):
            self.ready.set()
            await self.stop.wait()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(20)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()

    def run(self, *arguments):
        done = subprocess.run([TEMPORAL, *arguments, "--address", self.server.address,
                               "--output", "json"], capture_output=True, text=True, timeout=20,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def servers(shared_server):
    if not os.path.exists(ORIGINAL):
        pytest.skip(f"there is no original server at {ORIGINAL}")
    with Original() as original:
        with Served(shared_server) as ours, Served(original) as theirs:
            yield ours, theirs


class Names:
    """Gives what cannot be equal names in the order of appearance."""

    def __init__(self):
        self.ids = {}

    def text(self, text):
        text = UUID.sub(lambda m: self.ids.setdefault(m[0], f"<id {len(self.ids) + 1}>"), text)
        return WORKER.sub("<pid>@", TIME.sub("<time>", PLACE.sub("", text)))

    def value(self, value, key=""):
        if isinstance(value, dict):
            return {self.text(k): self.value(v, k) for k, v in value.items() if k not in UNBUILT}
        if key in UNEQUAL:
            return "<any>"
        if isinstance(value, list):
            return [self.value(v) for v in value]
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

    def __call__(self, *arguments, order=None):
        ours, theirs = (self.said(s, n, arguments, order)
                        for s, n in zip(self.servers, self.names))
        different = list(differences(ours, theirs))
        assert not different, "\n".join([" ".join(arguments), *different])
        return ours

    def said(self, server, names, arguments, order):
        code, out, error = server.run(*arguments)
        values = printed(out)
        if order:
            values = [sorted(v, key=order) if isinstance(v, list) else v for v in values]
        return {"code": code, "out": names.value(values), "error": names.text(error)}

    def until(self, wanted, *arguments):
        """Repeats a command on each server until its output holds the text."""
        for server in self.servers:
            for _ in range(100):
                if wanted in server.run(*arguments)[1]:
                    break
                time.sleep(0.1)
            else:
                pytest.fail(f"{' '.join(arguments)}: never {wanted}")


@pytest.fixture
def both(servers):
    return Both(servers)


@pytest.fixture
def name():
    return f"same-{uuid.uuid4().hex[:12]}"


def start(kind, name, *more):
    return ("workflow", "start", "--type", kind, "-t", QUEUE, "-w", name, *more)


def test_start_execute_result_show(both, name):
    both(*start("Shout", name, "--input", '"hello"'))
    both("workflow", "result", "-w", name)
    both("workflow", "show", "-w", name)
    both("workflow", "describe", "-w", name)
    both("workflow", "execute", "--type", "Refused", "-t", QUEUE, "-w", f"{name}-2")
    both("workflow", "result", "-w", f"{name}-2")
    both("workflow", "describe", "-w", f"{name}-2")
    both("workflow", "trace", "-w", name, "--no-fold")


def test_open_workflow(both, name):
    both(*start("Wait", name))
    both.until("waiting", "workflow", "query", "-w", name, "--type", "state")
    both("workflow", "query", "-w", name, "--type", "state")
    both("workflow", "query", "-w", name, "--type", "unknown")
    both.until("in run", "workflow", "stack", "-w", name)
    both("workflow", "metadata", "-w", name)
    both("workflow", "describe", "-w", name)
    both("workflow", "signal", "-w", name, "--name", "call", "--input", '"Ada"')
    both("workflow", "result", "-w", name)
    both("workflow", "signal", "-w", name, "--name", "call", "--input", '"Ada"')


def test_signal_with_start(both, name):
    command = ("workflow", "signal-with-start", "--type", "Wait", "-t", QUEUE, "-w", name,
               "--signal-name", "call", "--signal-input", '"Eve"')
    both(*command)
    both("workflow", "result", "-w", name)
    both("workflow", "show", "-w", name)


def test_update(both, name):
    both(*start("Wait", name))
    update = ("workflow", "update", "execute", "-w", name, "--name", "rename", "--update-id", "u")
    both(*update, "--input", '"Ada"')
    both("workflow", "update", "result", "-w", name, "--update-id", "u")
    both("workflow", "update", "describe", "-w", name, "--update-id", "u")
    both("workflow", "result", "-w", name)
    both(*update[:-1], "late", "--input", '"Eve"')


def test_update_refused(both, name):
    both(*start("Wait", name))
    both("workflow", "update", "execute", "-w", name, "--name", "rename", "--input", '""')
    both("workflow", "show", "-w", name)
    both("workflow", "terminate", "-w", name)


def test_update_with_start(both, name):
    both("workflow", "execute-update-with-start", "--type", "Wait", "-t", QUEUE, "-w", name,
         "--update-name", "rename", "--update-input", '"Ada"', "--update-id", "u",
         "--id-conflict-policy", "Fail")
    both("workflow", "result", "-w", name)


def test_cancel_and_terminate(both, name):
    both(*start("Wait", name))
    both.until("waiting", "workflow", "query", "-w", name, "--type", "state")
    both("workflow", "cancel", "-w", name)
    both("workflow", "result", "-w", name)
    both("workflow", "cancel", "-w", name)
    both(*start("Wait", f"{name}-2"))
    both("workflow", "terminate", "-w", f"{name}-2", "--reason", "no longer wanted")
    both("workflow", "result", "-w", f"{name}-2")
    both("workflow", "terminate", "-w", f"{name}-2")


def test_list_and_count(both, name):
    for n in range(3):
        both("workflow", "execute", "--type", "Shout", "-t", QUEUE, "-w", f"{name}-{n}",
             "--input", '"x"')
    query = f"WorkflowType = 'Shout' AND WorkflowId STARTS_WITH '{name}'"
    both.until(f"{name}-2", "workflow", "list", "--query", query)
    both.until('"3"', "workflow", "count", "--query", query)
    both("workflow", "list", "--query", query,
         order=lambda w: w["execution"]["workflowId"])
    both("workflow", "count", "--query", query)
    both("workflow", "count", "--query", f"{query} GROUP BY ExecutionStatus")
    both("workflow", "list", "--query", "Nonsense = 3")


def test_reset_and_delete(both, name):
    both("workflow", "execute", "--type", "Shout", "-t", QUEUE, "-w", name, "--input", '"x"')
    both("workflow", "reset", "-w", name, "--event-id", "4", "--reason", "again")
    both("workflow", "result", "-w", name)
    both("workflow", "show", "-w", name)
    both("workflow", "delete", "-w", name)
    both("workflow", "delete", "-w", f"{name}-unknown")


def test_activity_of_a_person(both, name):
    both(*start("Parked", name))
    both.until("parked", "workflow", "describe", "-w", name)
    both.until("STARTED", "workflow", "describe", "-w", name)
    both("activity", "complete", "-w", name, "--activity-id", "parked", "--result", '"by hand"')
    both("workflow", "result", "-w", name)
    both("activity", "complete", "-w", name, "--activity-id", "parked", "--result", '"again"')
    both(*start("Parked", f"{name}-2"))
    both.until("STARTED", "workflow", "describe", "-w", f"{name}-2")
    both("activity", "fail", "-w", f"{name}-2", "--activity-id", "parked", "--reason", "cannot")
    both("workflow", "result", "-w", f"{name}-2")


def test_activity_operators(both, name):
    both(*start("Parked", name))
    both.until("STARTED", "workflow", "describe", "-w", name)
    one = ("-w", name, "--activity-id", "parked")
    both("activity", "pause", *one, "--reason", "wait")
    both("activity", "unpause", *one)
    both("activity", "update-options", *one, "--heartbeat-timeout", "30s")
    both("activity", "reset", *one)
    both("workflow", "describe", "-w", name)
    both("activity", "pause", "-w", name, "--activity-id", "unknown")
    both("workflow", "terminate", "-w", name)


def test_schedules(both, name):
    one = ("--schedule-id", name)
    both("schedule", "create", *one, "--interval", "5h/1h", "--type", "Shout", "-t", QUEUE, "-w",
         f"{name}-run", "--input", '"x"', "--notes", "ours", "--paused")
    both("schedule", "describe", *one)
    both("schedule", "toggle", *one, "--unpause", "--reason", "go")
    both("schedule", "trigger", *one)
    both("schedule", "update", *one, "--calendar", '{"hour":"3"}', "--type", "Shout", "-t", QUEUE,
         "-w", f"{name}-run")
    both("schedule", "create", *one, "--interval", "1h", "--type", "Shout", "-t", QUEUE, "-w", "x")
    both("schedule", "delete", *one)


def test_task_queue(both):
    both("task-queue", "describe", "-t", "nobody-here")


def test_operator(both, name):
    both("operator", "namespace", "create", "-n", name, "--retention", "3d", "--description", "d")
    both("operator", "namespace", "describe", "-n", name)
    both("operator", "namespace", "update", "-n", name, "--description", "changed")
    both("operator", "namespace", "create", "-n", name)
    both("operator", "namespace", "describe", "-n", f"{name}-unknown")
    both("operator", "search-attribute", "create", "--name", "Color", "--type", "Keyword", "-n",
         name)
    both("operator", "search-attribute", "list", "-n", name)
    both("operator", "search-attribute", "remove", "--name", "Color", "-n", name, "--yes")
    both("operator", "search-attribute", "remove", "--name", "Color", "-n", name, "--yes")
    both("operator", "cluster", "health")
    both("operator", "cluster", "system")
