"""Updates: sent, accepted, completed, rejected, polled for, asked for again."""

import time

from driver import updates as u
from driver.registry import scenario
from driver.rpc import to_json
from driver.values import app_failure, blob, command, done, payloads, secs, timer

TOO_MANY_UPDATES = 3


@scenario()
def update_completed(t):
    """An idle workflow accepts and completes an update in one task that existed in memory only."""
    t.idle()
    sent = u.later(t, "u", 1, 2)
    task = t.task(whole=True)
    u.answer(t, task, *u.accepted(task, "three"))
    t.settle("update", sent)
    t.history()
    t.describe()


@scenario()
def update_completed_with_failure(t):
    """A handler that fails: the outcome is the failure, the stage COMPLETED."""
    t.idle()
    sent, task = u.delivered(t)
    incoming, request = u.requests(task)[0]
    u.answer(
        t, task, u.acceptance(incoming, request), u.response("u", failure=app_failure("no", "No"))
    )
    t.settle("update", sent)
    t.history()


@scenario()
def update_accepted_then_completed(t):
    """Accepted in one task, completed in a later one; a client waits for each stage."""
    t.idle()
    first = u.later(t, stage=u.ACCEPTED)
    task = t.task()
    incoming, request = u.requests(task)[0]
    u.answer(t, task, u.acceptance(incoming, request))
    t.settle("accepted", first)
    t.history(label="history between")
    u.poll(t, stage=u.ACCEPTED, label="poll for accepted")
    u.poll(t, stage=None, label="poll for no stage")
    end = u.poll_later(t)
    t.signal("finish")
    task = t.task()
    u.answer(t, task, u.response("u", "late"))
    t.settle("completed", end)
    u.poll(t, stage=u.ACCEPTED, label="poll for accepted again")
    t.history()


@scenario()
def update_wait_accepted_gets_outcome(t):
    """Who waits for ACCEPTED gets the outcome if it is there in the same task."""
    t.idle()
    sent, task = u.delivered(t, stage=u.ACCEPTED)
    u.answer(t, task, *u.accepted(task, "at once"))
    t.settle("update", sent)


@scenario()
def update_stage_unspecified(t):
    """No wait policy: as if COMPLETED was asked for."""
    t.idle()
    sent, task = u.delivered(t, stage=None)
    u.answer(t, task, *u.accepted(task, "x"))
    t.settle("update", sent)


@scenario()
def update_long_poll_ends(t):
    """After 20 s the stage that was reached is answered, with no outcome and no error."""
    t.idle()
    sent, task = u.delivered(t, timeout=30)
    incoming, request = u.requests(task)[0]
    u.answer(t, task, u.acceptance(incoming, request))
    began = time.monotonic()
    t.settle("update", sent, timeout=40)
    t.within("waited", time.monotonic() - began, 15, 22)


@scenario()
def update_long_poll_admitted(t):
    """No worker: after 20 s the answer says ADMITTED; the workflow task is then in history."""
    t.idle()
    sent = u.later(t, timeout=30)
    t.settle("update", sent, timeout=40)
    t.history()
    t.describe()


@scenario()
def update_admitted_outlives_caller(t):
    """Nobody waits for an admitted update any more: the worker gets it, and its answer is kept."""
    t.idle()
    sent = u.later(t, timeout=3)
    t.settle("update", sent)
    task = t.task()
    u.answer(t, task, *u.accepted(task, "late"))
    u.poll(t, label="poll after the worker came")
    t.history()


@scenario()
def update_client_deadline(t):
    """A deadline below 20 s ends the wait a little earlier, with the stage that was reached."""
    t.idle()
    sent, task = u.delivered(t, timeout=3)
    incoming, request = u.requests(task)[0]
    u.answer(t, task, u.acceptance(incoming, request))
    t.settle("update", sent)
    u.poll(t, timeout=3, label="poll with a deadline")


@scenario()
def update_rejected(t):
    """A validator refuses: outcome.failure with stage COMPLETED, no event, the id is free again."""
    t.idle()
    sent, task = u.delivered(t)
    incoming, request = u.requests(task)[0]
    u.answer(t, task, u.rejection(incoming, request), commands=[])
    t.settle("update", sent)
    t.history(label="no trace")
    u.poll(t, label="poll after rejection")
    sent, task = u.delivered(t)
    u.answer(t, task, *u.accepted(task, "this time"))
    t.settle("update again", sent)
    t.history()


@scenario()
def update_rejected_without_command(t):
    """A rejection comes as a message alone: the task leaves no trace."""
    t.idle()
    sent = u.later(t)
    task = t.task(whole=True)
    incoming, request = u.requests(task)[0]
    t.complete(task, messages=[u.rejection(incoming, request)])
    t.settle("update", sent)
    t.history()
    t.describe()
    t.signal()
    t.task(label="next task", whole=True)


@scenario()
def update_rejected_many_events(t):
    """More than ten events since the last task: a task of rejections is written all the same."""
    t.start()
    t.step(*[timer(f"t{i}", 60) for i in range(12)])
    sent, task = u.delivered(t)
    incoming, request = u.requests(task)[0]
    t.complete(task, messages=[u.rejection(incoming, request)])
    t.settle("update", sent)
    t.history()


@scenario()
def update_two_one_rejected(t):
    """Two updates in one task, one accepted and one rejected: the task is written."""
    t.idle()
    t.signal()
    task = t.task()
    first = u.later(t, "a")
    time.sleep(0.6)
    second = u.later(t, "b")
    time.sleep(0.6)
    t.complete(task)
    task = t.task()
    (in_a, a), (in_b, b) = u.requests(task)
    u.answer(
        t,
        task,
        u.rejection(in_a, a),
        u.acceptance(in_b, b),
        u.response("b", "fine"),
    )
    t.settle("a", first)
    t.settle("b", second)
    t.history()


@scenario()
def update_unprocessed(t):
    """A worker that says nothing of an update: the server rejects it."""
    t.idle()
    sent = u.later(t)
    t.complete(t.task())
    t.settle("update", sent)
    t.history()


@scenario()
def update_unprocessed_with_commands(t):
    """The same when the task also does something: it is written."""
    t.idle()
    sent = u.later(t)
    t.complete(t.task(), timer("t2", 60))
    t.settle("update", sent)
    t.history()


@scenario()
def update_dedupe_completed(t):
    """The same id again: the outcome comes without another event, also after the close."""
    t.idle()
    sent, task = u.delivered(t, "u", 1)
    u.answer(t, task, *u.accepted(task, "one"))
    t.settle("update", sent)
    u.send(t, "u", 2, label="again")
    u.send(t, "u", 2, stage=u.ACCEPTED, label="again for accepted")
    u.poll(t)
    t.signal("finish")
    t.step(done())
    u.send(t, "u", 3, label="after the close")
    u.send(t, "other", label="another after the close")
    u.poll(t, label="poll after the close")
    u.poll(t, "other", label="poll for another after the close")
    t.history()


@scenario()
def update_dedupe_admitted(t):
    """The same id while the first waits for a task: both get one outcome."""
    t.idle()
    t.signal()
    task = t.task()
    first = u.later(t)
    time.sleep(0.6)
    second = u.later(t)
    time.sleep(0.6)
    t.complete(task)
    task = t.task()
    u.answer(t, task, *u.accepted(task, "both"))
    t.settle("first", first)
    t.settle("second", second)
    t.history()


@scenario()
def update_dedupe_accepted(t):
    """The same id while the first is accepted."""
    t.idle()
    sent, task = u.delivered(t, stage=u.ACCEPTED)
    u.answer(t, task, u.acceptance(*u.requests(task)[0]))
    t.settle("first", sent)
    u.send(t, stage=u.ACCEPTED, label="again")
    waiting = u.later(t)
    time.sleep(0.6)
    t.signal()
    task = t.task()
    u.answer(t, task, u.response("u", 7))
    t.settle("again for completed", waiting)
    t.history()


@scenario()
def update_in_first_task(t):
    """An update before the first task was taken rides that task."""
    t.start()
    sent = u.later(t)
    time.sleep(0.6)
    task = t.task(whole=True)
    u.answer(t, task, *u.accepted(task, "early"))
    t.settle("update", sent)
    t.history()


@scenario()
def update_start_delay(t):
    """An update wakes a workflow whose start is delayed."""
    t.start(workflow_start_delay=secs(60))
    sent = u.later(t)
    task = t.task(whole=True)
    t.history(label="history during the task")
    u.answer(t, task, *u.accepted(task, "woken"))
    t.settle("update", sent)
    t.history()


@scenario()
def update_during_task(t):
    """An update while a task is in flight waits for the next one, which is made for it."""
    t.idle()
    t.signal()
    task = t.task()
    sent = u.later(t)
    time.sleep(0.6)
    t.complete(task)
    t.history(label="history between")
    task = t.task(whole=True)
    u.answer(t, task, *u.accepted(task, "later"))
    t.settle("update", sent)
    t.history()


@scenario()
def update_during_task_returned_inline(t):
    """The task made for an update comes with the answer to the completion."""
    t.idle()
    t.signal()
    task = t.task()
    sent = u.later(t)
    time.sleep(0.6)
    answer = t.complete(task, return_new_workflow_task=True)
    task = answer.workflow_task
    u.answer(t, task, *u.accepted(task, "inline"))
    t.settle("update", sent)
    t.history()


@scenario()
def update_rejected_inline(t):
    """A rejection answered with the wish for a next task: there is none."""
    t.idle()
    sent, task = u.delivered(t)
    t.complete(
        task, messages=[u.rejection(*u.requests(task)[0])], return_new_workflow_task=True
    )
    t.settle("update", sent)
    t.history()


@scenario()
def update_many_in_flight(t):
    """Ten updates may be in flight; the eleventh is refused until one of them completes."""
    t.idle()
    for i in range(10):
        sent = u.later(t, f"u{i}", stage=u.ACCEPTED)
        task = t.poll_call()
        messages = [u.acceptance(*u.requests(task)[0])]
        t.complete(task, *u.says(*messages), messages=messages, label="accepted")
        sent.result(10)
    u.send(t, "one-too-many", label="the eleventh")
    t.signal()
    task = t.task()
    u.answer(t, task, u.response("u0", "the first"))
    sent, task = u.delivered(t, "room-again")
    u.answer(t, task, *u.accepted(task, "room"))
    t.settle("room again", sent)


@scenario()
def update_with_everything(t):
    """Header, several arguments, identity of the client, metadata of the event."""
    t.idle()
    request = {
        "meta": {"update_id": "with-all", "identity": "somebody"},
        "input": {
            "name": "everything",
            "args": payloads("a", {"b": 2}),
            "header": {"fields": {"h": payloads("v").payloads[0]}},
        },
    }
    sent = u.later(t, request=request)
    task = t.task(whole=True)
    u.answer(t, task, *u.accepted(task, "x", "y"))
    t.settle("update", sent)
    t.history()


@scenario()
def update_run_id(t):
    """By run id, by a run id that is none, by the first run's id, of a workflow that is none."""
    t.idle()
    sent, task = u.delivered(t, workflow_execution=t.execution(t.run), stage=u.ACCEPTED)
    u.answer(t, task, *u.accepted(task, 1))
    t.settle("by run id", sent)
    none = "00000000-0000-4000-8000-000000000000"
    u.send(t, workflow_execution=t.execution(none), label="no such run")
    u.send(t, workflow_execution={"workflow_id": t.wid + "-none"}, label="no such workflow")
    u.send(t, first_execution_run_id=none, label="another chain")
    u.send(t, first_execution_run_id=t.run, label="this chain")
    u.poll(t, run_id=none, label="poll: no such run")
    u.poll(t, "unknown", label="poll: no such update")
    u.poll(
        t,
        update_ref={"workflow_execution": {"workflow_id": t.wid + "-none"}, "update_id": "u"},
        label="poll: no such workflow",
    )


@scenario()
def update_accept_and_close(t):
    """Accepted and completed in the task that closes the workflow."""
    t.idle()
    sent, task = u.delivered(t)
    u.answer(t, task, *u.accepted(task, "last words"), commands=[done("end")])
    t.settle("update", sent)
    u.poll(t)
    t.history()


@scenario()
def update_accepted_workflow_completes(t):
    """The workflow completes with an accepted update: its outcome is a failure that says so."""
    t.idle()
    sent, task = u.delivered(t)
    u.answer(t, task, u.acceptance(*u.requests(task)[0]), commands=[done("end")])
    t.settle("update", sent)
    u.poll(t)
    u.send(t, label="again")
    t.history()


@scenario()
def update_accepted_workflow_terminated(t):
    """Terminated with an accepted update."""
    t.idle()
    sent, task = u.delivered(t)
    u.answer(t, task, u.acceptance(*u.requests(task)[0]))
    t.terminate()
    t.settle("update", sent)
    u.poll(t)
    t.history()


@scenario()
def update_admitted_workflow_completes(t):
    """The workflow completes before the update is delivered: it completes all the same."""
    t.idle()
    t.signal()
    task = t.task()
    sent = u.later(t)
    time.sleep(0.6)
    t.complete(task, done("end"))
    t.settle("update", sent)
    u.poll(t)
    t.history()


@scenario()
def update_admitted_workflow_terminated(t):
    """Terminated before the update is delivered, and while its task is in flight."""
    t.idle()
    sent = u.later(t)
    time.sleep(0.6)
    t.terminate()
    t.settle("update", sent)
    t.history()


@scenario()
def update_sent_workflow_terminated(t):
    """Terminated while the task of the update is in flight."""
    t.idle()
    sent, task = u.delivered(t)
    t.terminate()
    t.settle("update", sent)
    u.answer(t, task, *u.accepted(task, "too late"))
    t.history()


@scenario()
def update_sent_workflow_completes(t):
    """The task that got the update closes the workflow without a word about it."""
    t.idle()
    sent, task = u.delivered(t)
    t.complete(task, done("end"))
    t.settle("update", sent)
    t.history()


@scenario()
def update_workflow_fails(t):
    """Accepted, then the workflow fails."""
    t.idle()
    sent, task = u.delivered(t)
    u.answer(
        t,
        task,
        u.acceptance(*u.requests(task)[0]),
        commands=[command("fail_workflow_execution", failure=app_failure())],
    )
    t.settle("update", sent)
    t.history()


@scenario()
def update_workflow_times_out(t):
    """The run times out with one update accepted and one admitted."""
    t.idle(workflow_run_timeout=secs(3))
    sent, task = u.delivered(t, "accepted")
    u.answer(t, task, u.acceptance(*u.requests(task)[0]))
    t.signal()
    t.task()
    waits = u.later(t, "admitted")
    t.settle("accepted", sent)
    t.settle("admitted", waits)
    t.history()


@scenario()
def update_limit_total(t):
    """A run takes 2,000 updates; from 1,800 on its worker is told to continue as new."""
    t.idle()
    for known in range(0, 2000, 8):
        sent = [u.later(t, f"u{known + i}", stage=u.ACCEPTED) for i in range(8)]
        answered = 0
        while answered < len(sent):
            task = t.poll_call()
            count = len(task.messages)
            messages = [m for i in range(count) for m in u.accepted(task, at=i)]
            fields = {"messages": messages, "commands": u.says(*messages)}
            t.call("RespondWorkflowTaskCompleted", task_token=task.task_token, **fields)
            answered += count
        for update in sent:
            update.result(20)
    accepted = suggested = 0
    for event in t.events():
        started = event.workflow_task_started_event_attributes
        if not suggested and TOO_MANY_UPDATES in started.suggest_continue_as_new_reasons:
            suggested = accepted
            t.note("suggested", to_json(started)["suggest_continue_as_new_reasons"])
        accepted += event.HasField("workflow_execution_update_accepted_event_attributes")
    t.note("at 1,800 of 2,000, counting what is in flight", 1791 <= suggested <= 1800)
    u.send(t, "one-too-many", label="one more")
    u.send(t, "u7", label="a known one")


@scenario()
def update_limit_bytes(t):
    """Requests of updates in flight may have 20 MiB in all."""
    t.idle()
    t.signal()
    task = t.task()
    large = {"input": {"name": "upd", "args": blob(3 * 1024 * 1024)}}
    waiting = []
    for i in range(6):
        request = {"meta": {"update_id": f"u{i}"}, **large}
        waiting.append(u.later(t, request=request, stage=u.ACCEPTED, timeout=8))
        time.sleep(0.6)
    request = {"meta": {"update_id": "seventh"}, **large}
    u.send(t, request=request, label="the seventh", timeout=5)
    t.terminate()
