"""Completion callbacks: attached, described, carried over, and what becomes of them."""

import time

from driver import updates
from driver.registry import scenario
from driver.rpc import to_json
from driver.values import command, done, fail, retry, timer

USE_EXISTING, TERMINATE_EXISTING = 2, 3
ALL = {"attach_request_id": True, "attach_completion_callbacks": True, "attach_links": True}
CONTINUE = command("continue_as_new_workflow_execution", workflow_type={"name": "Scripted"})


def link(workflow_id="other"):
    event = {
        "namespace": "default",
        "workflow_id": workflow_id,
        "run_id": "b1946ac9-2f5e-4e1a-9a3b-6a1d2c3e4f50",
        "event_ref": {"event_id": 1, "event_type": 1},
    }
    return {"workflow_event": event}


def callback(url="temporal://system", links=(), **header):
    return {"nexus": {"url": url, "header": header}, "links": list(links)}


def attach(t, request_id, *callbacks, label="attach", **fields):
    fields.setdefault("on_conflict_options", ALL)
    t.start(
        label,
        request_id=request_id,
        workflow_id_conflict_policy=USE_EXISTING,
        completion_callbacks=list(callbacks),
        **fields,
    )


def ended(t, run=None, label="described at the end"):
    """The end is told after the run has closed: waits until that was tried."""
    for _ in range(50):
        answer = t.call("DescribeWorkflowExecution", execution=t.execution(run))
        if all(c.attempt for c in answer.callbacks):
            break
        time.sleep(0.1)
    t.describe(label, run)


@scenario()
def callback_of_start(t):
    """A start with callbacks: in event 1 and in the description, and tried when the run ends."""
    t.start(completion_callbacks=[callback(token="one", Upper="Two")])
    t.describe()
    t.terminate()
    t.history()
    ended(t)


@scenario()
def callbacks_attached(t):
    """USE_EXISTING attaches the callbacks of a request once, as its options say."""
    t.start()
    attach(t, "second", callback(a="1"))
    attach(t, "second", callback(a="2"), label="the same request")
    attach(t, "third", label="no callback")
    attach(t, "fourth", callback(a="3"), on_conflict_options={"attach_request_id": True})
    attach(t, "fifth", callback(a="4"), on_conflict_options={})
    attach(t, "sixth", callback(a="5"), on_conflict_options=None)
    t.history()
    t.describe()
    t.terminate()
    ended(t)


@scenario()
def callbacks_attached_during_task(t):
    """The event waits for the task in flight; the description shows the callback at once."""
    t.start()
    task = t.task()
    attach(t, "second", callback(a="1"))
    t.describe()
    t.complete(task, timer("t", 60))
    t.history()
    t.describe("described after the task")


@scenario()
def callbacks_links(t):
    """A link that a callback has is not the event's too; all links together are counted."""
    t.start(completion_callbacks=[callback(links=[link()])], links=[link(), link("third")])
    attach(t, "second", callback(a="1", links=[link()]), links=[link(), link("fourth")])
    attach(
        t,
        "third",
        callback(links=[link()] * 6),
        callback(links=[link()] * 6),
        label="too many links",
    )
    bad = {"workflow_event": {"namespace": "default", "workflow_id": "w"}}
    attach(t, "third", callback(links=[bad]), label="bad link")
    t.history()
    t.describe()


@scenario()
def callbacks_too_many(t):
    """At most 2000 for a run."""
    one = callback()
    attach(t, "first", *[one] * 2001, label="too many for a start")
    t.start(completion_callbacks=[one] * 2000)
    attach(t, "second", one, label="one more")


@scenario()
def callbacks_continued(t):
    """The next run of a chain takes them over; those of the old one stand by for ever."""
    first = t.start().run_id
    attach(t, "second", callback(a="1"))
    t.step(CONTINUE)
    t.wait_for("WORKFLOW_TASK_SCHEDULED")
    t.describe("old run", first)
    t.history(label="new history")
    t.describe("new run")
    t.terminate()
    ended(t)


@scenario()
def callbacks_retried(t):
    """A retry is the same chain."""
    first = t.start(completion_callbacks=[callback(a="1")], retry_policy=retry(1)).run_id
    t.step(fail())
    t.wait_for("WORKFLOW_TASK_SCHEDULED")
    t.describe("old run", first)
    t.history(label="new history")
    t.describe("new run")


@scenario()
def callbacks_cron(t):
    """Each run of a cron schedule ends a chain: the next one has none."""
    first = t.start(completion_callbacks=[callback(a="1")], cron_schedule="@every 1s").run_id
    t.step(done())
    ended(t, first, "old run")
    t.history(label="new history")
    t.describe("new run")
    t.terminate()


@scenario()
def callbacks_reset(t):
    """A reset run has those of the shared part, registered as before, and gets the others again."""
    first = t.start(completion_callbacks=[callback(a="1")]).run_id
    t.step(timer("t", 60))
    attach(t, "second", callback(a="2"))
    t.does(
        "reset",
        "ResetWorkflowExecution",
        workflow_execution=t.execution(),
        workflow_task_finish_event_id=4,
        request_id="reset-request",
    )
    t.describe("old run", first)
    t.history(label="new history")
    t.describe("new run")
    t.terminate()
    ended(t)


@scenario()
def callbacks_terminate_existing(t):
    """The run that is replaced ends its chain."""
    first = t.start(completion_callbacks=[callback(a="1")]).run_id
    t.start(
        "replace",
        request_id="second",
        workflow_id_conflict_policy=TERMINATE_EXISTING,
        completion_callbacks=[callback(a="2")],
    )
    ended(t, first, "old run")
    t.describe("new run")


@scenario()
def callbacks_refused(t):
    """Own addresses, headers and variants that nobody takes: see start_callbacks_refused."""
    for label, one in {
        "path": callback("temporal://system/"),
        "other own": callback("temporal://elsewhere"),
        "no nexus": {"nexus": {}},
        "worker": {"nexus_handler": {}},
        "upper case": callback("HTTP://example.com:90/x"),
        "header": callback(a="x" * 8192),
    }.items():
        t.start(label, completion_callbacks=[one])
    t.start("largest header", completion_callbacks=[callback(a="x" * 8191)])


def _request(request_id, *callbacks, **more):
    meta = {"update_id": "u", "identity": "client"}
    return {
        "meta": meta,
        "input": {"name": "upd"},
        "request_id": request_id,
        "completion_callbacks": list(callbacks),
        **more,
    }


@scenario()
def callbacks_of_update(t):
    """The callbacks of an update are in its event; a request that comes later attaches its own."""
    t.idle()
    first = updates.later(t, request=_request("one", callback(A="1")))
    task = t.task()
    incoming, request = updates.requests(task)[0]
    t.note("request", to_json(request))
    updates.answer(t, task, updates.acceptance(incoming, request))
    updates.send(t, stage=updates.ACCEPTED, request=_request("two", callback(b="2")), label="two")
    updates.send(t, stage=updates.ACCEPTED, request=_request("two", callback(b="3")), label="again")
    updates.send(t, stage=updates.ACCEPTED, request=_request("one", callback(b="3")), label="one")
    t.signal()
    task = t.task()
    updates.answer(t, task, updates.response("u", 1))
    t.settle("first", first)
    updates.send(t, request=_request("three", callback(b="4")), label="after its end")
    t.history()
    t.describe()


@scenario()
def callbacks_of_update_sent(t):
    """A request for an update that a worker has got attaches its callbacks after the acceptance."""
    t.idle()
    first = updates.later(t, request=_request("one", callback(a="1")))
    task = t.task()
    second = updates.later(t, request=_request("two", callback(b="2")))
    time.sleep(0.3)
    updates.answer(t, task, *updates.accepted(task, 1))
    t.settle("first", first)
    t.settle("second", second)
    t.history()


@scenario()
def callbacks_of_update_waiting(t):
    """A request for an update that no worker has got attaches nothing."""
    t.idle()
    first = updates.later(t, request=_request("one", callback(a="1")))
    time.sleep(0.3)
    second = updates.later(t, request=_request("two", callback(b="2")))
    time.sleep(0.3)
    task = t.task()
    updates.answer(t, task, *updates.accepted(task, 1))
    t.settle("first", first)
    t.settle("second", second)
    t.history()


@scenario()
def callbacks_of_update_unchecked(t):
    """Nothing calls them, so anything may stand there; but the request must have an id."""
    t.idle()
    updates.send(t, request=_request("", callback()), label="no request id")
    odd = [callback("http://example.com"), {}, callback("", a="x" * 9000)]
    first = updates.later(t, request=_request("one", *odd))
    task = t.task()
    updates.answer(t, task, *updates.accepted(task, 1))
    t.settle("first", first)
    t.history()
