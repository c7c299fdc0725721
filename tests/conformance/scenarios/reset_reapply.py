"""Reset: what came after the point is sent again to the new run, or is not."""

import time

from driver import updates as u
from driver.registry import scenario
from driver.values import command, done, payload, timer

from scenarios.reset import both, reset

SIGNALS = 1  # exclude types
UPDATES = 2
CANCEL_REQUESTS = 4


@scenario()
def reset_reapplies_signals(t):
    """Signals after the point are sent again, those before are kept."""
    t.start()
    t.signal("before", "a")
    t.step(timer("t", 60))
    t.signal("after", "b", header={"fields": {"h": payload(1)}}, identity="caller")
    t.signal("last", "c", request_id="third")
    new = reset(t, 5)
    both(t, t.run, new)
    t.describe("describe the new run", new)
    t.signal("last", "d", request_id="third", label="signal of a known request")
    t.history(new, "history after the repetition")
    t.terminate()


@scenario()
def reset_reapply_none(t):
    """reset_reapply_type NONE."""
    t.idle()
    t.signal("after", "b")
    new = reset(t, 4, reset_reapply_type=2)
    t.history(new, "history of the new run")
    t.terminate()


@scenario()
def reset_reapply_signal_type(t):
    """reset_reapply_type SIGNAL."""
    t.idle()
    t.signal("after", "b")
    new = reset(t, 4, reset_reapply_type=1)
    t.history(new, "history of the new run")
    t.terminate()


@scenario()
def reset_reapply_all_type(t):
    """reset_reapply_type ALL_ELIGIBLE."""
    t.idle()
    t.signal("after", "b")
    new = reset(t, 4, reset_reapply_type=3)
    t.history(new, "history of the new run")
    t.terminate()


@scenario()
def reset_exclude_unknown_type(t):
    """An exclude type that does not exist excludes nothing."""
    t.idle()
    t.signal("after", "b")
    new = reset(t, 4, "unknown exclude type", run_id=t.run, reset_reapply_exclude_types=[9])
    if new:
        t.history(new, "history of the new run")
    t.terminate()


def _attach(t):
    t.start(
        "attach",
        request_id="attached",
        workflow_id_conflict_policy=2,
        on_conflict_options={"attach_request_id": True},
    )


@scenario()
def reset_reapplies_options(t):
    """A start that attached its request id after the point is remembered by the new run."""
    t.idle()
    _attach(t)
    new = reset(t, 4)
    t.history(new, "history of the new run")
    t.describe("describe the new run", new)
    _attach(t)
    t.terminate()


@scenario()
def reset_reapply_none_and_options(t):
    """Options after the point with reset_reapply_type NONE."""
    t.idle()
    _attach(t)
    t.signal()
    new = reset(t, 4, reset_reapply_type=2)
    t.history(new, "history of the new run")
    t.terminate()


@scenario()
def reset_exclude_signals(t):
    """reset_reapply_exclude_types SIGNAL."""
    t.idle()
    t.signal("after", "b")
    new = reset(t, 4, reset_reapply_exclude_types=[SIGNALS])
    t.history(new, "history of the new run")
    t.terminate()


@scenario()
def reset_exclude_others(t):
    """Excluding updates, Nexus and cancel requests leaves signals."""
    t.idle()
    t.signal("after", "b")
    new = reset(t, 4, reset_reapply_exclude_types=[UPDATES, 3, CANCEL_REQUESTS])
    t.history(new, "history of the new run")
    t.terminate()


@scenario()
def reset_drops_cancel_request(t):
    """A cancel request after the point: whether it is repeated."""
    t.idle()
    t.cancel(reason="why")
    new = reset(t, 4)
    t.history(new, "history of the new run")
    t.describe("describe the new run", new)
    t.terminate()


@scenario()
def reset_excludes_cancel_request(t):
    """reset_reapply_exclude_types CANCEL_REQUEST."""
    t.idle()
    t.cancel()
    new = reset(t, 4, reset_reapply_exclude_types=[CANCEL_REQUESTS])
    t.history(new, "history of the new run")
    t.terminate()


@scenario()
def reset_keeps_cancel_request(t):
    """A cancel request before the point stays."""
    t.idle()
    t.cancel()
    t.step(timer("u", 60))
    new = reset(t, 8)
    t.history(new, "history of the new run")
    t.cancel("cancel again")
    t.history(new, "history after the second")
    t.terminate()


@scenario()
def reset_reapplies_over_chain(t):
    """Signals of the runs that followed by continue-as-new are sent again too."""
    t.idle()
    t.signal("first", "a")
    t.step(command("continue_as_new_workflow_execution"))
    t.signal("second", "b")
    t.step(timer("u", 60))
    t.signal("third", "c")
    new = reset(t, 4, run_id=t.run)
    t.history(t.run, "history of the old run")
    t.history(new, "history of the new run")
    t.describe("describe the new run", new)
    t.terminate()


@scenario()
def reset_reapply_none_over_chain(t):
    """Nothing of the runs that followed with NONE; they are terminated all the same."""
    t.start()
    t.step(command("continue_as_new_workflow_execution"))
    following = t.events(t.run)[-1]
    following = following.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    t.signal("second", "b")
    new = reset(t, 4, run_id=t.run, reset_reapply_type=2)
    t.history(new, "history of the new run")
    t.history(following, "history of the run that followed")
    t.terminate()


@scenario()
def reset_signal_with_buffer(t):
    """Signals that wait for a task in flight are sent again."""
    t.idle()
    t.signal("one")
    task = t.task()
    t.signal("two")
    new = reset(t, 4)
    t.complete(task)
    both(t, t.run, new)
    t.terminate()


def _answered_update(t, update_id="u"):
    """An update that was accepted and completed in a task of its own."""
    sent, task = u.delivered(t, update_id, "in")
    u.answer(t, task, *u.accepted(task, "out"))
    t.settle(f"update {update_id}", sent)


@scenario()
def reset_reapplies_update(t):
    """A completed update after the point is admitted again; its acceptance has no request then."""
    t.idle()
    _answered_update(t)
    new = reset(t, 4)
    both(t, t.run, new)
    u.poll(t, stage=u.ADMITTED, label="poll for admitted")
    task = t.task(whole=True)
    u.answer(t, task, *u.accepted(task, "out again"))
    u.poll(t, label="poll for completed")
    t.history(new, "history at the end")
    t.describe("describe the new run", new)
    t.terminate()


@scenario()
def reset_reapplies_accepted_update(t):
    """An update that was accepted and not completed at the end of the run that is reset."""
    t.idle()
    sent, task = u.delivered(t, stage=u.ACCEPTED)
    incoming, request = u.requests(task)[0]
    u.answer(t, task, u.acceptance(incoming, request))
    t.settle("update", sent)
    end = u.poll_later(t, timeout=5)
    time.sleep(0.5)  # it waits
    new = reset(t, 4)
    t.settle("who waits for the first run", end)
    task = t.task(whole=True)
    u.answer(t, task, *u.accepted(task, "later"))
    u.poll(t, label="poll for completed")
    t.history(new, "history at the end")
    t.terminate()


@scenario()
def reset_rejects_reapplied_update(t):
    """The worker of the new run may reject what the old run's accepted."""
    t.idle()
    _answered_update(t)
    new = reset(t, 4)
    task = t.task()
    u.answer(t, task, u.rejection(*u.admitted(task)[0]))
    t.history(new, "history at the end")
    t.terminate()


@scenario()
def reset_update_is_not_answered(t):
    """A worker that does not answer such an update: it is not told again."""
    t.idle()
    _answered_update(t)
    new = reset(t, 4)
    t.step()
    t.signal()
    t.step()
    t.history(new)
    t.terminate()


@scenario()
def reset_exclude_updates(t):
    """reset_reapply_exclude_types UPDATE: the new run does not know the update; signals come."""
    t.idle()
    _answered_update(t)
    t.signal("after")
    new = reset(t, 4, reset_reapply_exclude_types=[UPDATES])
    t.history(new, "history of the new run")
    u.poll(t, label="poll")
    t.terminate()


@scenario()
def reset_reapply_signals_without_updates(t):
    """reset_reapply_type SIGNAL leaves updates."""
    t.idle()
    _answered_update(t)
    t.signal("after")
    new = reset(t, 4, reset_reapply_type=1)
    t.history(new, "history of the new run")
    t.terminate()


@scenario()
def reset_keeps_update(t):
    """An update before the point keeps its outcome in the new run."""
    t.idle()
    _answered_update(t)
    t.signal("after")
    t.step(timer("later", 60))
    new = reset(t, 12)
    u.poll(t, label="poll")
    u.send(t, label="send again")
    t.history(new, "history of the new run")
    t.terminate()


@scenario()
def reset_of_admitted_update(t):
    """A second reset, before the update that the first one admitted is answered."""
    t.idle()
    _answered_update(t)
    reset(t, 4)
    newest = reset(t, 4, "reset again", request_id="another")
    t.history(newest, "history of the newest run")
    task = t.task()
    u.answer(t, task, *u.accepted(task, "at last"), commands=[done()])
    u.poll(t, label="poll")
    t.history(newest, "history at the end")
