"""HTTP/2 by hand: a client that may break every rule, and says in one line how it was answered."""

import gzip
import socket
import struct
import time

import hpack

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
H2_ERRORS = ("NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT "
             "STREAM_CLOSED FRAME_SIZE_ERROR REFUSED_STREAM CANCEL COMPRESSION_ERROR "
             "CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY").split()
CODES = ("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
         "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE "
         "UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED").split()
SERVICE = "/temporal.api.workflowservice.v1.WorkflowService/"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """A header as HPACK literal that enters no table."""
    def text(s):
        s = s.encode("latin1")
        n = len(s)
        if n < 127:
            return bytes([n]) + s
        out, n = b"\x7f", n - 127
        while n >= 128:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n]) + s
    return b"\0" + text(name) + text(value)


def block(path=SERVICE + "GetSystemInfo", more=(), without=(), method="POST"):
    """The header block of a call."""
    lines = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "x"),
             ("te", "trailers"), ("content-type", "application/grpc")]
    given = {name for name, _ in more}
    lines = [line for line in lines if line[0] not in given and line[0] not in without]
    lines += [line for line in more if line[0].startswith(":")]
    lines.sort(key=lambda line: not line[0].startswith(":"))
    lines += [line for line in more if not line[0].startswith(":")]
    return b"".join(literal(*line) for line in lines)


def message(body, flag=0):
    return struct.pack(">BI", flag, len(body)) + body


def packed(body):
    return message(gzip.compress(body, mtime=0), 1)


def body(data, stream=1, end=True):
    """DATA frames; at most 60,000 bytes, so that no window is needed."""
    out = b""
    while len(data) > 16000:
        out, data = out + frame(DATA, 0, stream, data[:16000]), data[16000:]
    return out + frame(DATA, END_STREAM if end else 0, stream, data)


def call(data=message(b""), stream=1, end=True, **headers):
    return frame(HEADERS, END_HEADERS, stream, block(**headers)) + body(data, stream, end)


class Wire:
    def __init__(self, host, port, seconds=3.0):
        self.socket = socket.create_connection((host, port))
        self.socket.settimeout(0.05)
        self.seconds = seconds
        self.decoder = hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 24
        self.rest = b""
        self.headers, self.reset, self.goaway, self.closed = {}, {}, None, False

    def close(self):
        self.socket.close()

    def send(self, data):
        """Sends and listens at the same time; stops when the server has hung up."""
        until = time.monotonic() + self.seconds
        while data and not self.closed and time.monotonic() < until:
            try:
                n = self.socket.send(data[:1 << 16])
                data = data[n:]
            except (BlockingIOError, socket.timeout):
                pass
            except OSError:
                self.listen()
                self.closed = True
                return
            if self.goaway is None and len(data) > 0:
                self.listen(poll=True)

    def listen(self, poll=False):
        try:
            self.socket.settimeout(0.0001 if poll else 0.05)
            got = self.socket.recv(1 << 16)
            self.closed = self.closed or not got
        except (BlockingIOError, socket.timeout):
            got = b""
        except OSError:
            got, self.closed = b"", True
        finally:
            self.socket.settimeout(0.05)
        self.rest += got
        while len(self.rest) >= 9:
            n = int.from_bytes(self.rest[:3], "big")
            if len(self.rest) < 9 + n:
                break
            head, payload, self.rest = self.rest[:9], self.rest[9:9 + n], self.rest[9 + n:]
            self.take(head[3], head[4], int.from_bytes(head[5:9], "big"), payload)

    def take(self, kind, flags, stream, payload):
        if kind == HEADERS:
            lines = self.headers.setdefault(stream, {})
            lines.update(self.decoder.decode(payload, raw=False))
        elif kind == RST:
            self.reset[stream] = int.from_bytes(payload[:4], "big")
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")

    def outcome(self, stream=1):
        """Waits for an end of this stream and says what it was."""
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            self.listen()
            lines = self.headers.get(stream, {})
            if "grpc-status" in lines:
                code = CODES[int(lines["grpc-status"])]
                text = lines.get("grpc-message", "")
                return f"{code}: {text}" if text else code
            if self.goaway:
                return "goaway " + H2_ERRORS[self.goaway]
            if stream in self.reset:
                return "reset " + H2_ERRORS[self.reset[stream]]
            if self.closed:
                return "closed"
        return "no answer"
