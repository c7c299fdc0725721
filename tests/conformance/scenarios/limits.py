"""Limits a client can reach: numbers of pending things, sizes of requests and transactions."""

import grpc
from driver.registry import scenario
from driver.rpc import WORKFLOW_SERVICE, request_type, response_type, to_json
from driver.script import summary
from driver.values import activity, blob, command, done, payload, timer


def _last_events(t, label, count, **fields):
    found = t.events()
    t.note(label, [to_json(event) for event in found[-count:]])
    t.note(label + ": number of events", len(found))


@scenario()
def limit_pending_activities(t):
    """The 2001st pending activity fails the workflow task."""
    t.start()
    t.step(*[activity(f"a{i}", "nobody-polls") for i in range(2000)], label="2000 at once")
    t.signal()
    t.step(activity("one-more", "nobody-polls"), label="one more")
    _last_events(t, "last events", 3)
    t.terminate()


@scenario()
def limit_buffered_events(t):
    """More than a hundred events in the buffer fail the running workflow task."""
    t.start(workflow_task_timeout={"seconds": 60})
    task = t.task()
    for i in range(101):
        t.call("SignalWorkflowExecution", workflow_execution=t.execution(), signal_name=f"s{i}")
    t.complete(task, timer("t", 60), label="completed too late")
    t.note("history", [summary(event) for event in t.events()])
    t.step(done())
    _last_events(t, "last events", 4)


@scenario()
def limit_large_completion(t):
    """A completion of 3.9 million bytes, each command within its own limit."""
    t.start()
    marker = command("record_marker", marker_name="m", details={"d": blob(1_300_000)})
    t.step(marker, marker, marker, done())
    _last_events(t, "last events", 4)


@scenario()
def limit_request(t):
    """A request above what the transport takes."""
    t.start()
    t.signal("big", input=blob(4 * 1024 * 1024 + 1))
    t.signal("far too big", input=blob(20 * 1024 * 1024), label="much larger")
    t.history()


@scenario()
def limit_gzip(t):
    """Compressed requests are understood."""
    call = t.server.channel.unary_unary(f"/{WORKFLOW_SERVICE}/DescribeNamespace")
    body = request_type("DescribeNamespace")(namespace="default").SerializeToString()
    for name, kind in {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}.items():
        try:
            answer = call(body, timeout=10, compression=kind)
            found = response_type("DescribeNamespace").FromString(answer)
            t.note(name, found.namespace_info.name)
        except grpc.RpcError as error:
            t.note(name, {"error": {"code": error.code().name, "message": error.details()}})


@scenario(needs=["search_attributes"])
def limit_search_attributes(t):
    """Search attributes nobody defined fail the workflow task."""
    t.start()
    fields = {"indexed_fields": {"Undefined": payload("x")}}
    t.step(command("upsert_workflow_search_attributes", search_attributes=fields))
    t.step(command("upsert_workflow_search_attributes"), label="without any")
    t.history()
    t.terminate()
