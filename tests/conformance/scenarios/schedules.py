"""Schedules: what is stored and shown, when they act, what overlaps, what is refused.

Actions are triggered for times in the past, so that ids and records are the same every day.
"""

import time

from driver.registry import scenario
from driver.rpc import to_json
from driver.script import ScenarioFailed
from driver.values import app_failure, command, done, fail, payload, payloads, retry, secs

SKIP, BUFFER_ONE, BUFFER_ALL, CANCEL_OTHER, TERMINATE_OTHER, ALLOW_ALL = range(1, 7)
CLOSED = {2: "COMPLETED", 3: "FAILED", 4: "CANCELED", 5: "TERMINATED", 7: "TIMED_OUT"}


def at(second):
    """A time in the summer of 2020."""
    return {"seconds": 1600000000 + second}


def action(t, **fields):
    fields.setdefault("workflow_id", t.wid)
    fields.setdefault("workflow_type", {"name": "Scripted"})
    fields.setdefault("task_queue", {"name": t.queue})
    return {"start_workflow": {k: v for k, v in fields.items() if v is not None}}


def schedule(t, **fields):
    fields.setdefault("action", action(t))
    return {k: v for k, v in fields.items() if v is not None}


def create(t, label="create", schedule_id=None, **fields):
    fields.setdefault("request_id", "create-request")
    fields.setdefault("schedule", schedule(t))
    fields = {k: v for k, v in fields.items() if v is not None}
    return t.does(label, "CreateSchedule", schedule_id=schedule_id or t.wid, **fields)


def patch(t, label="patch", **fields):
    return t.does(label, "PatchSchedule", schedule_id=t.wid, patch=fields)


def trigger(t, second, overlap=0, label="trigger"):
    wanted = {"overlap_policy": overlap, "scheduled_time": at(second)}
    return patch(t, label, trigger_immediately=wanted)


def update(t, label="update", **fields):
    fields.setdefault("schedule", schedule(t))
    return t.does(label, "UpdateSchedule", schedule_id=t.wid, **fields)


def describe(t, label="describe"):
    return t.does(label, "DescribeSchedule", schedule_id=t.wid)


def delete(t, label="delete"):
    return t.does(label, "DeleteSchedule", schedule_id=t.wid)


def until(t, holds, label="describe", timeout=15):
    """Describes until the answer is as wanted, and notes that one."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        answer = t.call("DescribeSchedule", schedule_id=t.wid)
        if holds(answer):
            t.note(label, to_json(answer))
            return answer
        time.sleep(0.1)
    raise ScenarioFailed(f"the schedule was never as wanted: {to_json(answer)}")


def acted(t, n, label="describe"):
    return until(t, lambda d: d.info.action_count == n, label)


def settled(t, n, label="describe"):
    """n actions, and of those that are watched the first n closed."""
    return until(t, lambda d: [a.start_workflow_status in CLOSED for a in d.info.recent_actions]
                 .count(True) == n, label)


def workflow_id(t, second):
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1600000000 + second))
    return f"{t.wid}-{stamp}"


def history(t, second, label="history"):
    """Of the workflow that was started for this time. The attribute that holds the schedule's id
    is noted as text, so that the id is seen to be that of the scenario."""
    page = t.call("GetWorkflowExecutionHistory", execution={"workflow_id": workflow_id(t, second)})
    by = "TemporalScheduledById"
    started = page.history.events[0].workflow_execution_started_event_attributes
    t.note(f"{label}: {by}", started.search_attributes.indexed_fields[by].data.decode())
    started.search_attributes.indexed_fields[by].data = b""
    t.note(label, [to_json(event) for event in page.history.events])


def take(t, *commands):
    """The next workflow task of a scheduled workflow, answered; which one it was is noted."""
    task = t.poll_call()
    t.note("task of", task.workflow_execution.workflow_id)
    t.complete(task, *commands)


# --- stored and shown


@scenario()
def schedule_created(t):
    """All that a client can set, as a description shows it."""
    create(
        t,
        memo={"fields": {"m": payload("v")}},
        schedule={
            "spec": {
                "cron_string": ["0 12 * * MON-FRI # noon", "@every 36h/5m"],
                "calendar": [{"hour": "3-5", "comment": "early"}],
                "exclude_calendar": [{"month": "12", "hour": "*"}],
                "start_time": {"seconds": 4000000000},
                "end_time": {"seconds": 4000500000},
                "jitter": secs(1.5),
                "timezone_name": "Europe/Berlin",
            },
            "action": action(
                t,
                input=payloads("in"),
                memo={"fields": {"a": payload(1)}},
                header={"fields": {"h": payload(2)}},
                workflow_execution_timeout=secs(300),
                workflow_run_timeout=secs(200),
                workflow_task_timeout=secs(20),
                retry_policy=retry(2, attempts=3),
                user_metadata={"summary": payload("s")},
                priority={"priority_key": 2},
            ),
            "policies": {
                "overlap_policy": BUFFER_ONE,
                "catchup_window": secs(60),
                "pause_on_failure": True,
                "keep_original_workflow_id": True,
            },
            "state": {"notes": "n", "paused": True, "limited_actions": True,
                      "remaining_actions": 7},
        },
    )
    describe(t)
    delete(t)


@scenario()
def schedule_bare(t):
    """Nothing but an id: defaults are filled in, and it never acts."""
    create(t, schedule=None)
    describe(t)
    delete(t)


@scenario()
def schedule_policy_bounds(t):
    """A catch-up window has a least; an unknown overlap policy is kept."""
    create(t, schedule=schedule(t, policies={"overlap_policy": 99, "catchup_window": secs(-5)}))
    describe(t)
    delete(t)


@scenario()
def schedule_created_again(t):
    """The same request is answered again, another one refused."""
    create(t)
    create(t, "the same request")
    create(t, "another request", request_id="another")
    delete(t)


@scenario()
def schedule_deleted(t):
    """A schedule that is gone is kept like a closed workflow; another one may take its id."""
    create(t, schedule=schedule(t, spec={"cron_string": ["0 */6 * * *"]}, state={"paused": True}))
    until(t, lambda d: d.info.future_action_times, "describe before")
    delete(t)
    delete(t, "delete again")
    describe(t)
    patch(t, pause="x")
    update(t)
    time.sleep(2)
    t.does("matching times", "ListScheduleMatchingTimes", schedule_id=t.wid, start_time=at(0),
           end_time=at(86400))
    for method in ("ListSchedules", "CountSchedules"):
        t.does(method, method, query=f"ScheduleId = '{t.wid}'")
    create(t, "create under the same request id")
    describe(t, "describe what was not created")
    create(t, "create again", request_id="another")
    describe(t, "describe the new one")
    delete(t, "delete the new one")


@scenario()
def schedule_future_times(t):
    """The next ten times; they are those left when actions are limited."""
    spec = {"calendar": [{"year": "2090", "month": "1", "day_of_month": "1"}],
            "interval": [{"interval": secs(86400 * 365)}], "start_time": {"seconds": 3786825600}}
    create(t, schedule=schedule(t, spec=spec))
    answer = t.call("DescribeSchedule", schedule_id=t.wid)
    t.note("times", [x.seconds for x in answer.info.future_action_times])
    update(t, schedule=schedule(t, spec=spec, state={"limited_actions": True,
                                                     "remaining_actions": 3}))
    answer = until(t, lambda d: len(d.info.future_action_times) == 3)
    t.note("times left", [x.seconds for x in answer.info.future_action_times])
    delete(t)


@scenario()
def schedule_matching_times(t):
    """Matching times between two times, whether or not it would act then."""
    create(t, schedule=schedule(t, spec={"cron_string": ["0 */6 * * *"]}, state={"paused": True}))
    for label, first, last in (("a day", 0, 86400), ("none", 5, 10), ("backward", 86400, 0)):
        t.does(label, "ListScheduleMatchingTimes", schedule_id=t.wid, start_time=at(first),
               end_time=at(last))
    t.does("no times", "ListScheduleMatchingTimes", schedule_id=t.wid)
    t.does("no end", "ListScheduleMatchingTimes", schedule_id=t.wid, start_time=at(0))
    delete(t)


@scenario()
def schedule_listed(t):
    """Lists and counts, by id and by whether they are paused."""
    for suffix, paused in (("a", True), ("b", False), ("c", True)):
        create(t, schedule_id=f"{t.wid}-{suffix}", request_id=suffix, schedule=schedule(
            t, spec={"interval": [{"interval": secs(86400)}]},
            state={"paused": paused, "notes": suffix}))
    mine = f"ScheduleId STARTS_WITH '{t.wid}'"
    deadline = time.monotonic() + 15
    seen = f"{mine} AND TemporalSchedulePaused IS NOT NULL"
    while t.call("CountSchedules", query=seen).count < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    for label, query in (("all", mine), ("paused", f"{mine} AND TemporalSchedulePaused = true"),
                         ("not paused", f"TemporalSchedulePaused = false AND {mine}"),
                         ("one", f"ScheduleId = '{t.wid}-b'"), ("none", "ScheduleId = 'nope'")):
        t.does(label, "ListSchedules", query=query)
        t.does(f"count {label}", "CountSchedules", query=query)
    page = t.does("page", "ListSchedules", query=mine, maximum_page_size=2)
    t.does("next page", "ListSchedules", query=mine, maximum_page_size=2,
           next_page_token=page.next_page_token)
    for suffix in "abc":
        t.does("delete", "DeleteSchedule", schedule_id=f"{t.wid}-{suffix}")


# --- changed


@scenario()
def schedule_updated(t):
    """An update replaces all that a client can set, and keeps what happened."""
    create(t, schedule=schedule(t, policies={"pause_on_failure": True}, state={"notes": "first"}))
    update(t, schedule=schedule(t, spec={"interval": [{"interval": secs(86400)}]},
                                state={"notes": "second", "paused": True}))
    until(t, lambda d: d.schedule.state.notes == "second")
    delete(t)


@scenario()
def schedule_update_tokens(t):
    """The right token, one of another state, none, and one that is too short."""
    create(t)
    right = (1).to_bytes(8, "big")
    update(t, conflict_token=right, schedule=schedule(t, state={"notes": "a"}))
    until(t, lambda d: d.schedule.state.notes == "a")
    update(t, conflict_token=right, schedule=schedule(t, state={"notes": "b"}))
    update(t, conflict_token=b"xy", schedule=schedule(t, state={"notes": "c"}))
    until(t, lambda d: d.schedule.state.notes == "c")
    update(t, schedule=schedule(t, state={"notes": "d"}))
    until(t, lambda d: d.schedule.state.notes == "d")
    delete(t)


@scenario()
def schedule_repeated_requests(t):
    """A repeated update or patch does nothing more."""
    create(t)
    for _ in range(2):
        t.does("pause", "PatchSchedule", schedule_id=t.wid, request_id="p", patch={"pause": "x"})
    update(t, request_id="u", schedule=schedule(t, state={"notes": "a"}))
    until(t, lambda d: d.schedule.state.notes == "a")
    update(t, request_id="u", schedule=schedule(t, state={"notes": "b"}))
    update(t, request_id="v", schedule=schedule(t, state={"notes": "c"}))
    until(t, lambda d: d.schedule.state.notes == "c")
    delete(t)


@scenario()
def schedule_paused(t):
    """Pausing and going on leave notes and change the token."""
    create(t)
    patch(t, pause="enough")
    until(t, lambda d: d.schedule.state.paused)
    patch(t, unpause="go on")
    until(t, lambda d: not d.schedule.state.paused)
    patch(t, "both", pause="a", unpause="b")
    until(t, lambda d: d.schedule.state.notes == "b")
    delete(t)


# --- acting


@scenario()
def schedule_triggered(t):
    """What a trigger starts has all that the action says, and says who started it."""
    create(t, schedule=schedule(t, state={"paused": True}, action=action(
        t,
        input=payloads("in"),
        memo={"fields": {"a": payload(1)}},
        header={"fields": {"h": payload(2)}},
        workflow_execution_timeout=secs(300),
        retry_policy=retry(2, attempts=3),
        user_metadata={"summary": payload("s")},
        priority={"priority_key": 2},
    )))
    trigger(t, 5)
    acted(t, 1)
    history(t, 5)
    take(t, done("result"))
    settled(t, 1, "describe after")
    delete(t)


@scenario()
def schedule_triggered_at_once(t):
    """The first patch comes with the schedule."""
    create(t, initial_patch={"trigger_immediately": {"scheduled_time": at(7)}, "pause": "wait"})
    acted(t, 1)
    take(t, done())
    delete(t)


@scenario()
def schedule_triggered_now(t):
    """A trigger without a time is for now."""
    create(t)
    patch(t, trigger_immediately={})
    answer = until(t, lambda d: d.info.action_count == 1, "at once")
    began = answer.info.recent_actions[0].start_workflow_result.workflow_id
    stamp = began.removeprefix(t.wid + "-")
    t.note("the id has the time", abs(time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))
                                      - time.mktime(time.gmtime())) < 60)
    delete(t)


@scenario()
def schedule_bad_action(t):
    """An action whose start is refused never happens; the schedule goes on."""
    create(t, schedule=schedule(t, action=action(t, retry_policy={
        "initial_interval": secs(-1)})))
    trigger(t, 1)
    time.sleep(1)  # an update that comes with it would change what it starts
    update(t)
    until(t, lambda d: d.info.HasField("update_time"))
    trigger(t, 2, label="trigger again")
    acted(t, 1, "describe after")
    delete(t)


@scenario()
def schedule_without_action(t):
    """A schedule without an action does nothing."""
    create(t, schedule={"spec": {}})
    trigger(t, 1)
    time.sleep(0.5)
    describe(t)
    delete(t)


@scenario()
def schedule_by_interval(t):
    """It acts by itself, as often as it may."""
    create(t, schedule=schedule(
        t, spec={"interval": [{"interval": secs(1)}]}, policies={"overlap_policy": ALLOW_ALL},
        state={"limited_actions": True, "remaining_actions": 2}))
    answer = until(t, lambda d: d.info.action_count == 2, "took both")
    times = [a.schedule_time.seconds for a in answer.info.recent_actions]
    t.note("a second apart", times[1] - times[0])
    time.sleep(1.5)
    answer = t.call("DescribeSchedule", schedule_id=t.wid)
    t.note("actions", answer.info.action_count)
    t.note("left", answer.schedule.state.remaining_actions)
    delete(t)


@scenario()
def schedule_same_id_running(t):
    """A workflow of that id is running already: the action does not happen."""
    create(t)
    trigger(t, 3)
    acted(t, 1)
    trigger(t, 3, ALLOW_ALL)
    time.sleep(0.5)
    describe(t, "describe after")
    delete(t)


# --- what overlaps


def two_triggers(t, overlap, **fields):
    create(t, schedule=schedule(t, **fields))
    trigger(t, 1, overlap)
    acted(t, 1, "first")
    trigger(t, 2, overlap, "second trigger")


@scenario()
def schedule_overlap_skip(t):
    """SKIP: what overlaps does not happen."""
    two_triggers(t, SKIP)
    until(t, lambda d: d.info.overlap_skipped == 1)
    take(t, done())
    settled(t, 1, "describe after")
    delete(t)


@scenario()
def schedule_overlap_default(t):
    """A trigger without a policy takes that of the schedule."""
    two_triggers(t, 0, policies={"overlap_policy": BUFFER_ALL})
    until(t, lambda d: d.info.buffer_size == 1)
    take(t, done())
    acted(t, 2, "describe after")
    take(t, done())
    delete(t)


@scenario()
def schedule_overlap_buffer_one(t):
    """BUFFER_ONE: the first that overlaps waits, later ones are skipped."""
    two_triggers(t, BUFFER_ONE)
    until(t, lambda d: d.info.buffer_size == 1)
    trigger(t, 3, BUFFER_ONE, "third trigger")
    until(t, lambda d: d.info.overlap_skipped == 1)
    take(t, done())
    acted(t, 2, "describe after")
    take(t, done())
    settled(t, 2, "describe at the end")
    delete(t)


@scenario()
def schedule_overlap_buffer_all(t):
    """BUFFER_ALL: all wait for their turn."""
    two_triggers(t, BUFFER_ALL)
    until(t, lambda d: d.info.buffer_size == 1)
    trigger(t, 3, BUFFER_ALL, "third trigger")
    until(t, lambda d: d.info.buffer_size == 2)
    for n in (2, 3):
        take(t, done(n))
        acted(t, n, "describe after")
    take(t, done())
    settled(t, 3, "describe at the end")
    delete(t)


@scenario()
def schedule_overlap_cancel_other(t):
    """CANCEL_OTHER: what runs is asked to end, and then the other begins."""
    two_triggers(t, CANCEL_OTHER)
    until(t, lambda d: d.info.buffer_size == 1)
    take(t, command("cancel_workflow_execution"))
    acted(t, 2, "describe after")
    history(t, 1)
    take(t, done())
    delete(t)


@scenario()
def schedule_overlap_terminate_other(t):
    """TERMINATE_OTHER: what runs is ended, and the other begins."""
    two_triggers(t, TERMINATE_OTHER)
    acted(t, 2, "describe after")
    history(t, 1)
    take(t, done())
    delete(t)


@scenario()
def schedule_overlap_allow_all(t):
    """ALLOW_ALL: both run, and neither is watched."""
    two_triggers(t, ALLOW_ALL)
    acted(t, 2, "describe after")
    delete(t)


@scenario()
def schedule_keeps_workflow_id(t):
    """keep_original_workflow_id is kept, but the time is in the id all the same."""
    create(t, schedule=schedule(t, policies={"keep_original_workflow_id": True}))
    trigger(t, 1)
    take(t, done("x"))
    settled(t, 1, "describe after one")
    delete(t)


# --- backfill


@scenario()
def schedule_backfill(t):
    """The times of the past, both ends among them, paused or not."""
    spec = {"interval": [{"interval": secs(10)}], "end_time": at(1000)}
    create(t, schedule=schedule(t, spec=spec, state={"paused": True}))
    patch(t, backfill_request=[
        {"start_time": at(10), "end_time": at(40), "overlap_policy": ALLOW_ALL}])
    acted(t, 4)
    delete(t)


@scenario()
def schedule_backfill_skips(t):
    """Overlap policies count: of several times at once one begins."""
    spec = {"interval": [{"interval": secs(10)}], "end_time": at(1000)}
    create(t, schedule=schedule(t, spec=spec, state={"paused": True}))
    patch(t, backfill_request=[{"start_time": at(10), "end_time": at(40)}])
    acted(t, 1)
    delete(t)


@scenario()
def schedule_backfill_steps(t):
    """Many times are taken in steps."""
    spec = {"interval": [{"interval": secs(10)}], "end_time": at(1000)}
    create(t, schedule=schedule(t, spec=spec, state={"paused": True}))
    patch(t, backfill_request=[
        {"start_time": at(1), "end_time": at(60), "overlap_policy": ALLOW_ALL},
        {"start_time": at(100), "end_time": at(170), "overlap_policy": ALLOW_ALL}])
    answer = until(t, lambda d: d.info.action_count == 14, "all of them")
    t.note("times", [a.schedule_time.seconds for a in answer.info.recent_actions])
    delete(t)


# --- what actions leave behind


@scenario()
def schedule_last_result(t):
    """The next action gets the result of the last one, and later a failure since."""
    create(t)
    trigger(t, 1)
    take(t, done("one"))
    settled(t, 1, "after one")
    trigger(t, 2)
    take(t, fail(app_failure("broken")))
    settled(t, 2, "after two")
    trigger(t, 3)
    acted(t, 3, "three began")
    history(t, 2, "the second")
    history(t, 3, "the third")
    take(t, done())
    delete(t)


@scenario()
def schedule_pause_on_failure(t):
    """A failure pauses the schedule and says why."""
    create(t, schedule=schedule(t, policies={"pause_on_failure": True}))
    trigger(t, 1)
    take(t, fail(app_failure("broken")))
    until(t, lambda d: d.schedule.state.paused)
    delete(t)


@scenario()
def schedule_pause_on_timeout(t):
    """So does a workflow that takes too long."""
    create(t, schedule=schedule(t, policies={"pause_on_failure": True},
                                action=action(t, workflow_run_timeout=secs(1))))
    trigger(t, 1)
    acted(t, 1, "began")
    until(t, lambda d: d.schedule.state.paused)
    delete(t)


@scenario()
def schedule_no_pause_on_cancel(t):
    """A cancelled workflow is no failure."""
    create(t, schedule=schedule(t, policies={"pause_on_failure": True}))
    trigger(t, 1)
    take(t, command("cancel_workflow_execution"))
    settled(t, 1)
    delete(t)


@scenario()
def schedule_follows_chain(t):
    """A chain of runs is one action: it runs until its last run has ended."""
    create(t)
    trigger(t, 1, BUFFER_ALL)
    take(t, command("continue_as_new_workflow_execution"))
    trigger(t, 2, BUFFER_ALL)
    until(t, lambda d: d.info.buffer_size == 1)
    take(t, done("end"))
    acted(t, 2, "describe after")
    history(t, 2)
    take(t, done())
    delete(t)


@scenario()
def schedule_deleted_while_running(t):
    """What a schedule started goes on without it."""
    create(t)
    trigger(t, 1)
    acted(t, 1)
    delete(t)
    take(t, done())
    history(t, 1)


# --- refused


@scenario()
def schedule_unknown(t):
    """No such schedule, and none named."""
    calls = {
        "DescribeSchedule": {},
        "UpdateSchedule": {"schedule": schedule(t)},
        "PatchSchedule": {"patch": {"pause": "x"}},
        "DeleteSchedule": {},
        "ListScheduleMatchingTimes": {"start_time": at(0), "end_time": at(1)},
    }
    for method, fields in calls.items():
        t.does(method, method, schedule_id="nope", **fields)
        t.does(f"{method} without id", method, schedule_id="", **fields)


@scenario()
def schedule_create_errors(t):
    """Ids that are missing or too long."""
    create(t, "no request id", request_id="")
    create(t, "long request id", request_id="x" * 1001)
    create(t, "long id", schedule_id="x" * 978)
    t.does("no id", "CreateSchedule", schedule_id="", request_id="r", schedule=schedule(t))


@scenario()
def schedule_patch_errors(t):
    """Patches that are refused."""
    create(t)
    t.does("none", "PatchSchedule", schedule_id=t.wid)
    patch(t, "empty")
    patch(t, "long notes", pause="x" * 1001)
    patch(t, "long notes too", unpause="x" * 1001)
    t.does("long request id", "PatchSchedule", schedule_id=t.wid, request_id="x" * 1001, patch={})
    delete(t)


@scenario()
def schedule_update_errors(t):
    """Updates that are refused."""
    create(t)
    t.does("none", "UpdateSchedule", schedule_id=t.wid)
    update(t, "no action", schedule={"spec": {}})
    update(t, "memo", memo={"fields": {"m": payload("v")}})
    update(t, "long request id", request_id="x" * 1001)
    update(t, "bad spec", schedule=schedule(t, spec={"cron_string": ["x"]}))
    delete(t)


@scenario()
def schedule_action_errors(t):
    """Actions that could never be started are refused at once."""
    bad = {
        "long id": {"workflow_id": "x" * 980},
        "no type": {"workflow_type": None},
        "long type": {"workflow_type": {"name": "x" * 1001}},
        "no queue": {"task_queue": None},
        "empty queue": {"task_queue": {}},
        "reserved queue": {"task_queue": {"name": "/_sys/q"}},
        "run timeout": {"workflow_run_timeout": secs(-1)},
        "execution timeout": {"workflow_execution_timeout": secs(-1)},
        "task timeout": {"workflow_task_timeout": secs(-1)},
        "cron": {"cron_schedule": "@daily"},
        "reuse policy": {"workflow_id_reuse_policy": 3},
        "attribute": {"search_attributes": {"indexed_fields": {"Nope": payload("v")}}},
    }
    for label, fields in bad.items():
        fields = {"workflow_id": t.wid, "workflow_type": {"name": "T"},
                  "task_queue": {"name": t.queue}, **fields}
        wrong = {k: v for k, v in fields.items() if v is not None}
        create(t, label, schedule={"action": {"start_workflow": wrong}})


@scenario()
def schedule_spec_errors(t):
    """Specs that are refused (more of them: src/schedule/testdata/specs.txt)."""
    bad = {
        "fields": {"cron_string": ["* * * *"]},
        "range": {"cron_string": ["61 * * * *"]},
        "two problems": {"calendar": [{"hour": "25", "minute": "x"}]},
        "structured": {"structured_calendar": [{"hour": [{"start": 25}], "minute": [
            {"start": 5, "end": 3}]}]},
        "interval": {"interval": [{"interval": secs(0.5)}]},
        "phase": {"interval": [{"interval": secs(5), "phase": secs(5)}]},
        "zone": {"timezone_name": "Nowhere/X"},
        "zones": {"cron_string": ["TZ=UTC * * * * *"], "timezone_name": "Europe/Berlin"},
        "zone data": {"timezone_data": b"AAA"},
    }
    for label, spec in bad.items():
        create(t, label, schedule=schedule(t, spec=spec))
