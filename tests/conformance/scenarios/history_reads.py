"""Reading histories: pages, long polls, the close event alone, reverse order."""

import time

from driver.registry import scenario
from driver.rpc import RpcError
from driver.script import summary
from driver.values import command, done, timer

READ = "GetWorkflowExecutionHistory"
REVERSE = "GetWorkflowExecutionHistoryReverse"


def _pages(t, label, method, **fields):
    token, number = b"", 0
    while True:
        page = t.call(method, execution=t.execution(), next_page_token=token, **fields)
        number += 1
        t.note(
            f"{label}: page",
            {"events": [summary(e) for e in page.history.events],
             "more": bool(page.next_page_token)},
        )
        token = page.next_page_token
        if not token or number > 30:
            return


def _some_events(t):
    t.start()
    t.step(*[command("record_marker", marker_name=f"m{i}") for i in range(5)])
    t.signal("one")
    t.step(timer("t", 60))
    t.signal("two")
    t.step(done())


@scenario()
def history_pages(t):
    """Small pages follow the batches of the history."""
    _some_events(t)
    for size in (1, 3, 4, 100):
        _pages(t, f"size {size}", READ, maximum_page_size=size)


@scenario()
def history_all_events_filter(t):
    """The filter for all events is no filter."""
    _some_events(t)
    _pages(t, "all events", READ, history_event_filter_type=1)


@scenario()
def history_pages_reverse(t):
    """The same backwards."""
    _some_events(t)
    for size in (1, 3, 4, 100):
        _pages(t, f"size {size}", REVERSE, maximum_page_size=size)


@scenario()
def history_long_poll(t):
    """wait_new_event: what is there at once, then each new batch as it comes."""
    t.start()
    page = t.does("first page", READ, execution=t.execution(), wait_new_event=True)
    task = None

    def take():
        nonlocal task
        task = t.task()

    for label, act in {
        "after a signal": lambda: t.signal("one"),
        "after a task began": take,
        "after a task ended": lambda: t.complete(task, timer("t", 60)),
        "after termination": t.terminate,
    }.items():
        waiting = t.later(
            t.call,
            READ,
            execution=t.execution(),
            wait_new_event=True,
            next_page_token=page.next_page_token,
            timeout=30,
        )
        time.sleep(0.5)
        act()
        page = waiting.result(30)
        t.note(label, [summary(e) for e in page.history.events])
        t.note(label + ": more", bool(page.next_page_token))


@scenario()
def history_long_poll_empty(t):
    """A long poll without news ends with an empty page and a token."""
    t.start()
    page = t.call(READ, execution=t.execution(), wait_new_event=True)
    began = time.monotonic()
    page = t.does(
        "nothing new",
        READ,
        execution=t.execution(),
        wait_new_event=True,
        next_page_token=page.next_page_token,
        timeout=40,
    )
    t.within("waited", time.monotonic() - began, 15, 25)
    t.terminate()


@scenario()
def history_long_poll_short(t):
    """A long poll whose caller's deadline is nearer than the server's limit."""
    t.start()
    page = t.call(READ, execution=t.execution(), wait_new_event=True)
    began = time.monotonic()
    t.does(
        "nothing new",
        READ,
        execution=t.execution(),
        wait_new_event=True,
        next_page_token=page.next_page_token,
        timeout=4,
    )
    t.within("waited", time.monotonic() - began, 2, 4.5)


@scenario()
def history_close_event(t):
    """Only the close event: waiting for it, and after."""
    t.start()
    t.does("open, not waiting", READ, execution=t.execution(), history_event_filter_type=2)
    waiting = t.later(
        t.call,
        READ,
        execution=t.execution(),
        wait_new_event=True,
        history_event_filter_type=2,
        skip_archival=True,
        timeout=30,
    )
    time.sleep(0.5)
    t.step(timer("t", 60))
    t.signal()
    t.step(done("out"))
    t.settle("the close event", waiting, 30)
    t.does(
        "after close",
        READ,
        execution=t.execution(),
        wait_new_event=True,
        history_event_filter_type=2,
    )
    t.does("after close, not waiting", READ, execution=t.execution(), history_event_filter_type=2)


@scenario()
def history_close_event_timeout(t):
    """Waiting for the close event of a workflow that goes on."""
    t.start()
    began = time.monotonic()
    t.does(
        "still open",
        READ,
        execution=t.execution(),
        wait_new_event=True,
        history_event_filter_type=2,
        timeout=4,
    )
    t.within("waited", time.monotonic() - began, 2, 4.5)


@scenario()
def history_of_older_run(t):
    """By run id, and the newest without; a long poll ends with the run that began it."""
    first = t.start()
    t.step(done(1))
    t.start("second", request_id="second")
    t.history(first.run_id, "history of the first")
    t.history(label="history of the newest")
    t.describe("describe the first", first.run_id)
    t.describe("describe the newest")


@scenario()
def history_page_while_growing(t):
    """Events that come between two pages belong to the read only when it waits for new ones."""
    t.start()
    t.step(command("record_marker", marker_name="m"))
    page = t.call(READ, execution=t.execution(), maximum_page_size=2)
    t.note("first page", [summary(e) for e in page.history.events])
    t.signal("in between")
    while page.next_page_token:
        page = t.call(
            READ,
            execution=t.execution(),
            maximum_page_size=2,
            next_page_token=page.next_page_token,
        )
        t.note("page", [summary(e) for e in page.history.events])


@scenario()
def history_client_sees_transient(t):
    """Events of a transient attempt are shown to SDKs and not to the CLI and the UI."""
    t.start()
    t.fail_task(t.task())
    t.task()
    for name in ("", "temporal-go", "temporal-cli", "temporal-ui"):
        metadata = (("client-name", name), ("client-version", "1.30.0")) if name else ()
        page = t.call(READ, execution=t.execution(), metadata=metadata)
        t.note(f"client {name or 'unnamed'}", [summary(e) for e in page.history.events])


@scenario()
def client_version_refused(t):
    """Versions of known clients that the server does not support."""
    known = (("client-name", "temporal-go"), ("client-version", "1.30.0"))
    too_new = (("supported-server-versions", ">2.0.0"),)
    cases = {
        "temporal-go 9": (("client-name", "temporal-go"), ("client-version", "9.0.0")),
        "temporal-java nonsense": (("client-name", "temporal-java"), ("client-version", "x")),
        "temporal-python 99": (("client-name", "temporal-python"), ("client-version", "99.0.0")),
        "unheard-of": (("client-name", "unheard-of"), ("client-version", "1.0.0")),
        "wants a newer server": too_new,
        "known, wants a newer server": known + too_new,
        "known": known,
    }
    for label, metadata in cases.items():
        for method in ("GetSystemInfo", "DescribeNamespace"):
            try:
                t.call(method, metadata=metadata)
                t.note(f"{label}: {method}", "accepted")
            except RpcError as error:
                t.note(f"{label}: {method}", error.to_json())


def _at_once(t, last_id):
    """A task that came at once: its start is no page of its own, and no point to reset to."""
    _pages(t, "forward", READ, maximum_page_size=1)
    _pages(t, "backward", REVERSE, maximum_page_size=1)
    t.does(
        "reset",
        "ResetWorkflowExecution",
        workflow_execution=t.execution(),
        workflow_task_finish_event_id=last_id,
        request_id="reset-request",
        reason="a reason",
    )
    t.terminate()


@scenario()
def history_pages_eager_task(t):
    """The start of an eager task is in one batch with the start of its run."""
    t.start(request_eager_execution=True)
    _at_once(t, 3)


@scenario()
def history_pages_task_in_hand(t):
    """The start of a task that the answer to another brings is in one batch with that answer."""
    t.start()
    t.next_in_hand(timer("t", 60))
    _at_once(t, 7)
