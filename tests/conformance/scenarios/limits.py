"""Limits a client can reach: numbers of pending things, sizes of requests and transactions."""

import grpc
from driver.registry import scenario
from driver.rpc import WORKFLOW_SERVICE, request_type, response_type, to_json
from driver.script import summary
from driver.values import activity, blob, command, done, payload, signal_external, timer


def _last_events(t, label, count, **fields):
    found = t.events()
    t.note(label, [to_json(event) for event in found[-count:]])
    t.note(label + ": number of events", len(found))


def _note_suggestion(t, task):
    """What the newest WorkflowTaskStarted says."""
    last = t.events()[int(task.started_event_id) - 1]
    started = to_json(last.workflow_task_started_event_attributes)
    wanted = ("suggest_continue_as_new", "suggest_continue_as_new_reasons")
    t.note("suggested", {name: started.get(name) for name in wanted})


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
def limit_signals(t):
    """A run takes 10,000 signals; one more is refused, from a client and from a workflow."""
    target = t.wid + "-target"
    t.start("start the target", workflow_id=target, task_queue={"name": t.queue + "-target"})
    full = t.execution(workflow_id=target)

    def send(count):
        for _ in range(count):
            t.call("SignalWorkflowExecution", workflow_execution=full, signal_name="sig")

    for sender in [t.later(send, 1250) for _ in range(8)]:
        sender.result(200)
    t.signal(workflow_execution=full, label="one more")
    t.start()
    t.step(signal_external(target), label="one more from a workflow")
    t.wait_for("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
    t.history()
    t.describe("describe the target", workflow_id=target)
    t.terminate()
    t.terminate("terminate the target", workflow_execution=full)


@scenario()
def suggest_continue_as_new_size(t):
    """From 4 MiB of history on, each task suggests to continue as new."""
    t.start()
    marker = command("record_marker", marker_name="m", details={"d": blob(1_500_000)})
    t.step(marker, timer("t", 60))
    t.signal()
    t.step(marker, marker)
    t.signal()
    _note_suggestion(t, t.poll_call())
    t.terminate()


@scenario()
def suggest_continue_as_new_count(t):
    """From 4096 events on, each task suggests to continue as new."""
    t.start()
    t.step(*[command("record_marker", marker_name="m") for _ in range(4090)], timer("t", 60))
    t.signal()
    for _ in range(2):
        task = t.poll_call()
        _note_suggestion(t, task)
        fields = {"task_token": task.task_token, "identity": "worker"}
        t.call("RespondWorkflowTaskCompleted", force_create_new_workflow_task=True, **fields)
    t.terminate()


@scenario()
def limit_large_completion(t):
    """A completion of 3.9 million bytes, each command within its own limit."""
    t.start()
    marker = command("record_marker", marker_name="m", details={"d": blob(1_300_000)})
    t.step(marker, marker, marker, done())
    _last_events(t, "last events", 4)


@scenario()
def limit_transaction(t):
    """A completion that is too large together with the signal that waited ends the run."""
    t.start()
    task = t.task()
    t.signal("big", input=blob(1_900_000))
    marker = command("record_marker", marker_name="m", details={"d": blob(1_300_000)})
    t.complete(task, marker, marker, marker)
    _last_events(t, "last events", 4)


@scenario()
def limit_transaction_many_events(t):
    """Events are longer than commands: many do not fit although their request did."""
    t.start()
    marker = command("record_marker", marker_name="m", details={"d": blob(50)})
    t.step(*[marker] * 40_000)
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
