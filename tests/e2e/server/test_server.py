"""The server process: its command line, the ways it begins and ends, TLS, the page, the metrics."""

import os
import signal
import stat
import subprocess
import threading
import time
import urllib.error
import urllib.request

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from server import EXECUTABLE, HOST, Server, free_port
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (DescribeNamespaceRequest, GetSystemInfoRequest,
                                               ListNamespacesRequest, PollWorkflowTaskQueueRequest,
                                               RegisterNamespaceRequest, ShutdownWorkerRequest,
                                               SignalWorkflowExecutionRequest,
                                               StartWorkflowExecutionRequest)
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

OPTIONS = [("grpc.max_send_message_length", -1)]


def stub_of(address, credentials=None):
    channel = (grpc.secure_channel(address, credentials, OPTIONS) if credentials
               else grpc.insecure_channel(address, OPTIONS))
    return WorkflowServiceStub(channel)


def started(workflow_id, size=0):
    return StartWorkflowExecutionRequest(
        namespace="default", workflow_id=workflow_id, workflow_type=WorkflowType(name="T"),
        task_queue=TaskQueue(name="nobody"), input=Payloads(payloads=[Payload(data=b"x" * size)]))


def run(*arguments):
    return subprocess.run([EXECUTABLE, *arguments], capture_output=True, text=True, timeout=20)


def get(port, path):
    with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


class Production:
    """`perdure server start` on a folder."""

    def __init__(self, folder, *arguments):
        self.port = free_port()
        self.address = f"localhost:{self.port}"
        self.command = [EXECUTABLE, "server", "start", "--data-dir", str(folder), "--listen",
                        f"{HOST}:{self.port}", *arguments]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "is ready" in line:
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return self
        raise AssertionError("the server did not become ready")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) == 0


# --- the command line ---


def test_version_and_help():
    assert run("--version").stdout.startswith("perdure ")
    for path in ([], ["server"], ["server", "start-dev"], ["server", "start"]):
        done = run(*path, "--help")
        assert done.returncode == 0 and "Usage:" in done.stdout and "Examples:" in done.stdout


@pytest.mark.parametrize("arguments, sentence", [
    (["server", "start-dev", "--prot", "1"], "Did you mean --port?"),
    (["server", "start-dev", "--port", "many"], "--port wants a port number"),
    (["server", "strat-dev"], "Did you mean perdure server start-dev?"),
    (["server", "start"], "needs --data-dir"),
])
def test_a_wrong_command_line_is_exit_code_2(arguments, sentence):
    done = run(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_port_in_use_is_a_sentence_and_exit_code_1(server):
    done = run("server", "start-dev", "--ip", HOST, "--port", str(server.port), "--headless")
    assert done.returncode == 1
    assert str(server.port) in done.stderr


def test_a_database_in_use_is_a_sentence_and_exit_code_1(tmp_path):
    with Production(tmp_path):
        done = run("server", "start", "--data-dir", str(tmp_path), "--listen", f"{HOST}:0")
        assert done.returncode == 1
        assert "perdure.db" in done.stderr


# --- what it serves ---


def test_namespaces_are_made_and_kept():
    with Server("--namespace", "orders", "--namespace", "orders") as s:
        names = [n.namespace_info.name for n in
                 stub_of(s.address).ListNamespaces(ListNamespacesRequest()).namespaces]
        assert names == ["default", "orders"]
        stub_of(s.address).RegisterNamespace(RegisterNamespaceRequest(
            namespace="later", description="made by a client", data={"k": "v"},
            workflow_execution_retention_period=Duration(seconds=86400 * 3)))
        before = stub_of(s.address).DescribeNamespace(DescribeNamespaceRequest(namespace="later"))
        assert s.stop() == 0
        s.start()
        after = stub_of(s.address).DescribeNamespace(DescribeNamespaceRequest(namespace="later"))
        assert after == before
        assert after.namespace_info.data["k"] == "v"
        assert after.config.workflow_execution_retention_ttl.seconds == 86400 * 3


def test_namespaces_are_listed_in_pages():
    with Server("-n", "a", "-n", "b", "-n", "c", in_memory=True) as s:
        names, token = [], b""
        for _ in range(4):
            page = stub_of(s.address).ListNamespaces(
                ListNamespacesRequest(page_size=1, next_page_token=token))
            names += [n.namespace_info.name for n in page.namespaces]
            token = page.next_page_token
        assert names == ["a", "b", "c", "default"]
        assert not token


def test_limits_are_enforced_and_told():
    with Server("--dynamic-config-value", "limit.blobSize.error=10240", "--dynamic-config-value",
                "limit.blobSize.warn=2048", in_memory=True) as s:
        stub = stub_of(s.address)
        limits = stub.DescribeNamespace(
            DescribeNamespaceRequest(namespace="default")).namespace_info.limits
        assert limits.blob_size_limit_error == 10240
        stub.StartWorkflowExecution(started("small", 10000))
        with pytest.raises(grpc.RpcError) as refused:
            stub.StartWorkflowExecution(started("large", 10240))
        assert refused.value.details() == "Blob data size exceeds limit."


def test_new_workflows_are_shed_first_when_memory_is_short():
    with Server("--memory-cap", "8MiB", in_memory=True) as s:
        stub = stub_of(s.address)
        stub.StartWorkflowExecution(started("before"))
        polls = [stub.PollWorkflowTaskQueue.future(PollWorkflowTaskQueueRequest(
            namespace="default", task_queue=TaskQueue(name=f"q{i}"), identity="x" * 900),
            timeout=30) for i in range(6000)]
        eventually_refused = time.monotonic() + 20
        code = None
        while code is None and time.monotonic() < eventually_refused:
            try:
                stub.StartWorkflowExecution(started(f"w{time.monotonic()}"))
                time.sleep(0.1)
            except grpc.RpcError as refused:
                code = refused.code()
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        stub.SignalWorkflowExecution(SignalWorkflowExecutionRequest(
            namespace="default", workflow_execution=WorkflowExecution(workflow_id="before"),
            signal_name="still served"))
        for poll in polls:
            poll.cancel()


def test_the_page_and_the_metrics():
    ui, metrics = free_port() + 301, free_port() + 302
    s = Server("--ui-port", str(ui), "--metrics-port", str(metrics), in_memory=True)
    s.command.remove("--headless")
    with s:
        assert f"{HOST}:{s.port}" in get(ui, "/")
        assert "Perdure" in get(ui, "/namespaces")
        with pytest.raises(urllib.error.HTTPError) as missing:
            get(ui, "/nothing")
        assert missing.value.code == 404
        stub_of(s.address).StartWorkflowExecution(started("measured"))
        text = get(metrics, "/metrics")
        assert 'perdure_requests_total{method="StartWorkflowExecution",code="OK"} 1' in text
        for name in ("commits_total", "commit_steps_total", "syncs_total", "commit_seconds_total",
                     "loop_lag_seconds", "backlog", "wal_bytes", "resident_bytes",
                     "request_seconds_count"):
            assert f"\nperdure_{name}" in text


# --- how it ends ---


def test_sigterm_ends_polls_that_wait():
    with Server() as s:
        stub = stub_of(s.address)
        stub.GetSystemInfo(GetSystemInfoRequest())
        poll = stub.PollWorkflowTaskQueue.future(PollWorkflowTaskQueueRequest(
            namespace="default", task_queue=TaskQueue(name="q")), timeout=60)
        time.sleep(0.3)
        begin = time.monotonic()
        assert s.stop() == 0
        assert time.monotonic() - begin < 5
        assert poll.exception() is None or poll.code() == grpc.StatusCode.UNAVAILABLE


def test_shutting_a_worker_down_ends_its_polls_at_once():
    with Server(in_memory=True) as s:
        stub = stub_of(s.address)
        poll = stub.PollWorkflowTaskQueue.future(PollWorkflowTaskQueueRequest(
            namespace="default", task_queue=TaskQueue(name="q"), identity="me",
            worker_instance_key="key"), timeout=30)
        time.sleep(0.3)
        stub.ShutdownWorker(ShutdownWorkerRequest(
            namespace="default", identity="me", worker_instance_key="key", task_queue="q",
            task_queue_types=[1, 2]))
        begin = time.monotonic()
        assert not poll.result().task_token
        assert time.monotonic() - begin < 5


def test_a_poll_that_was_given_up_takes_no_task():
    with Server(in_memory=True) as s:
        stub = stub_of(s.address)
        for i in range(20):
            poll = PollWorkflowTaskQueueRequest(namespace="default",
                                                task_queue=TaskQueue(name="nobody"))
            given_up = stub.PollWorkflowTaskQueue.future(poll, timeout=30)
            time.sleep(0.02)
            given_up.cancel()
            stub.StartWorkflowExecution(started(f"w-{i}"))
            begin = time.monotonic()
            task = stub.PollWorkflowTaskQueue(poll, timeout=30)
            assert time.monotonic() - begin < 5
            assert (task.workflow_execution.workflow_id, task.attempt) == (f"w-{i}", 1)


# --- the production form ---


def test_files_are_private(tmp_path):
    folder = tmp_path / "data"
    with Production(folder):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        for name in os.listdir(folder):
            assert stat.S_IMODE(os.stat(folder / name).st_mode) == 0o600, name


def make_certificates(folder):
    """An authority, and a server and a client certificate of it."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "ca.key", "-out", "ca.pem", "-days", "1", "-subj", "/CN=authority")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "1", "-extfile", "names", "-out", f"{name}.pem")


def serial_of(address, folder):
    said = subprocess.run(
        ["openssl", "s_client", "-connect", address, "-alpn", "h2", "-CAfile", "ca.pem", "-cert",
         "client.pem", "-key", "client.key"], cwd=folder, input="", capture_output=True, text=True)
    return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=said.stdout,
                          capture_output=True, text=True).stdout


def test_tls_with_client_certificates_and_a_reload(tmp_path):
    make_certificates(tmp_path)
    tls = ["--tls-cert", str(tmp_path / "server.pem"), "--tls-key", str(tmp_path / "server.key"),
           "--tls-client-ca", str(tmp_path / "ca.pem")]
    with Production(tmp_path / "data", *tls) as s:
        ca = (tmp_path / "ca.pem").read_bytes()
        mine = grpc.ssl_channel_credentials(ca, (tmp_path / "client.key").read_bytes(),
                                            (tmp_path / "client.pem").read_bytes())
        stub_of(s.address, mine).GetSystemInfo(GetSystemInfoRequest(), timeout=5)
        with pytest.raises(grpc.RpcError):
            stub_of(s.address, grpc.ssl_channel_credentials(ca)).GetSystemInfo(
                GetSystemInfoRequest(), timeout=3)
        with pytest.raises(grpc.RpcError):
            stub_of(s.address).GetSystemInfo(GetSystemInfoRequest(), timeout=3)

        before = serial_of(s.address, tmp_path)
        make_certificates(tmp_path)
        s.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        after = serial_of(s.address, tmp_path)
        assert before and after and before != after

        (tmp_path / "server.pem").write_text("nonsense")
        s.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert serial_of(s.address, tmp_path) == after
