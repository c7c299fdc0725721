"""A TypeScript workflow starts a child in Python, whose activity in TypeScript fails: the client
sees the chain of failures that it sees with the original server (chain.json), field by field.

    POLYGLOT_RECORD=1 PERDURE_SERVER=.dev/venv/bin/temporal pytest ...    records it again
"""

import asyncio
import contextlib
import json
import os
import subprocess
from datetime import timedelta

import pytest
from google.protobuf.json_format import MessageToDict
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from server import Server

HERE = os.path.dirname(os.path.abspath(__file__))
TYPESCRIPT = os.path.join(os.path.dirname(HERE), "typescript")
RECORDING = os.path.join(HERE, "chain.json")


@workflow.defn
class PolyglotChild:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            "failWithChain", task_queue="polyglot-typescript",
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=20)))


@contextlib.contextmanager
def typescript_worker(address):
    child = subprocess.Popen(["node", "polyglot.ts", address], cwd=TYPESCRIPT,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.terminate()
        child.wait(20)


async def failed_chain(address):
    """The failure in the closing event, and the error that the Python client makes of it."""
    client = await Client.connect(address)
    async with Worker(client, task_queue="polyglot-python", workflows=[PolyglotChild],
                      workflow_runner=UnsandboxedWorkflowRunner()):
        handle = await client.start_workflow("polyglot", id="polyglot",
                                             task_queue="polyglot-typescript")
        with pytest.raises(WorkflowFailureError) as failed:
            await asyncio.wait_for(handle.result(), 40)
        *_, last = [e async for e in handle.fetch_history_events()]
        failure = last.workflow_execution_failed_event_attributes.failure
        return MessageToDict(failure), failed.value


def normalised(failure):
    """Run ids and line numbers differ from run to run."""
    result = {}
    for key, value in failure.items():
        if key == "stackTrace":
            result[key] = "some lines" if value else ""
        elif key in ("runId", "identity"):
            result[key] = f"some {key}"
        else:
            result[key] = normalised(value) if isinstance(value, dict) else value
    return result


def test_the_chain_of_failures_is_that_of_the_original():
    with Server() as server, typescript_worker(server.address):
        failure, error = asyncio.run(failed_chain(server.address))
    failure = normalised(failure)
    if os.environ.get("POLYGLOT_RECORD"):
        with open(RECORDING, "w", encoding="utf-8") as f:
            json.dump(failure, f, indent=2, sort_keys=True)
            f.write("\n")
    with open(RECORDING, encoding="utf-8") as f:
        assert failure == json.load(f)
    chain = [error.cause, error.cause.cause, error.cause.cause.cause]
    assert [type(e) for e in chain] == [ChildWorkflowError, ActivityError, ApplicationError]
    assert (chain[2].message, chain[2].type) == ("cannot transfer", "Final")
    assert (chain[2].cause.message, chain[2].cause.type) == ("no such account", "Lookup")
