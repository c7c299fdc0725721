"""What operators do to activities of workflows: pause, unpause, reset, change options."""


def _of_activity(t, label, method, **fields):
    """Of the activity "a", unless the fields choose others."""
    fields.setdefault("execution", t.execution())
    if not {"id", "type", "match_all", "unpause_all"} & set(fields):
        fields["id"] = "a"
    return t.does(label, method, **fields)


def pause(t, label="pause", **fields):
    return _of_activity(t, label, "PauseActivity", **fields)


def unpause(t, label="unpause", **fields):
    return _of_activity(t, label, "UnpauseActivity", **fields)


def reset(t, label="reset", **fields):
    return _of_activity(t, label, "ResetActivity", **fields)


def options(t, label, paths=(), **fields):
    if paths:
        fields["update_mask"] = {"paths": list(paths)}
    return _of_activity(t, label, "UpdateActivityOptions", **fields)


def no_task(t, label="nothing to do"):
    """A poll that ends empty: the paused activity is not handed out."""
    task = t.call("PollActivityTaskQueue", timeout=3.2, task_queue={"name": t.queue})
    t.note(label, {"task": bool(task.task_token)})
