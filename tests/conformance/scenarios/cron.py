"""Workflows on a cron schedule: the runs that follow each other, and what is refused."""

from driver.registry import scenario
from driver.values import app_failure, command, done, fail, payload, payloads, secs

EVERY = "@every 1s"


def follow(t, known):
    """The run id of the newest run, which is not among those that are known."""
    answer = t.call("DescribeWorkflowExecution", execution=t.execution())
    run = answer.workflow_execution_info.execution.run_id
    assert run not in known
    return run


@scenario()
def cron_first_backoff(t):
    """The first run waits for the first time of its schedule, and says who began it."""
    t.start(cron_schedule="@every 1h", input=payloads("in"))
    t.describe()
    t.terminate()
    t.history()


@scenario()
def cron_completed(t):
    """A run that completes is followed by the next one, which gets its result."""
    t.start(cron_schedule=EVERY, input=payloads("in"), memo={"fields": {"m": payload("v")}})
    t.step(done("first"))
    t.history()
    second = follow(t, [t.run])
    t.step(done("second"))
    t.history(second, label="second run")
    third = follow(t, [t.run, second])
    t.terminate()
    t.history(third, label="third run")


@scenario()
def cron_failed(t):
    """A failed run is followed as well: the last result stays, the failure is told."""
    t.start(cron_schedule=EVERY)
    t.step(done("kept"))
    second = follow(t, [t.run])
    t.step(fail(app_failure("broken")))
    t.history(second, label="second run")
    third = follow(t, [t.run, second])
    t.task(whole=True)
    t.terminate()
    t.history(third, label="third run")


@scenario()
def cron_run_timed_out(t):
    """A run that takes too long is followed by the next one."""
    t.start(cron_schedule=EVERY, workflow_run_timeout=secs(1), workflow_task_timeout=secs(1))
    t.wait_for("WORKFLOW_EXECUTION_TIMED_OUT", t.run)
    t.history(t.run)
    second = follow(t, [t.run])
    t.terminate()
    t.history(second, label="second run")


@scenario()
def cron_execution_timeout_ends(t):
    """The execution timeout ends the chain: nothing follows."""
    t.start(cron_schedule="@every 30s", workflow_execution_timeout=secs(1))
    t.wait_for("WORKFLOW_EXECUTION_TIMED_OUT", t.run)
    t.history(t.run)
    t.describe()


@scenario()
def cron_canceled_ends(t):
    """A cancelled run ends the chain."""
    t.start(cron_schedule="@every 30s")
    t.cancel()
    t.step(command("cancel_workflow_execution"))
    t.history(t.run)
    t.describe()


@scenario()
def cron_terminated_ends(t):
    """A terminated run ends the chain."""
    t.start(cron_schedule="@every 30s")
    t.terminate()
    t.history(t.run)
    t.describe()


@scenario()
def cron_and_retry(t):
    """A retry policy goes first; when it is used up, the schedule goes on."""
    t.start(
        cron_schedule=EVERY,
        retry_policy={"initial_interval": secs(0.2), "maximum_attempts": 2},
    )
    t.step(fail(app_failure("once")))
    t.history(t.run)
    second = follow(t, [t.run])
    t.step(fail(app_failure("twice")))
    t.history(second, label="retried run")
    third = follow(t, [t.run, second])
    t.terminate()
    t.history(third, label="next run")


@scenario()
def cron_signal_in_backoff(t):
    """A signal that comes while the run waits is kept and wakes nobody."""
    t.start(cron_schedule="@every 2s")
    t.signal()
    t.history()
    t.step(done())
    t.history(t.run)
    t.terminate()


@scenario()
def cron_signal_with_start(t):
    """Signal-with-start may name a schedule too."""
    answer = t.does(
        "signal with start",
        "SignalWithStartWorkflowExecution",
        **t.start_fields(cron_schedule="@every 30s", signal_name="sig"),
    )
    t.history(answer.run_id)
    t.terminate()


@scenario()
def cron_eager_denied(t):
    """There is no first task to hand out yet."""
    t.start(cron_schedule="@every 30s", request_eager_execution=True)
    t.history()
    t.terminate()


@scenario()
def cron_continue_as_new(t):
    """Continue-as-new keeps the schedule only if the command names it."""
    t.start(cron_schedule=EVERY)
    t.step(command("continue_as_new_workflow_execution", cron_schedule="@every 2s"))
    t.history(t.run)
    second = follow(t, [t.run])
    t.step(command("continue_as_new_workflow_execution"))
    t.history(second, label="second run")
    third = follow(t, [t.run, second])
    t.step(done())
    t.history(third, label="third run")


@scenario()
def cron_errors(t):
    """What is no schedule, by each call that takes one."""
    bad = ["every now and then", "* * * *", "60 * * * *", "0 0 * * 7", "CRON_TZ=X/Y * * * * *"]
    for text in bad + ["0 0 31 2 *", "@every", "@never"]:
        t.start(f"start {text}", cron_schedule=text)
        t.does(
            f"signal with start {text}",
            "SignalWithStartWorkflowExecution",
            **t.start_fields(cron_schedule=text, signal_name="sig"),
        )


@scenario()
def cron_zone(t):
    """A schedule in a zone of its own."""
    t.start(cron_schedule="CRON_TZ=America/New_York 0 0 1 1 *")
    described = t.call("DescribeWorkflowExecution", execution=t.execution())
    execution = described.workflow_execution_info.execution_time.ToDatetime()
    t.note("is due at", [execution.month, execution.day, execution.hour, execution.minute])
    t.terminate()
