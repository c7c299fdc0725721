"""The table: name, input, and why our answer is not the original's where it is not.

An input is bytes for a fresh connection (after preface and SETTINGS; `raw` rows: from its first
byte), or (method, request) for a gRPC client. The answers are in recorded.json.
"""

import gzip
import random
import struct

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest, GetWorkflowExecutionHistoryRequest, PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest, QueryWorkflowRequest, RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest, RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest)

from wire import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PREFACE,
                  PRIORITY, PUSH, RST, SERVICE, SETTINGS, WINDOW, block, body, call, frame, literal,
                  message, packed)

BLOB = random.Random(7).randbytes(16 * 1024)
LIMIT = "limits are smaller here: a request's headers may have 16 KiB"
H2 = "libnghttp2 refuses it before there is a call"
SIGNED = "tokens are signed and verified before they are read"
WORDS = "the same answer in other words"
CALM = "the frames carry no work: we end the connection, the original goes on"
SILENT = "we say why before we hang up"
SERVED = "a connection error in HTTP/2, which the original overlooks"


class Row:
    def __init__(self, name, given, because="", raw=False):
        self.name, self.given, self.because, self.raw = name, given, because, raw


def headers(end=True, flags=END_HEADERS, stream=1, **kw):
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, block(**kw))


def varint(n):
    out = b""
    while n >= 128:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def nested(levels, number):
    out = b""
    for _ in range(levels):
        out = field(number, out)
    return out


def start(**kw):
    r = StartWorkflowExecutionRequest(namespace="default", workflow_id="hostile", identity="t",
                                      request_id="hostile")
    r.workflow_type.name = "none"
    r.task_queue.name = "hostile"
    for name, value in kw.items():
        target = r
        *path, last = name.split("__")
        for part in path:
            target = getattr(target, part)
        if hasattr(getattr(target, last), "CopyFrom"):
            getattr(target, last).CopyFrom(value)
        else:
            setattr(target, last, value)
    return "StartWorkflowExecution", r.SerializeToString()


def started(extra):
    return start()[0], start()[1] + extra


def execution(request, workflow_id="nobody", run_id=""):
    field_ = "workflow_execution" if hasattr(request, "workflow_execution") else "execution"
    getattr(request, field_).workflow_id = workflow_id
    getattr(request, field_).run_id = run_id
    request.namespace = "default"
    return request.SerializeToString()


def token_request(kind, token):
    return kind(namespace="default", task_token=token, identity="t").SerializeToString()


def deep_failure(levels):
    inner = b""
    for _ in range(levels):
        inner = field(1, b"m") + (field(4, inner) if inner else b"")
    r = RespondActivityTaskFailedRequest(namespace="default", task_token=b"\x0a\x01x")
    return r.SerializeToString() + field(2, inner)


BOMB = gzip.compress(b"\0" * 50_000_000, mtime=0)
BIG = Payloads(payloads=[Payload(data=b"x" * 3_000_000)])

CALLS = [
    Row("GET", headers(method="GET")),
    Row("content-type of a web page", headers(more=[("content-type", "text/html")])),
    Row("no content-type", headers(without=["content-type"])),
    Row("grpc-web", headers(more=[("content-type", "application/grpc-web")])),
    Row("unknown service", call(path="/no.Such/Thing")),
    Row("unknown method", call(path=SERVICE + "Nothing")),
    Row("path without a service", call(path="/thing")),
    Row("path without a slash", call(path="thing"), H2),
    Row("path of 15,000 bytes", call(path="/" + "a" * 15000 + "/b")),
    Row("no path", call(without=[":path"]), H2),
    Row("no authority", call(without=[":authority"]), H2),
    Row("timeout that is none", call(more=[("grpc-timeout", "10x")])),
    Row("timeout of nine digits", call(more=[("grpc-timeout", "123456789S")])),
    Row("negative timeout", call(more=[("grpc-timeout", "-1S")]), WORDS),
    Row("timeout of zero", call(more=[("grpc-timeout", "0S")])),
    Row("unknown compression", call(more=[("grpc-encoding", "br")])),
    Row("compressed without saying how", call(packed(b""))),
    Row("gzip that is none", call(message(b"nonsense, and some more", 1),
                                  more=[("grpc-encoding", "gzip")]), WORDS),
    Row("gzip cut short", call(message(gzip.compress(BLOB[:500])[:-9], 1),
                               more=[("grpc-encoding", "gzip")]), WORDS),
    Row("gzip bomb of 50 MB", call(message(BOMB, 1), more=[("grpc-encoding", "gzip")])),
    Row("unknown message flag", call(message(b"", 9))),
    Row("message over 4 MiB", call(struct.pack(">BI", 0, 4194305) + b"x", end=False)),
    Row("message of 4 GiB", call(b"\0\xff\xff\xff\xffx", end=False)),
    Row("no message", headers(), "the original never answers"),
    Row("half a prefix", call(b"\0\0")),
    Row("half a message", call(b"\0\0\0\0\x09half")),
    Row("bytes after the message", call(message(b"") + b"more")),
    Row("call that never ends", call(end=False)),
    Row("headers of 30 KiB", frame(HEADERS, END_STREAM, 1, block(more=[("a", "v" * 15000)])) +
        frame(CONTINUATION, END_HEADERS, 1, literal("b", "v" * 15000)), LIMIT),
    Row("upper-case header", call(more=[("Upper", "x")])),
    Row("connection header", call(more=[("connection", "close")])),
    Row("line break in a header", call(more=[("a", "b\r\nc: d")])),
]

FRAMES = [
    Row("HTTP/1.1", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", raw=True),
    Row("TLS to a cleartext port", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + BLOB[:512],
        raw=True),
    Row("nothing but noise", BLOB, raw=True),
    Row("no SETTINGS", PREFACE + call(), SILENT, raw=True),
    Row("broken HPACK", frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff" * 8), SILENT),
    Row("HPACK amplification", frame(HEADERS, END_HEADERS | END_STREAM, 1, block() +
        b"\x40" + literal("a", "v" * 3900)[1:] + b"\xbe" * 8000), LIMIT),
    Row("1,000 CONTINUATIONs", headers(flags=0) + frame(CONTINUATION, 0, 1, literal("a", "b")) *
        1000, CALM),
    Row("frame inside a header block", headers(flags=0) + frame(PING, 0, 0, b"12345678"), SILENT),
    Row("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, b""), SILENT),
    Row("even stream", call(stream=2)),
    Row("DATA on stream 0", frame(DATA, 0, 0, b"x"), SILENT),
    Row("DATA before HEADERS", body(message(b"")), SERVED),
    Row("frame over the maximum", b"\xff\xff\xff\0\0\0\0\0\1", SILENT),
    Row("padding beyond the frame", headers(end=False) + frame(DATA, PADDED, 1, b"\xffabc"),
        SILENT),
    Row("PUSH_PROMISE", headers(end=False) + frame(PUSH, END_HEADERS, 1, b"\0\0\0\2"), SERVED),
    Row("PING of 3 bytes", frame(PING, 0, 0, b"abc"), SILENT),
    Row("SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, b"abcde"), SILENT),
    Row("SETTINGS with a window of 4 GiB", frame(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"), SILENT),
    Row("connection window overflow", frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"), SERVED),
    Row("stream window overflow", headers(end=False) + frame(WINDOW, 0, 1, b"\x7f\xff\xff\xff"),
        SERVED),
    Row("WINDOW_UPDATE of 0", frame(WINDOW, 0, 0, b"\0\0\0\0"), SILENT),
    Row("stream that depends on itself", frame(PRIORITY, 0, 1, b"\0\0\0\1\0") + call()),
    Row("unknown frame type", frame(99, 255, 1, b"whatever") + call()),
    Row("20,000 PINGs", frame(PING, 0, 0, b"12345678") * 20000),
    Row("20,000 SETTINGS", frame(SETTINGS, 0, 0) * 20000, CALM),
    Row("50,000 WINDOW_UPDATEs", frame(WINDOW, 0, 0, b"\0\0\0\1") * 50000, CALM),
    Row("50,000 empty DATA", headers(end=False) + frame(DATA, 0, 1) * 50000, CALM),
    Row("30,000 calls reset at once", b"".join(
        headers(end=False, stream=i) + frame(RST, 0, i, b"\0\0\0\x08")
        for i in range(1, 60000, 2)), CALM),
    Row("1,500 resets that we are made to send", b"".join(
        headers(end=False, stream=i) + frame(WINDOW, 0, i, b"\x7f\xff\xff\xff")
        for i in range(3, 3003, 2)), CALM),
]

TOKEN = b"\x0a\x24" + b"a" * 36
REQUESTS = [
    Row("message cut short", ("DescribeNamespace", b"\x0a\xff"), WORDS),
    Row("field number 0", ("DescribeNamespace", b"\0\1"), WORDS),
    Row("string that is not UTF-8", ("DescribeNamespace", b"\x0a\2\xff\xfe"), WORDS),
    Row("varint of 11 bytes", ("DescribeNamespace", b"\x18" + b"\xff" * 10 + b"\1"), WORDS),
    Row("10,000 nested groups", ("DescribeNamespace", b"\x1b" * 10000), WORDS),
    Row("failure of 10,000 causes", ("RespondActivityTaskFailed", deep_failure(10000)), WORDS),
    Row("1,000,000 empty payloads", started(field(5, b"\x0a\0" * 1_000_000))),
    Row("namespace that is not there", ("DescribeNamespace", DescribeNamespaceRequest(
        namespace="nobody").SerializeToString())),
    Row("no namespace", start(namespace="")),
    Row("start in an unknown namespace", start(namespace="nobody")),
    Row("no workflow id", start(workflow_id="")),
    Row("workflow id of 1,001 bytes", start(workflow_id="w" * 1001)),
    Row("workflow id with NUL", start(workflow_id="a\0b")),
    Row("no workflow type", start(workflow_type__name="")),
    Row("workflow type of 1,001 bytes", start(workflow_type__name="t" * 1001)),
    Row("no task queue", start(task_queue__name="")),
    Row("task queue of 1,001 bytes", start(task_queue__name="q" * 1001)),
    Row("reserved task queue", start(task_queue__name="/_sys/x")),
    Row("request id of 1,001 bytes", start(request_id="r" * 1001)),
    Row("input of 3 MB", start(input=BIG)),
    Row("negative run timeout", started(field(7, b"\x08" + varint((1 << 64) - 5)))),
    Row("timeout of 10^15 s", started(field(7, b"\x08" + varint(10 ** 15)))),
    Row("unknown reuse policy", started(b"\x58\x63")),
    Row("broken cron", start(cron_schedule="every day")),
    Row("signal to nobody", ("SignalWorkflowExecution", execution(
        SignalWorkflowExecutionRequest(signal_name="s")))),
    Row("signal without a name", ("SignalWorkflowExecution", execution(
        SignalWorkflowExecutionRequest()))),
    Row("terminate with a run id that is none", ("TerminateWorkflowExecution", execution(
        TerminateWorkflowExecutionRequest(), run_id="not-a-uuid"))),
    Row("query of nobody", ("QueryWorkflow", execution(QueryWorkflowRequest()))),
    Row("history of nobody", ("GetWorkflowExecutionHistory", execution(
        GetWorkflowExecutionHistoryRequest()))),
    Row("history with a forged page token", ("GetWorkflowExecutionHistory", execution(
        GetWorkflowExecutionHistoryRequest(next_page_token=BLOB[:100])))),
    Row("workflow task with a forged token", ("RespondWorkflowTaskCompleted", token_request(
        RespondWorkflowTaskCompletedRequest, TOKEN)), SIGNED),
    Row("workflow task without a token", ("RespondWorkflowTaskCompleted", token_request(
        RespondWorkflowTaskCompletedRequest, b""))),
    Row("activity with a token of noise", ("RespondActivityTaskCompleted", token_request(
        RespondActivityTaskCompletedRequest, BLOB[:64]))),
    Row("poll without a task queue", ("PollWorkflowTaskQueue", PollWorkflowTaskQueueRequest(
        namespace="default").SerializeToString())),
    Row("poll in an unknown namespace", ("PollActivityTaskQueue", PollActivityTaskQueueRequest(
        namespace="nobody", task_queue={"name": "q"}).SerializeToString())),
]

ROWS = CALLS + FRAMES + REQUESTS
