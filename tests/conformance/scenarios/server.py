"""What a server says about itself, and methods that do not exist."""

from driver.registry import scenario
from driver.rpc import WORKFLOW_SERVICE, RpcError


@scenario(server_wide=True)
def server_system_info(t):
    """GetSystemInfo, whole."""
    t.does("system info", "GetSystemInfo")


@scenario(server_wide=True)
def server_cluster_info(t):
    """GetClusterInfo, whole."""
    t.does("cluster info", "GetClusterInfo")


@scenario(server_wide=True)
def server_namespace(t):
    """DescribeNamespace by name and by id, and its errors."""
    answer = t.does("by name", "DescribeNamespace")
    t.does("by id", "DescribeNamespace", namespace=None, id=answer.namespace_info.id)
    t.does("neither", "DescribeNamespace", namespace=None)
    t.does("unknown name", "DescribeNamespace", namespace="nowhere")
    t.does("unknown id", "DescribeNamespace", namespace=None, id="nowhere")


def _raw(t, label, path, body=b"", timeout=10):
    try:
        t.note(label, {"answer_bytes": len(t.server.raw(path, body, timeout))})
    except RpcError as error:
        t.note(label, error.to_json())


@scenario()
def server_unknown_methods(t):
    """Unknown methods, services and paths, and bytes that are no message."""
    _raw(t, "unknown method", f"/{WORKFLOW_SERVICE}/MakeCoffee")
    _raw(t, "unknown service", "/temporal.api.workflowservice.v9.WorkflowService/GetSystemInfo")
    _raw(t, "method without service", "/GetSystemInfo")
    _raw(t, "bad message", f"/{WORKFLOW_SERVICE}/StartWorkflowExecution", b"\xff\xff\xff")
    _raw(t, "bad utf-8", f"/{WORKFLOW_SERVICE}/DescribeNamespace", b"\x0a\x02\xff\xfe")


@scenario()
def server_health(t):
    """The standard health service."""
    path = "/grpc.health.v1.Health/Check"
    for label, name in {
        "overall": "",
        "frontend": WORKFLOW_SERVICE,
        "unknown": "nothing.of.the.kind",
    }.items():
        body = bytes([10, len(name)]) + name.encode() if name else b""
        try:
            t.note(label, t.server.raw(path, body, 10).hex())
        except RpcError as error:
            t.note(label, error.to_json())


@scenario()
def server_clusters_removed(t):
    """There is one cluster, and it cannot be removed."""
    for name in ("unknown", "active", ""):
        t.does(f"remove {name!r}", "RemoveRemoteCluster", cluster_name=name)
