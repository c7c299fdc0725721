"""Fields of a start that the other scenarios do not look at."""

from driver.registry import scenario
from driver.values import child, payloads


def nexus(url="http://localhost:7243/callback", **header):
    return {"nexus": {"url": url, "header": header}}


@scenario()
def start_callbacks_refused(t):
    """Callbacks that cannot be called."""
    many = [nexus(f"http://localhost:7243/{n}") for n in range(33)]
    for label, callbacks in {
        "empty": [{}],
        "no url": [nexus("")],
        "no scheme": [nexus("localhost:7243")],
        "other scheme": [nexus("ftp://localhost/x")],
        "no host": [nexus("http:///x")],
        "other host": [nexus("http://example.com/x")],
        "secure": [nexus("https://localhost/x")],
        "long url": [nexus("http://localhost/" + "x" * 1000)],
        "large header": [nexus(a="x" * 9000)],
        "many": many,
        "internal": [{"internal": {"data": b"x"}}],
    }.items():
        t.start(label, completion_callbacks=callbacks, workflow_id=t.wid + label.replace(" ", "-"))


@scenario()
def start_versioning_override(t):
    """Overrides of versioning: what is refused."""
    for label, value in {
        "nothing": {},
        "bad behavior": {"behavior": 99},
        "pinned": {"behavior": 1},
        "pinned version": {"pinned": {"behavior": 1}},
    }.items():
        t.start(label, versioning_override=value, workflow_id=t.wid + label.replace(" ", "-"))


VERSION = {"deployment_name": "d", "build_id": "b"}
OVERRIDES = {
    "nothing": {},
    "negative behavior": {"behavior": -1},
    "no version": {"behavior": 1},
    "half a version": {"behavior": 1, "pinned_version": "d"},
    "half an older version": {"behavior": 1, "deployment": {"series_name": "s"}},
    "a version too much": {"behavior": 2, "pinned_version": "d.b"},
    "a deployment too much": {"behavior": 2, "deployment": {"series_name": "s"}},
    "pinned without version": {"pinned": {"behavior": 1}},
    "pinned without behavior": {"pinned": {"version": VERSION}},
    "auto-upgrade that is false": {"auto_upgrade": False},
    "once to nowhere": {"one_time": {}},
}
UNKNOWN_VERSIONS = {
    "unknown version": {"pinned": {"behavior": 1, "version": VERSION}},
    "older version": {"behavior": 1, "pinned_version": "d.b"},
    "once to a version": {"one_time": {"target_deployment_version": VERSION}},
}


@scenario()
def versioning_override_refused(t):
    """Overrides that cannot be one, or pin to a version that no worker has."""
    for label, value in {**OVERRIDES, **UNKNOWN_VERSIONS}.items():
        t.start(label, versioning_override=value)
        t.does(
            f"{label}, with a signal",
            "SignalWithStartWorkflowExecution",
            signal_name="sig",
            versioning_override=value,
            **t.start_fields(),
        )
    t.start()
    for label, value in OVERRIDES.items():
        task = t.poll_call()
        one = child(f"{t.wid}-child", t.queue, versioning_override=value)
        t.complete(task, one, label=f"{label}, of a child")
        t.terminate(f"terminate after {label}")
        t.start(f"start after {label}", request_id=label)


@scenario()
def start_eager_deployment(t):
    """A version with an eager start."""
    t.start(
        request_eager_execution=True,
        eager_worker_deployment_options={
            "deployment_name": "d",
            "build_id": "b",
            "worker_versioning_mode": 1,
        },
    )
    t.terminate()
    t.history()


@scenario()
def start_last_result(t):
    """A last result and a failure to go on from, as schedules give them."""
    t.start(
        last_completion_result=payloads("before"),
        continued_failure={"message": "it failed"},
    )
    t.task(whole=True)
    t.terminate()


@scenario()
def options_update_refused(t):
    """UpdateWorkflowExecutionOptions that cannot be."""
    t.start()
    target = {"workflow_execution": t.execution()}
    method = "UpdateWorkflowExecutionOptions"
    t.does("nothing", method)
    t.does("no options", method, **target)
    t.does("no mask", method, workflow_execution_options={}, **target)
    t.does("empty mask", method, workflow_execution_options={}, update_mask={}, **target)
    t.does(
        "unknown path",
        method,
        workflow_execution_options={},
        update_mask={"paths": ["nothing"]},
        **target,
    )
    t.does(
        "unset versioning",
        method,
        workflow_execution_options={},
        update_mask={"paths": ["versioning_override"]},
        **target,
    )
    t.does(
        "priority",
        method,
        workflow_execution_options={"priority": {"priority_key": 2}},
        update_mask={"paths": ["priority"]},
        **target,
    )
    t.does(
        "time skipping",
        method,
        workflow_execution_options={"time_skipping_config": {}},
        update_mask={"paths": ["time_skipping_config"]},
        **target,
    )
    t.describe()
    t.terminate()
    t.does(
        "closed",
        method,
        workflow_execution_options={"priority": {"priority_key": 2}},
        update_mask={"paths": ["priority"]},
        **target,
    )
    t.history()


@scenario()
def options_update_priority(t):
    """The priority of a running workflow changes, field by field."""
    t.start(priority={"priority_key": 4, "fairness_key": "k"})
    target = {"workflow_execution": t.execution(), "identity": "operator"}
    method = "UpdateWorkflowExecutionOptions"
    new = {"priority": {"priority_key": 1, "fairness_key": "n", "fairness_weight": 3.0}}
    for path in (
        "priority.priority_key",
        "priority.fairness_key",
        "priority.fairness_weight",
        "priority",
    ):
        t.does(
            path,
            method,
            workflow_execution_options=new,
            update_mask={"paths": [path]},
            **target,
        )
        t.describe(f"describe {path}")
    t.does(
        "unset",
        method,
        workflow_execution_options={},
        update_mask={"paths": ["priority"]},
        **target,
    )
    t.does(
        "negative",
        method,
        workflow_execution_options={"priority": {"priority_key": -1}},
        update_mask={"paths": ["priority"]},
        **target,
    )
    t.task(whole=True)
    t.terminate()
    t.history()
