"""Updates where one run follows another."""

import time

from driver import updates as u
from driver.registry import scenario
from driver.values import app_failure, command, done, fail, retry, secs


def _again():
    return command("continue_as_new_workflow_execution", workflow_type={"name": "Scripted"})


@scenario()
def update_follows_continue_as_new(t):
    """Not delivered before the run continues as new: it goes to the next run."""
    t.idle()
    t.signal()
    task = t.task()
    sent = u.later(t, timeout=15)
    time.sleep(0.6)
    t.complete(task, _again())
    task = t.task()
    t.note("messages", [m.id for m in task.messages])
    if task.messages:
        u.answer(t, task, *u.accepted(task, "next run"))
    t.settle("update", sent)
    t.history(label="next run")


@scenario()
def update_run_id_continue_as_new(t):
    """The same, sent to the run by its id."""
    t.idle()
    t.signal()
    task = t.task()
    sent = u.later(t, timeout=8, workflow_execution=t.execution(t.run))
    time.sleep(0.6)
    t.complete(task, _again())
    t.settle("update", sent)


@scenario()
def update_sent_continue_as_new(t):
    """Delivered, not answered, and the run continues as new."""
    t.idle()
    sent, task = u.delivered(t, timeout=15)
    t.complete(task, _again())
    task = t.task()
    t.note("messages", [m.id for m in task.messages])
    if task.messages:
        u.answer(t, task, *u.accepted(task, "next run"))
    t.settle("update", sent)


@scenario()
def update_accepted_continue_as_new(t):
    """Accepted, and the run continues as new."""
    t.idle()
    sent, task = u.delivered(t, timeout=15)
    u.answer(t, task, u.acceptance(*u.requests(task)[0]), commands=[_again()])
    t.settle("update", sent)
    u.poll(t, run_id=t.run, label="poll of the run")
    u.poll(t, label="poll of the current run")


@scenario()
def update_workflow_retried(t):
    """The run fails and is retried."""
    t.idle(retry_policy=retry(1.0))
    t.signal()
    task = t.task()
    sent = u.later(t, timeout=15)
    time.sleep(0.6)
    t.complete(task, fail())
    task = t.task()
    t.note("messages", [m.id for m in task.messages])
    if task.messages:
        u.answer(t, task, *u.accepted(task, "second run"))
    t.settle("update", sent)


@scenario()
def update_start_delayed_run_fails(t):
    """An update of a delayed start whose task fails."""
    t.start(workflow_start_delay=secs(60))
    sent = u.later(t, timeout=15)
    t.fail_task(t.task(), failure=app_failure())
    task = t.task()
    u.answer(t, task, *u.accepted(task, 1), commands=[done()])
    t.settle("update", sent)
    t.history()


@scenario()
def update_start_delayed_rejected(t):
    """The first task of a delayed start has only a rejection."""
    t.start(workflow_start_delay=secs(60))
    sent, task = u.delivered(t)
    t.complete(task, messages=[u.rejection(*u.requests(task)[0])], capabilities=u.DISCARDS)
    t.settle("update", sent)
    t.history()
    t.describe()


@scenario()
def update_terminated_by_start(t):
    """A start that terminates the run: the update is aborted."""
    t.idle()
    sent = u.later(t, timeout=8)
    time.sleep(0.6)
    t.start(label="start again", request_id="second", workflow_id_conflict_policy=3)
    t.settle("update", sent)


@scenario()
def update_query_after_close(t):
    """Everything about an update of a closed run, read again from disk."""
    t.idle()
    sent, task = u.delivered(t)
    u.answer(t, task, *u.accepted(task, 1), commands=[done()])
    t.settle("update", sent)
    u.poll(t, stage=u.ADMITTED, label="poll for admitted")
    u.poll(t, stage=u.ACCEPTED, label="poll for accepted")
    u.poll(t, stage=u.COMPLETED, label="poll for completed")
    t.describe()
