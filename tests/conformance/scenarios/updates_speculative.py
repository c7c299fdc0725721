"""Workflow tasks that exist in memory only, for an update: dropped, written, failed, timed out."""

import time

from driver import updates as u
from driver.registry import scenario
from driver.values import app_failure, done, secs, timer

CLI = [("client-name", "temporal-cli"), ("client-version", "1.0.0")]


def _shown(t, label):
    """The history as an SDK and as a person sees it, and its length in a description."""
    t.history(label=f"{label}: for an SDK")
    found = t.events(metadata=CLI)
    t.note(f"{label}: for a person", [e.event_id for e in found])
    t.describe(f"{label}: describe")


def _reject(t, task, **more):
    t.complete(
        task,
        messages=[u.rejection(*m) for m in u.requests(task)],
        capabilities=u.DISCARDS,
        **more,
    )


@scenario()
def speculative_shown(t):
    """A task in memory: SDKs are shown its events, people are not, the length does not count it."""
    t.idle()
    sent = u.later(t)
    time.sleep(0.5)
    _shown(t, "scheduled")
    task = t.task()
    _shown(t, "started")
    u.answer(t, task, *u.accepted(task, 1))
    t.settle("update", sent)
    _shown(t, "completed")


@scenario()
def speculative_dropped(t):
    """Only rejections, from a worker that can: no event, the worker's cache goes back."""
    t.idle()
    sent, task = u.delivered(t)
    _reject(t, task)
    t.settle("update", sent)
    _shown(t, "dropped")
    t.signal()
    t.task(label="next task", whole=True)


@scenario()
def speculative_dropped_twice(t):
    """Ids that were shown once denote other events later; an old token is of no use."""
    t.idle()
    sent = u.later(t, "a")
    first = t.task()
    _reject(t, first)
    t.settle("a", sent)
    sent = u.later(t, "b")
    second = t.task()
    _reject(t, first, label="the old token")
    _reject(t, second)
    t.settle("b", sent)
    t.history()


@scenario()
def speculative_dropped_unprocessed(t):
    """An empty completion drops the task as well; the update is rejected by the server."""
    t.idle()
    sent, task = u.delivered(t)
    t.complete(task, capabilities=u.DISCARDS)
    t.settle("update", sent)
    t.history()


@scenario()
def speculative_without_events(t):
    """No event since the last task: dropped for any worker."""
    t.start()
    t.step()
    sent, task = u.delivered(t)
    t.complete(task, messages=[u.rejection(*u.requests(task)[0])])
    t.settle("update", sent)
    t.history()


@scenario()
def speculative_many_events(t):
    """From ten events on since the last task it is written, so that they need not be sent again."""
    for count in (9, 10, 30, 100, 300):
        execution = {"workflow_id": f"{t.wid}-{count}"}
        t.call(
            "StartWorkflowExecution", **t.start_fields(workflow_id=f"{t.wid}-{count}")
        )
        t.call(
            "RespondWorkflowTaskCompleted",
            task_token=t.poll_call().task_token,
            commands=[timer(f"t{i}", 60) for i in range(count)],
        )
        sent = u.later(t, workflow_execution=execution)
        _reject(t, t.poll_call(), label=f"rejected with {count} timers")
        t.settle(f"update with {count} timers", sent)


@scenario()
def speculative_signal_while_scheduled(t):
    """A signal before the task is taken: the task is written first, then the signal."""
    t.idle()
    sent = u.later(t)
    time.sleep(0.3)
    t.signal()
    task = t.task(whole=True)
    _reject(t, task)
    t.settle("update", sent)
    t.history()


@scenario()
def speculative_signal_while_started(t):
    """A signal while the task is in flight: task and start are written, the signal waits."""
    t.idle()
    sent, task = u.delivered(t)
    t.signal()
    _shown(t, "after the signal")
    _reject(t, task)
    t.settle("update", sent)
    t.step(done())
    t.history()


@scenario()
def speculative_update_while_started(t):
    """Another update while the task is in flight: another task in memory follows."""
    t.idle()
    first = u.later(t, "a")
    task = t.task()
    second = u.later(t, "b")
    time.sleep(0.3)
    _reject(t, task)
    t.settle("a", first)
    task = t.task(label="second task", whole=True)
    _reject(t, task)
    t.settle("b", second)
    t.history()


@scenario()
def speculative_second_update_while_scheduled(t):
    """A second update before the task is taken rides along."""
    t.idle()
    first = u.later(t, "a")
    time.sleep(0.3)
    second = u.later(t, "b")
    time.sleep(0.3)
    task = t.task()
    _reject(t, task)
    t.settle("a", first)
    t.settle("b", second)
    t.history()


@scenario()
def speculative_after_task(t):
    """Made at the end of a completion: written with what the completion brought."""
    t.idle()
    t.signal()
    task = t.task()
    sent = u.later(t)
    time.sleep(0.3)
    t.complete(task, timer("t2", 60))
    _shown(t, "between")
    task = t.task(label="for the update")
    _reject(t, task)
    t.settle("update", sent)
    t.history()


@scenario()
def speculative_failed(t):
    """The worker fails the task: written with its failure; the next attempt has the update."""
    t.idle()
    sent, task = u.delivered(t)
    t.fail_task(task, failure=app_failure("nope"))
    _shown(t, "failed")
    task = t.task(label="next attempt", whole=True)
    u.answer(t, task, *u.accepted(task, "second try"))
    t.settle("update", sent)
    t.history()


@scenario()
def speculative_failed_on_sticky(t):
    """The same on the sticky queue."""
    t.start()
    t.complete(t.task(), timer("t", 60), sticky_attributes=t.sticky_attributes())
    t.later(t.poll_call, sticky=True, timeout=2.2)
    time.sleep(3)
    sent = u.later(t)
    task = t.task(sticky=True)
    t.fail_task(task, failure=app_failure("nope"))
    task = t.task(label="next attempt", whole=True)
    u.answer(t, task, *u.accepted(task, "second try"))
    t.settle("update", sent)
    t.history()


@scenario()
def speculative_timed_out(t):
    """The worker says nothing: the task is written with its timeout; another attempt follows."""
    t.idle(workflow_task_timeout=secs(1))
    sent = u.later(t)
    t.task()
    task = t.task(label="next attempt", whole=True)
    u.answer(t, task, *u.accepted(task, "second try"))
    t.settle("update", sent)
    t.history()


@scenario()
def speculative_never_taken(t):
    """Nobody takes it for 5 s: written, timed out, followed by a task in history."""
    t.idle()
    sent = u.later(t)
    time.sleep(5.6)
    _shown(t, "after 5 s")
    task = t.task(label="normal task")
    _reject(t, task)
    t.settle("update", sent)
    t.history()


@scenario()
def speculative_sticky(t):
    """On the sticky queue the worker gets the new events only."""
    t.start()
    t.complete(t.task(), timer("t", 60), sticky_attributes=t.sticky_attributes())
    polled = t.later(t.poll_call, sticky=True)
    time.sleep(0.3)
    sent = u.later(t)
    task = t.note_task("sticky task", polled.result(10), whole=True)
    _reject(t, task, sticky_attributes=t.sticky_attributes())
    t.settle("a", sent)
    polled = t.later(t.poll_call, sticky=True)
    time.sleep(0.3)
    sent = u.later(t, "b")
    task = t.note_task("sticky task", polled.result(10), whole=True)
    u.answer(t, task, *u.accepted(task, "b"), sticky_attributes=t.sticky_attributes())
    t.settle("b", sent)
    t.history()


@scenario()
def speculative_sticky_never_polled(t):
    """Nobody ever polled the sticky queue: the task goes to the normal queue at once."""
    t.start()
    t.complete(t.task(), timer("t", 60), sticky_attributes=t.sticky_attributes())
    sent = u.later(t)
    task = t.task(whole=True)
    u.answer(t, task, *u.accepted(task, "x"))
    t.settle("update", sent)
    t.history()


@scenario()
def speculative_sticky_timed_out(t):
    """The sticky worker is silent: written with its timeout, then on the normal queue."""
    t.start()
    t.complete(t.task(), timer("t", 60), sticky_attributes=t.sticky_attributes(1))
    t.later(t.poll_call, sticky=True, timeout=2.2)
    time.sleep(3)
    sent = u.later(t)
    time.sleep(1.5)
    task = t.task(whole=True)
    u.answer(t, task, *u.accepted(task, "x"))
    t.settle("update", sent)
    t.history()


@scenario()
def speculative_timer_fires(t):
    """A timer fires while the task is in flight."""
    t.start()
    t.step(timer("t", 1))
    sent, task = u.delivered(t)
    t.wait_for("WORKFLOW_TASK_STARTED")
    time.sleep(1.3)
    _reject(t, task)
    t.settle("update", sent)
    t.step(done())
    t.history()


@scenario()
def speculative_force_new(t):
    """Rejected, with the wish for another task: a heartbeat has no message, so this is none."""
    t.idle()
    sent, task = u.delivered(t)
    _reject(t, task, force_create_new_workflow_task=True)
    t.settle("update", sent)
    t.step(done())
    t.history()


@scenario()
def speculative_heartbeat(t):
    """An empty completion that asks for a new task: the update stays with the worker."""
    t.idle()
    sent, task = u.delivered(t)
    incoming, request = u.requests(task)[0]
    answer = t.complete(
        task, force_create_new_workflow_task=True, return_new_workflow_task=True
    )
    task = answer.workflow_task
    u.answer(t, task, u.acceptance(incoming, request), u.response("u", "slow"))
    t.settle("update", sent)
    t.history()


@scenario()
def speculative_query_first(t):
    """A query while the task waits rides it; the task is dropped all the same."""
    t.idle()
    sent = u.later(t)
    time.sleep(0.3)
    asked = t.later(t.query_call, "state")
    time.sleep(0.3)
    task = t.poll_call()
    t.note("queries", len(task.queries))
    results = {k: {"result_type": 1, "answer": {"payloads": []}} for k in task.queries}
    _reject(t, task, query_results=results)
    t.settle("update", sent)
    t.settle("query", asked)
    t.history()


@scenario()
def speculative_cancel(t):
    """A cancel request while the task is in flight."""
    t.idle()
    sent, task = u.delivered(t)
    t.cancel()
    _reject(t, task)
    t.settle("update", sent)
    t.step(done())
    t.history()
