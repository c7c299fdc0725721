"""The plain life of a workflow: complete, fail, cancel, terminate, markers, metadata."""

from driver.registry import scenario
from driver.values import app_failure, done, fail, payload, payloads, secs


@scenario()
def complete_at_once(t):
    """One workflow task that completes the workflow with a result."""
    t.start(input=payloads("in", 1))
    t.step(done("out"))
    t.history()
    t.describe()


@scenario()
def complete_without_result(t):
    """The completing command carries nothing."""
    t.start()
    t.step(done())
    t.history()


@scenario()
def start_with_everything(t):
    """Input, memo, header, timeouts, retry policy, priority and user metadata of a start."""
    t.start(
        input=payloads("in"),
        memo={"fields": {"note": payload("remember")}},
        header={"fields": {"trace": payload("abc")}},
        workflow_execution_timeout=secs(3600),
        workflow_run_timeout=secs(600),
        workflow_task_timeout=secs(7),
        retry_policy={"maximum_attempts": 3},
        user_metadata={"summary": payload("a summary"), "details": payload("some details")},
        priority={"priority_key": 2},
    )
    t.describe("describe before")
    task = t.task(whole=True)
    t.complete(task, done())
    t.history()
    t.describe("describe after")


@scenario()
def fail_workflow(t):
    """FailWorkflowExecution without a retry policy."""
    t.start()
    t.step(fail(app_failure("no luck", "Luck", stack_trace="at line 1\nat line 2", source="Test")))
    t.history()
    t.describe()
