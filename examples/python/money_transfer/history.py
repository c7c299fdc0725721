"""An Event History in lines that a person reads."""

from temporalio.api.enums.v1 import EventType, RetryState, TimeoutType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import default as default_converter


def event_name(event: HistoryEvent) -> str:
    words = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").split("_")
    return "".join(w.capitalize() for w in words)


def attributes(event: HistoryEvent):
    which = event.WhichOneof("attributes")
    return getattr(event, which) if which else None


def payload_text(payloads):
    values = default_converter().payload_converter.from_payloads(list(payloads.payloads))
    return ", ".join(str(v) for v in values)


def failure_text(failure) -> str:
    """The failure and its causes, outermost first."""
    parts = []
    while True:
        which = failure.WhichOneof("failure_info")
        info = getattr(failure, which) if which else None
        kind = (which or "failure").removesuffix("_failure_info")
        if which == "application_failure_info":
            kind = info.type + (" (non-retryable)" if info.non_retryable else "")
        elif which == "activity_failure_info":
            state = RetryState.Name(info.retry_state).removeprefix("RETRY_STATE_").lower()
            kind = f"activity {info.activity_type.name} ({state})"
        elif which == "timeout_failure_info":
            kind = TimeoutType.Name(info.timeout_type).removeprefix("TIMEOUT_TYPE_").lower()
        parts.append(f"{kind}: {failure.message}")
        if not failure.HasField("cause"):
            return " <- ".join(parts)
        failure = failure.cause


def describe(event: HistoryEvent, names) -> str:
    """What is worth a word. `names` keeps the activity type of every scheduled event id."""
    a = attributes(event)
    fields = {f.name for f, _ in a.ListFields()} if a else set()
    words = []
    if "activity_type" in fields:
        names[event.event_id] = a.activity_type.name
        words.append(f"{a.activity_type.name} (activity id {a.activity_id})")
    elif "workflow_type" in fields:
        words.append(a.workflow_type.name)
    elif getattr(a, "scheduled_event_id", 0) in names:
        words.append(names[a.scheduled_event_id])
    if getattr(a, "attempt", 0) > 1:
        words.append(f"attempt {a.attempt}")
    if "input" in fields and "workflow_type" in fields:
        words.append(payload_text(a.input))
    if "result" in fields:
        words.append(f"-> {payload_text(a.result)}")
    if "last_failure" in fields:
        words.append(f"after {failure_text(a.last_failure)}")
    if "failure" in fields:
        words.append(failure_text(a.failure))
    return ", ".join(words)


def lines(events):
    names = {}
    for e in events:
        at = e.event_time.ToDatetime().strftime("%H:%M:%S.%f")[:-3]
        yield f"{e.event_id:5}  {at}  {event_name(e):30} {describe(e, names)}".rstrip()
