"""Activities that the worker of the workflow task takes at once."""

from driver.registry import scenario
from driver.values import (
    activity,
    app_failure,
    cancel_activity,
    command,
    done,
    once,
    payloads,
    retry,
    secs,
    timer,
)


def eager(activity_id, queue, **fields):
    return activity(activity_id, queue, request_eager_execution=True, **fields)


def first(answer):
    return answer.activity_tasks[0]


@scenario()
def eager_activity(t):
    """The task comes with the answer; the rest is as always."""
    t.start()
    answer = t.complete(t.task(), eager("a", t.queue, input=payloads("in")))
    t.describe()
    t.activity_done(first(answer), "out")
    t.step(done())
    t.history()


@scenario()
def eager_activity_some(t):
    """Only those that ask for it, in the order of the commands."""
    t.start()
    answer = t.complete(
        t.task(),
        eager("a", t.queue),
        activity("b", t.queue),
        timer("t", 60),
        eager("c", t.queue),
    )
    t.activity_done(first(answer))
    t.activity_done(t.activity_task("the one that waits"))
    t.describe()
    t.terminate()
    t.history()


@scenario()
def eager_activity_other_queue(t):
    """An activity of another task queue is given out too: SDKs ask only for their own."""
    t.start()
    t.complete(t.task(), eager("a", t.queue + "-other"))
    t.describe()
    t.terminate()


@scenario()
def eager_activity_retried(t):
    """The second attempt comes by a poll."""
    t.start()
    answer = t.complete(t.task(), eager("a", t.queue, retry_policy=retry(1)))
    t.activity_failed(first(answer), app_failure())
    t.activity_done(t.activity_task("second attempt"))
    t.step(done())
    t.history()


@scenario()
def eager_activity_timeout(t):
    """An attempt that is never answered times out."""
    t.start()
    t.complete(
        t.task(), eager("a", t.queue, start_to_close_timeout=secs(1), retry_policy=once())
    )
    t.wait_for("ACTIVITY_TASK_TIMED_OUT")
    t.step(done())
    t.history()


@scenario()
def eager_activity_canceled_at_once(t):
    """An activity that is scheduled and cancelled in one completion is not given out."""
    t.start()
    t.complete(t.task(), eager("a", t.queue), cancel_activity(5))
    t.describe()
    t.terminate()
    t.history()


@scenario()
def eager_activity_and_close(t):
    """A workflow that ends with the same completion gives out nothing."""
    t.start()
    t.complete(t.task(), eager("a", t.queue), done())
    t.history()


@scenario()
def eager_activity_and_next_task(t):
    """Activities and the next workflow task in one answer."""
    t.start()
    t.complete(
        t.task(),
        eager("a", t.queue),
        force_create_new_workflow_task=True,
        return_new_workflow_task=True,
    )
    t.terminate()
    t.history()


@scenario()
def eager_activity_identity(t):
    """Whose identity the start carries."""
    t.start()
    answer = t.complete(t.task(), eager("a", t.queue), identity="the workflow worker")
    t.activity_done(first(answer), identity="the activity worker")
    t.step(done())
    t.history()


@scenario()
def eager_activity_with_priority(t):
    """What a poll would tell, the eager task tells too."""
    t.start(priority={"priority_key": 2})
    t.complete(
        t.task(),
        eager(
            "a",
            t.queue,
            schedule_to_close_timeout=secs(60),
            heartbeat_timeout=secs(5),
            priority={"fairness_key": "k"},
            retry_policy=retry(1, attempts=3),
        ),
    )
    t.terminate()


@scenario()
def eager_activities_many(t):
    """How many are given out at most."""
    t.start()
    answer = t.call(
        "RespondWorkflowTaskCompleted",
        task_token=t.task().task_token,
        identity="worker",
        commands=[eager(f"a{n}", t.queue) for n in range(40)],
    )
    t.note("given out", [task.activity_id for task in answer.activity_tasks])
    t.terminate()


@scenario()
def eager_activity_bad_command(t):
    """A completion that is refused gives out nothing."""
    t.start()
    t.complete(t.task(), eager("a", t.queue), command("start_timer", timer_id=""))
    t.terminate()
    t.history()
