"""Every field of a request spoilt in turn: what is empty, too long, negative, unknown."""

from google.protobuf.descriptor import FieldDescriptor as F

LONG = "x" * 1001
INTEGERS = {F.CPPTYPE_INT32: 2**31 - 1, F.CPPTYPE_INT64: 2**63 - 1}
# Kept and given back as they came: only whether they are there matters.
KEPT = {
    "temporal.api.common.v1." + name
    for name in ("Header", "Memo", "Payload", "Payloads", "SearchAttributes")
} | {
    "temporal.api.failure.v1.Failure",
    "temporal.api.sdk.v1.UserMetadata",
    "temporal.api.sdk.v1.WorkflowTaskCompletedMetadata",
    "temporal.api.worker.v1.WorkerHeartbeat",
    "temporal.api.common.v1.MeteringMetadata",
    "google.protobuf.Any",
}
DEEPEST = 4


def _set(name, value):
    return lambda message: setattr(message, name, value)


def _fill(name, **values):
    def change(message):
        message.ClearField(name)
        part = getattr(message, name)
        part.SetInParent()
        for key, value in values.items():
            setattr(part, key, value)

    return change


def _add(name, *values):
    def change(message):
        message.ClearField(name)
        getattr(message, name).extend(values)

    return change


def _grow(name):
    def change(message):
        getattr(message, name).add()

    return change


def _put(name, key):
    def change(message):
        entry = getattr(message, name)
        value = message.DESCRIPTOR.fields_by_name[name].message_type.fields_by_name["value"]
        if value.message_type:
            entry[key].SetInParent()
        else:
            entry[key] = type(value.default_value)()

    return change


def _scalar(field, message):
    name, is_set = field.name, bool(getattr(message, field.name))
    if field.type == F.TYPE_STRING:
        if is_set:
            yield "empty", _set(name, "")
        yield "long", _set(name, LONG)
    elif field.type == F.TYPE_BYTES:
        if is_set:
            yield "empty", _set(name, b"")
        yield "odd", _set(name, b"odd")
    elif field.cpp_type == F.CPPTYPE_ENUM:
        yield "none", _set(name, 0)
        yield "unknown", _set(name, 99)
        yield "negative", _set(name, -1)
    elif field.cpp_type == F.CPPTYPE_BOOL:
        yield "other", _set(name, not is_set)
    elif field.cpp_type in INTEGERS:
        yield "negative", _set(name, -1)
        yield "largest", _set(name, INTEGERS[field.cpp_type])
    else:
        yield "negative", _set(name, -1.0)


def _repeated(field):
    name = field.name
    if field.message_type and field.message_type.GetOptions().map_entry:
        yield "empty key", _put(name, "")
        yield "long key", _put(name, LONG)
    elif field.message_type:
        yield "one more, empty", _grow(name)
    elif field.type == F.TYPE_STRING:
        yield "an empty one", _add(name, "")
        yield "a long one", _add(name, LONG)
    elif field.cpp_type == F.CPPTYPE_ENUM:
        yield "unknown", _add(name, 99)


def _message(field, message):
    name, full = field.name, field.message_type.full_name
    if full == "google.protobuf.Duration":
        yield "negative", _fill(name, seconds=-1)
        yield "of both signs", _fill(name, seconds=1, nanos=-1)
        yield "for ever", _fill(name, seconds=2**62)
        yield "zero", _fill(name)
    elif full == "google.protobuf.Timestamp":
        yield "negative", _fill(name, seconds=-1)
        yield "too late", _fill(name, seconds=2**62)
    elif not message.HasField(name):
        yield "empty", _fill(name)
    if message.HasField(name):
        yield "none", lambda m: m.ClearField(name)


def _inner(change, *path):
    def outer(message):
        for name, index in path:
            message = getattr(message, name) if index is None else getattr(message, name)[index]
        change(message)

    return outer


def _is_alternative(field, message):
    """Of a oneof in which something else is set."""
    group = field.containing_oneof
    chosen = message.WhichOneof(group.name) if group else None
    return chosen not in (None, field.name)


def changes(message, path=(), leave=()):
    """(label, change): each changes one field of a copy of the message."""
    for field in message.DESCRIPTOR.fields:
        place = ".".join([name for name, _ in path] + [field.name])
        if _is_alternative(field, message):
            continue
        if field.is_repeated:
            found = _repeated(field)
        elif field.message_type:
            found = _message(field, message)
        else:
            found = _scalar(field, message)
        for what, change in found:
            if f"{place}: {what}" not in leave:
                yield f"{place}: {what}", _inner(change, *path)
        yield from _parts(field, message, path, leave)


def _parts(field, message, path, leave):
    kind = field.message_type
    if not kind or kind.full_name in KEPT or kind.full_name.startswith("google."):
        return
    if kind.GetOptions().map_entry or len(path) >= DEEPEST:
        return
    if field.is_repeated:
        if len(getattr(message, field.name)):
            first = getattr(message, field.name)[0]
            yield from changes(first, (*path, (field.name, 0)), leave)
    elif message.HasField(field.name):
        yield from changes(getattr(message, field.name), (*path, (field.name, None)), leave)
