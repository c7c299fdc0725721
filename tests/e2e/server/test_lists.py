"""Lists: what a client has heard of is in them, pages stay true while things change, page tokens
are good for their own query alone, and any attribute orders and groups."""

import time
import uuid

import grpc
import pytest
from temporalio.api.common.v1 import Payload, SearchAttributes, WorkflowExecution, WorkflowType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
    OperatorServiceStub,
    RemoveSearchAttributesRequest,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    ListWorkflowExecutionsRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    WorkflowServiceStub,
)

from server import Server

TYPES = {"OText": 1, "OKeyword": 2, "OInt": 3, "ODouble": 4, "OBool": 5, "ODatetime": 6, "OList": 7}


class Lists:
    def __init__(self, address, namespace="default"):
        channel = grpc.insecure_channel(address)
        grpc.channel_ready_future(channel).result(10)
        self.service, self.operator = WorkflowServiceStub(channel), OperatorServiceStub(channel)
        self.namespace = namespace

    def start(self, workflow_id, kind="Listed", **attributes):
        fields = {name: Payload(metadata={"encoding": b"json/plain"}, data=value.encode())
                  for name, value in attributes.items()}
        return self.service.StartWorkflowExecution(StartWorkflowExecutionRequest(
            namespace=self.namespace, workflow_id=workflow_id,
            workflow_type=WorkflowType(name=kind), task_queue=TaskQueue(name="lists"),
            request_id=str(uuid.uuid4()),
            search_attributes=SearchAttributes(indexed_fields=fields))).run_id

    def terminate(self, workflow_id):
        self.service.TerminateWorkflowExecution(TerminateWorkflowExecutionRequest(
            namespace=self.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id)))

    def page(self, query, size=0, token=b""):
        return self.service.ListWorkflowExecutions(ListWorkflowExecutionsRequest(
            namespace=self.namespace, query=query, page_size=size, next_page_token=token))

    def ids(self, query):
        return [e.execution.workflow_id for e in self.page(query).executions]

    def count(self, query):
        return self.service.CountWorkflowExecutions(CountWorkflowExecutionsRequest(
            namespace=self.namespace, query=query))

    def refused(self, query, token=b""):
        with pytest.raises(grpc.RpcError) as error:
            self.page(query, 2, token)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        return error.value.details()


@pytest.fixture(scope="module")
def lists():
    with Server("--namespace", "other", in_memory=True) as s:
        found = Lists(s.address)
        found.operator.AddSearchAttributes(
            AddSearchAttributesRequest(namespace="default", search_attributes=TYPES))
        found.address = s.address
        yield found
        assert s.stop() == 0


def test_a_client_reads_its_own_writes(lists):
    """Without a wait or a second try: the answer to a start comes after the list knows it."""
    for i in range(100):
        name = f"own-{i}"
        run = lists.start(name, "Own", OInt=str(i))
        assert lists.ids(f"OInt = {i} AND WorkflowType = 'Own'") == [name]
        assert lists.ids(f"RunId = '{run}'") == [name]
        assert lists.count("WorkflowType = 'Own'").count == i + 1
        if i % 10 == 0:
            lists.terminate(name)
            assert lists.ids(f"WorkflowId = '{name}' AND ExecutionStatus = 'Running'") == []
            assert lists.ids(f"OInt = {i} AND ExecutionStatus = 'Terminated'") == [name]


def test_an_attribute_is_there_as_soon_as_it_is_added(lists):
    for i in range(3):
        lists.operator.AddSearchAttributes(AddSearchAttributesRequest(
            namespace="default", search_attributes={"AtOnce": 2}))
        lists.start(f"at-once-{i}", AtOnce='"x"')
        assert lists.ids("AtOnce = 'x'") == [f"at-once-{i}"]
        lists.operator.RemoveSearchAttributes(RemoveSearchAttributesRequest(
            namespace="default", search_attributes=["AtOnce"]))
        assert "AtOnce" in lists.refused("AtOnce = 'x'")


def test_pages_stay_true_while_runs_come_and_close(lists):
    """Whatever was there from the first page to the last is listed once, and nothing twice."""
    there = {f"page-{i:02}" for i in range(30)}
    for name in sorted(there):
        lists.start(name, "Paged")
    seen, token, i = [], b"", 0
    while True:
        page = lists.page("WorkflowType = 'Paged' AND ExecutionStatus = 'Running'", 4, token)
        seen += [e.execution.workflow_id for e in page.executions]
        token = page.next_page_token
        if not token:
            break
        lists.start(f"page-new-{i}", "Paged")
        lists.start(f"page-short-{i}", "Paged")
        lists.terminate(f"page-short-{i}")
        i += 1
    assert len(seen) == len(set(seen))
    assert there <= set(seen)
    assert lists.page("WorkflowType = 'Paged'", 4, b"").next_page_token


def test_a_page_token_outlives_a_restart():
    with Server() as s:
        before = Lists(s.address)
        names = [f"kept-{i}" for i in range(6)]
        for name in names:
            before.start(name)
        first = before.page("ORDER BY WorkflowId", 4)
        s.kill9()
        s.start()
        rest = Lists(s.address).page("ORDER BY WorkflowId", 4, first.next_page_token)
        assert [e.execution.workflow_id
                for e in [*first.executions, *rest.executions]] == names


def test_a_page_token_is_good_for_its_own_query_alone(lists):
    for i in range(3):
        lists.start(f"token-{i}", "Token")
    query = "WorkflowType = 'Token'"
    token = lists.page(query, 2).next_page_token
    assert len(lists.page(query, 2, token).executions) == 1
    for at in range(len(token)):
        changed = token[:at] + bytes([token[at] ^ 1]) + token[at + 1:]
        lists.refused(query, changed)
    lists.refused(query, token[:-1])
    lists.refused(query, token + b"x")
    lists.refused(query, b"nonsense")
    lists.refused("WorkflowType = 'Other'", token)
    with pytest.raises(grpc.RpcError) as error:
        Lists(lists.address, "other").page(query, 2, token)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


VALUES = {
    "OKeyword": ['"b"', '"a"', '"b"'],
    "OInt": ["10", "-9", "10"],
    "ODouble": ["2.5", "-1", "2.5"],
    "OBool": ["true", "false", "true"],
    "ODatetime": ['"2024-01-02T03:04:05Z"', '"2023-01-02T03:04:05Z"', '"2024-01-02T03:04:05Z"'],
}


def test_every_type_orders_and_groups(lists):
    for i in range(3):
        lists.start(f"typed-{i}", "Typed", **{name: v[i] for name, v in VALUES.items()})
        time.sleep(0.01)
    lists.start("typed-none", "Typed")
    mine = "WorkflowType = 'Typed'"
    for name, values in VALUES.items():
        up, down = lists.ids(f"{mine} ORDER BY {name}"), lists.ids(f"{mine} ORDER BY {name} DESC")
        assert up == ["typed-1", "typed-2", "typed-0", "typed-none"], name
        assert down == ["typed-2", "typed-0", "typed-1", "typed-none"], name
        pages, token = [], b""
        for _ in range(4):
            page = lists.page(f"{mine} ORDER BY {name}", 1, token)
            pages += [e.execution.workflow_id for e in page.executions]
            token = page.next_page_token
        assert pages == up and not token, name
        counted = lists.count(f"{mine} GROUP BY {name}")
        groups = {g.group_values[0].data.decode(): g.count for g in counted.groups}
        assert counted.count == 4 and sorted(groups.values()) == [1, 1, 2], groups
        assert groups[values[0]] == 2 and groups[values[1]] == 1, groups


def test_every_attribute_of_the_system_orders_and_groups(lists):
    for i in range(2):
        lists.start(f"system-{i}", "System")
    lists.terminate("system-1")
    known = lists.operator.ListSearchAttributes(ListSearchAttributesRequest(namespace="default"))
    single = [name for name, kind in known.system_attributes.items() if kind not in (1, 7)]
    assert len(single) > 20
    for name in [*single, "FailureType", "RetryingActivities"]:
        assert len(lists.ids(f"WorkflowType = 'System' ORDER BY {name}")) == 2, name
        counted = lists.count(f"WorkflowType = 'System' GROUP BY {name}")
        assert counted.count == 2 == sum(g.count for g in counted.groups), name


def test_what_cannot_order_or_group_is_refused_at_its_character(lists):
    for name in ("OText", "OList", "BuildIds"):
        for clause in ("ORDER", "GROUP"):
            query = f"WorkflowType = 'T' {clause} BY {name}"
            told = lists.refused(query)
            assert f"'{clause} BY' clause is not supported for search attribute {name}" in told
            assert f"at character {query.index(name) + 1} of the query" in told
    query = "WorkflowType = 'T' ORDER BY Nope"
    assert f"at character {query.index('Nope') + 1} of" in lists.refused(query)
