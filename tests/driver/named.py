"""The names of a protocol's enums in what is asked and answered."""


def in_request(message):
    """The names of all enum values that are set in a message, at any depth."""
    found = set()
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                found.update(*map(in_request, value.values()))
            continue
        for item in value if field.is_repeated else [value]:
            if field.message_type is not None:
                found |= in_request(item)
            elif field.enum_type is not None and item in field.enum_type.values_by_number:
                found.add(field.enum_type.values_by_number[item].name)
    return found


def in_record(value):
    """All texts of a record; types of error details without their prefix."""
    if isinstance(value, dict):
        return set().union(*map(in_record, value.values()))
    if isinstance(value, list):
        return set().union(*map(in_record, value))
    if isinstance(value, str):
        return {value.removeprefix("type.googleapis.com/temporal.api.")}
    return set()
