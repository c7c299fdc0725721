"""What fails, asked for with the official command line: attributes that only filters know of."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

TEMPORAL = os.path.join(os.path.dirname(sys.executable), "temporal")


def cli(server, *words):
    done = subprocess.run([TEMPORAL, *words, "--address", server.address, "--output", "json"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else None


@activity.defn
async def charge(card: int) -> None:
    try:
        raise ConnectionError(f"card {card} was refused")
    except ConnectionError as cause:
        raise ApplicationError("no money", type="Charging") from cause


@workflow.defn(name="Order")
class Order:
    @workflow.run
    async def run(self, card: int, attempts: int) -> None:
        await workflow.execute_activity(
            charge, card, start_to_close_timeout=timedelta(minutes=5),
            retry_policy=RetryPolicy(initial_interval=timedelta(minutes=5),
                                     maximum_attempts=attempts))


async def test_failures_are_filtered_counted_ordered_and_grouped(shared_server):
    client = await Client.connect(shared_server.address)
    queue = f"failures-{uuid.uuid4().hex[:8]}"
    mine = f"TaskQueue = '{queue}'"

    def listed(condition, rest=""):
        found = cli(shared_server, "workflow", "list", "--query", f"{mine} AND {condition} {rest}")
        return [e["execution"]["workflowId"].removeprefix(queue) for e in found or []]

    async with Worker(client, task_queue=queue, workflows=[Order], activities=[charge],
                      workflow_runner=UnsandboxedWorkflowRunner()):
        failing = [await client.start_workflow(Order.run, args=[n, 1], id=f"{queue}-failed{n}",
                                               task_queue=queue) for n in (1, 2)]
        for handle in failing:
            try:
                await handle.result()
                raise AssertionError("it must fail")
            except WorkflowFailureError:
                pass
        retrying = await client.start_workflow(Order.run, args=[3, 0], id=f"{queue}-retrying",
                                               task_queue=queue)
        while not listed("RetryingActivities = 1"):
            await asyncio.sleep(0.05)

        assert listed("FailureType = 'Charging'") == ["-retrying"]
        assert sorted(listed("FailureType = 'Activity'")) == ["-failed1", "-failed2"]
        assert len(listed("FailureRootType = 'ConnectionError'")) == 3
        assert listed("FailureRootType IS NOT NULL", "ORDER BY FailureType DESC")[0] == "-retrying"

        counted = cli(shared_server, "workflow", "count", "--query",
                      f"{mine} GROUP BY FailureFingerprint")
        assert int(counted["count"]) == 3 and len(counted["groups"]) == 1, counted
        fingerprint = counted["groups"][0]["groupValues"][0]
        assert len(listed(f"FailureFingerprint = '{fingerprint}'")) == 3, counted

        shown = json.dumps(cli(shared_server, "workflow", "describe", "-w", retrying.id))
        known = json.dumps(cli(shared_server, "operator", "search-attribute", "list"))
        assert "FailureFingerprint" not in shown + known
        await retrying.terminate()
        ended = "ExecutionStatus = 'Terminated'"
        assert listed(f"FailureType = 'Charging' AND {ended}") == ["-retrying"]
        assert listed("RetryingActivities IS NOT NULL") == []
