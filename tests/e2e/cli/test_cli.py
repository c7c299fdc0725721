"""The official command line against the server: what a person types."""

import json
import uuid

import pytest
from cli_support import QUEUE, Served, typed


@pytest.fixture(scope="module", autouse=True)
def running_worker(shared_server):
    with Served(shared_server):
        yield


@pytest.fixture
def temporal(server):
    def call(*words, code=0):
        done = typed(server.address, *words)
        assert (done.code == 0) == (code == 0), done.out + done.error
        return done.out + done.error if code else done.out
    return call


@pytest.fixture
def name():
    return f"cli-{uuid.uuid4()}"


def test_start_then_result(temporal, name):
    out = temporal("workflow", "start", "--type", "Shout", "-t", QUEUE, "-w", name,
                   "--input", '"hello"')
    assert name in out and "RunId" in out
    out = temporal("workflow", "result", "-w", name)
    assert "COMPLETED" in out and "HELLO" in out


def test_execute_shows_progress_and_result(temporal, name):
    out = temporal("workflow", "execute", "--type", "Shout", "-t", QUEUE, "-w", name,
                   "--input", '"again"')
    for line in ("WorkflowExecutionStarted", "ActivityTaskScheduled", "ActivityTaskCompleted",
                 "WorkflowExecutionCompleted", "COMPLETED", "AGAIN"):
        assert line in out


def test_show(temporal, name):
    temporal("workflow", "execute", "--type", "Shout", "-t", QUEUE, "-w", name, "--input", '"x"')
    out = temporal("workflow", "show", "-w", name)
    assert "ActivityTaskStarted" in out and "COMPLETED" in out
    history = json.loads(temporal("workflow", "show", "-w", name, "--output", "json"))
    assert [int(e["eventId"]) for e in history["events"]] == list(range(1, 12))
    assert history["events"][0]["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"


def test_describe(temporal, name):
    temporal("workflow", "start", "--type", "Wait", "-t", QUEUE, "-w", name)
    out = temporal("workflow", "describe", "-w", name)
    assert name in out and "Wait" in out and "Pending Activities: 0" in out
    d = json.loads(temporal("workflow", "describe", "-w", name, "--output", "json"))
    assert d["workflowExecutionInfo"]["status"] == "WORKFLOW_EXECUTION_STATUS_RUNNING"
    assert d["workflowExecutionInfo"]["execution"]["workflowId"] == name
    temporal("workflow", "terminate", "-w", name)


def test_signal_and_query(temporal, name):
    temporal("workflow", "start", "--type", "Wait", "-t", QUEUE, "-w", name)
    assert "waiting" in temporal("workflow", "query", "-w", name, "--type", "state")
    temporal("workflow", "signal", "-w", name, "--name", "call", "--input", '"Ada"')
    assert "called Ada" in temporal("workflow", "result", "-w", name)
    assert "called" in temporal("workflow", "query", "-w", name, "--type", "state")


def test_cancel(temporal, name):
    temporal("workflow", "start", "--type", "Wait", "-t", QUEUE, "-w", name)
    temporal("workflow", "cancel", "-w", name)
    assert "CANCELED" in temporal("workflow", "result", "-w", name, code=1)


def test_terminate(temporal, name):
    temporal("workflow", "start", "--type", "Wait", "-t", QUEUE, "-w", name)
    temporal("workflow", "terminate", "-w", name, "--reason", "no longer wanted")
    out = temporal("workflow", "show", "-w", name)
    assert "WorkflowExecutionTerminated" in out
    assert "no longer wanted" in temporal("workflow", "result", "-w", name, code=1) + out + \
        temporal("workflow", "show", "-w", name, "--detailed")


def test_a_second_start_reports_the_run_that_exists(temporal, name):
    start = ("workflow", "start", "--type", "Wait", "-t", QUEUE, "-w", name, "--output", "json")
    first, second = json.loads(temporal(*start)), json.loads(temporal(*start))
    assert first["runId"] == second["runId"]
    temporal("workflow", "terminate", "-w", name)
    closed = json.loads(temporal(*start, "--id-reuse-policy", "RejectDuplicate"))
    assert closed["runId"] == first["runId"]


def test_an_unknown_workflow_is_said_to_be_so(temporal, name):
    assert "not found" in temporal("workflow", "describe", "-w", name, code=1).lower()


def test_cluster_health(temporal):
    assert "SERVING" in temporal("operator", "cluster", "health")
    [cluster] = json.loads(temporal("operator", "cluster", "list", "--output", "json"))
    assert cluster["clusterName"] == "active" and cluster["isConnectionEnabled"]


def test_schedule(temporal, name):
    temporal("schedule", "create", "-s", name, "-w", f"{name}-run", "--type", "Shout", "-t", QUEUE,
             "--input", '"on time"', "--cron", "0 12 * * MON # noon", "--calendar",
             '{"hour":"7","dayOfWeek":"FRI"}', "--interval", "72h/5m", "--time-zone",
             "Europe/Berlin", "--overlap-policy", "BufferOne", "--catchup-window", "2m",
             "--notes", "made by hand", "--paused", "--remaining-actions", "5")
    d = json.loads(temporal("schedule", "describe", "-s", name, "--output", "json"))
    schedule = d["schedule"]
    assert schedule["spec"]["timezoneName"] == "Europe/Berlin"
    assert schedule["spec"]["interval"] == [{"interval": "259200s", "phase": "300s"}]
    assert {c["hour"][0]["start"] for c in schedule["spec"]["structuredCalendar"]} == {7, 12}
    assert schedule["policies"]["overlapPolicy"] == "SCHEDULE_OVERLAP_POLICY_BUFFER_ONE"
    assert schedule["state"] == {"notes": "made by hand", "paused": True, "limitedActions": True,
                                 "remainingActions": "5"}
    assert len(d["info"]["futureActionTimes"]) == 5
    assert "made by hand" in temporal("schedule", "describe", "-s", name)
    temporal("schedule", "toggle", "--unpause", "-s", name, "--reason", "go")
    temporal("schedule", "toggle", "--pause", "-s", name, "--reason", "wait")
    assert "wait" in temporal("schedule", "describe", "-s", name)
    temporal("schedule", "trigger", "-s", name)
    for _ in range(100):
        d = json.loads(temporal("schedule", "describe", "-s", name, "--output", "json"))
        if d["info"].get("actionCount") == "1":
            break
    started = d["info"]["recentActions"][0]["startWorkflowResult"]["workflowId"]
    assert "ON TIME" in temporal("workflow", "result", "-w", started)
    temporal("schedule", "backfill", "-s", name, "--start-time", "2020-01-03T00:00:00Z",
             "--end-time", "2020-01-04T00:00:00Z", "--overlap-policy", "AllowAll")
    for _ in range(100):
        d = json.loads(temporal("schedule", "describe", "-s", name, "--output", "json"))
        if d["info"]["actionCount"] == "3":
            break
    started = {a["startWorkflowResult"]["workflowId"] for a in d["info"]["recentActions"][1:]}
    assert started == {f"{name}-run-2020-01-03T00:05:00Z", f"{name}-run-2020-01-03T06:00:00Z"}
    for _ in range(100):
        if name in temporal("schedule", "list"):
            break
    temporal("schedule", "update", "-s", name, "-w", f"{name}-run", "--type", "Shout", "-t", QUEUE,
             "--interval", "1h")
    d = json.loads(temporal("schedule", "describe", "-s", name, "--output", "json"))
    assert d["schedule"]["spec"]["interval"] == [{"interval": "3600s", "phase": "0s"}]
    temporal("schedule", "delete", "-s", name)
    assert "not found" in temporal("schedule", "describe", "-s", name, code=1)
