"""Fields of update requests that are not valid."""

from driver import updates as u
from driver.registry import scenario
from driver.values import blob


def _request(update_id="u", name="upd", **more):
    return {"meta": {"update_id": update_id}, "input": {"name": name, **more}}


@scenario()
def update_validation(t):
    """Every field of UpdateWorkflowExecution."""
    t.idle()
    long = "x" * 1001
    u.send(t, workflow_execution={}, label="no workflow id")
    u.send(t, workflow_execution=None, label="no execution")
    u.send(t, workflow_execution={"workflow_id": t.wid, "run_id": "x"}, label="bad run id")
    u.send(t, workflow_execution={"workflow_id": long}, label="long workflow id")
    u.send(t, first_execution_run_id="x", label="bad first run id")
    u.send(t, request=None, label="no request")
    u.send(t, request={"input": {"name": "upd"}}, label="no meta", timeout=3)
    u.send(t, request={"meta": {"update_id": "u"}}, label="no input")
    u.send(t, request=_request(name=""), label="no name")
    u.send(t, request=_request(name=long), label="long name", timeout=3)
    u.send(t, request=_request(update_id=long), label="long update id")
    u.send(t, stage=u.ADMITTED, label="stage admitted")
    u.send(t, stage=99, label="unknown stage", timeout=3)
    u.send(t, namespace="none-such", label="no such namespace")
    u.send(t, namespace="", label="empty namespace")
    u.send(t, request=_request(args=blob(2 * 1024 * 1024 + 1)), label="large", timeout=3)
    deep = _request()
    deep["meta"]["identity"] = long
    u.send(t, request=deep, label="long identity", timeout=3)


@scenario()
def update_validation_more(t):
    """Request ids, callbacks and links of an update."""
    t.idle()
    u.send(t, request={**_request(), "request_id": "r" * 1001}, label="long request id", timeout=3)
    callback = {"nexus": {"url": "http://localhost:1/x"}}
    u.send(
        t,
        request={**_request("c"), "completion_callbacks": [callback]},
        label="callback",
        timeout=3,
    )
    u.send(
        t,
        request={**_request("d"), "completion_callbacks": [callback], "request_id": "r"},
        label="callback with a request id",
        timeout=3,
    )
    link = {"workflow_event": {"namespace": "default", "workflow_id": "w", "run_id": "r"}}
    u.send(t, request={**_request("e"), "links": [link] * 11}, label="links", timeout=3)
    u.send(t, request={**_request("f"), "links": [{}]}, label="empty link", timeout=3)


@scenario()
def update_poll_validation(t):
    """Every field of PollWorkflowExecutionUpdate."""
    t.idle()
    u.poll(t, update_ref=None, label="no ref")
    u.poll(t, update_ref={"update_id": "u"}, label="no execution")
    u.poll(t, update_ref={"workflow_execution": t.execution()}, label="no update id", timeout=3)
    u.poll(t, "x" * 1001, label="long update id")
    u.poll(t, run_id="x", label="bad run id")
    u.poll(t, stage=99, label="unknown stage", timeout=3)
    u.poll(t, namespace="none-such", label="no such namespace")
    u.poll(t, stage=u.ADMITTED, label="stage admitted of none", timeout=3)


@scenario()
def update_ids_made(t):
    """Without an update id the server makes one."""
    t.idle()
    sent = u.later(t, request=_request(update_id=""), stage=u.ACCEPTED)
    task = t.poll_call()
    u.answer(t, task, *u.accepted(task, 1))
    answer = sent.result(10)
    t.note("made", len(answer.update_ref.update_id) == 36)
    seen = u.requests(task)[0][1].meta.update_id
    t.note("the worker saw it", seen == answer.update_ref.update_id)


@scenario()
def update_request_with_links(t):
    """Links and a request id of an update."""
    t.idle()
    link = {"workflow_event": {"namespace": "default", "workflow_id": "w", "run_id": "r"}}
    sent, task = u.delivered(t, request={**_request(), "request_id": "r1", "links": [link]})
    u.answer(t, task, *u.accepted(task, 1))
    t.settle("update", sent)
    t.history()
    t.describe()
