"""Raw gRPC calls by method name, without stubs: a request is built from keyword arguments."""

import grpc
import temporalio.api.errordetails.v1  # noqa: F401  the types of error details must be loaded
from google.protobuf import json_format
from google.protobuf.unknown_fields import UnknownFieldSet
from temporalio.api.common.v1 import grpc_status_pb2
from temporalio.api.operatorservice.v1 import request_response_pb2 as operator_messages
from temporalio.api.workflowservice.v1 import request_response_pb2 as messages

WORKFLOW_SERVICE = "temporal.api.workflowservice.v1.WorkflowService"
OPERATOR_SERVICE = "temporal.api.operatorservice.v1.OperatorService"
MAX_MESSAGE_BYTES = 128 * 1024 * 1024


def _unknown_fields(message, path=""):
    found = [f"{path}#{f.field_number}" for f in UnknownFieldSet(message)]
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        name = f"{path}.{field.name}"
        if field.message_type.GetOptions().map_entry:
            continue
        for item in value if field.is_repeated else [value]:
            found += _unknown_fields(item, name)
    return found


def to_json(message):
    """Canonical proto3 JSON with the field names of the .proto files."""
    out = json_format.MessageToDict(message, preserving_proto_field_name=True)
    unknown = _unknown_fields(message)
    if unknown:
        out["unknown_fields"] = unknown
    return out


class RpcError(Exception):
    """An error answer, reduced to what a client can see."""

    def __init__(self, error):
        self.code = error.code().name
        self.message = error.details() or ""
        if self.code == "CANCELLED" and self.message.startswith("Stream removed"):
            self.code = "DEADLINE_EXCEEDED"  # the server reset the stream at the deadline
        if self.code == "DEADLINE_EXCEEDED":
            self.message = "(whichever deadline came first, the server's or the client's own)"
        self.details = []
        self.trailers = {}
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                status = grpc_status_pb2.GrpcStatus.FromString(value)
                self.details = [to_json(detail) for detail in status.details]
            elif key.startswith("x-resource-exhausted"):
                self.trailers[key] = value
        super().__init__(f"{self.code}: {self.message}")

    def to_json(self):
        out = {"code": self.code, "message": self.message}
        if self.details:
            out["details"] = self.details
        if self.trailers:
            out["trailers"] = self.trailers
        return {"error": out}


class Server:
    """One connection to a server; safe to share between threads."""

    def __init__(self, address):
        self.address = address
        self.channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.enable_retries", 0),
            ],
        )

    def close(self):
        self.channel.close()

    def raw(self, path, body, timeout, metadata=()):
        """Sends bytes to any path, so that unknown methods and bad messages can be tried."""
        try:
            call = self.channel.unary_unary(path)
            return call(body, timeout=timeout, metadata=metadata)
        except grpc.RpcError as error:
            raise RpcError(error) from None

    def call(self, method, request, timeout, metadata=()):
        body = self.raw(path_of(method), request.SerializeToString(), timeout, metadata)
        return response_type(method).FromString(body)

    def begin(self, method, request, timeout):
        """Sends a request and waits for nothing; what comes back can be cancelled."""
        call = self.channel.unary_unary(path_of(method))
        return call.future(request.SerializeToString(), timeout=timeout)


def path_of(method):
    service = WORKFLOW_SERVICE if is_of_workflows(method) else OPERATOR_SERVICE
    return f"/{service}/{method}"


def is_of_workflows(method):
    """Else it is the operator service's: no method belongs to both."""
    return hasattr(messages, method + "Request")


def _message(name):
    return getattr(messages, name, None) or getattr(operator_messages, name)


def request_type(method):
    return _message(method + "Request")


def response_type(method):
    return _message(method + "Response")
