"""Queries: dispatched directly, with a workflow task, on a sticky queue, rejected, failed."""

import time

from driver.registry import scenario
from driver.values import app_failure, command, done, payloads, secs, timer


def _answer(t, task, result=None, error=None, **fields):
    """Answers a direct query."""
    if error:
        fields.update(completed_type=2, error_message=error)
    else:
        fields.update(completed_type=1, query_result=payloads(result))
    return t.does(
        "query answered",
        "RespondQueryTaskCompleted",
        task_token=task.task_token,
        **fields,
    )


@scenario()
def query_direct(t):
    """An idle workflow: the query comes as a task of its own with the whole history."""
    t.idle()
    asked = t.later(t.query_call, "state")
    task = t.note_task("query task", t.poll_call())
    _answer(t, task, "fine")
    t.settle("query", asked)
    _answer(t, task, "twice")
    t.history()


@scenario()
def query_direct_failed(t):
    """A query the worker fails, with a message and with a failure."""
    t.idle()
    asked = t.later(t.query_call, "state")
    _answer(t, t.note_task("query task", t.poll_call()), error="unknown query")
    t.settle("query", asked)
    asked = t.later(t.query_call, "state")
    task = t.note_task("query task", t.poll_call())
    failure = app_failure("why", "QueryTrouble", stack_trace="at q")
    _answer(t, task, error="unknown query", failure=failure, cause=1)
    t.settle("query with failure", asked)


@scenario()
def query_closed(t):
    """A closed workflow answers; reject conditions refuse."""
    t.start()
    t.step(done())
    asked = t.later(t.query_call, "state")
    _answer(t, t.note_task("query task", t.poll_call()), "final")
    t.settle("query", asked)
    t.query(label="not open", query_reject_condition=2)
    t.query(label="not completed cleanly", query_reject_condition=3, timeout=2)


@scenario()
def query_reject_failed(t):
    """Reject conditions of open and failed workflows."""
    t.idle()
    asked = t.later(t.query_call, "state", query_reject_condition=2)
    _answer(t, t.note_task("query task", t.poll_call()), "open")
    t.settle("open, none rejected", asked)
    t.signal()
    t.step(command("fail_workflow_execution", failure=app_failure()))
    t.query(label="not open", query_reject_condition=2)
    t.query(label="not completed cleanly", query_reject_condition=3)
    asked = t.later(t.query_call, "state", query_reject_condition=1)
    _answer(t, t.note_task("query task", t.poll_call()), "failed")
    t.settle("none", asked)


@scenario()
def query_first_task(t):
    """A query before the first task was done rides on it."""
    t.start()
    asked = t.later(t.query_call, "state")
    time.sleep(0.5)
    task = t.poll_call()
    queries = dict(task.queries)
    t.note("queries", sorted(q.query_type for q in queries.values()))
    results = {key: {"result_type": 1, "answer": payloads("early")} for key in queries}
    t.complete(task, timer("t", 60), query_results=results)
    t.settle("query", asked)
    t.history()


@scenario()
def query_pending_task(t):
    """A query while a task is scheduled rides on it; a failed result comes back as error."""
    t.idle()
    t.signal("wake")
    asked = t.later(t.query_call, "state")
    time.sleep(0.5)
    task = t.poll_call()
    t.note("queries", sorted(q.query_type for q in task.queries.values()))
    results = {
        key: {"result_type": 2, "error_message": "no", "failure": app_failure("no", "Q")}
        for key in task.queries
    }
    t.complete(task, query_results=results)
    t.settle("query", asked)
    t.history()


@scenario()
def query_during_task(t):
    """A query while a task is being worked on waits for its end, then goes directly."""
    t.start()
    task = t.task()
    asked = t.later(t.query_call, "state")
    time.sleep(0.5)
    t.complete(task, timer("t", 60))
    query_task = t.note_task("query task", t.poll_call())
    _answer(t, query_task, "after")
    t.settle("query", asked)
    t.history()


@scenario()
def query_during_task_that_closes(t):
    """The task a query waits for closes the workflow."""
    t.start()
    task = t.task()
    asked = t.later(t.query_call, "state")
    time.sleep(0.5)
    t.complete(task, done())
    _answer(t, t.note_task("query task", t.poll_call()), "closed")
    t.settle("query", asked)


@scenario()
def query_during_task_more_follow(t):
    """The task a query waits for is followed by another: it rides on that."""
    t.start()
    task = t.task()
    asked = t.later(t.query_call, "state")
    time.sleep(0.5)
    t.signal("more")
    t.complete(task, timer("t", 60))
    task = t.poll_call()
    t.note("queries", sorted(q.query_type for q in task.queries.values()))
    results = {key: {"result_type": 1, "answer": payloads("later")} for key in task.queries}
    t.complete(task, query_results=results)
    t.settle("query", asked)
    t.history()


@scenario()
def query_second_buffered(t):
    """Only one query may wait for a task."""
    t.start()
    task = t.task()
    asked = t.later(t.query_call, "one")
    time.sleep(0.5)
    t.query("two", label="second query", timeout=3)
    t.complete(task, timer("t", 60))
    _answer(t, t.note_task("query task", t.poll_call()), "one")
    t.settle("first query", asked)


@scenario()
def query_sticky(t):
    """On a sticky queue a query carries no history."""
    t.start()
    t.complete(t.task(), timer("t", 60), sticky_attributes=t.sticky_attributes())
    polled = t.later(t.poll_call, sticky=True)
    time.sleep(0.5)
    asked = t.later(t.query_call, "state")
    task = t.note_task("query task", polled.result())
    _answer(t, task, "sticky")
    t.settle("query", asked)
    t.history()


@scenario()
def query_sticky_gone(t):
    """The sticky worker has gone: after its timeout the query goes to the normal queue."""
    t.start()
    t.complete(t.task(), timer("t", 60), sticky_attributes=t.sticky_attributes(1))
    polled = t.later(t.poll_call, sticky=True)
    time.sleep(0.5)
    t.signal("wake")
    task = t.note_task("sticky task", polled.result())
    t.complete(task, sticky_attributes=t.sticky_attributes(1))
    began = time.monotonic()
    asked = t.later(t.query_call, "state")
    task = t.note_task("query task", t.poll_call())
    t.within("waited", time.monotonic() - began, 0.7, 5)
    _answer(t, task, "normal")
    t.settle("query", asked)
    t.describe()


@scenario()
def query_no_poller(t):
    """Nobody polls: the answer before the deadline."""
    t.idle()
    t.query(timeout=3)


@scenario()
def query_no_poller_for_long(t):
    """Nobody has polled for more than twenty seconds."""
    t.idle()
    time.sleep(20.5)
    t.query(timeout=3)


@scenario()
def query_after_failed_tasks(t):
    """A workflow whose task keeps failing refuses queries."""
    t.idle()
    t.signal()
    for _ in range(3):
        t.fail_task(t.task())
    t.query(timeout=5)


@scenario()
def query_with_details(t):
    """Arguments and header of a query reach the worker."""
    t.idle()
    query = {
        "query_type": "detail",
        "query_args": payloads("arg", 2),
        "header": {"fields": {"h": payloads("v").payloads[0]}},
    }
    asked = t.later(t.call, "QueryWorkflow", execution=t.execution(), query=query)
    _answer(t, t.note_task("query task", t.poll_call()), "ok")
    t.settle("query", asked)


@scenario()
def query_result_inconsistent(t):
    """Results for queries nobody asked, and a query result with failed type and no message."""
    t.start()
    asked = t.later(t.query_call, "state", timeout=5)
    time.sleep(0.5)
    task = t.poll_call()
    results = {"unasked": {"result_type": 1, "answer": payloads("x")}}
    for key in task.queries:
        results[key] = {"result_type": 2}
    t.complete(task, timer("t", 60), query_results=results)
    t.settle("query", asked)


@scenario()
def query_task_fails(t):
    """The task a query rides on fails: the query rides on the next."""
    t.start()
    asked = t.later(t.query_call, "state")
    time.sleep(0.5)
    t.fail_task(t.poll_call())
    task = t.poll_call()
    t.note("queries", sorted(q.query_type for q in task.queries.values()))
    results = {key: {"result_type": 1, "answer": payloads("second")} for key in task.queries}
    t.complete(task, timer("t", 60), query_results=results)
    t.settle("query", asked)


@scenario()
def query_result_of_refused_answer(t):
    """A completion that is refused answers no query either: it rides on the next task."""
    t.start()
    asked = t.later(t.query_call, "state")
    time.sleep(0.5)
    task = t.poll_call()
    results = {key: {"result_type": 1, "answer": payloads("refused")} for key in task.queries}
    t.complete(task, command("record_marker"), label="refused", query_results=results)
    task = t.poll_call()
    t.note("queries", sorted(q.query_type for q in task.queries.values()))
    results = {key: {"result_type": 1, "answer": payloads("second")} for key in task.queries}
    t.complete(task, timer("t", 60), query_results=results)
    t.settle("query", asked)


@scenario()
def query_delayed_start(t):
    """A query with a long enough deadline waits for the delayed first task."""
    t.start(workflow_start_delay=secs(2))
    asked = t.later(t.query_call, "state")
    task = t.poll_call()
    t.note("queries", sorted(q.query_type for q in task.queries.values()))
    results = {key: {"result_type": 1, "answer": payloads("late")} for key in task.queries}
    t.complete(task, timer("t", 60), query_results=results)
    t.settle("query", asked, timeout=25)


@scenario()
def query_closed_is_not_sticky(t):
    """A run that closed sticks to nobody: its queries go to the normal queue."""
    t.start()
    polled = t.later(t.poll_call, sticky=True)
    time.sleep(0.3)
    t.complete(t.task(), timer("t", 60), sticky_attributes=t.sticky_attributes(60))
    t.signal()
    polled.result()
    t.terminate()
    asked = t.later(t.query_call, "state")
    task = t.note_task("query task", t.poll_call())
    _answer(t, task, "from the normal queue")
    t.settle("query", asked)
