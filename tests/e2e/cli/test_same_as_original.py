"""The official command line says the same of our server as of the original, in JSON.

Each test types the same commands to both servers, with a worker of the same code behind each.
"""

import os
import uuid

import pytest
from cli_comparison import ORIGINAL, Both, Original
from cli_support import QUEUE, Served, start


@pytest.fixture(scope="module")
def servers(shared_server):
    if not os.path.exists(ORIGINAL):
        pytest.skip(f"there is no original server at {ORIGINAL}")
    with Original() as original:
        with Served(shared_server) as ours, Served(original) as theirs:
            yield ours, theirs


@pytest.fixture
def both(servers):
    return Both(servers)


@pytest.fixture
def name():
    return f"same-{uuid.uuid4().hex[:12]}"


def test_start_execute_result_show(both, name):
    both(*start("Shout", name, "--input", '"hello"'))
    both("workflow", "result", "-w", name)
    both("workflow", "show", "-w", name)
    both("workflow", "describe", "-w", name)
    both("workflow", "execute", "--type", "Refused", "-t", QUEUE, "-w", f"{name}-2")
    both("workflow", "result", "-w", f"{name}-2")
    both("workflow", "describe", "-w", f"{name}-2")
    both("workflow", "trace", "-w", name, "--no-fold")
    both("workflow", "show", "-w", name, "--reverse")
    both("workflow", "describe", "-w", name, "--reset-points")
    both("workflow", "describe", "-w", f"{name}-unknown")
    both("workflow", "show", "-w", f"{name}-unknown")
    both("workflow", "result", "-w", f"{name}-unknown")
    both(*start("Shout", name, "--input", '"hello"', "--id-reuse-policy", "RejectDuplicate"))


def test_start_options(both, name):
    both(*start("Wait", name, "--memo", 'm="x"', "--static-summary", "short", "--static-details",
                "long", "--run-timeout", "1h", "--execution-timeout", "2h", "--task-timeout", "5s",
                "--start-delay", "1h", "--priority-key", "2", "--fairness-key", "f"))
    both("workflow", "describe", "-w", name)
    both("workflow", "show", "-w", name)
    both(*start("Wait", name, "--fail-existing"))
    both("workflow", "terminate", "-w", name)
    both(*start("Shout", f"{name}-cron", "--cron", "0 0 1 1 *", "--input", '"x"'))
    both("workflow", "describe", "-w", f"{name}-cron")
    both("workflow", "terminate", "-w", f"{name}-cron")


def test_open_workflow(both, name):
    both(*start("Wait", name))
    both.until("waiting", "workflow", "query", "-w", name, "--type", "state")
    both("workflow", "query", "-w", name, "--type", "state")
    both("workflow", "query", "-w", name, "--type", "unknown")
    both.until("in run", "workflow", "stack", "-w", name)
    both("workflow", "stack", "-w", name)
    both("workflow", "stack", "-w", name, "--reject-condition", "not_open")
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


def test_update_started(both, name):
    both(*start("Wait", name))
    both("workflow", "update", "start", "-w", name, "--name", "rename", "--update-id", "u",
         "--input", '"Ada"', "--wait-for-stage", "accepted")
    both("workflow", "update", "result", "-w", name, "--update-id", "u")
    both("workflow", "update", "describe", "-w", name, "--update-id", "unknown")
    both("workflow", "update", "result", "-w", f"{name}-unknown", "--update-id", "u")
    both("workflow", "update", "start", "-w", name, "--name", "unknown", "--wait-for-stage",
         "accepted")


def test_update_with_start(both, name):
    both("workflow", "start-update-with-start", "--type", "Wait", "-t", QUEUE, "-w", f"{name}-2",
         "--update-name", "rename", "--update-input", '"Eve"', "--update-id", "u",
         "--id-conflict-policy", "UseExisting", "--update-wait-for-stage", "accepted")
    both("workflow", "result", "-w", f"{name}-2")
    both("workflow", "show", "-w", f"{name}-2")
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


def test_reset(both, name):
    both("workflow", "execute", "--type", "Shout", "-t", QUEUE, "-w", name, "--input", '"x"')
    both("workflow", "reset", "-w", name, "--event-id", "4", "--reason", "again")
    both("workflow", "result", "-w", name)
    both("workflow", "show", "-w", name)
    for kind in ("FirstWorkflowTask", "LastWorkflowTask"):
        both("workflow", "reset", "-w", name, "--type", kind, "--reason", kind)
        both("workflow", "result", "-w", name)
        both("workflow", "show", "-w", name)
    both("workflow", "reset", "-w", name, "--type", "LastContinuedAsNew", "--reason", "r")
    both("workflow", "reset", "-w", name, "--type", "BuildId", "--build-id", "none", "--reason",
         "r")
    both("workflow", "reset", "-w", name, "--event-id", "1", "--reason", "r")
    both("workflow", "reset", "-w", f"{name}-unknown", "--event-id", "4", "--reason", "r")


def test_reset_of_chain(both, name):
    both(*start("Again", name, "--input", "1"))
    both("workflow", "result", "-w", name)
    both("workflow", "reset", "-w", name, "--type", "LastContinuedAsNew", "--reason", "again")
    both("workflow", "result", "-w", name)
    both("workflow", "describe", "-w", name)


def test_reset_excludes(both, name):
    both(*start("Wait", name))
    both.until("waiting", "workflow", "query", "-w", name, "--type", "state")
    both("workflow", "signal", "-w", name, "--name", "call", "--input", '"Ada"')
    both("workflow", "result", "-w", name)
    reset = ("workflow", "reset", "-w", name, "--type", "FirstWorkflowTask", "--reason", "again")
    both(*reset, "--reapply-exclude", "Signal")
    both.until("waiting", "workflow", "query", "-w", name, "--type", "state")
    both("workflow", "show", "-w", name)
    both(*reset, "--reapply-exclude", "Nonsense")
    both("workflow", "terminate", "-w", name)


def test_update_options(both, name):
    both(*start("Wait", name))
    both.until("waiting", "workflow", "query", "-w", name, "--type", "state")
    both("workflow", "update-options", "-w", name, "--versioning-override-behavior", "unspecified")
    both("workflow", "update-options", "-w", f"{name}-unknown", "--versioning-override-behavior",
         "unspecified")
    both("workflow", "reset", "with-workflow-update-options", "-w", name, "--type",
         "FirstWorkflowTask", "--reason", "r", "--versioning-override-behavior", "unspecified")
    both("workflow", "terminate", "-w", name)


def test_delete(both, name):
    both(*start("Wait", name))
    both.until("waiting", "workflow", "query", "-w", name, "--type", "state")
    both("workflow", "delete", "-w", name)
    both("workflow", "delete", "-w", f"{name}-unknown")


BATCHES = {
    "signal": ("workflow", "signal", "--name", "call", "--input", '"Ada"'),
    "cancel": ("workflow", "cancel"),
    "terminate": ("workflow", "terminate"),
    "reset": ("workflow", "reset", "--type", "FirstWorkflowTask"),
    "update-options": ("workflow", "update-options", "--versioning-override-behavior",
                       "unspecified"),
    "delete": ("workflow", "delete"),
}


@pytest.mark.parametrize("verb", BATCHES)
def test_batch(both, name, verb):
    for n in range(2):
        both(*start("Wait", f"{name}-{n}"))
        both.until("waiting", "workflow", "query", "-w", f"{name}-{n}", "--type", "state")
    query = f"WorkflowId STARTS_WITH '{name}'"
    both.until('"2"', "workflow", "count", "--query", query)
    job = both.batch(*BATCHES[verb], "--query", query, "--reason", "why", "--yes")
    both("batch", "describe", "--job-id", job)
    both("batch", "list", only=lambda b: b["jobId"] in job)
    both("batch", "terminate", "--job-id", job, "--reason", "too late")
    for n in range(2):
        if verb != "terminate":  # there the original's worker is said to have done it
            both("workflow", "describe", "-w", f"{name}-{n}")
        both("workflow", "terminate", "-w", f"{name}-{n}")


def test_batch_terminated(both, name):
    both("batch", "describe", "--job-id", "unknown")
    both("batch", "terminate", "--job-id", "unknown", "--reason", "r")


ACTIVITY_BATCHES = {
    "unpause": ("activity", "unpause"),
    "reset": ("activity", "reset", "--clear-heartbeat-details"),
    "update-options": ("activity", "update-options", "--heartbeat-timeout", "30s"),
}


@pytest.mark.parametrize("verb", ACTIVITY_BATCHES)
def test_batch_of_activities(both, name, verb):
    both(*start("Flaky", name))
    both.until('"attempt": 2', "workflow", "describe", "-w", name)
    both("activity", "pause", "-w", name, "--activity-id", "flaky")
    query = f"WorkflowId = '{name}' AND TemporalPauseInfo IS NOT NULL"
    both.until('"1"', "workflow", "count", "--query", query)
    job = both.batch(*ACTIVITY_BATCHES[verb], "--query", f"WorkflowId = '{name}'", "--reason",
                     "why", "--yes")
    both("batch", "describe", "--job-id", job)
    both("workflow", "terminate", "-w", name)


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
    both.until(name, "schedule", "list")
    both("schedule", "list", only=lambda s: s["scheduleId"] == name)
    both("schedule", "list-matching-times", *one, "--start-time", "2020-01-03T00:00:00Z",
         "--end-time", "2020-01-04T00:00:00Z")
    both("schedule", "toggle", *one, "--unpause", "--reason", "go")
    both("schedule", "describe", *one)
    both("schedule", "trigger", *one)
    both.until('"actionCount": "1"', "schedule", "describe", *one)
    both.until("_COMPLETED", "schedule", "describe", *one)
    both("schedule", "describe", *one)
    both("schedule", "backfill", *one, "--start-time", "2020-01-03T00:00:00Z", "--end-time",
         "2020-01-04T00:00:00Z", "--overlap-policy", "AllowAll")
    both.until('"actionCount": "6"', "schedule", "describe", *one)
    both("schedule", "update", *one, "--calendar", '{"hour":"3"}', "--type", "Shout", "-t", QUEUE,
         "-w", f"{name}-run", "--time-zone", "Europe/Berlin", "--jitter", "1s", "--end-time",
         "2099-01-01T00:00:00Z", "--catchup-window", "1h", "--overlap-policy", "BufferAll",
         "--pause-on-failure", "--remaining-actions", "7")
    both("schedule", "describe", *one)
    both("schedule", "create", *one, "--interval", "1h", "--type", "Shout", "-t", QUEUE, "-w", "x")
    both("schedule", "create", "-s", f"{name}-2", "--cron", "nonsense", "--type", "Shout", "-t",
         QUEUE, "-w", "x")
    both("schedule", "delete", *one)


def test_unknown_schedule(both, name):
    one = ("--schedule-id", name)
    both("schedule", "describe", *one)
    both("schedule", "toggle", *one, "--pause", "--reason", "r")
    both("schedule", "trigger", *one)
    both("schedule", "update", *one, "--interval", "1h", "--type", "Shout", "-t", QUEUE, "-w", "x")
    both("schedule", "delete", *one)
    both("schedule", "list-matching-times", *one, "--start-time", "2020-01-03T00:00:00Z",
         "--end-time", "2020-01-04T00:00:00Z")


def test_task_queue(both, name):
    both("task-queue", "describe", "-t", "nobody-here")
    both("task-queue", "describe", "-t", QUEUE, "--task-queue-type", "workflow")
    limited = ("--task-queue", name, "--task-queue-type", "activity")
    both("task-queue", "config", "get", *limited)
    both("task-queue", "config", "set", *limited, "--queue-rps-limit", "5",
         "--queue-rps-limit-reason", "slow down")
    both("task-queue", "config", "get", *limited)


def test_namespace(both, name):
    both("operator", "namespace", "create", "-n", name, "--retention", "3d", "--description", "d",
         "--email", "e@example.com", "--data", "k=v")
    both("operator", "namespace", "describe", "-n", name)
    both("operator", "namespace", "list", only=lambda n: n["namespaceInfo"]["name"] == name)
    both("operator", "namespace", "update", "-n", name, "--description", "changed", "--retention",
         "2d", "--email", "f@example.com", "--data", "l=w")
    both("operator", "namespace", "describe", "-n", name)
    both("operator", "namespace", "update", "-n", name, "--promote-global")
    both("operator", "namespace", "update", "-n", name, "--retention", "1s")
    both("operator", "namespace", "create", "-n", name)
    both("operator", "namespace", "create", "-n", f"{name}-2", "--retention", "1s")
    both("operator", "namespace", "describe", "-n", f"{name}-unknown")
    both("operator", "namespace", "delete", "-n", name, "--yes")
    both("operator", "namespace", "describe", "-n", name)
    both("operator", "namespace", "delete", "-n", f"{name}-unknown", "--yes")


def test_search_attributes(both, name):
    both("operator", "namespace", "create", "-n", name)
    attribute = ("operator", "search-attribute")
    both(*attribute, "create", "--name", "Color", "--type", "Keyword", "-n", name)
    both(*attribute, "create", "--name", "Size", "--type", "Int", "--name", "Seen", "--type",
         "Datetime", "-n", name)
    both(*attribute, "create", "--name", "Color", "--type", "Keyword", "-n", name)
    both(*attribute, "create", "--name", "Color", "--type", "Int", "-n", name)
    both(*attribute, "create", "--name", "WorkflowId", "--type", "Keyword", "-n", name)
    both(*attribute, "list", "-n", name)
    both(*attribute, "remove", "--name", "Color", "-n", name, "--yes")
    both(*attribute, "remove", "--name", "Color", "-n", name, "--yes")
    both(*attribute, "list", "-n", f"{name}-unknown")


def test_cluster(both):
    both("operator", "cluster", "health")
    both("operator", "cluster", "system")
    both("operator", "cluster", "describe")
    both("operator", "cluster", "describe", "--detail")
    both("operator", "cluster", "list")
    both("operator", "cluster", "remove", "--name", "unknown")
