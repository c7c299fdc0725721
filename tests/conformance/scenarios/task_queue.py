"""Task queues: what is said of them, and how they are configured."""

import time

from driver.registry import scenario
from driver.values import activity

ALL = {"report_stats": True, "report_config": True, "report_pollers": True}


def describe(t, label="describe", queue=None, kind=1, **fields):
    """kind: 1 workflow, 2 activity."""
    return t.does(
        label,
        "DescribeTaskQueue",
        task_queue={"name": queue or t.queue},
        task_queue_type=kind,
        **fields,
    )


def poll_once(t, activity=False, **fields):
    """A poll that ends empty."""
    method = "PollActivityTaskQueue" if activity else "PollWorkflowTaskQueue"
    fields.setdefault("task_queue", {"name": t.queue})
    return t.call(method, timeout=2.3, **fields)


@scenario()
def task_queue_unknown(t):
    """A queue that nobody used yet."""
    describe(t)
    describe(t, "all of it", **ALL)
    describe(t, "status", include_task_queue_status=True)


@scenario()
def task_queue_described_badly(t):
    """Requests without a queue, or with one that cannot be."""
    t.does("no queue", "DescribeTaskQueue")
    t.does("no name", "DescribeTaskQueue", task_queue={})
    t.does("long name", "DescribeTaskQueue", task_queue={"name": "q" * 1001})
    t.does("reserved", "DescribeTaskQueue", task_queue={"name": "/_sys/q/3"})
    t.does("bad type", "DescribeTaskQueue", task_queue={"name": t.queue}, task_queue_type=99)
    t.does("no type", "DescribeTaskQueue", task_queue={"name": t.queue})
    t.does("nexus", "DescribeTaskQueue", task_queue={"name": t.queue}, task_queue_type=3)
    t.does("bad mode", "DescribeTaskQueue", task_queue={"name": t.queue}, api_mode=9)


@scenario()
def task_queue_pollers(t):
    """Who polled, of either type."""
    poll_once(t, identity="one")
    poll_once(t, identity="two")
    poll_once(t, activity=True, identity="three")
    describe(t, "workflow")
    describe(t, "activity", kind=2)
    describe(t, "with all", **ALL)


@scenario()
def task_queue_poller_versions(t):
    """What a poller says of its build."""
    poll_once(
        t,
        identity="built",
        worker_version_capabilities={"build_id": "b1", "use_versioning": False},
    )
    poll_once(
        t,
        identity="deployed",
        deployment_options={
            "deployment_name": "d",
            "build_id": "b2",
            "worker_versioning_mode": 1,
        },
    )
    describe(t)


@scenario()
def task_queue_stats(t):
    """A backlog of one, then of none."""
    t.start()
    time.sleep(1.2)
    describe(t, "waiting", report_stats=True)
    t.step(activity("a", t.queue), activity("b", t.queue, priority={"priority_key": 1}))
    time.sleep(1.2)
    describe(t, "activities waiting", kind=2, report_stats=True)
    t.terminate()


@scenario()
def task_queue_stats_taken(t):
    """Tasks that were handed out are no backlog."""
    t.start()
    t.step(activity("a", t.queue), activity("b", t.queue, priority={"priority_key": 1}))
    for _ in range(2):
        t.activity_call()
    time.sleep(1.2)
    describe(t, "workflow task taken", report_stats=True)
    describe(t, "activities taken", kind=2, report_stats=True)
    t.terminate()


@scenario()
def task_queue_status(t):
    """The older status."""
    t.start()
    time.sleep(1)
    describe(t, include_task_queue_status=True)
    t.terminate()


@scenario()
def task_queue_enhanced(t):
    """The enhanced mode by type of queue."""
    poll_once(t, identity="one")
    t.start()
    time.sleep(1.2)
    for types in ([1], [2], [1, 2], []):
        t.does(
            f"types {types}",
            "DescribeTaskQueue",
            task_queue={"name": t.queue},
            api_mode=1,
            task_queue_types=types,
            report_stats=True,
            report_pollers=True,
        )
    other = t.queue + "-other"  # the original remembers its answer by the queue for a second
    t.does("nothing asked", "DescribeTaskQueue", task_queue={"name": other}, api_mode=1)
    t.does(
        "versions",
        "DescribeTaskQueue",
        task_queue={"name": t.queue},
        api_mode=1,
        versions={"unversioned": True, "build_ids": ["b1"]},
        task_queue_types=[1],
        report_pollers=True,
    )
    t.does(
        "all active",
        "DescribeTaskQueue",
        task_queue={"name": t.queue},
        api_mode=1,
        versions={"all_active": True},
        task_queue_types=[1],
        report_stats=True,
    )
    t.does(
        "reachability",
        "DescribeTaskQueue",
        task_queue={"name": t.queue + "-another"},
        api_mode=1,
        task_queue_types=[1],
        report_task_reachability=True,
    )
    t.does(
        "sticky", "DescribeTaskQueue", task_queue={"name": t.sticky, "kind": 2}, api_mode=1
    )
    t.terminate()


@scenario()
def task_queue_sticky(t):
    """A sticky queue and its poller."""
    t.does(
        "before",
        "DescribeTaskQueue",
        task_queue={"name": t.sticky, "kind": 2, "normal_name": t.queue},
        task_queue_type=1,
    )
    poll_once(
        t, identity="one", task_queue={"name": t.sticky, "kind": 2, "normal_name": t.queue}
    )
    t.does(
        "after",
        "DescribeTaskQueue",
        task_queue={"name": t.sticky, "kind": 2, "normal_name": t.queue},
        task_queue_type=1,
        report_stats=True,
    )
    t.does("by name alone", "DescribeTaskQueue", task_queue={"name": t.sticky}, task_queue_type=1)


@scenario()
def task_queue_partitions(t):
    """The partitions of a queue."""
    t.does("partitions", "ListTaskQueuePartitions", task_queue={"name": t.queue})
    t.does("no queue", "ListTaskQueuePartitions")
    t.does("no name", "ListTaskQueuePartitions", task_queue={})
    t.does("long name", "ListTaskQueuePartitions", task_queue={"name": "q" * 1001})


def configure(t, label, kind=2, **fields):
    fields.setdefault("identity", "operator")
    fields.setdefault("task_queue", t.queue)
    return t.does(label, "UpdateTaskQueueConfig", task_queue_type=kind, **fields)


def limit(rate, reason=""):
    return {"rate_limit": {"requests_per_second": rate}, "reason": reason}


@scenario()
def task_queue_config(t):
    """Rate limits and weights are set, described and unset."""
    configure(t, "set", update_queue_rate_limit=limit(10.5, "slow down"))
    describe(t, "describe set", kind=2, report_config=True)
    describe(t, "describe the other type", kind=1, report_config=True)
    describe(t, "describe without", kind=2)
    configure(t, "set fairness", update_fairness_key_rate_limit_default=limit(3, "fair"))
    configure(t, "weights", set_fairness_weight_overrides={"k": 2.5, "l": 0.5})
    configure(t, "unset a weight", unset_fairness_weight_overrides=["k", "none"])
    describe(t, "describe all", kind=2, report_config=True)
    configure(t, "unset", update_queue_rate_limit={"reason": "fast again"})
    configure(t, "unset fairness", update_fairness_key_rate_limit_default={})
    describe(t, "describe unset", kind=2, report_config=True)


@scenario()
def task_queue_config_of_workflows(t):
    """A workflow queue's limits."""
    configure(t, "set", kind=1, update_queue_rate_limit=limit(5))
    describe(t, kind=1, report_config=True)
    configure(t, "set fairness", kind=1, update_fairness_key_rate_limit_default=limit(5))


@scenario()
def task_queue_config_refused(t):
    """What cannot be configured."""
    ok = {"update_queue_rate_limit": limit(1)}
    configure(t, "nothing")
    configure(t, "no queue", task_queue="", **ok)
    configure(t, "long queue", task_queue="q" * 1001, **ok)
    configure(t, "reserved queue", task_queue="/_sys/q", **ok)
    configure(t, "no type", kind=0, **ok)
    configure(t, "bad type", kind=9, **ok)
    configure(t, "nexus", kind=3, **ok)
    configure(t, "negative", update_queue_rate_limit=limit(-1))
    configure(t, "zero", update_queue_rate_limit=limit(0))
    configure(t, "negative fairness", update_fairness_key_rate_limit_default=limit(-1))
    configure(t, "long reason", update_queue_rate_limit=limit(1, "r" * 1001))
    configure(t, "long identity", identity="i" * 1001, **ok)
    configure(t, "negative weight", set_fairness_weight_overrides={"k": -1})
    configure(t, "zero weight", set_fairness_weight_overrides={"k": 0})
    configure(t, "long key", set_fairness_weight_overrides={"k" * 65: 1})
    configure(t, "long key unset", unset_fairness_weight_overrides=["k" * 65])
    configure(
        t,
        "set and unset",
        set_fairness_weight_overrides={"k": 1},
        unset_fairness_weight_overrides=["k"],
    )
    configure(
        t, "many weights", set_fairness_weight_overrides={f"k{n}": 1 for n in range(1001)}
    )
    configure(
        t,
        "fairness above",
        update_queue_rate_limit=limit(2),
        update_fairness_key_rate_limit_default=limit(5),
    )
    describe(t, kind=2, report_config=True)


@scenario()
def task_queue_worker_rate(t):
    """The rate that a worker asks for."""
    poll_once(
        t,
        activity=True,
        identity="one",
        task_queue_metadata={"max_tasks_per_second": {"value": 7}},
    )
    describe(t, kind=2)
    describe(t, "config", kind=2, report_config=True)
    configure(t, "set", update_queue_rate_limit=limit(3))
    describe(t, "both", kind=2, report_config=True)


@scenario()
def task_queue_rate_zero(t):
    """A worker that asks for no tasks gets none."""
    t.start()
    t.step(activity("a", t.queue))
    task = poll_once(
        t,
        activity=True,
        identity="one",
        task_queue_metadata={"max_tasks_per_second": {"value": 0}},
    )
    t.note("got", bool(task.task_token))
    t.terminate()
