"""Requests with one field spoilt, for every field: what is refused, and in which words."""

import re
from concurrent.futures import ThreadPoolExecutor

from driver import spoil
from driver.registry import scenario
from driver.rpc import RpcError, request_type
from driver.values import activity, child, command, payload, payloads, retry, secs, timer

UNKNOWN_RUN = "b1946ac9-2f5e-4e1a-9a3b-6a1d2c3e4f50"
AT_ONCE = 2
NOBODY_ANSWERS_S = 2  # what is accepted ends with the deadline
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def outcome(t, method, request, timeout):
    try:
        t.server.call(method, request, timeout)
    except RpcError as error:
        found = error.to_json()["error"]
        found["message"] = UUID.sub("<uuid>", found["message"])
        return found
    return "accepted"


def spoil_all(t, method, base, leave=(), timeout=10, at=None):
    """`base(n)`: the fields of a request that is right, with a target of its own for each n."""

    def one(n, change):
        fields = base(n)
        request = request_type(method)(**{"namespace": "default", **fields} if named else fields)
        if change:
            change(request if at is None else at(request))
        return outcome(t, method, request, timeout)

    named = "namespace" in request_type(method).DESCRIPTOR.fields_by_name
    sample = request_type(method)(**base(0))
    cases = list(spoil.changes(sample if at is None else at(sample), leave=leave))
    t.note("as it is", one("right", None))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = pool.map(lambda c: one(c[0], c[1][1]), enumerate(cases, 1))
        for (label, _), result in zip(cases, results):
            t.note(label, result)


def link():
    event = {"namespace": "default", "workflow_id": "w", "run_id": UNKNOWN_RUN}
    return {"workflow_event": {**event, "event_ref": {"event_id": 1, "event_type": 1}}}


def full_start(t, n):
    return {
        "workflow_id": f"{t.wid}-{n}",
        "workflow_type": {"name": "Scripted"},
        "task_queue": {"name": t.queue},
        "request_id": "start-request",
        "identity": "script",
        "input": payloads(1),
        "workflow_execution_timeout": secs(60),
        "workflow_run_timeout": secs(50),
        "workflow_task_timeout": secs(10),
        "retry_policy": retry(1, 2.0, 3, maximum_interval=secs(10)),
        "memo": {"fields": {"m": payload(1)}},
        "header": {"fields": {"h": payload(1)}},
        "user_metadata": {"summary": payload("s")},
        "priority": {"priority_key": 2, "fairness_key": "f", "fairness_weight": 1.0},
        "links": [link()],
    }


def run(t, n, **more):
    """A workflow of its own."""
    fields = t.start_fields(workflow_id=f"{t.wid}-{n}", task_queue={"name": f"{t.queue}-{n}"})
    answer = t.call("StartWorkflowExecution", **{**fields, **more})
    return {"workflow_id": f"{t.wid}-{n}", "run_id": answer.run_id}


def task(t, n):
    run(t, n)
    return t.poll_call(queue=f"{t.queue}-{n}")


def activity_task(t, n):
    name = f"{t.queue}-{n}"
    found = task(t, n)
    t.call(
        "RespondWorkflowTaskCompleted",
        task_token=found.task_token,
        commands=[activity("a", name, heartbeat_timeout=secs(30))],
    )
    return t.activity_call(queue=name)


@scenario()
def fields_of_start(t):
    """StartWorkflowExecution."""
    spoil_all(t, "StartWorkflowExecution", lambda n: full_start(t, n))


@scenario()
def fields_of_signal_with_start(t):
    """SignalWithStartWorkflowExecution."""

    def base(n):
        return {**full_start(t, n), "signal_name": "sig", "signal_input": payloads(1)}

    spoil_all(t, "SignalWithStartWorkflowExecution", base)


def _of_run(method, field="workflow_execution", timeout=10, **fixed):
    def play(t):
        spoil_all(t, method, lambda n: {field: run(t, n), **fixed}, (), timeout)

    play.__doc__ = method + "."
    return play


def _named(name, function):
    function.__name__ = name
    scenario()(function)


for _name, _function in {
    "signal": _of_run(
        "SignalWorkflowExecution",
        signal_name="sig",
        input=payloads(1),
        identity="script",
        request_id="r",
        header={"fields": {"h": payload(1)}},
        links=[link()],
    ),
    "cancel": _of_run(
        "RequestCancelWorkflowExecution",
        identity="script",
        request_id="r",
        reason="why",
        links=[link()],
    ),
    "terminate": _of_run(
        "TerminateWorkflowExecution",
        identity="script",
        reason="why",
        details=payloads(1),
        links=[link()],
    ),
    "delete": _of_run("DeleteWorkflowExecution"),
    "describe": _of_run("DescribeWorkflowExecution", "execution"),
    "history": _of_run("GetWorkflowExecutionHistory", "execution", maximum_page_size=2),
    "history_reverse": _of_run(
        "GetWorkflowExecutionHistoryReverse", "execution", maximum_page_size=2
    ),
    "reset_sticky": _of_run("ResetStickyTaskQueue", "execution"),
    "update": _of_run(
        "UpdateWorkflowExecution",
        request={
            "meta": {"update_id": "u", "identity": "script"},
            "input": {"name": "upd", "args": payloads(1)},
            "request_id": "r",
        },
        wait_policy={"lifecycle_stage": 3},
        timeout=NOBODY_ANSWERS_S,
    ),
    "query": _of_run(
        "QueryWorkflow", "execution", NOBODY_ANSWERS_S, query={"query_type": "q"}
    ),
    "options": _of_run(
        "UpdateWorkflowExecutionOptions",
        workflow_execution_options={"priority": {"priority_key": 2}},
        update_mask={"paths": ["priority"]},
        identity="script",
    ),
}.items():
    _named(f"fields_of_{_name}", _function)


def token(make, method, leave=(), **fixed):
    def play(t):
        spoil_all(t, method, lambda n: {"task_token": make(t, n).task_token, **fixed}, leave, 10)

    play.__doc__ = method + "."
    return play


FAILURE = {"message": "no", "application_failure_info": {"type": "No"}}
for _name, _function in {
    "task_completed": token(
        task,
        "RespondWorkflowTaskCompleted",
        commands=[timer("t", 60)],
        identity="script",
        sticky_attributes={
            "worker_task_queue": {"name": "sticky", "kind": 2, "normal_name": "n"},
            "schedule_to_start_timeout": secs(5),
        },
        sdk_metadata={"sdk_name": "s", "sdk_version": "1"},
        metering_metadata={},
        capabilities={},
    ),
    "task_failed": token(
        task, "RespondWorkflowTaskFailed", cause=1, failure=FAILURE, identity="script"
    ),
    "activity_completed": token(
        activity_task, "RespondActivityTaskCompleted", result=payloads(1), identity="script"
    ),
    "activity_failed": token(
        activity_task,
        "RespondActivityTaskFailed",
        failure=FAILURE,
        identity="script",
        last_heartbeat_details=payloads(1),
    ),
    "activity_canceled": token(
        activity_task, "RespondActivityTaskCanceled", details=payloads(1), identity="script"
    ),
    "heartbeat": token(
        activity_task, "RecordActivityTaskHeartbeat", details=payloads(1), identity="script"
    ),
}.items():
    _named(f"fields_of_{_name}", _function)


def by_id(method, **fixed):
    def play(t):
        def base(n):
            execution = activity_task(t, n).workflow_execution
            return {
                "workflow_id": execution.workflow_id,
                "run_id": execution.run_id,
                "activity_id": "a",
                "identity": "script",
                **fixed,
            }

        spoil_all(t, method, base, (), 10)

    play.__doc__ = method + "."
    return play


for _name, _function in {
    "completed_by_id": by_id("RespondActivityTaskCompletedById", result=payloads(1)),
    "failed_by_id": by_id("RespondActivityTaskFailedById", failure=FAILURE),
    "canceled_by_id": by_id("RespondActivityTaskCanceledById", details=payloads(1)),
    "heartbeat_by_id": by_id("RecordActivityTaskHeartbeatById", details=payloads(1)),
}.items():
    _named(f"fields_of_activity_{_name}", _function)


def of_activity(method, **fixed):
    def play(t):
        def base(n):
            return {"execution": activity_task(t, n).workflow_execution, "id": "a", **fixed}

        spoil_all(t, method, base, (), 10)

    play.__doc__ = method + "."
    return play


OPTIONS = {
    "task_queue": {"name": "other"},
    "schedule_to_close_timeout": secs(60),
    "schedule_to_start_timeout": secs(60),
    "start_to_close_timeout": secs(60),
    "heartbeat_timeout": secs(60),
    "retry_policy": retry(1, 2.0, 3, maximum_interval=secs(10)),
}
PATHS = ["task_queue.name", "retry_policy.initial_interval"] + [
    f"{name}_timeout" for name in ("schedule_to_close", "start_to_close", "heartbeat")
]
for _name, _function in {
    "pause": of_activity("PauseActivity", identity="script", reason="why"),
    "unpause": of_activity("UnpauseActivity", identity="script", jitter=secs(1)),
    "reset": of_activity("ResetActivity", identity="script", jitter=secs(1)),
    "options": of_activity(
        "UpdateActivityOptions",
        identity="script",
        activity_options=OPTIONS,
        update_mask={"paths": PATHS},
    ),
}.items():
    _named(f"fields_of_activity_{_name}", _function)


# Without its attributes the original fails inside.
PANICS = ["start_child_workflow_execution_command_attributes: none"]


def of_command(make, leave=()):
    def play(t):
        def base(n):
            return {"task_token": task(t, n).task_token, "commands": [make(t, n)]}

        spoil_all(t, "RespondWorkflowTaskCompleted", base, leave, 10, lambda r: r.commands[0])

    return play


def _full_activity(t, n):
    return activity(
        "a",
        t.queue,
        **{name: value for name, value in OPTIONS.items() if name != "task_queue"},
        header={"fields": {"h": payload(1)}},
        input=payloads(1),
        priority={"priority_key": 2, "fairness_key": "f", "fairness_weight": 1.0},
    )


def _full_child(t, n):
    return child(
        f"{t.wid}-{n}-child",
        t.queue,
        input=payloads(1),
        workflow_execution_timeout=secs(60),
        workflow_run_timeout=secs(50),
        workflow_task_timeout=secs(10),
        parent_close_policy=1,
        retry_policy=retry(1, 2.0, 3, maximum_interval=secs(10)),
        memo={"fields": {"m": payload(1)}},
        priority={"priority_key": 2, "fairness_key": "f", "fairness_weight": 1.0},
    )


def _full_continue(t, n):
    return command(
        "continue_as_new_workflow_execution",
        workflow_type={"name": "Scripted"},
        task_queue={"name": t.queue},
        input=payloads(1),
        workflow_run_timeout=secs(50),
        workflow_task_timeout=secs(10),
        backoff_start_interval=secs(1),
        retry_policy=retry(1, 2.0, 3, maximum_interval=secs(10)),
        memo={"fields": {"m": payload(1)}},
    )


for _name, _make in {
    "activity": _full_activity,
    "child": _full_child,
    "continue": _full_continue,
    "timer": lambda t, n: timer("t", 60),
    "cancel_timer": lambda t, n: command("cancel_timer", timer_id="t"),
    "cancel_activity": lambda t, n: command("request_cancel_activity_task", scheduled_event_id=5),
    "complete": lambda t, n: command("complete_workflow_execution", result=payloads(1)),
    "fail": lambda t, n: command("fail_workflow_execution", failure=FAILURE),
    "cancel": lambda t, n: command("cancel_workflow_execution", details=payloads(1)),
    "marker": lambda t, n: command(
        "record_marker", marker_name="m", details={"d": payloads(1)}, failure=FAILURE
    ),
    "signal": lambda t, n: command(
        "signal_external_workflow_execution",
        namespace="default",
        execution={"workflow_id": "w", "run_id": UNKNOWN_RUN},
        signal_name="sig",
        control="c",
    ),
    "cancel_external": lambda t, n: command(
        "request_cancel_external_workflow_execution",
        namespace="default",
        workflow_id="w",
        run_id=UNKNOWN_RUN,
        control="c",
    ),
    "memo": lambda t, n: command(
        "modify_workflow_properties", upserted_memo={"fields": {"m": payload(1)}}
    ),
    "attributes": lambda t, n: command(
        "upsert_workflow_search_attributes",
        search_attributes={"indexed_fields": {"CustomKeywordField": payload("x")}},
    ),
    "message": lambda t, n: command("protocol_message", message_id="m"),
}.items():
    _play = of_command(_make, PANICS if _name == "child" else ())
    _play.__doc__ = f"A command: {_name}."
    _named(f"fields_of_command_{_name}", _play)
