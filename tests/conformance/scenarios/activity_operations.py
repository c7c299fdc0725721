"""What is common to the hands of operators on activities: the newer calls, and what is refused."""

from driver.activities import options, pause, reset, unpause
from driver.registry import scenario
from driver.values import activity, secs, timer

from scenarios.activity_options import NEW_OPTIONS


@scenario()
def activity_operations_errors(t):
    """Requests that name too little, too much or nothing that is there."""
    t.begin(activity("a", t.queue))
    for method in ("PauseActivity", "UnpauseActivity", "ResetActivity", "UpdateActivityOptions"):
        more = {}
        if method == "UpdateActivityOptions":
            more = {"activity_options": {}, "update_mask": {"paths": ["heartbeat_timeout"]}}
        t.does(f"{method} nothing", method)
        t.does(f"{method} no activity", method, execution=t.execution(), **more)
        t.does(f"{method} no workflow id", method, execution={}, id="a", **more)
        t.does(f"{method} empty id", method, execution=t.execution(), id="", **more)
        t.does(f"{method} empty type", method, execution=t.execution(), type="", **more)
        t.does(f"{method} unknown id", method, execution=t.execution(), id="b", **more)
        t.does(f"{method} unknown type", method, execution=t.execution(), type="b", **more)
        t.does(
            f"{method} bad run id", method, execution=t.execution("not-a-uuid"), id="a", **more
        )
        t.does(
            f"{method} unknown run",
            method,
            execution=t.execution("11111111-2222-3333-4444-555555555555"),
            id="a",
            **more,
        )
        t.does(
            f"{method} unknown workflow",
            method,
            execution={"workflow_id": "there-is-none"},
            id="a",
            **more,
        )
        t.does(
            f"{method} long identity",
            method,
            execution=t.execution(),
            id="a",
            identity="i" * 1001,
            **more,
        )
        t.does(
            f"{method} long id", method, execution=t.execution(), id="i" * 1001, **more
        )
    pause(t, "long request id", request_id="r" * 1001)
    unpause(t, "unpause after")
    pause(t, "long reason", reason="r" * 2000)
    t.describe()
    t.terminate()
    for method in ("PauseActivity", "UnpauseActivity", "ResetActivity", "UpdateActivityOptions"):
        more = {}
        if method == "UpdateActivityOptions":
            more = {"activity_options": {}, "update_mask": {"paths": ["heartbeat_timeout"]}}
        t.does(f"{method} closed", method, execution=t.execution(), id="a", **more)


@scenario()
def activity_execution_operations(t):
    """The newer calls on an activity of a workflow."""
    t.begin(activity("a", t.queue))
    who = {"workflow_id": t.wid, "activity_id": "a", "identity": "operator"}
    t.does("pause", "PauseActivityExecution", reason="why", request_id="p", **who)
    t.does("pause again", "PauseActivityExecution", request_id="q", **who)
    t.describe("describe paused")
    t.does("unpause", "UnpauseActivityExecution", reason="go", jitter=secs(1), **who)
    t.describe("describe unpaused")
    t.does("reset", "ResetActivityExecution", keep_paused=True, reset_heartbeat=True, **who)
    t.does(
        "update",
        "UpdateActivityExecutionOptions",
        activity_options=NEW_OPTIONS,
        update_mask={"paths": ["heartbeat_timeout"]},
        **who,
    )
    t.does("restore", "UpdateActivityExecutionOptions", restore_original=True, **who)
    t.activity_done(t.activity_task())
    t.finish()


@scenario()
def activity_execution_errors(t):
    """The newer calls, naming nothing that is there."""
    t.begin(activity("a", t.queue))
    mask = {"activity_options": NEW_OPTIONS, "update_mask": {"paths": ["heartbeat_timeout"]}}
    cases = {
        "no activity id": {"workflow_id": t.wid},
        "unknown activity": {"workflow_id": t.wid, "activity_id": "b"},
        "unknown workflow": {"workflow_id": "there-is-none", "activity_id": "a"},
        "bad run id": {"workflow_id": t.wid, "activity_id": "a", "run_id": "x"},
        "long identity": {"workflow_id": t.wid, "activity_id": "a", "identity": "i" * 1001},
        "long request id": {"workflow_id": t.wid, "activity_id": "a", "request_id": "i" * 1001},
        "long activity id": {"workflow_id": t.wid, "activity_id": "i" * 1001},
        "resource": {"workflow_id": t.wid, "activity_id": "a", "resource_id": "workflow:other"},
    }
    for method in ("Pause{}", "Unpause{}", "Reset{}", "Update{}Options"):
        method = method.format("ActivityExecution")
        more = mask if method.startswith("Update") else {}
        for label, fields in cases.items():
            t.does(f"{method} {label}", method, **fields, **more)
        t.does(f"{method} standalone", method, activity_id="alone", **more)
    t.terminate()


@scenario()
def activity_operations_all_of_none(t):
    """Operations on all activities of a run that has none."""
    t.begin(timer("t", 60))
    unpause(t, unpause_all=True)
    reset(t, match_all=True)
    options(t, "update", ["heartbeat_timeout"], match_all=True, activity_options=NEW_OPTIONS)
    options(t, "restore", match_all=True, restore_original=True)
    t.terminate()
