"""The exact errors of requests that cannot be right."""

from driver.registry import scenario
from driver.values import activity, blob, done, payload, payloads, retry, secs

LONG = "x" * 1001


def _starts(t, cases):
    for label, fields in cases.items():
        fields.setdefault("workflow_id", f"{t.wid}-{label.replace(' ', '-')}")
        t.start(label, **fields)


@scenario()
def validate_start_names(t):
    """Missing, empty, overlong and reserved names of a start."""
    _starts(
        t,
        {
            "no namespace": {"namespace": ""},
            "unknown namespace": {"namespace": "nowhere"},
            "long namespace": {"namespace": LONG},
            "no workflow id": {"workflow_id": ""},
            "long workflow id": {"workflow_id": LONG},
            "no type": {"workflow_type": None},
            "empty type": {"workflow_type": {"name": ""}},
            "long type": {"workflow_type": {"name": LONG}},
            "no queue": {"task_queue": None},
            "empty queue": {"task_queue": {"name": ""}},
            "long queue": {"task_queue": {"name": LONG}},
            "reserved queue": {"task_queue": {"name": "/_sys/mine/1"}},
            "sticky queue without normal name": {"task_queue": {"name": t.queue, "kind": 2}},
            "long request id": {"request_id": LONG},
            "long identity": {"identity": LONG},
        },
    )


@scenario()
def validate_start_times(t):
    """Negative and odd durations of a start, and bad retry policies."""
    forever = secs(1)
    forever.nanos = -5
    _starts(
        t,
        {
            "negative execution timeout": {"workflow_execution_timeout": secs(-1)},
            "negative run timeout": {"workflow_run_timeout": secs(-1)},
            "negative task timeout": {"workflow_task_timeout": secs(-1)},
            "mixed signs": {"workflow_run_timeout": forever},
            "negative delay": {"workflow_start_delay": secs(-1)},
            "coefficient under one": {"retry_policy": retry(1, 0.5)},
            "negative initial interval": {"retry_policy": retry(-1)},
            "negative maximum interval": {"retry_policy": retry(maximum_interval=secs(-1))},
            "maximum under initial": {"retry_policy": retry(5, maximum_interval=secs(1))},
            "negative attempts": {"retry_policy": retry(attempts=-1)},
            "bad but one attempt": {"retry_policy": retry(-1, 0.5, 1)},
            "unknown timeout type": {
                "retry_policy": retry(non_retryable_error_types=["TemporalTimeout:Sometimes"])
            },
        },
    )


@scenario()
def validate_start_cron(t):
    """A cron schedule nobody understands, and one together with a delay."""
    _starts(
        t,
        {
            "bad cron": {"cron_schedule": "every now and then"},
            "delay and cron": {"workflow_start_delay": secs(5), "cron_schedule": "@daily"},
        },
    )


@scenario()
def validate_start_policies(t):
    """Combinations of reuse and conflict policy that exclude each other."""
    both = {"workflow_id_reuse_policy": 4}
    _starts(
        t,
        {
            "terminate if running, fail": {**both, "workflow_id_conflict_policy": 1},
            "terminate if running, use existing": {**both, "workflow_id_conflict_policy": 2},
            "terminate if running, terminate": {**both, "workflow_id_conflict_policy": 3},
            "reject duplicate, terminate": {
                "workflow_id_reuse_policy": 3,
                "workflow_id_conflict_policy": 3,
            },
            "unknown reuse policy": {"workflow_id_reuse_policy": 77},
            "unknown conflict policy": {"workflow_id_conflict_policy": 77},
        },
    )


@scenario()
def validate_start_sizes(t):
    """Input, memo, header and metadata over their limits; undefined search attributes."""
    memo = {"fields": {"big": blob(2 * 1024 * 1024 + 1).payloads[0]}}
    _starts(
        t,
        {
            "input too large": {"input": blob(2 * 1024 * 1024 + 1)},
            "memo too large": {"memo": memo},
            "summary too large": {"user_metadata": {"summary": payload("x" * 500)}},
            "details too large": {"user_metadata": {"details": payload("x" * 20_001)}},
            "negative priority": {"priority": {"priority_key": -1}},
            "long fairness key": {"priority": {"fairness_key": "k" * 65}},
        },
    )


@scenario(needs=["search_attributes"])
def validate_search_attribute(t):
    """A search attribute nobody defined."""
    fields = {"indexed_fields": {"Undefined": payload("x")}}
    _starts(t, {"undefined": {"search_attributes": fields}})


def _execution_cases(t):
    return {
        "no namespace": {"namespace": ""},
        "unknown namespace": {"namespace": "nowhere"},
        "no execution": {"execution": None},
        "no workflow id": {"execution": {"workflow_id": ""}},
        "long workflow id": {"execution": {"workflow_id": LONG}},
        "bad run id": {"execution": {"workflow_id": t.wid, "run_id": "nonsense"}},
        "upper case run id": {
            "execution": {"workflow_id": t.wid, "run_id": "B1946AC9-2F5E-4E1A-9A3B-6A1D2C3E4F50"}
        },
        "unknown workflow": {"execution": {"workflow_id": f"{t.wid}-unknown"}},
        "unknown run": {
            "execution": {"workflow_id": t.wid, "run_id": "b1946ac9-2f5e-4e1a-9a3b-6a1d2c3e4f50"}
        },
    }


def _on_executions(t, method, field="workflow_execution", **fixed):
    t.start()
    for label, fields in _execution_cases(t).items():
        fields = dict(fields)
        if "execution" in fields:
            fields[field] = fields.pop("execution")
        else:
            fields[field] = t.execution()
        t.does(label, method, **fixed, **fields)


@scenario()
def validate_describe(t):
    """Missing and unknown executions: describe."""
    _on_executions(t, "DescribeWorkflowExecution", "execution")


@scenario()
def validate_signal(t):
    """Missing and unknown executions, missing and overlong names: signal."""
    _on_executions(t, "SignalWorkflowExecution", signal_name="sig")
    t.signal("", label="no signal name")
    t.signal(LONG, label="long signal name")
    t.signal("sig", label="long request id", request_id=LONG)
    t.signal("sig", label="too large", input=blob(2 * 1024 * 1024 + 1))
    t.history()


@scenario()
def validate_cancel(t):
    """Missing and unknown executions: request cancel."""
    _on_executions(t, "RequestCancelWorkflowExecution")
    t.cancel("other first run", first_execution_run_id="b1946ac9-2f5e-4e1a-9a3b-6a1d2c3e4f50")
    t.cancel("bad first run", first_execution_run_id="nonsense")
    t.history()


@scenario()
def validate_terminate(t):
    """Missing and unknown executions: terminate."""
    _on_executions(t, "TerminateWorkflowExecution")
    t.terminate("other first run", first_execution_run_id="b1946ac9-2f5e-4e1a-9a3b-6a1d2c3e4f50")
    t.terminate("bad first run", first_execution_run_id="nonsense")
    t.history()


@scenario()
def validate_query(t):
    """Missing and unknown executions and missing queries."""
    _on_executions(t, "QueryWorkflow", "execution", query={"query_type": "state"}, timeout=5)
    t.does("no query", "QueryWorkflow", execution=t.execution(), timeout=5)
    t.query("", label="no query type", timeout=5)
    t.query(LONG, label="long query type", timeout=2)


@scenario()
def validate_history(t):
    """Missing and unknown executions, page sizes and tokens: history reads."""
    _on_executions(t, "GetWorkflowExecutionHistory", "execution")
    read = "GetWorkflowExecutionHistory"
    t.does("negative page size", read, execution=t.execution(), maximum_page_size=-1)
    t.does("forged token", read, execution=t.execution(), next_page_token=b"forged")
    page = t.call(read, execution=t.execution(), maximum_page_size=1, wait_new_event=True)
    t.does(
        "token of another workflow",
        read,
        execution={"workflow_id": f"{t.wid}-unknown"},
        next_page_token=page.next_page_token,
    )
    t.does(
        "token of another run",
        read,
        execution={"workflow_id": t.wid, "run_id": "b1946ac9-2f5e-4e1a-9a3b-6a1d2c3e4f50"},
        next_page_token=page.next_page_token,
    )


@scenario()
def validate_history_reverse(t):
    """Missing and unknown executions: history in reverse order."""
    _on_executions(t, "GetWorkflowExecutionHistoryReverse", "execution")


def bad_polls(t, kind, method):
    queue = {"name": t.queue}
    t.does(f"{kind}: no namespace", method, namespace="", task_queue=queue)
    t.does(f"{kind}: unknown namespace", method, namespace="nowhere", task_queue=queue)
    t.does(f"{kind}: no queue", method)
    t.does(f"{kind}: empty queue", method, task_queue={"name": ""})
    t.does(f"{kind}: long queue", method, task_queue={"name": LONG})
    t.does(f"{kind}: reserved queue", method, task_queue={"name": "/_sys/q/1"}, timeout=3)
    t.does(f"{kind}: long identity", method, task_queue=queue, identity=LONG)
    t.does(f"{kind}: deadline too short", method, task_queue=queue, timeout=0.9)
    t.does(f"{kind}: no deadline", method, task_queue=queue, timeout=None)


@scenario()
def validate_polls(t):
    """Polls with a bad queue, namespace, identity or deadline."""
    bad_polls(t, "workflow", "PollWorkflowTaskQueue")
    bad_polls(t, "activity", "PollActivityTaskQueue")
    t.does(
        "sticky without normal name",
        "PollWorkflowTaskQueue",
        task_queue={"name": t.sticky, "kind": 2},
        timeout=3,
    )


@scenario()
def validate_nexus_polls(t):
    """The same of a poll for Nexus tasks; a good one waits and ends empty."""
    bad_polls(t, "nexus", "PollNexusTaskQueue")
    t.does("waits", "PollNexusTaskQueue", task_queue={"name": t.queue}, timeout=3)


@scenario()
def validate_workflow_task_answers(t):
    """Answers to workflow tasks with missing, forged and foreign tokens."""
    t.start()
    for method in ("RespondWorkflowTaskCompleted", "RespondWorkflowTaskFailed"):
        t.does(f"{method} without token", method)
        t.does(f"{method} with a forged token", method, task_token=b"forged")
    t.does("query answer without token", "RespondQueryTaskCompleted")
    t.does("query answer with a forged token", "RespondQueryTaskCompleted", task_token=b"forged")
    task = t.task()
    t.does("unknown namespace", "RespondWorkflowTaskCompleted", task_token=task.task_token,
           namespace="nowhere")
    t.does("no namespace", "RespondWorkflowTaskCompleted", task_token=task.task_token,
           namespace="")
    t.history()


@scenario()
def validate_activity_answers(t):
    """Answers to activities with missing, forged and foreign tokens, and by unknown id."""
    t.start()
    methods = ["Completed", "Failed", "Canceled"]
    for name in [f"RespondActivityTask{m}" for m in methods] + ["RecordActivityTaskHeartbeat"]:
        t.does(f"{name} without token", name)
        t.does(f"{name} with a forged token", name, task_token=b"forged")
    by_id = [f"RespondActivityTask{m}ById" for m in methods] + ["RecordActivityTaskHeartbeatById"]
    for name in by_id:
        t.does(f"{name} without workflow", name, activity_id="a")
        t.does(f"{name} without activity", name, workflow_id=t.wid)
        t.does(f"{name} of an unknown activity", name, workflow_id=t.wid, activity_id="a")
        t.does(f"{name} of an unknown workflow", name, workflow_id=f"{t.wid}-no", activity_id="a")
        t.does(f"{name} of a bad run", name, workflow_id=t.wid, activity_id="a", run_id="nonsense")


def token_of_another_server(namespace_id, workflow_id, run_id):
    """A task token in the form that Temporal servers before 2026 give out."""
    texts = enumerate((namespace_id, workflow_id, run_id), start=1)
    named = b"".join(bytes((n << 3 | 2, len(x))) + x.encode() for n, x in texts)
    return named + b"\x20\x05\x28\x01"


@scenario()
def validate_token_of_another_server(t):
    """A task token that names a workflow which is not here: NOT_FOUND, so that clients give up."""
    where = t.call("DescribeNamespace").namespace_info.id
    unknown = "33fe12c8-be49-41a2-8abd-1765496ede9e"
    tokens = {
        "another workflow": token_of_another_server(where, f"{t.wid}-no", unknown),
        "no run": token_of_another_server(where, f"{t.wid}-no", ""),
    }
    for name in ("RespondActivityTaskCompleted", "RespondActivityTaskFailed",
                 "RespondActivityTaskCanceled", "RecordActivityTaskHeartbeat",
                 "RespondWorkflowTaskCompleted", "RespondWorkflowTaskFailed"):
        for label, token in tokens.items():
            t.does(f"{name} of {label}", name, task_token=token)


@scenario()
def validate_task_of_wrong_kind(t):
    """Tokens of a workflow task used for an activity."""
    t.start()
    task = t.task()
    t.does("complete activity", "RespondActivityTaskCompleted", task_token=task.task_token)
    t.does("heartbeat", "RecordActivityTaskHeartbeat", task_token=task.task_token)
    t.complete(task, done(payloads("x").payloads[0].data.decode()))
    t.history()


@scenario()
def fields_nobody_checks(t):
    """Long identities and negative jitters that are taken; a link to a workflow, which is not."""
    t.start()
    t.step(activity("a", t.queue))
    t.activity_task()
    execution, long = t.execution(), "x" * 1001
    named = {"workflow_id": t.wid, "activity_id": "a"}
    t.does("heartbeat", "RecordActivityTaskHeartbeatById", identity=long, **named)
    t.does("fail", "RespondActivityTaskFailedById", identity=long, **named)
    t.does(
        "options",
        "UpdateWorkflowExecutionOptions",
        workflow_execution=execution,
        workflow_execution_options={},
        update_mask={"paths": ["priority"]},
        identity=long,
    )
    jitter = secs(-1)
    t.does("reset", "ResetActivity", execution=execution, id="a", jitter=jitter)
    t.does("unpause", "UnpauseActivity", execution=execution, id="a", jitter=jitter)
    link = {"workflow": {"namespace": "default", "workflow_id": "w", "run_id": "r"}}
    t.signal("sig", links=[link])


@scenario()
def validate_run_options(t):
    """Options of a run that is open: what is checked although the mask does not name it."""
    t.start()
    for label, options in {
        "none": None,
        "override": {"versioning_override": {}},
        "time skipping": {"time_skipping_config": {}},
    }.items():
        t.does(
            label,
            "UpdateWorkflowExecutionOptions",
            workflow_execution=t.execution(),
            workflow_execution_options=options,
            update_mask={"paths": ["priority"]},
        )
