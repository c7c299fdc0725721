"""Lists and counts. The original's lag behind: they are read until they agree with descriptions."""

import time

from driver.rpc import to_json

from operation import Operation
from player import TooLate

CAUGHT_UP_S = 10
ALWAYS = {"earliest_time": {"seconds": 0}, "latest_time": {"seconds": 2000000000}}
METHODS = {
    "list": "ListWorkflowExecutions",
    "scan": "ScanWorkflowExecutions",
    "open": "ListOpenWorkflowExecutions",
    "closed": "ListClosedWorkflowExecutions",
}


def _told(info):
    """What lists and descriptions must agree about."""
    memo = sorted((k, v.SerializeToString()) for k, v in info.memo.fields.items())
    return info.status, memo, info.HasField("close_time")


def catch_up(player):
    """Waits until lists know what happened."""
    player.patient = True
    expected = {}
    for run_id in player.runs:
        described = player.described(run_id)
        if described is not None:
            expected[run_id] = _told(described.workflow_execution_info)
    until = time.time() + CAUGHT_UP_S
    while time.time() < until:
        listed = player.call("ListWorkflowExecutions", query=of(player)).executions
        if {info.execution.run_id: _told(info) for info in listed} == expected:
            return
        time.sleep(0.05)
    raise TooLate("the lists lag")


def of(player, more=""):
    return f"WorkflowId = '{player.wid}'{more}"


class List(Operation):
    kind = "list"
    seconds = 0.4

    def make(self, model):
        what = model.one_of("", " AND ExecutionStatus = 'Running'", " AND CloseTime IS NULL")
        return {"how": model.one_of(*METHODS), "what": what}

    def play(self, player, label, operation):
        catch_up(player)
        how = operation["how"]
        if how in ("open", "closed"):
            only = {"execution_filter": {"workflow_id": player.wid}, "start_time_filter": ALWAYS}
            player.does(label, METHODS[how], **only)
        else:
            player.does(label, METHODS[how], query=of(player, operation["what"]))
        return True


class Count(Operation):
    kind = "count"
    seconds = 0.4
    groups = ""

    def make(self, model):
        what = ("", " AND ExecutionStatus != 'Running'", " AND CloseTime IS NULL")
        return {"what": model.one_of(*what)}

    def play(self, player, label, operation):
        catch_up(player)
        query = of(player, operation["what"] + self.groups)
        counted = to_json(player.call("CountWorkflowExecutions", query=query))
        counted.get("groups", []).sort(key=str)
        player.note(label, counted)
        return True


class CountByStatus(Count):
    kind = "count_by_status"
    groups = " GROUP BY ExecutionStatus"


OPERATIONS = [List(), Count(), CountByStatus()]
