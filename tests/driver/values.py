"""Short constructors for the protocol's values, so that a scenario fits on a screen."""

import json

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import message_pb2 as command_pb
from temporalio.api.common.v1 import message_pb2 as common_pb
from temporalio.api.enums.v1 import command_type_pb2 as command_enum
from temporalio.api.failure.v1 import message_pb2 as failure_pb


def secs(seconds):
    """A Duration; negative ones too, with both parts of the same sign."""
    total = round(seconds * 1_000_000_000)
    sign = -1 if total < 0 else 1
    whole, nanos = divmod(abs(total), 1_000_000_000)
    return Duration(seconds=sign * whole, nanos=sign * nanos)


def payload(value):
    return common_pb.Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())


def payloads(*values):
    return common_pb.Payloads(payloads=[payload(value) for value in values])


def blob(size):
    """Payloads of about the given size in bytes."""
    data = common_pb.Payload(metadata={"encoding": b"binary/plain"}, data=b"x" * size)
    return common_pb.Payloads(payloads=[data])


def app_failure(message="it broke", type="Broken", **fields):
    """fields: those of ApplicationFailureInfo, and stack_trace, source, cause of the failure."""
    outer = {k: fields.pop(k) for k in ("stack_trace", "source", "cause") if k in fields}
    outer.setdefault("source", "ScriptedWorker")
    info = failure_pb.ApplicationFailureInfo(type=type, **fields)
    return failure_pb.Failure(message=message, application_failure_info=info, **outer)


def command(kind, **attributes):
    """command("start_timer", timer_id="t") is a COMMAND_TYPE_START_TIMER with its attributes."""
    extra = {k: attributes.pop(k) for k in ("user_metadata",) if k in attributes}
    field = f"{kind}_command_attributes"
    return command_pb.Command(
        command_type=command_enum.CommandType.Value("COMMAND_TYPE_" + kind.upper()),
        **{field: attributes},
        **extra,
    )


def activity(activity_id="a", queue=None, **fields):
    """ScheduleActivityTask; the queue must be given because the command requires one."""
    fields.setdefault("activity_type", {"name": "Act"})
    if queue is not None:
        fields["task_queue"] = {"name": queue}
    if not any(k in fields for k in ("start_to_close_timeout", "schedule_to_close_timeout")):
        fields["start_to_close_timeout"] = secs(10)
    fields = {k: v for k, v in fields.items() if v is not None}
    return command("schedule_activity_task", activity_id=activity_id, **fields)


def cancel_activity(scheduled_event_id):
    return command("request_cancel_activity_task", scheduled_event_id=scheduled_event_id)


def timer(timer_id="t", seconds=1.0):
    return command("start_timer", timer_id=timer_id, start_to_fire_timeout=secs(seconds))


def cancel_timer(timer_id="t"):
    return command("cancel_timer", timer_id=timer_id)


def done(*values):
    if not values:
        return command("complete_workflow_execution")
    return command("complete_workflow_execution", result=payloads(*values))


def fail(failure=None):
    return command("fail_workflow_execution", failure=failure or app_failure())


def once():
    """A retry policy that does not retry."""
    return common_pb.RetryPolicy(maximum_attempts=1)


def retry(initial=1.0, coefficient=1.0, attempts=0, **fields):
    return common_pb.RetryPolicy(
        initial_interval=secs(initial),
        backoff_coefficient=coefficient,
        maximum_attempts=attempts,
        **fields,
    )


def child(workflow_id, queue=None, **fields):
    """StartChildWorkflowExecution of a workflow of type Child."""
    fields.setdefault("workflow_type", {"name": "Child"})
    if queue is not None:
        fields["task_queue"] = {"name": queue}
    fields = {k: v for k, v in fields.items() if v is not None}
    return command("start_child_workflow_execution", workflow_id=workflow_id, **fields)


def signal_external(workflow_id, run_id="", name="sig", **fields):
    return command(
        "signal_external_workflow_execution",
        execution={"workflow_id": workflow_id, "run_id": run_id},
        signal_name=name,
        **fields,
    )


def cancel_external(workflow_id, run_id="", **fields):
    return command(
        "request_cancel_external_workflow_execution",
        workflow_id=workflow_id,
        run_id=run_id,
        **fields,
    )
