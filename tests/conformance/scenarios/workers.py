"""Workers as they describe themselves in heartbeats."""

from google.protobuf.timestamp_pb2 import Timestamp

from driver.registry import scenario
from driver.rpc import RpcError


def heartbeat(t, key="k1", **fields):
    """The keys are the scenario's own: the list is of the whole namespace."""
    fields.setdefault("worker_instance_key", f"{t.wid}-{key}")
    fields.setdefault("worker_identity", "worker")
    fields.setdefault("task_queue", t.queue)
    fields.setdefault("sdk_name", "temporal-test")
    fields.setdefault("sdk_version", "1.2.3")
    fields.setdefault("status", 1)
    fields.setdefault("start_time", Timestamp(seconds=1700000000))
    fields.setdefault("heartbeat_time", Timestamp(seconds=1700000100))
    fields.setdefault("host_info", {"host_name": "host", "process_id": "77"})
    return fields


def beat(t, label, *beats, **fields):
    fields.setdefault("identity", "worker")
    return t.does(label, "RecordWorkerHeartbeat", worker_heartbeat=list(beats), **fields)


def mine(t, extra=""):
    return f'TaskQueue="{t.queue}"{extra}'


@scenario()
def worker_heartbeat(t):
    """A heartbeat makes a worker that is listed, counted and described."""
    key = f"{t.wid}-k1"
    t.does("describe before", "DescribeWorker", worker_instance_key=key)
    beat(t, "heartbeat", heartbeat(t))
    t.does("list", "ListWorkers", query=mine(t))
    t.does("count", "CountWorkers", query=mine(t))
    t.does("describe", "DescribeWorker", worker_instance_key=key)
    beat(t, "heartbeat again", heartbeat(t, total_sticky_cache_hit=5, status=2))
    t.does("describe again", "DescribeWorker", worker_instance_key=key)


@scenario()
def worker_heartbeat_whole(t):
    """Everything a heartbeat may say comes back."""
    slots = {
        "current_available_slots": 5,
        "current_used_slots": 2,
        "slot_supplier_kind": "Fixed",
        "total_processed_tasks": 9,
        "total_failed_tasks": 1,
        "last_interval_processed_tasks": 3,
        "last_interval_failure_tasks": 1,
    }
    pollers = {
        "current_pollers": 3,
        "is_autoscaling": True,
        "last_successful_poll_time": Timestamp(seconds=1700000099),
    }
    beat(
        t,
        "heartbeat",
        heartbeat(
            t,
            host_info={
                "host_name": "h",
                "worker_grouping_key": "g",
                "process_id": "1",
                "current_host_cpu_usage": 0.5,
                "current_host_mem_usage": 0.25,
            },
            deployment_version={"deployment_name": "d", "build_id": "b"},
            workflow_task_slots_info=slots,
            activity_task_slots_info=slots,
            nexus_task_slots_info=slots,
            local_activity_slots_info=slots,
            workflow_poller_info=pollers,
            workflow_sticky_poller_info=pollers,
            activity_poller_info=pollers,
            nexus_poller_info=pollers,
            total_sticky_cache_hit=1,
            total_sticky_cache_miss=2,
            current_sticky_cache_size=3,
            plugins=[{"name": "p", "version": "1"}],
            drivers=[{"type": "s3"}],
        ),
    )
    t.does("list", "ListWorkers", query=mine(t))
    t.does("describe", "DescribeWorker", worker_instance_key=f"{t.wid}-k1")


@scenario()
def worker_heartbeats_of_a_process(t):
    """Several workers in one request, and a query for some of them."""
    beat(
        t,
        "heartbeats",
        heartbeat(t, "k1"),
        heartbeat(t, "k2", worker_identity="other", sdk_version="2.0.0"),
        heartbeat(t, "k3", status=2, task_queue=t.queue + "-other"),
    )
    for label, query in {
        "queue": mine(t),
        "identity": mine(t, ' AND WorkerIdentity="other"'),
        "key": f'WorkerInstanceKey="{t.wid}-k2"',
        "status": f'WorkerInstanceKey="{t.wid}-k3" AND Status="ShuttingDown"',
        "worker status": f'WorkerInstanceKey="{t.wid}-k3" AND WorkerStatus="Running"',
        "status number": f'WorkerInstanceKey="{t.wid}-k3" AND WorkerStatus=2',
        "host": mine(t, ' AND HostName="host"'),
        "sdk": mine(t, ' AND SdkName="temporal-test" AND SdkVersion="2.0.0"'),
        "deployment": mine(t, ' AND DeploymentName="d"'),
        "build": mine(t, ' AND BuildId="b"'),
        "start": mine(t, ' AND StartTime="2023-11-14T22:13:20Z"'),
        "started after": mine(t, ' AND StartTime>"2023-11-14T22:13:19Z"'),
        "last heartbeat": mine(t, ' AND HeartbeatTime>"2023-11-14T22:13:19Z"'),
        "or": f'WorkerInstanceKey="{t.wid}-k1" OR WorkerInstanceKey="{t.wid}-k3"',
        "not equal": mine(t, ' AND WorkerIdentity!="other"'),
        "starts with": f'WorkerInstanceKey STARTS_WITH "{t.wid}"',
        "grouping": mine(t, ' AND WorkerGroupingKey="g"'),
        "unknown field": 'Nothing="x"',
        "no query language": "what is this",
        "unquoted": "TaskQueue=abc",
        "between": mine(
            t, ' AND StartTime BETWEEN "2023-11-14T22:13:19Z" AND "2023-11-14T22:13:21Z"'
        ),
        "null": mine(t, " AND SdkName IS NOT NULL"),
    }.items():
        t.does(f"count by {label}", "CountWorkers", query=query)
        try:
            found = t.call("ListWorkers", query=query)
        except RpcError as error:
            t.note(f"list by {label}", error.to_json())
            continue
        # The original lists workers in no order.
        t.note(f"keys by {label}", sorted(w.worker_instance_key[-2:] for w in found.workers))


@scenario()
def worker_list_pages(t):
    """A list in pages."""
    beat(t, "heartbeats", *[heartbeat(t, f"k{n}") for n in range(5)])
    token, keys = b"", []
    for _ in range(4):
        page = t.call("ListWorkers", query=mine(t), page_size=2, next_page_token=token)
        keys.append([w.worker_instance_key[-2:] for w in page.workers])
        token = page.next_page_token
        if not token:
            break
    t.note("pages", sorted(len(page) for page in keys))
    t.note("all of them", sorted(key for page in keys for key in page))
    t.does("bad token", "ListWorkers", next_page_token=b"nonsense")
    t.does("negative size", "ListWorkers", query=mine(t, ' AND HostName="no"'), page_size=-1)


@scenario()
def worker_heartbeat_refused(t):
    """Heartbeats and requests that say too little."""
    beat(t, "no heartbeats")
    beat(t, "no key", heartbeat(t, worker_instance_key=""))
    beat(t, "empty heartbeat", {})
    beat(t, "no namespace", heartbeat(t), namespace="")
    beat(t, "unknown namespace", heartbeat(t), namespace="there-is-none")
    t.does("describe no key", "DescribeWorker")
    t.does("describe unknown", "DescribeWorker", worker_instance_key="there-is-none")


@scenario()
def worker_shuts_down(t):
    """The last heartbeat comes with ShutdownWorker."""
    key = f"{t.wid}-k1"
    beat(t, "heartbeat", heartbeat(t))
    t.does(
        "shutdown",
        "ShutdownWorker",
        worker_instance_key=key,
        sticky_task_queue=t.sticky,
        reason="bye",
        worker_heartbeat=heartbeat(t, status=3),
    )
    t.does("describe", "DescribeWorker", worker_instance_key=key)
    t.does("list", "ListWorkers", query=mine(t))
    t.does("shutdown of nobody", "ShutdownWorker", sticky_task_queue=t.sticky)
    t.does("shutdown of nothing", "ShutdownWorker")


@scenario()
def worker_config(t):
    """Configurations of workers."""
    key = f"{t.wid}-k1"
    beat(t, "heartbeat", heartbeat(t))
    selector = {"worker_instance_key": key}
    t.does("fetch", "FetchWorkerConfig", selector=selector, reason="why")
    t.does(
        "update",
        "UpdateWorkerConfig",
        selector=selector,
        worker_config={"workflow_cache_size": 5},
        update_mask={"paths": ["workflow_cache_size"]},
    )
    t.does("fetch nothing", "FetchWorkerConfig")
    t.does("update nothing", "UpdateWorkerConfig")
