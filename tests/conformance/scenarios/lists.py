"""Search attributes, lists and counts of workflows, and the filter language."""

import time

from driver.registry import scenario
from driver.rpc import RpcError, to_json
from driver.script import ScenarioFailed
from driver.values import command, done, payload

TYPES = {"Text": 1, "Keyword": 2, "Int": 3, "Double": 4, "Bool": 5, "Datetime": 6, "KeywordList": 7}
VALUES = {
    "ScriptKeyword": ("Keyword", "abc"),
    "ScriptInt": ("Int", 5),
    "ScriptDouble": ("Double", 1.5),
    "ScriptBool": ("Bool", True),
    "ScriptText": ("Text", "hello big world"),
    "ScriptDatetime": ("Datetime", "2024-01-02T03:04:05Z"),
    "ScriptList": ("KeywordList", ["x", "y"]),
}


def _patiently(t, method, **fields):
    """A call that the original may refuse for its rate, or before it knows a new attribute."""
    for _ in range(60):
        try:
            return t.call(method, **fields)
        except RpcError as error:
            if error.code != "RESOURCE_EXHAUSTED":
                raise
        time.sleep(0.3)
    raise ScenarioFailed("the server had no time for lists")


def _ask(t, label, method, **fields):
    try:
        return _patiently(t, method, **fields)
    except RpcError as error:
        t.note(label, error.to_json())
        return None


def _attributes(t):
    types = {name: TYPES[kind] for name, (kind, _) in VALUES.items()}
    t.call("AddSearchAttributes", namespace=t.namespace, search_attributes=types)
    for _ in range(60):
        known = t.call("ListSearchAttributes", namespace=t.namespace).custom_attributes
        if all(name in known for name in types):
            return
        time.sleep(0.3)
    raise ScenarioFailed("the search attributes did not become known")


def _fields(**values):
    return {"indexed_fields": {name: payload(value) for name, value in values.items()}}


def _start(t, suffix, **values):
    """A run of the scenario's own family of ids."""
    for _ in range(60):
        try:
            t.call(
                "StartWorkflowExecution",
                **t.start_fields(
                    workflow_id=f"{t.wid}-{suffix}",
                    request_id=suffix,
                    search_attributes=_fields(**values) if values else None,
                ),
            )
            return
        except RpcError as error:
            if "no mapping defined" not in error.message:
                raise
        time.sleep(0.3)
    raise ScenarioFailed("a search attribute did not become known")


def _end(t, *suffixes):
    for suffix in suffixes:
        execution = {"workflow_id": f"{t.wid}-{suffix}"}
        t.call("TerminateWorkflowExecution", workflow_execution=execution)


def _found(t, query):
    whole = f"WorkflowId STARTS_WITH '{t.wid}-' AND ({query})"
    answer = _patiently(t, "ListWorkflowExecutions", query=whole)
    return [e.execution.workflow_id[len(t.wid) + 1 :] for e in answer.executions]


def _wait(t, query, count):
    for _ in range(60):
        if len(_found(t, query)) == count:
            return
        time.sleep(0.3)
    raise ScenarioFailed(f"{query} did not find {count}")


CONDITIONS = [
    "WorkflowId IS NOT NULL",
    "ScriptKeyword = 'abc'",
    "ScriptKeyword = 'ABC'",
    "ScriptKeyword != 'abc'",
    "NOT ScriptKeyword = 'abc'",
    "ScriptKeyword IN ('abc', 'ABD')",
    "ScriptKeyword NOT IN ('abc')",
    "ScriptKeyword > 'a'",
    "ScriptKeyword BETWEEN 'a' AND 'b'",
    "ScriptKeyword NOT BETWEEN 'a' AND 'b'",
    "ScriptKeyword STARTS_WITH 'A'",
    "ScriptKeyword NOT STARTS_WITH 'ab'",
    "ScriptKeyword STARTS_WITH 'a%'",
    "ScriptKeyword IS NULL",
    "ScriptInt = 5",
    "ScriptInt = 5.0",
    "ScriptInt > 5",
    "ScriptInt IN (5, 7)",
    "ScriptInt BETWEEN 5 AND 6",
    "ScriptInt != -5",
    "ScriptDouble < 0",
    "ScriptDouble > -3",
    "ScriptBool = true",
    "ScriptBool != true",
    "ScriptText = 'HELLO'",
    "ScriptText = 'hello world'",
    "ScriptText = 'hel'",
    "ScriptText != 'big'",
    "ScriptText IS NULL",
    "ScriptList = 'x'",
    "ScriptList = 'X'",
    "ScriptList != 'x'",
    "ScriptList IN ('x', 'z')",
    "ScriptList IS NULL",
    "ScriptDatetime > '2024-06-01T00:00:00Z'",
    "ScriptDatetime BETWEEN '2024-01-01T00:00:00Z' AND '2024-12-01T00:00:00Z'",
    "ScriptKeyword = 'abc' OR ScriptInt = 7 AND ScriptDouble > 0",
    "(ScriptKeyword = 'abc' OR ScriptInt = 7) AND ScriptDouble < 0",
    "NOT (ScriptKeyword = 'abc' OR ScriptInt = 7)",
    "NOT (ScriptKeyword = 'zzz' AND ScriptInt = 7)",
    "ExecutionStatus = 'Running'",
    "ExecutionStatus = 5",
    "ExecutionStatus != 'Running'",
    "ExecutionStatus IN ('Running', 'WORKFLOW_EXECUTION_STATUS_TERMINATED')",
    "ExecutionStatus > 1",
    "CloseTime IS NULL",
    "CloseTime > '2020-01-01T00:00:00Z'",
    "HistoryLength > 0",
    "HistoryLength IS NULL",
    "ExecutionDuration > '1ns'",
    "ExecutionDuration > '24:00:00'",
    "StartTime > '2020-01-01T00:00:00Z' AND StartTime < '2099-01-01T00:00:00Z'",
    "WorkflowType = 'Scripted'",
    "WorkflowType = 'Other'",
    "RunId = 'none'",
    "ParentWorkflowId IS NULL",
    "TemporalNamespaceDivision IS NOT NULL",
    "TemporalNamespaceDivision = 'hidden'",
]


@scenario()
def list_conditions(t):
    """What each condition of the filter finds; the division hides, open runs come first."""
    _attributes(t)
    _start(t, "one", **{name: value for name, (_, value) in VALUES.items()})
    _start(
        t,
        "two",
        ScriptKeyword="ABD",
        ScriptInt=7,
        ScriptDouble=-2.5,
        ScriptBool=False,
        ScriptText="Hello small",
        ScriptDatetime="2025-01-02T03:04:05Z",
        ScriptList=["y"],
    )
    _start(t, "three", ScriptKeyword="a%c")
    _start(t, "four")
    _start(t, "five", TemporalNamespaceDivision="hidden")
    t.terminate(workflow_execution={"workflow_id": f"{t.wid}-two"}, label="terminate two")
    _wait(t, "ExecutionStatus = 'Terminated'", 1)
    _wait(t, "ExecutionStatus = 'Running'", 3)
    for query in CONDITIONS:
        t.note(query, _found(t, query))
    _end(t, "one", "three", "four", "five")


@scenario()
def list_counts(t):
    """Counts, and counts by status."""
    for suffix in ("a", "b", "c"):
        _start(t, suffix)
    t.terminate(workflow_execution={"workflow_id": f"{t.wid}-b"})
    _wait(t, "ExecutionStatus = 'Terminated'", 1)
    _wait(t, "ExecutionStatus = 'Running'", 2)
    mine = f"WorkflowId STARTS_WITH '{t.wid}-'"
    for label, query in {
        "all": mine,
        "running": f"{mine} AND ExecutionStatus = 'Running'",
        "by status": f"{mine} GROUP BY ExecutionStatus",
        "by division": f"{mine} GROUP BY TemporalNamespaceDivision",
        "of none": f"{mine} AND WorkflowType = 'Other' GROUP BY ExecutionStatus",
    }.items():
        answer = _ask(t, label, "CountWorkflowExecutions", query=query)
        if answer is not None:
            t.note(label, to_json(answer))
    _end(t, "a", "c")


@scenario()
def list_entry(t):
    """What a list says of a run, open and closed; the legacy calls say the same."""
    _attributes(t)
    _start(t, "entry", ScriptKeyword="abc", ScriptList=["x"])
    t.wid_of_entry = f"{t.wid}-entry"
    _wait(t, "ExecutionStatus = 'Running'", 1)
    mine = f"WorkflowId = '{t.wid_of_entry}'"
    by_id = {"execution_filter": {"workflow_id": t.wid_of_entry}}
    t.note("open", to_json(_patiently(t, "ListWorkflowExecutions", query=mine)))
    t.note("open, legacy", to_json(_patiently(t, "ListOpenWorkflowExecutions", **by_id)))
    t.step(done("result"))
    _wait(t, "ExecutionStatus = 'Completed'", 1)
    t.note("closed", to_json(_patiently(t, "ListWorkflowExecutions", query=mine)))
    t.note("closed, scanned", to_json(_patiently(t, "ScanWorkflowExecutions", query=mine)))
    t.note("closed, legacy", to_json(_patiently(t, "ListClosedWorkflowExecutions", **by_id)))
    t.note("open now", to_json(_patiently(t, "ListOpenWorkflowExecutions", **by_id)))


@scenario()
def list_legacy_errors(t):
    """What the older lists refuse; archival is off."""
    backward = {"earliest_time": {"seconds": 100}, "latest_time": {"seconds": 50}}
    for label, method, fields in (
        ("backward", "ListOpenWorkflowExecutions", {"start_time_filter": backward}),
        ("running", "ListClosedWorkflowExecutions", {"status_filter": {"status": 1}}),
        ("no status", "ListClosedWorkflowExecutions", {"status_filter": {}}),
        ("archived", "ListArchivedWorkflowExecutions", {"query": "WorkflowId = 'x'"}),
        ("no namespace", "ListWorkflowExecutions", {"namespace": ""}),
        ("unknown namespace", "CountWorkflowExecutions", {"namespace": "nowhere"}),
    ):
        answer = _ask(t, label, method, **fields)
        if answer is not None:
            t.note(label, to_json(answer))


WRONG = [
    "Nope = 'x'",
    "workflowid = 'x'",
    "TemporalScriptKeyword = 'x'",
    "WorkflowId",
    "WorkflowId =",
    "WorkflowId = q1",
    "WorkflowId == 'q1'",
    "= 'x'",
    "WorkflowId = 'q1",
    "WorkflowId = 'q1')",
    "(WorkflowId = 'q1'",
    "WorkflowId = 'q1' AND",
    "WorkflowId = 'q1' FOO 'x'",
    "WorkflowId = 'q1' ScriptKeyword = 'abc'",
    "WorkflowId = 'q1' LIMIT 1",
    "WorkflowId LIKE 'q%'",
    "WorkflowId STARTS_WITH 5",
    "'q1' = WorkflowId",
    "WorkflowId = RunId",
    "WorkflowId = concat('q', '1')",
    "1 = 1",
    "true",
    "ScriptKeyword IN 'abc'",
    "ScriptKeyword IN ()",
    "ScriptKeyword IN ('abc', 5)",
    "ScriptKeyword = 5",
    "ScriptKeyword = NULL",
    "ScriptKeyword = ('a')",
    "ScriptKeyword IS TRUE",
    "ScriptKeyword NOT 'a'",
    "ScriptKeyword BETWEEN 'a'",
    "ScriptKeyword BETWEEN 'a' OR 'b'",
    "ScriptInt = '5'",
    "ScriptInt = true",
    "ScriptInt = 0x10",
    "ScriptInt = 5a",
    "ScriptInt = -(5)",
    "ScriptInt STARTS_WITH '5'",
    "ScriptDouble = '1.5'",
    "ScriptBool = 'true'",
    "ScriptBool = 1",
    "ScriptBool BETWEEN false AND true",
    "ScriptText > 'hello'",
    "ScriptText IN ('hello')",
    "ScriptText = ''",
    "ScriptList > 'x'",
    "ScriptList STARTS_WITH 'x'",
    "ScriptList BETWEEN 'a' AND 'z'",
    "ScriptList = 5",
    "ScriptDatetime > '2024-06-01'",
    "ScriptDatetime > 1.5",
    "StartTime < now()",
    "ExecutionStatus = 'running'",
    "ExecutionStatus = 99",
    "ExecutionStatus = 1.5",
    "ExecutionStatus STARTS_WITH 'Run'",
    "ExecutionDuration > 'x'",
    "ExecutionDuration > 1.5",
    "ExecutionDuration = '99:61:00'",
    "GROUP BY",
    "GROUP BY ScriptList",
    "GROUP BY ExecutionStatus, RunId",
]


@scenario()
def list_errors(t):
    """What is said of a filter that cannot be right."""
    _attributes(t)
    for query in WRONG:
        if _ask(t, query, "CountWorkflowExecutions", query=query) is not None:
            t.note(query, "an answer")


@scenario()
def search_attributes_registry(t):
    """Adding, listing and removing search attributes, in a namespace of the scenario's own."""
    name = t.wid
    day = {"seconds": 86400}
    t.call("RegisterNamespace", namespace=name, workflow_execution_retention_period=day)
    for _ in range(60):
        try:
            t.call("ListSearchAttributes", namespace=name)
            break
        except RpcError:
            time.sleep(0.3)

    def add(label, **types):
        t.does(label, "AddSearchAttributes", namespace=name, search_attributes=types)

    def remove(label, *names):
        t.does(label, "RemoveSearchAttributes", namespace=name, search_attributes=list(names))

    add("nothing")
    add("two", A=2, B=3)
    for _ in range(60):
        if len(t.call("ListSearchAttributes", namespace=name).custom_attributes) == 2:
            break
        time.sleep(0.3)
    add("again", A=2)
    add("again with another type", A=3)
    add("system", WorkflowId=2)
    add("predefined", BuildIds=7)
    add("reserved prefix", TemporalFoo=2)
    add("no type", U=0)
    add("unknown type", U=99)
    add("too many", **{f"I{i}": 3 for i in range(4)})
    add("too many keywords", **{f"K{i}": 2 for i in range(20)})
    t.does("list", "ListSearchAttributes", namespace=name)
    remove("nothing removed")
    remove("unknown", "Nope")
    remove("system removed", "WorkflowId")
    remove("removed", "B")
    t.does("no namespace", "ListSearchAttributes", namespace="")
    t.does("unknown namespace", "ListSearchAttributes", namespace="nowhere")
    t.does("everywhere", "GetSearchAttributes")


@scenario()
def search_attributes_bad_values(t):
    """Values that an attribute cannot have."""
    _attributes(t)
    _start(t, "first", ScriptKeyword="x")
    cases = {
        "undefined": ("Nope", "x"),
        "system": ("WorkflowId", "x"),
        "protected": ("TemporalWorkerDeployment", "x"),
        "keyword number": ("ScriptKeyword", 5),
        "keyword two": ("ScriptKeyword", ["one", "two"]),
        "keyword long": ("ScriptKeyword", "x" * 2049),
        "int text": ("ScriptInt", "5"),
        "int fraction": ("ScriptInt", 5.5),
        "int whole fraction": ("ScriptInt", 5.0),
        "int large": ("ScriptInt", 2**63),
        "int object": ("ScriptInt", {"a": 1, "b": [1, "x", None]}),
        "int list": ("ScriptInt", [1, 2]),
        "double text": ("ScriptDouble", "x"),
        "double list": ("ScriptDouble", [1.5, 2]),
        "bool text": ("ScriptBool", "true"),
        "datetime number": ("ScriptDatetime", 123),
        "datetime date": ("ScriptDatetime", "2024-01-02"),
        "text number": ("ScriptText", 1),
        "list text": ("ScriptList", "single"),
        "list mixed": ("ScriptList", ["a", 1]),
    }
    for label, (name, value) in cases.items():
        t.start(label, workflow_id=f"{t.wid}-bad", search_attributes=_fields(**{name: value}))
    _end(t, "first")


@scenario()
def search_attributes_upserted(t):
    """Start, upsert and continue-as-new set, change and remove attributes; events show types."""
    _attributes(t)
    _start(t, "first", ScriptKeyword="x")  # waits until the attributes are known
    _end(t, "first")
    t.start(search_attributes=_fields(ScriptKeyword="a", ScriptInt=1, ScriptText=None))
    t.describe("describe started")
    t.step(
        command(
            "upsert_workflow_search_attributes",
            search_attributes=_fields(ScriptKeyword="b", ScriptInt=None, ScriptList=["x", "y"]),
        ),
    )
    t.describe("describe upserted")
    t.signal()
    bad = _fields(Nope="x")
    t.step(command("upsert_workflow_search_attributes", search_attributes=bad), label="undefined")
    t.step(
        command(
            "continue_as_new_workflow_execution",
            workflow_type={"name": "Scripted"},
            task_queue={"name": t.queue},
            search_attributes=_fields(ScriptKeyword="c"),
        ),
    )
    t.history(t.run)
    t.wait_for("WORKFLOW_TASK_SCHEDULED")
    t.describe("describe continued")
    t.terminate()


BUILDS = [
    "BuildIds IS NULL",
    "BuildIds IS NOT NULL",
    "BuildIds = 'unversioned'",
    "BuildIds = 'unversioned:b1'",
    "BuildIds IN ('unversioned:b1', 'unversioned:b2')",
    "BuildIds != 'unversioned:b1'",
    "BuildIds = 'unversioned:b1' AND ExecutionStatus = 'Running'",
    "BinaryChecksums = 'c1'",
    "BinaryChecksums = 'c2'",
    "BinaryChecksums IS NULL",
    "BinaryChecksums = 'c1' OR BuildIds = 'unversioned:b2'",
]


@scenario()
def list_builds(t):
    """Runs are found by the builds of the workers that completed their tasks, open and closed."""

    def run(suffix, *commands, **fields):
        _start(t, suffix)
        t.complete(t.poll_call(), *commands, **fields)

    run("open", command("start_timer", timer_id="t", start_to_fire_timeout={"seconds": 60}),
        worker_version_stamp={"build_id": "b1"})
    run("closed", done(), worker_version_stamp={"build_id": "b1"})
    run("plain", done())
    run("checked", done(), binary_checksum="c1")
    _start(t, "two")
    t.complete(
        t.poll_call(),
        command("start_timer", timer_id="t", start_to_fire_timeout={"seconds": 1}),
        worker_version_stamp={"build_id": "b1"},
    )
    t.complete(t.poll_call(), done(), worker_version_stamp={"build_id": "b2"})
    _start(t, "chain")
    again = command(
        "continue_as_new_workflow_execution",
        workflow_type={"name": "Scripted"},
        task_queue={"name": t.queue},
    )
    t.complete(t.poll_call(), again, worker_version_stamp={"build_id": "b1"}, binary_checksum="c2")
    t.complete(t.poll_call(), done(), worker_version_stamp={"build_id": "b1"}, binary_checksum="c2")
    _start(t, "never")
    _wait(t, "BuildIds = 'unversioned'", 7)
    _wait(t, "ExecutionStatus = 'Running'", 2)
    _wait(t, "BuildIds = 'unversioned:b2'", 1)
    for query in BUILDS:
        t.note(query, _found(t, query))
    answer = _patiently(t, "ListWorkflowExecutions", query=f"WorkflowId = '{t.wid}-two'")
    t.note("entry", to_json(answer.executions[0].search_attributes))
    _end(t, "open", "never")


SYSTEM = [
    "WorkflowId = '{wid}-set'",
    "WorkflowId > '{wid}-parent'",
    "RunId = '{run}'",
    "RunId != '{run}'",
    "RunId IN ('{run}', 'none')",
    "WorkflowType STARTS_WITH 'Script'",
    "TaskQueue = '{queue}'",
    "TaskQueue != '{queue}'",
    "ParentWorkflowId = '{wid}-parent'",
    "ParentRunId = '{run}'",
    "ParentRunId IS NULL",
    "RootWorkflowId = '{wid}-parent'",
    "RootRunId = '{run}'",
    "RootRunId IS NULL",
    "ExecutionTime >= '2020-01-01T00:00:00Z'",
    "StartTime BETWEEN '2020-01-01T00:00:00Z' AND '2099-01-01T00:00:00Z'",
    "CloseTime IS NOT NULL",
    "CloseTime < '2020-01-01T00:00:00Z'",
    "HistoryLength = 3",
    "HistoryLength IN (3, 4)",
    "HistorySizeBytes > 0",
    "HistorySizeBytes IS NULL",
    "ExecutionDuration < '1h'",
    "ExecutionDuration IS NULL",
    "StateTransitionCount > 1",
    "StateTransitionCount IS NULL",
    "TemporalExternalPayloadCount IS NULL",
    "TemporalExternalPayloadSizeBytes > 0",
    "TemporalChangeVersion = 'change-1'",
    "TemporalChangeVersion IS NULL",
    "BinaryChecksums = 'set'",
    "BuildIds = 'set'",
    "BatcherNamespace = 'n'",
    "BatcherUser STARTS_WITH 'us'",
    "TemporalScheduledStartTime = '2024-01-02T03:04:05Z'",
    "TemporalScheduledStartTime > 0",
    "ScheduledById = 'schedule'",
    "TemporalSchedulePaused = true",
    "TemporalSchedulePaused IS NULL",
    "TemporalPauseInfo = 'pause'",
    "TemporalReportedProblems IN ('category=x')",
    "TemporalReportedProblems IS NULL",
    "TemporalWorkerDeployment IS NULL",
    "TemporalWorkerDeploymentVersion = 'x'",
    "TemporalWorkflowVersioningBehavior = 'Pinned'",
    "TemporalUsedWorkerDeploymentVersions IS NULL",
    "ExecutionStatus = 'Failed' OR ExecutionStatus = 'Completed'",
    "ScheduleId = 'x'",
]


@scenario()
def list_system_attributes(t):
    """Every attribute that each namespace has, on runs that have it and on others."""
    _start(t, "parent")
    child = command(
        "start_child_workflow_execution",
        workflow_id=f"{t.wid}-child",
        workflow_type={"name": "Other"},
        task_queue={"name": f"{t.queue}-other"},
    )
    task = t.poll_call()
    t.complete(task, child)
    _start(
        t,
        "set",
        TemporalChangeVersion=["change-1", "change-2"],
        BinaryChecksums=["set"],
        BuildIds=["set"],
        BatcherNamespace="n",
        BatcherUser="user",
        TemporalScheduledStartTime="2024-01-02T03:04:05Z",
        TemporalScheduledById="schedule",
        TemporalSchedulePaused=True,
        TemporalPauseInfo=["pause"],
        TemporalReportedProblems=["category=x", "cause=y"],
    )
    t.terminate(workflow_execution={"workflow_id": f"{t.wid}-set"}, label="terminate set")
    _wait(t, "ExecutionStatus = 'Terminated'", 1)
    _wait(t, "ExecutionStatus = 'Running'", 2)
    run = task.workflow_execution.run_id
    for query in SYSTEM:
        asked = query.format(wid=t.wid, run=run, queue=t.queue)
        label = query.replace("{", "$").replace("}", "")
        try:
            t.note(label, _found(t, asked))
        except RpcError as error:
            t.note(label, error.to_json())
    _end(t, "parent")


@scenario()
def list_reported_problems(t):
    """A run whose tasks fail five times is found by that, until a task succeeds."""
    _start(t, "failing")
    for _ in range(4):
        t.call("RespondWorkflowTaskFailed", task_token=t.poll_call().task_token, cause=1)
    last = t.poll_call(timeout=30)
    t.call("RespondWorkflowTaskFailed", task_token=last.task_token, cause=1)
    _wait(t, "TemporalReportedProblems IS NOT NULL", 1)
    for query in (
        "TemporalReportedProblems = 'category=WorkflowTaskFailed'",
        "ReportedProblems = 'cause=WorkflowTaskFailedCauseUnhandledCommand'",
        "TemporalReportedProblems = 'category=WorkflowTaskTimedOut'",
    ):
        t.note(query, _found(t, query))
    t.complete(t.poll_call(timeout=60), done())
    _wait(t, "ExecutionStatus = 'Completed'", 1)
    t.note("afterwards", _found(t, "TemporalReportedProblems IS NOT NULL"))
