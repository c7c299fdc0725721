"""Priority: where it comes from, what is refused, and the order of tasks."""

import time

from driver.registry import scenario
from driver.values import activity, app_failure, command, done, retry


def bad_priorities():
    return {
        "negative": {"priority_key": -1},
        "long fairness key": {"fairness_key": "k" * 65},
        "negative weight": {"fairness_weight": -1},
    }


@scenario()
def priority_start_refused(t):
    """Priorities a workflow cannot have."""
    for label, value in bad_priorities().items():
        t.start(label, priority=value)
        t.does(
            f"signal with start, {label}",
            "SignalWithStartWorkflowExecution",
            **t.start_fields(priority=value),
            signal_name="s",
        )


@scenario()
def priority_activity_refused(t):
    """Priorities an activity cannot have."""
    for label, value in bad_priorities().items():
        t.start(f"start, {label}", request_id=label)
        t.step(activity("a", t.queue, priority=value))
        t.terminate(f"terminate, {label}")
        t.wid += "-"


@scenario()
def priority_of_workflow(t):
    """A workflow's priority in its start, its tasks, its description and for its activities."""
    t.start(priority={"priority_key": 2, "fairness_key": "tenant", "fairness_weight": 2.5})
    t.task(whole=True)
    t.describe()
    t.terminate()
    t.history()


@scenario()
def priority_inherited(t):
    """An activity has the workflow's priority, field by field, unless it has its own."""
    t.start(priority={"priority_key": 2, "fairness_key": "tenant", "fairness_weight": 2.5})
    cases = {
        "none": None,
        "empty": {},
        "key": {"priority_key": 4},
        "fairness key": {"fairness_key": "own"},
        "fairness weight": {"fairness_weight": 7.0},
        "all": {"priority_key": 1, "fairness_key": "own", "fairness_weight": 7.0},
    }
    commands = [
        activity(f"{n} {label}", f"{t.queue}-{n}", priority=value)
        for n, (label, value) in enumerate(cases.items())
    ]
    t.step(*commands)
    t.describe()
    for n, label in enumerate(cases):
        t.activity_task(f"activity task, {label}", queue=f"{t.queue}-{n}")
    t.terminate()
    t.history()


@scenario()
def priority_not_inherited_from_nothing(t):
    """Without a priority of the workflow, what an activity says is all."""
    t.start()
    t.step(
        activity("none", f"{t.queue}-0"),
        activity("empty", f"{t.queue}-1", priority={}),
        activity("large", f"{t.queue}-2", priority={"priority_key": 99}),
        activity("weight", f"{t.queue}-3", priority={"fairness_weight": 0.0001}),
    )
    t.describe()
    for n in range(4):
        t.activity_task(queue=f"{t.queue}-{n}")
    t.terminate()
    t.history()


@scenario()
def priority_large_key(t):
    """A key beyond the lowest priority is kept as it is and means the lowest."""
    t.start(priority={"priority_key": 99})
    t.step(activity("low", t.queue), activity("high", t.queue, priority={"priority_key": 5}))
    t.describe()
    t.terminate()
    t.history()


@scenario()
def priority_order_of_workflows(t):
    """Workflow tasks follow the priority of their workflows."""
    wid = t.wid
    for n, key in enumerate([4, 3, 1, 5, 2]):
        t.wid = f"{wid}-{n}-{key}"
        t.start(f"start {key}", priority={"priority_key": key}, request_id=f"r{n}")
    time.sleep(1)
    order = [t.poll_call().workflow_execution.workflow_id.rsplit("-", 1)[1] for _ in range(5)]
    t.note("order", order)


@scenario()
def priority_of_next_run(t):
    """Continue-as-new and retry keep the priority of the workflow."""
    t.start(priority={"priority_key": 2, "fairness_key": "tenant"})
    again = command("continue_as_new_workflow_execution", workflow_type={"name": "Scripted"})
    t.step(again)
    task = t.task("second run", whole=True)
    t.complete(task, done())


@scenario()
def priority_after_retry(t):
    """A retried activity keeps its priority."""
    t.start(priority={"priority_key": 2})
    t.step(activity("a", t.queue, retry_policy=retry(1), priority={"fairness_key": "own"}))
    t.activity_failed(t.activity_task(), app_failure())
    t.activity_task("second attempt")
    t.terminate()


@scenario()
def priority_child(t):
    """A child has the priority of its parent, field by field, unless it has its own."""
    t.start(priority={"priority_key": 2, "fairness_key": "tenant", "fairness_weight": 2.5})
    t.step(
        command(
            "start_child_workflow_execution",
            workflow_id=t.wid + "-child",
            workflow_type={"name": "Child"},
            task_queue={"name": t.queue + "-child"},
            priority={"priority_key": 4},
        )
    )
    child = t.poll_call(queue=t.queue + "-child")
    started = child.history.events[0].workflow_execution_started_event_attributes
    t.note("priority of the child", str(started.priority).split())
    t.wait_for("CHILD_WORKFLOW_EXECUTION_STARTED")
    t.terminate()
    t.history()


@scenario()
def priority_child_refused(t):
    """Priorities a child cannot have."""
    for label, value in bad_priorities().items():
        t.start(f"start, {label}", request_id=label)
        t.step(
            command(
                "start_child_workflow_execution",
                workflow_id=t.wid + "-child",
                workflow_type={"name": "Child"},
                task_queue={"name": t.queue + "-child"},
                priority=value,
            )
        )
        t.terminate(f"terminate, {label}")
        t.wid += "-"
