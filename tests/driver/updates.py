"""Updates in the words of the protocol: the client's calls and the worker's messages."""

from google.protobuf.any_pb2 import Any
from temporalio.api.enums.v1 import update_pb2 as update_enum
from temporalio.api.protocol.v1 import message_pb2 as protocol_pb
from temporalio.api.update.v1 import message_pb2 as update_pb

from .rpc import to_json
from .values import app_failure, command, payloads

# What SDKs say of themselves: a task without a trace may be dropped although events came with it.
DISCARDS = {"discard_speculative_workflow_task_with_events": True}

ADMITTED = update_enum.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED
ACCEPTED = update_enum.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED
COMPLETED = update_enum.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED

# --- the client


def fields(t, update_id="u", *args, name="upd", stage=COMPLETED, **more):
    """The fields of an UpdateWorkflowExecution request."""
    more.setdefault("workflow_execution", t.execution())
    meta = {"update_id": update_id, "identity": "client"}
    entry = {"name": name}
    if args:
        entry["args"] = payloads(*args)
    more.setdefault("request", {"meta": meta, "input": entry})
    if stage is not None:
        more.setdefault("wait_policy", {"lifecycle_stage": stage})
    return more


def later(t, update_id="u", *args, **more):
    """Sends an update in the background."""
    return t.later(t.call, "UpdateWorkflowExecution", **fields(t, update_id, *args, **more))


def send(t, update_id="u", *args, label="update", **more):
    """Sends an update and notes the answer."""
    return t.does(label, "UpdateWorkflowExecution", **fields(t, update_id, *args, **more))


def delivered(t, update_id="u", *args, **more):
    """Sends an update in the background and takes the task that brings it: both."""
    return later(t, update_id, *args, **more), t.task()


def poll_fields(t, update_id="u", stage=COMPLETED, run_id=None, **more):
    ref = {"workflow_execution": t.execution(run_id), "update_id": update_id}
    more.setdefault("update_ref", ref)
    if stage is not None:
        more.setdefault("wait_policy", {"lifecycle_stage": stage})
    return more


def poll(t, update_id="u", label="poll", **more):
    """Asks for the outcome of an update and notes the answer."""
    return t.does(label, "PollWorkflowExecutionUpdate", **poll_fields(t, update_id, **more))


def poll_later(t, update_id="u", **more):
    return t.later(t.call, "PollWorkflowExecutionUpdate", **poll_fields(t, update_id, **more))


# --- the worker


def requests(task):
    """The update requests of a workflow task: (message, request) in their order."""
    found = []
    for message in task.messages:
        request = update_pb.Request()
        message.body.Unpack(request)
        found.append((message, request))
    return found


def admitted(task):
    """What an earlier run admitted and this one took over: the worker finds it in the history."""
    found = []
    for event in task.history.events:
        if event.HasField("workflow_execution_update_admitted_event_attributes"):
            request = event.workflow_execution_update_admitted_event_attributes.request
            instance = request.meta.update_id
            incoming = protocol_pb.Message(
                id=f"{instance}/request", protocol_instance_id=instance, event_id=event.event_id
            )
            found.append((incoming, request))
    return found


def message(instance, body, suffix, **more):
    packed = Any()
    packed.Pack(body)
    return protocol_pb.Message(
        id=f"{instance}/{suffix}", protocol_instance_id=instance, body=packed, **more
    )


def acceptance(incoming, request, **more):
    body = update_pb.Acceptance(
        accepted_request_message_id=incoming.id,
        accepted_request_sequencing_event_id=incoming.event_id,
        accepted_request=request,
    )
    return message(incoming.protocol_instance_id, body, "accept", **more)


def rejection(incoming, request, failure=None, **more):
    body = update_pb.Rejection(
        rejected_request_message_id=incoming.id,
        rejected_request_sequencing_event_id=incoming.event_id,
        rejected_request=request,
        failure=failure or app_failure("not today", "Refused"),
    )
    return message(incoming.protocol_instance_id, body, "reject", **more)


def response(update_id, *values, failure=None, **more):
    meta = {"update_id": update_id, "identity": "client"}
    outcome = {"failure": failure} if failure else {"success": payloads(*values)}
    body = update_pb.Response(meta=meta, outcome=outcome)
    return message(update_id, body, "complete", **more)


def says(*messages):
    """The commands that put these messages in order."""
    return [command("protocol_message", message_id=m.id) for m in messages]


def accepted(task, *values, at=0):
    """Messages that accept and complete one update of the task."""
    incoming, request = (requests(task) or admitted(task))[at]
    return [acceptance(incoming, request), response(incoming.protocol_instance_id, *values)]


def answer(t, task, *messages, commands=(), **more):
    """Completes the task with these messages, each at its command; further commands follow."""
    return t.complete(task, *says(*messages), *commands, messages=list(messages), **more)


def note_messages(t, task, label="messages"):
    t.note(label, [to_json(m) for m in task.messages])
