"""Batches that change options and activities, and what a reset in a batch can do more."""

import time

from driver.registry import scenario
from driver.rpc import RpcError
from driver.values import activity, app_failure, command, payloads, retry, secs, timer

from scenarios import batch as batches
from scenarios.batch import end, executions, start_some, types
from scenarios.namespaces import own


def batch(t, label="start the batch", job=None, **fields):
    """In the original a job is a workflow: its id must not be that of the scenario's own."""
    batches.batch(t, label, job or t.wid + "-job", **fields)


def over(t, label="describe the batch", job=None):
    batches.over(t, label, job or t.wid + "-job")


def try_batch(t, label, **fields):
    """One that is refused, or else fails; it is over when this returns."""
    job = f"{t.wid}-{label}"
    batch(t, label, job, **fields)
    while "concurrent" in str(t.steps[-1]):  # of the original: the one before is not quite over
        t.forget_last()
        batch(t, label, job, **fields)
    if "error" in t.steps[-1][1]:
        return
    over(t, label + ": end", job)


def start_with_activities(t, kinds=("One", "Two")):
    """A workflow with an activity of each type, in backoff after a failure."""
    own(t)
    t.start()
    more = {"retry_policy": retry(60), "heartbeat_timeout": secs(30)}
    t.step(*(activity(k.lower(), t.queue, activity_type={"name": k}, **more) for k in kinds))
    for _ in kinds:
        task = t.call("PollActivityTaskQueue", task_queue={"name": t.queue}, identity="worker")
        t.call("RecordActivityTaskHeartbeat", task_token=task.task_token, details=payloads("half"))
        t.call(
            "RespondActivityTaskFailed",
            task_token=task.task_token,
            failure=app_failure(),
            identity="worker",
        )


def pause_all(t, kinds=("One", "Two")):
    for kind in kinds:
        t.call("PauseActivity", execution=t.execution(), type=kind, identity="operator")


def visible(t, query, count=1):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if t.call("CountWorkflowExecutions", query=query).count == count:
            return
        time.sleep(0.2)


def here(t):
    return executions([t.wid])


@scenario()
def batch_unpause_activities_of_type(t):
    """Unpauses the activities of one type."""
    start_with_activities(t)
    pause_all(t)
    operation = {"identity": "operator", "type": "One"}
    batch(t, executions=here(t), unpause_activities_operation=operation)
    over(t)
    t.describe("describe the workflow")
    t.terminate()


@scenario()
def batch_unpause_all_activities(t):
    """Unpauses all activities, and lets them begin again."""
    start_with_activities(t)
    pause_all(t)
    operation = {
        "identity": "operator",
        "match_all": True,
        "reset_attempts": True,
        "reset_heartbeat": True,
    }
    batch(t, executions=here(t), unpause_activities_operation=operation)
    over(t)
    t.describe("describe the workflow")
    t.terminate()


@scenario()
def batch_unpause_by_query(t):
    """A query is narrowed to workflows with such a paused activity."""
    start_with_activities(t)
    pause_all(t, ["One"])
    visible(t, f"TemporalPauseInfo = 'property:activityType=One' AND WorkflowId = '{t.wid}'")
    query = f"WorkflowId = '{t.wid}'"
    other = {"identity": "operator", "type": "Other"}
    batch(t, "of another type", visibility_query=query, unpause_activities_operation=other)
    over(t)
    job = t.wid + "-2"
    operation = {"identity": "operator", "type": "One"}
    batch(t, "of the type", job, visibility_query=query, unpause_activities_operation=operation)
    over(t, "describe the second batch", job)
    t.describe("describe the workflow")
    t.terminate()


@scenario()
def batch_unpause_all_by_query(t):
    """All activities, over a query."""
    start_with_activities(t)
    pause_all(t, ["One"])
    query = f"WorkflowId = '{t.wid}'"
    visible(t, query + " AND TemporalPauseInfo IS NOT NULL")
    operation = {"identity": "operator", "match_all": True}
    batch(t, visibility_query=query, unpause_activities_operation=operation)
    over(t)
    t.describe("describe the workflow")
    t.terminate()


@scenario()
def batch_reset_activities_of_type(t):
    """Resets the activities of one type."""
    start_with_activities(t)
    operation = {"identity": "operator", "type": "One", "reset_heartbeat": True, "jitter": secs(0)}
    batch(t, executions=here(t), reset_activities_operation=operation)
    over(t)
    t.describe("describe the workflow")
    t.terminate()


@scenario()
def batch_reset_all_activities(t):
    """Resets all activities; the paused ones stay so."""
    start_with_activities(t)
    pause_all(t, ["Two"])
    operation = {
        "identity": "operator",
        "match_all": True,
        "reset_attempts": True,
        "keep_paused": True,
        "restore_original_options": True,
    }
    batch(t, executions=here(t), reset_activities_operation=operation)
    over(t)
    t.describe("describe the workflow")
    t.terminate()


@scenario()
def batch_reset_activities_by_query(t):
    """Over a query."""
    start_with_activities(t)
    query = f"WorkflowId = '{t.wid}' AND ExecutionStatus = 'Running'"
    visible(t, query)
    operation = {"identity": "operator", "match_all": True}
    batch(t, visibility_query=query, reset_activities_operation=operation)
    over(t)
    t.describe("describe the workflow")
    t.terminate()


@scenario()
def batch_update_activity_options_of_type(t):
    """Gives new options to the activities of one type."""
    start_with_activities(t)
    operation = {
        "identity": "operator",
        "type": "One",
        "activity_options": {"heartbeat_timeout": secs(7), "start_to_close_timeout": secs(70)},
        "update_mask": {"paths": ["heartbeat_timeout", "start_to_close_timeout"]},
    }
    batch(t, executions=here(t), update_activity_options_operation=operation)
    over(t)
    t.describe("describe the workflow")
    t.terminate()


@scenario()
def batch_update_all_activity_options(t):
    """To all of them, and back."""
    start_with_activities(t)
    operation = {
        "identity": "operator",
        "match_all": True,
        "activity_options": {"heartbeat_timeout": secs(7), "retry_policy": retry(90, 3)},
        "update_mask": {"paths": ["heartbeat_timeout", "retry_policy.initial_interval"]},
    }
    batch(t, executions=here(t), update_activity_options_operation=operation)
    over(t)
    t.describe("describe the workflow")
    job = t.wid + "-2"
    # Without a mask the original's process ends.
    operation = {"match_all": True, "restore_original": True, "update_mask": {}}
    batch(t, "restore", job, executions=here(t), update_activity_options_operation=operation)
    over(t, "describe the second batch", job)
    t.describe("describe the workflow at the end")
    t.terminate()


@scenario()
def batch_activity_operations_missing(t):
    """No such activity, no such workflow, a workflow that has ended."""
    start_with_activities(t)
    t.call("StartWorkflowExecution", **t.start_fields(workflow_id=t.wid + "-closed"))
    t.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": t.wid + "-closed"})
    three = executions([t.wid, t.wid + "-nobody", t.wid + "-closed"])
    operations = {
        "unpause_activities_operation": {"type": "Other"},
        "reset_activities_operation": {"type": "Other"},
        "update_activity_options_operation": {
            "type": "Other",
            "activity_options": {"heartbeat_timeout": secs(7)},
            "update_mask": {"paths": ["heartbeat_timeout"]},
        },
        "update_workflow_options_operation": {
            "workflow_execution_options": {"priority": {"priority_key": 2}},
            "update_mask": {"paths": ["priority"]},
        },
    }
    for name, operation in operations.items():
        job = f"{t.wid}-{name}"
        batch(t, name, job, executions=three, **{name: operation})
        over(t, f"describe {name}", job)
    t.terminate()


@scenario()
def batch_update_workflow_options(t):
    """Gives workflows another priority."""
    ids = start_some(t, 2)
    operation = {
        "identity": "operator",
        "workflow_execution_options": {"priority": {"priority_key": 2, "fairness_key": "f"}},
        "update_mask": {"paths": ["priority.priority_key"]},
    }
    batch(t, executions=executions(ids), update_workflow_options_operation=operation)
    over(t)
    types(t, ids)
    t.history(workflow_id=ids[0])
    t.describe("describe a workflow", workflow_id=ids[0])
    end(t, ids)


@scenario()
def batch_options_errors(t):
    """What is refused."""
    own(t)
    one = executions([t.wid])

    def refused(label, **fields):
        try_batch(t, label, executions=one, **fields)

    priority = {"priority": {"priority_key": 2}}
    refused("options: empty", update_workflow_options_operation={})
    refused(
        "options: no mask",
        update_workflow_options_operation={"workflow_execution_options": priority},
    )
    refused(
        "options: no options",
        update_workflow_options_operation={"update_mask": {"paths": ["priority"]}},
    )
    refused("unpause: empty", unpause_activities_operation={})
    refused("unpause: empty type", unpause_activities_operation={"type": ""})
    refused("unpause: match_all false", unpause_activities_operation={"match_all": False})
    refused(
        "unpause: bad jitter", unpause_activities_operation={"type": "T", "jitter": secs(-1)}
    )
    refused("reset: empty", reset_activities_operation={})
    refused("reset: empty type", reset_activities_operation={"type": ""})
    refused("reset: match_all false", reset_activities_operation={"match_all": False})
    refused("reset: bad jitter", reset_activities_operation={"type": "T", "jitter": secs(-1)})
    refused("update: empty", update_activity_options_operation={})
    refused("update: no options", update_activity_options_operation={"type": "T"})
    refused(
        "update: empty type",
        update_activity_options_operation={
            "type": "",
            "activity_options": {},
            "update_mask": {"paths": ["heartbeat_timeout"]},
        },
    )
    refused(
        "update: match_all false",
        update_activity_options_operation={
            "match_all": False,
            "activity_options": {},
            "update_mask": {"paths": ["heartbeat_timeout"]},
        },
    )
    refused(
        "update: restore and options",
        update_activity_options_operation={
            "type": "T",
            "activity_options": {"heartbeat_timeout": secs(3)},
            "restore_original": True,
        },
    )
    refused(
        "update: bad mask",
        update_activity_options_operation={
            "type": "T",
            "activity_options": {"heartbeat_timeout": secs(3)},
            "update_mask": {"paths": ["nonsense"]},
        },
    )


@scenario()
def batch_without_hope(t):
    """Operations that can succeed for no workflow."""
    ids = start_some(t, 1)

    def hopeless(label, **operation):
        job = f"{t.wid}-{label}"
        try:
            t.call(
                "StartBatchOperation",
                job_id=job,
                reason="a reason",
                executions=executions(ids),
                **operation,
            )
        except RpcError as error:
            t.note(label, error.to_json())
            return
        answer = batches.ended(t, job)
        t.note(label, {"failed": answer.failure_operation_count})

    priority = {"priority": {"priority_key": 2}}
    hopeless(
        "bad mask",
        update_workflow_options_operation={
            "workflow_execution_options": priority,
            "update_mask": {"paths": ["nonsense"]},
        },
    )
    hopeless(
        "bad priority",
        update_workflow_options_operation={
            "workflow_execution_options": {"priority": {"priority_key": -1}},
            "update_mask": {"paths": ["priority"]},
        },
    )
    hopeless(
        "restore and mask",
        update_activity_options_operation={
            "type": "T",
            "update_mask": {"paths": ["heartbeat_timeout"]},
            "restore_original": True,
        },
    )

    hopeless(
        "no activity",
        update_activity_options_operation={
            "activity_options": {},
            "update_mask": {"paths": ["heartbeat_timeout"]},
        },
    )

    def hopeless_reset(label, operation):
        options = {"first_workflow_task": {}}
        reset = {"options": options, "post_reset_operations": [operation]}
        hopeless(label, reset_operation=reset)

    hopeless_reset("empty post operation", {})
    hopeless_reset("signal after a reset", {"signal_workflow": {"signal_name": "s"}})
    bad = {"update_mask": {"paths": ["x"]}}
    hopeless_reset("bad mask after a reset", {"update_workflow_options": bad})
    types(t, ids)
    end(t, ids)


@scenario()
def batch_reset_errors(t):
    """Resets that are refused."""
    own(t)
    one = executions([t.wid])

    def refused(label, **operation):
        try_batch(t, label, executions=one, reset_operation=operation)

    refused("no target", options={})
    refused("task 0", options={"workflow_task_id": 0})
    refused("task 1", options={"workflow_task_id": 1})
    refused("negative task", options={"workflow_task_id": -1})
    refused("no build id", options={"build_id": ""})
    refused("unknown type", reset_type=9)
    refused("unknown reapply type", reset_type=1, reset_reapply_type=9)
    options = {"first_workflow_task": {}}
    refused("type and options", reset_type=2, options=options)
    refused("unknown exclude type", options={**options, "reset_reapply_exclude_types": [9]})


def built(t, *builds):
    """A workflow whose tasks were completed by workers of these builds."""
    own(t)
    t.start()
    for i, build in enumerate(builds):
        if i:
            t.signal("wake", label=f"signal {i}")
        stamp = {"build_id": build}
        t.complete(t.task(), timer(f"t{i}", 60), label=f"complete {i}", worker_version_stamp=stamp)


@scenario()
def batch_reset_build_id(t):
    """Resets to the first task that a build completed."""
    built(t, "b1", "b2", "b2")
    operation = {"identity": "operator", "options": {"build_id": "b2"}}
    batch(t, executions=here(t), reset_operation=operation)
    over(t)
    t.history()
    t.terminate()


@scenario()
def batch_reset_first_build_id(t):
    """Resets to the very first task."""
    built(t, "b1", "b2")
    operation = {"identity": "operator", "options": {"build_id": "b1"}}
    batch(t, executions=here(t), reset_operation=operation)
    over(t)
    t.history()
    t.terminate()


@scenario()
def batch_reset_unknown_build_id(t):
    """No task was completed by the build."""
    built(t, "b1")
    operation = {"identity": "operator", "options": {"build_id": "b9"}}
    batch(t, executions=here(t), reset_operation=operation)
    over(t)
    t.history()
    t.terminate()


@scenario()
def batch_reset_build_id_over_chain(t):
    """The build completed tasks in an earlier run of the chain only."""
    built(t, "b1", "b2")
    t.signal("wake")
    t.complete(t.task(), command("continue_as_new_workflow_execution"))
    t.complete(t.task(), timer("t", 60), worker_version_stamp={"build_id": "b3"})
    operation = {"identity": "operator", "options": {"build_id": "b2"}}
    batch(t, executions=here(t), reset_operation=operation)
    over(t)
    t.history()
    job = t.wid + "-2"
    options = {"build_id": "b2", "current_run_only": True}
    batch(t, "current run only", job, executions=here(t), reset_operation={"options": options})
    over(t, "describe the second batch", job)
    t.history(label="history at the end")
    t.terminate()


@scenario()
def batch_reset_task_id(t):
    """Resets to a task by its id."""
    built(t, "b1", "b2")
    operation = {"identity": "operator", "options": {"workflow_task_id": 4}}
    batch(t, executions=here(t), reset_operation=operation)
    over(t)
    t.history()
    t.terminate()


@scenario()
def batch_reset_reapply(t):
    """What is sent again is the batch's to say."""
    built(t, "b1")
    t.signal("later")
    options = {"first_workflow_task": {}, "reset_reapply_exclude_types": [1]}
    batch(t, executions=here(t), reset_operation={"options": options})
    over(t)
    t.history(label="history without signals")
    t.task()
    t.terminate()


@scenario()
def batch_reset_reapply_none(t):
    """The older field for what is sent again."""
    built(t, "b1")
    t.signal("later")
    options = {"last_workflow_task": {}, "reset_reapply_type": 2}
    batch(t, executions=here(t), reset_operation={"options": options})
    over(t)
    t.history(label="history")
    t.terminate()


@scenario()
def batch_reset_post_options(t):
    """A reset run gets other options."""
    built(t, "b1")
    after = {
        "update_workflow_options": {
            "workflow_execution_options": {"priority": {"priority_key": 4}},
            "update_mask": {"paths": ["priority"]},
        }
    }
    operation = {
        "identity": "operator",
        "options": {"first_workflow_task": {}},
        "post_reset_operations": [after],
    }
    batch(t, executions=here(t), reset_operation=operation)
    over(t)
    t.history()
    t.describe("describe the new run")
    t.terminate()


@scenario()
def batch_rate(t):
    """As many operations a second as are wanted."""
    ids = start_some(t, 4)
    began = time.monotonic()
    batch(
        t,
        executions=executions(ids),
        max_operations_per_second=1,
        signal_operation={"signal": "s", "identity": "operator"},
    )
    over(t)
    t.note("four take longer than two seconds", time.monotonic() - began > 2)
    end(t, ids)


@scenario()
def batch_targets(t):
    """The newer list of targets."""
    ids = start_some(t, 2)
    targets = [{"type": 1, "business_id": wid} for wid in ids]
    operation = {"identity": "operator"}
    batch(t, target_executions=targets, cancellation_operation=operation)
    over(t)
    types(t, ids)
    end(t, ids)


@scenario()
def batch_query_of_closed(t):
    """Over a query that names a workflow that has ended: whom each operation is for."""
    ids = start_some(t, 2)
    t.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": ids[0]})
    query = f"WorkflowId STARTS_WITH '{t.wid}-'"
    visible(t, f"{query} AND ExecutionStatus = 'Running'")
    visible(t, query, 2)
    priority = {"priority": {"priority_key": 2}}
    mask = {"paths": ["priority"]}
    options = {"heartbeat_timeout": secs(7)}
    operations = {
        "signal": {"signal": "s"},
        "update_workflow_options": {"workflow_execution_options": priority, "update_mask": mask},
        "unpause_activities": {"type": "One"},
        "reset_activities": {"type": "One"},
        "update_activity_options": {
            "type": "One",
            "activity_options": options,
            "update_mask": {"paths": ["heartbeat_timeout"]},
        },
        "cancellation": {},
        "termination": {},
        "reset": {"options": {"first_workflow_task": {}}},
    }
    for name, operation in operations.items():
        job = f"{t.wid}.{name}"
        batch(t, name, job, visibility_query=query, **{f"{name}_operation": operation})
        over(t, f"describe {name}", job)
        time.sleep(1)
    end(t, ids)
