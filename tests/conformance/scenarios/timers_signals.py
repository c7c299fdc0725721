"""Timers, signals, cancel requests, termination: what comes from outside or from the clock."""

import time

from driver.registry import scenario
from driver.values import (
    activity,
    app_failure,
    cancel_timer,
    command,
    done,
    payload,
    payloads,
    secs,
    timer,
)


@scenario()
def timer_fires(t):
    """A timer of a second."""
    t.begin(timer("t", 1))
    began = time.monotonic()
    t.step(done())
    t.within("waited", time.monotonic() - began, 0.7, 5)
    t.history()


@scenario()
def timer_zero(t):
    """A timer of zero fires at once."""
    t.begin(timer("t", 0))
    t.finish()


@scenario()
def timer_without_timeout(t):
    """A timer whose timeout is left out."""
    t.begin(command("start_timer", timer_id="t"))
    t.finish()


@scenario()
def timer_several(t):
    """Three timers: two due together, one later."""
    t.begin(timer("late", 2), timer("b", 1), timer("a", 1))
    time.sleep(1.5)
    t.step()
    t.finish()


@scenario()
def timer_canceled(t):
    """A timer cancelled before it fires, and cancelled in the completion that started it."""
    t.begin(timer("t", 60), timer("gone", 60), cancel_timer("gone"))
    t.signal()
    t.step(cancel_timer("t"), timer("t2", 60))
    t.signal()
    t.finish()


@scenario()
def timer_canceled_after_firing(t):
    """A timer that fired during the task that cancels it: the cancel wins."""
    t.begin(timer("t", 1))
    t.signal()
    task = t.task()
    time.sleep(1.7)
    t.complete(task, cancel_timer("t"), done())
    t.history()


@scenario()
def timer_metadata(t):
    """The summary of a timer is kept with its event."""
    t.start()
    one = timer("t", 60)
    one.user_metadata.summary.CopyFrom(payload("nap"))
    t.step(one)
    t.terminate()
    t.history()


@scenario()
def timer_after_close(t):
    """Nothing comes after the close of a workflow with a timer."""
    t.begin(timer("t", 1), done())
    time.sleep(1.7)
    t.history()


@scenario()
def timer_during_task(t):
    """A timer fires while a workflow task runs: the event waits for its end."""
    t.begin(timer("t", 1))
    t.signal()
    task = t.task()
    time.sleep(1.6)
    t.history(label="history during")
    t.complete(task)
    t.complete(t.task(), done())
    t.history()


# --- signals


@scenario()
def signal_plain(t):
    """A signal with input and header to an idle workflow."""
    t.start()
    t.step()
    t.signal(
        "go",
        "fast",
        header={"fields": {"trace": payload("abc")}},
        identity="signaller",
        request_id="sig-1",
    )
    t.finish()
    t.signal("late", label="after close")
    t.signal("go", request_id="sig-1", label="repeated after close")


@scenario()
def signal_before_first_task(t):
    """Signals before the first task is taken sit before its start."""
    t.start()
    t.signal("one")
    t.signal("two", workflow_execution=t.execution(t.run))
    t.finish()


@scenario()
def signal_during_task(t):
    """Signals during a task are written after its end, in order, and bring a new task."""
    t.start()
    task = t.task()
    t.signal("one")
    t.signal("two")
    t.history(label="history during")
    t.describe()
    t.complete(task, timer("t", 60))
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def signal_request_id(t):
    """A repeated request id is one signal; without request id each is a signal."""
    t.start()
    t.signal("same", request_id="r")
    t.signal("same", request_id="r")
    t.signal("none")
    t.signal("none")
    task = t.task()
    t.signal("same", request_id="r")
    t.signal("buffered", request_id="b")
    t.signal("buffered", request_id="b")
    t.complete(task)
    t.finish()


@scenario()
def signal_during_failing_task(t):
    """A signal during a task that then fails."""
    t.start()
    task = t.task()
    t.signal("one")
    t.fail_task(task)
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def signal_during_timed_out_task(t):
    """A signal during a task that then times out."""
    t.start(workflow_task_timeout=secs(1))
    t.task()
    t.signal("one")
    t.complete(t.task(whole=True), done())
    t.history()


@scenario()
def signal_links(t):
    """Links of a signal are kept with its event."""
    t.start()
    link = {
        "workflow_event": {
            "namespace": "default",
            "workflow_id": "other",
            "run_id": "b1946ac9-2f5e-4e1a-9a3b-6a1d2c3e4f50",
            "event_ref": {"event_id": 3, "event_type": 10},
        }
    }
    t.signal("linked", links=[link])
    t.history()
    t.terminate(links=[link])
    t.history(label="history after terminate")


@scenario()
def signal_with_start_new(t):
    """Nothing runs: started and signalled in one."""
    t.does(
        "signal with start",
        "SignalWithStartWorkflowExecution",
        **t.start_fields(signal_name="sig", signal_input=payloads("s"), input=payloads("i")),
    )
    t.finish()


@scenario()
def signal_with_start_running(t):
    """It runs already: only signalled; a repeated request id signals once."""
    t.start()
    t.step()
    fields = t.start_fields(signal_name="sig", request_id="sws")
    t.does("signal with start", "SignalWithStartWorkflowExecution", **fields)
    t.does("repeated", "SignalWithStartWorkflowExecution", **fields)
    t.finish()
    fields["workflow_id_reuse_policy"] = 3
    fields["request_id"] = "sws-2"
    t.does("rejecting duplicates", "SignalWithStartWorkflowExecution", **fields)
    fields["workflow_id_reuse_policy"] = 2
    t.does("failed only", "SignalWithStartWorkflowExecution", **fields)
    fields["workflow_id_reuse_policy"] = 1
    t.does("allowing duplicates", "SignalWithStartWorkflowExecution", **fields)
    t.history(label="history of the new run")


@scenario()
def signal_with_start_policies(t):
    """Conflict policies of signal-with-start."""
    t.start()
    fields = t.start_fields(signal_name="sig", request_id="sws")
    method = "SignalWithStartWorkflowExecution"
    t.does("FAIL", method, **fields, workflow_id_conflict_policy=1)
    t.does("terminate existing", method, **fields, workflow_id_conflict_policy=3)
    t.history(label="history of the new run")
    fields["request_id"] = "sws-2"
    t.does("terminate if running", method, **fields, workflow_id_reuse_policy=4)
    t.does("no signal name", method, **{**fields, "signal_name": ""})
    t.does("no workflow id", method, **{**fields, "workflow_id": ""})
    t.does("no queue", method, **{**fields, "task_queue": {"name": ""}})
    t.does("no type", method, **{**fields, "workflow_type": {"name": ""}})


@scenario()
def signal_with_start_request_id(t):
    """The request id is the signal's: policies alone decide about the start, as often as asked."""
    method = "SignalWithStartWorkflowExecution"
    t.start(request_id="one")
    fields = t.start_fields(signal_name="sig", request_id="one")
    t.does("of the start", method, **fields)
    t.describe("describe, the id moved to the signal")
    t.does("terminate existing", method, **fields, workflow_id_conflict_policy=3)
    t.describe("describe, signalled at once")
    t.does("again while open", method, **fields)
    t.terminate()
    t.does("again after the end", method, **fields)
    t.does("failed only", method, **fields, workflow_id_reuse_policy=2)
    t.terminate("terminate the second")
    t.does("rejecting duplicates", method, **fields, workflow_id_reuse_policy=3)
    t.history()


@scenario()
def signal_moves_request_ids(t):
    """A signal under the request id of the start, or of an attached one, takes the id over."""
    t.start(request_id="one")
    t.start(
        "attach",
        request_id="two",
        workflow_id_conflict_policy=2,
        on_conflict_options={"attach_request_id": True},
    )
    task = t.task()
    t.signal(request_id="two")
    t.describe("describe while the signal waits")
    t.signal(request_id="one", label="signal under the first id")
    t.complete(task)
    t.describe("describe when it is written")


@scenario()
def signal_with_start_delay(t):
    """Signal-with-start of a delayed workflow, twice."""
    fields = t.start_fields(signal_name="sig", workflow_start_delay=secs(2))
    t.does("first", "SignalWithStartWorkflowExecution", **fields)
    fields["request_id"] = "second"
    t.does("second", "SignalWithStartWorkflowExecution", **fields)
    t.history(label="history before")
    t.finish()


# --- cancel and terminate


@scenario()
def cancel_confirmed(t):
    """A cancel request the workflow obeys."""
    t.start()
    t.step()
    t.cancel(reason="enough", identity="boss", request_id="c1")
    t.cancel("again", reason="enough", request_id="c2")
    t.describe()
    t.step(command("cancel_workflow_execution", details=payloads("bye")))
    t.history()
    t.cancel("after close", request_id="c3")
    t.describe("describe after")


@scenario()
def cancel_ignored(t):
    """A cancel request the workflow ignores, by run id and first run id."""
    t.start()
    t.step()
    t.cancel(workflow_execution=t.execution(t.run), first_execution_run_id=t.run)
    t.finish()


@scenario()
def cancel_during_task(t):
    """A cancel request during a workflow task; the completion tries to close."""
    t.start()
    task = t.task()
    t.cancel()
    t.history(label="history during")
    t.complete(task, done(), label="closed too early")
    t.finish()


@scenario()
def cancel_unasked(t):
    """The workflow cancels itself without any request."""
    t.begin(command("cancel_workflow_execution"))
    t.history()
    t.describe()


@scenario()
def terminate_idle(t):
    """Termination with reason and details, and its defaults."""
    t.start()
    t.step()
    t.terminate(reason="over", details=payloads("why"), identity="boss")
    t.history()
    t.describe()
    t.terminate("terminate again")
    t.wid += "-default"
    t.start("start another", request_id="other")
    t.terminate("terminate by default", identity="")
    t.history(label="history of the other")


@scenario()
def terminate_during_task(t):
    """Termination during a workflow task with a signal in the buffer."""
    t.start()
    t.task()
    t.signal("buffered")
    t.terminate()
    t.history()


@scenario()
def terminate_during_transient(t):
    """Termination during a transient attempt leaves no trace of it."""
    t.start()
    t.fail_task(t.task())
    t.task()
    t.terminate()
    t.history()


@scenario()
def closed_run_requests(t):
    """A closed run takes requests to cancel without a word; signal and terminate find nothing."""
    t.begin(done())
    t.cancel()
    t.cancel("cancel again")
    t.cancel("cancel by run id", workflow_execution=t.execution(t.run))
    t.signal()
    t.terminate()
    t.history()


@scenario()
def closed_run_of_other_chain(t):
    """Cancel and terminate name a chain: of a closed run, it may be any."""
    t.start()
    t.terminate()
    for first in (t.run, "11111111-2222-4333-8444-555555555555"):
        t.terminate("terminate closed", first_execution_run_id=first)
        t.cancel("cancel closed", first_execution_run_id=first)
    t.start("start again", request_id="again")
    t.terminate("terminate the other chain", first_execution_run_id="none")
    t.cancel("cancel the other chain", first_execution_run_id="none")


@scenario()
def terminate_waiting_transient(t):
    """Termination while a second attempt waits for a worker: it stays to be seen."""
    t.start()
    t.fail_task(t.task())
    t.describe("describe before")
    t.terminate()
    t.describe()
    t.history()


@scenario()
def terminate_with_activity(t):
    """Termination with one activity running, one waiting and a timer."""
    t.begin(activity("a", t.queue), activity("b", "nobody-polls"), timer("t", 60))
    t.activity_task()
    t.terminate(first_execution_run_id=t.run)
    t.history()
    t.describe()


@scenario()
def delete_workflow(t):
    """Deleting a running and a closed workflow."""
    t.start()
    t.does("delete", "DeleteWorkflowExecution", workflow_execution=t.execution())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            t.call("DescribeWorkflowExecution", execution=t.execution())
        except Exception:
            break
        time.sleep(0.2)
    t.describe("describe after")
    t.does("delete again", "DeleteWorkflowExecution", workflow_execution=t.execution())


@scenario()
def marker_memo(t):
    """Markers with details, header and failure; the memo changed by the workflow."""
    t.start(memo={"fields": {"keep": payload(1), "drop": payload(2)}})
    marker = command(
        "record_marker",
        marker_name="mark",
        details={"data": payloads("x"), "result": payloads("y")},
        header={"fields": {"trace": payload("abc")}},
        failure=app_failure("local failure"),
    )
    memo = {"fields": {"drop": payload(None), "new": payload(3)}}
    t.step(marker, command("modify_workflow_properties", upserted_memo=memo))
    t.describe()
    t.terminate()
    t.history()
