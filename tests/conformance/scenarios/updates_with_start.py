"""ExecuteMultiOperation: a start and an update in one."""

import time

from driver import updates as u
from driver.registry import scenario
from driver.values import done, secs

FAIL, USE_EXISTING, TERMINATE_EXISTING = 1, 2, 3


def _operations(t, update_id="u", start=None, update=None, **more):
    first = t.start_fields(**{"workflow_id_conflict_policy": USE_EXISTING, **(start or {})})
    first.setdefault("namespace", t.namespace)
    first.setdefault("identity", "script")
    second = u.fields(t, update_id, **more)
    second["namespace"] = t.namespace
    second.update(update or {})
    return [{"start_workflow": first}, {"update_workflow": second}]


def _later(t, update_id="u", start=None, update=None, **more):
    timeout = more.pop("timeout", 20)
    operations = _operations(t, update_id, start, update, **more)
    return t.later(t.call, "ExecuteMultiOperation", operations=operations, timeout=timeout)


def _both(t, label, update_id="u", start=None, update=None, timeout=20, **more):
    operations = _operations(t, update_id, start, update, **more)
    return t.does(label, "ExecuteMultiOperation", operations=operations, timeout=timeout)


@scenario()
def update_with_start_new(t):
    """A new workflow: the update rides its first task."""
    sent = _later(t)
    task = t.task(whole=True)
    u.answer(t, task, *u.accepted(task, "first"))
    t.settle("both", sent)
    t.history()


@scenario()
def update_with_start_rejected(t):
    """The workflow is started although its update is rejected."""
    sent = _later(t)
    task = t.task()
    t.complete(task, messages=[u.rejection(*u.requests(task)[0])], capabilities=u.DISCARDS)
    t.settle("both", sent)
    t.history()


@scenario()
def update_with_start_running(t):
    """The workflow runs: the update goes to it."""
    t.idle()
    sent = _later(t, start={"request_id": "other"})
    task = t.task()
    u.answer(t, task, *u.accepted(task, "running"))
    t.settle("both", sent)
    t.history()


@scenario()
def update_with_start_same_request(t):
    """The same start again: another update to the run it made."""
    t.idle()
    sent = _later(t)
    task = t.task()
    u.answer(t, task, *u.accepted(task, "again"))
    t.settle("both", sent)


@scenario()
def update_with_start_repeated(t):
    """Both again: the outcome comes without another event."""
    sent = _later(t)
    task = t.task()
    u.answer(t, task, *u.accepted(task, "first"))
    t.settle("both", sent)
    _both(t, "again")
    _both(t, "again with another request id", start={"request_id": "other"})
    t.signal()
    t.step(done())
    _both(t, "after the close")
    t.history()


@scenario()
def update_with_start_policies(t):
    """The conflict policy FAIL, none, and TERMINATE_EXISTING with a workflow that runs."""
    t.idle()
    _both(t, "fail", start={"request_id": "b", "workflow_id_conflict_policy": FAIL}, timeout=5)
    _both(t, "none", start={"request_id": "c", "workflow_id_conflict_policy": 0}, timeout=5)
    sent = _later(
        t, start={"request_id": "d", "workflow_id_conflict_policy": TERMINATE_EXISTING}
    )
    task = t.task()
    u.answer(t, task, *u.accepted(task, "new run"))
    t.settle("terminate", sent)
    t.history(run_id=t.run, label="the run before")
    t.history()


@scenario()
def update_with_start_closed(t):
    """A closed workflow: the reuse policy decides."""
    t.idle()
    t.signal()
    t.step(done())
    _both(t, "reject", start={"request_id": "b", "workflow_id_reuse_policy": 3}, timeout=5)
    _both(t, "failed only", start={"request_id": "c", "workflow_id_reuse_policy": 2}, timeout=5)
    sent = _later(t, start={"request_id": "d"})
    task = t.task()
    u.answer(t, task, *u.accepted(task, "new run"))
    t.settle("allowed", sent)


@scenario()
def update_with_start_dedupe_existing(t):
    """The update is known to the run: its answer, however the start stands."""
    t.idle()
    sent, task = u.delivered(t)
    u.answer(t, task, *u.accepted(task, "before"))
    t.settle("update", sent)
    _both(t, "conflict fail", start={"request_id": "b", "workflow_id_conflict_policy": FAIL})
    _both(t, "conflict use", start={"request_id": "c"})
    t.signal()
    t.step(done())
    _both(t, "closed", start={"request_id": "d", "workflow_id_reuse_policy": 3}, timeout=5)
    t.history()


@scenario()
def update_with_start_accepted(t):
    """Waiting for ACCEPTED."""
    sent = _later(t, stage=u.ACCEPTED)
    task = t.task()
    u.answer(t, task, u.acceptance(*u.requests(task)[0]))
    t.settle("both", sent)
    again = _later(t, timeout=10)
    time.sleep(0.3)
    t.signal()
    task = t.task()
    u.answer(t, task, u.response("u", "end"))
    t.settle("again", again)


@scenario()
def update_with_start_joins_pending(t):
    """The running workflow has the update: it is joined, even where a start would fail."""
    sent = _later(t, stage=u.ACCEPTED)
    task = t.task()
    u.answer(t, task, u.acceptance(*u.requests(task)[0]))
    t.settle("first", sent)
    again = _later(t, start={"request_id": "b", "workflow_id_conflict_policy": FAIL}, timeout=10)
    time.sleep(0.3)
    t.signal()
    u.answer(t, t.task(), u.response("u", "end"))
    t.settle("joined", again)
    t.history()


@scenario()
def update_with_start_closed_before_completion(t):
    """The closed run accepted the update and never completed it: nothing to attach to."""
    sent = _later(t, stage=u.ACCEPTED)
    task = t.task()
    u.answer(t, task, u.acceptance(*u.requests(task)[0]), commands=[done("over")])
    t.settle("first", sent)
    _both(t, "reject", start={"request_id": "b", "workflow_id_reuse_policy": 3}, timeout=5)
    sent = _later(t, start={"request_id": "c"})
    task = t.task()
    u.answer(t, task, *u.accepted(task, "new run"))
    t.settle("allowed", sent)


@scenario()
def update_with_start_known_in_flight(t):
    """The run knows the update: it is joined whatever the policies say, while the run is open."""
    t.idle()
    first = u.later(t, stage=u.ACCEPTED)
    task = t.task()
    u.answer(t, task, u.acceptance(*u.requests(task)[0]))
    t.settle("first", first)
    start = {"request_id": "b", "workflow_id_conflict_policy": FAIL, "workflow_id_reuse_policy": 3}
    _both(t, "for accepted", start=start, stage=u.ACCEPTED)
    t.signal()
    t.step(done())
    _both(t, "closed", start=start, timeout=5)
    sent = _later(t, start={"request_id": "c"})
    task = t.task()
    u.answer(t, task, *u.accepted(task, "new run"))
    t.settle("a new run", sent)


@scenario()
def update_with_start_no_worker(t):
    """Nobody takes the task: the answer comes after 20 s and says ADMITTED."""
    sent = _later(t, timeout=30)
    t.settle("both", sent, timeout=40)
    t.history()


@scenario()
def update_with_start_closes(t):
    """The workflow closes without a word about the update."""
    sent = _later(t, timeout=8)
    t.step(done())
    t.settle("both", sent)


@scenario()
def update_with_start_update_limit(t):
    """The start succeeds, the update is refused: too many are in flight."""
    t.idle()
    for i in range(10):
        sent = u.later(t, f"u{i}", stage=u.ACCEPTED)
        task = t.poll_call()
        messages = [u.acceptance(*u.requests(task)[0])]
        t.complete(task, *u.says(*messages), messages=messages, label="accepted")
        sent.result(10)
    _both(t, "both", "eleventh", start={"request_id": "b"}, timeout=5)


@scenario()
def update_with_start_eager(t):
    """Eager execution together with an update."""
    sent = _later(t, start={"request_eager_execution": True}, timeout=5)
    t.settle("both", sent)


@scenario()
def update_with_start_delay(t):
    """A start delay together with an update."""
    sent = _later(t, start={"workflow_start_delay": secs(60)}, timeout=5)
    time.sleep(0.5)
    t.settle("both", sent)


@scenario()
def update_with_start_validation(t):
    """What is not a start and an update."""
    good = _operations(t)

    def wrong(label, operations, **more):
        t.does(label, "ExecuteMultiOperation", operations=operations, timeout=4, **more)

    wrong("none", [])
    wrong("only a start", good[:1])
    wrong("only an update", good[1:])
    wrong("the other order", good[::-1])
    wrong("two starts", [good[0], good[0]])
    wrong("three", [*good, good[1]])
    wrong("empty operations", [{}, {}])
    wrong("no such namespace", good, namespace="none-such")
    wrong("no workflow type", _operations(t, start={"workflow_type": {}}))
    wrong("no update name", _operations(t, request={"meta": {"update_id": "u"}, "input": {}}))
    wrong("two ids", _operations(t, update={"workflow_execution": {"workflow_id": "other"}}))
    wrong("stage admitted", _operations(t, stage=u.ADMITTED))
    wrong("first run id", _operations(t, update={"first_execution_run_id": "x"}))
    run = "00000000-0000-4000-8000-000000000000"
    execution = {"workflow_id": t.wid, "run_id": run}
    wrong("run id", _operations(t, update={"workflow_execution": execution}))
    wrong("cron", _operations(t, start={"cron_schedule": "* * * * *"}))
    wrong("start of another namespace", _operations(t, start={"namespace": "other"}))
    wrong("update of another namespace", _operations(t, update={"namespace": "other"}))
    wrong("start without id", _operations(t, start={"workflow_id": ""}))
    both = _operations(t, start={"workflow_type": {}}, request={"input": {}})
    wrong("both wrong", both)


@scenario()
def update_with_start_closed_same_request(t):
    """The start was answered before, and its run closed: nothing is started for the update."""
    t.start()
    t.step(done())
    _both(t, "use existing")
    _both(t, "fail", start={"workflow_id_conflict_policy": FAIL})


@scenario()
def update_with_start_outcome_or_terminate(t):
    """An update that has an outcome is answered with it, although the start would end the run."""
    sent = _later(t)
    task = t.task()
    u.answer(t, task, *u.accepted(task, "first"))
    t.settle("both", sent)
    terminate = {"request_id": "other", "workflow_id_conflict_policy": TERMINATE_EXISTING}
    _both(t, "again, terminating", start=terminate)
    t.describe()
