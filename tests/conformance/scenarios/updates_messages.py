"""What a worker may say of updates, and what it may not."""

import time

from driver import updates as u
from driver.registry import scenario
from driver.rpc import to_json
from driver.values import app_failure, blob, command, done, payloads, timer
from google.protobuf.any_pb2 import Any
from temporalio.api.protocol.v1 import message_pb2 as protocol_pb


def _bad(t, update_id, make, settles=True):
    """An update whose task is answered badly; make gets the message and the request."""
    execution = {"workflow_id": f"{t.wid}-{update_id}"}
    queue = f"{t.queue}-{update_id}"
    t.call("StartWorkflowExecution", **t.start_fields(task_queue={"name": queue}, **execution))
    t.call("RespondWorkflowTaskCompleted", task_token=t.poll_call(queue=queue).task_token)
    sent = u.later(t, update_id, timeout=5, workflow_execution=execution)
    task = t.poll_call(queue=queue)
    commands, messages = make(*u.requests(task)[0])
    t.complete(task, *commands, messages=messages, label=f"answered {update_id}")
    if not settles:
        return
    t.settle(f"update {update_id}", sent)
    page = t.call("GetWorkflowExecutionHistory", execution=execution)
    t.note(f"history {update_id}", [to_json(e) for e in page.history.events])


@scenario()
def update_message_absent(t):
    """A command names a message that is not there."""
    _bad(t, "u", lambda m, r: ([command("protocol_message", message_id="none")], []))


@scenario()
def update_message_no_attributes(t):
    """Commands without attributes and without a message id."""
    t.idle()
    bare = command("protocol_message", message_id="x")
    bare.ClearField("protocol_message_command_attributes")
    _bad(t, "u", lambda m, r: ([bare], []))
    _bad(t, "v", lambda m, r: ([command("protocol_message", message_id="")], []))


@scenario()
def update_message_unknown_update(t):
    """A response for an update that nobody sent; an acceptance without the request."""
    answer = u.response("nobody", 1)
    _bad(t, "u", lambda m, r: (u.says(answer), [answer]))


@scenario()
def update_message_resurrected(t):
    """An acceptance with its request, for an update the server does not know: it is taken."""
    t.start()
    task = t.task()
    from temporalio.api.update.v1 import message_pb2 as update_pb

    request = update_pb.Request(
        meta={"update_id": "back", "identity": "c"}, input={"name": "upd"}
    )
    incoming = protocol_pb.Message(
        id="back/request", protocol_instance_id="back", event_id=2
    )
    u.answer(t, task, u.acceptance(incoming, request), u.response("back", 1))
    t.history()
    u.poll(t, "back")


@scenario()
def update_message_completed_first(t):
    """A response before the acceptance."""
    answer = u.response("u", 1)
    _bad(t, "u", lambda m, r: (u.says(answer), [answer]))


@scenario()
def update_message_accepted_twice(t):
    """Accepted twice in one task."""
    def make(m, r):
        one, two = u.acceptance(m, r), u.acceptance(m, r)
        two.id = "second"
        return u.says(one, two), [one, two]

    _bad(t, "u", make)


@scenario()
def update_message_completed_twice(t):
    """Completed twice in one task."""
    def make(m, r):
        one, two, three = u.acceptance(m, r), u.response("u", 1), u.response("u", 2)
        three.id = "again"
        return u.says(one, two, three), [one, two, three]

    _bad(t, "u", make)


@scenario()
def update_message_bodies(t):
    """No body, a body of another kind, a body of another protocol."""
    def without(m, r):
        one = u.acceptance(m, r)
        one.ClearField("body")
        return u.says(one), [one]

    def request_back(m, r):
        one = u.message("u2", r, "x")
        return u.says(one), [one]

    def foreign(m, r):
        packed = Any()
        packed.Pack(payloads(1))
        one = protocol_pb.Message(id="f", protocol_instance_id="u3", body=packed)
        return u.says(one), [one]

    _bad(t, "u1", without, settles=False)
    _bad(t, "u2", request_back)
    _bad(t, "u3", foreign)


@scenario()
def update_message_parts_missing(t):
    """Acceptances, rejections and responses that lack a part."""
    t.idle()
    from temporalio.api.update.v1 import message_pb2 as update_pb

    def whole(make):
        def wrapped(m, r):
            one = make(m, r)
            return u.says(one), [one]

        return wrapped

    def no_meta(m, r):
        one = u.message("u4", update_pb.Response(outcome={"success": payloads(1)}), "x")
        two = u.acceptance(m, r)
        return u.says(two, one), [two, one]

    def no_outcome(m, r):
        one = u.message("u5", update_pb.Response(meta={"update_id": "u5"}), "x")
        two = u.acceptance(m, r)
        return u.says(two, one), [two, one]

    _bad(t, "u1", whole(lambda m, r: u.message("u1", update_pb.Acceptance(), "x")))
    _bad(t, "u2", whole(lambda m, r: u.message("u2", update_pb.Rejection(), "x")))
    _bad(
        t,
        "u3",
        whole(
            lambda m, r: u.message(
                "u3", update_pb.Rejection(rejected_request_message_id="u3/request"), "x"
            )
        ),
    )
    _bad(t, "u4", no_meta)
    _bad(t, "u5", no_outcome)


@scenario()
def update_message_without_command(t):
    """Messages whose command is missing are taken after all commands."""
    t.idle()
    sent, task = u.delivered(t)
    messages = u.accepted(task, "x")
    t.complete(task, timer("t2", 60), messages=messages)
    t.settle("update", sent)
    t.history()


@scenario()
def update_message_order(t):
    """The events come where the commands stand."""
    t.idle()
    sent, task = u.delivered(t)
    one, two = u.accepted(task, "x")
    commands = [*u.says(one), timer("t2", 60), *u.says(two), timer("t3", 60)]
    t.complete(task, *commands, messages=[one, two])
    t.settle("update", sent)
    t.history()


@scenario()
def update_message_behind_the_end(t):
    """A message behind the closing command is refused like any other command."""
    t.start()
    sent = u.later(t, timeout=5)
    time.sleep(0.3)
    task = t.task()
    one, two = u.accepted(task, "x")
    t.complete(
        task, *u.says(one), done(), *u.says(two), messages=[one, two], label="behind the end"
    )
    u.answer(t, task, one, two, commands=[done()])
    t.settle("update", sent)
    t.history()


@scenario()
def update_message_large(t):
    """An outcome over the limit of a payload."""
    t.idle()
    from temporalio.api.update.v1 import message_pb2 as update_pb

    def make(m, r):
        body = update_pb.Response(
            meta={"update_id": "u"}, outcome={"success": blob(2 * 1024 * 1024 + 100)}
        )
        two = u.message("u", body, "x")
        one = u.acceptance(m, r)
        return u.says(one, two), [one, two]

    sent, task = u.delivered(t, "u", timeout=5)
    commands, messages = make(*u.requests(task)[0])
    t.complete(task, *commands, messages=messages)
    t.settle("update", sent)
    t.history()


@scenario()
def update_message_in_later_attempt(t):
    """A bad message in a later attempt changes nothing; the task times out."""
    t.idle()
    sent = u.later(t, timeout=10)
    t.fail_task(t.task(), failure=app_failure())
    task = t.task()
    t.complete(task, command("protocol_message", message_id="none"))
    u.answer(t, task, *u.accepted(task, "good"))
    t.settle("update", sent)
    t.history()


@scenario()
def update_task_in_failed_state(t):
    """From the third attempt on updates are refused."""
    t.start()
    t.fail_task(t.task(), failure=app_failure())
    t.fail_task(t.task(), failure=app_failure())
    u.send(t, label="at attempt 3")
    task = t.task()
    t.note("messages", [m.id for m in task.messages])
    t.complete(task)
    t.history()


@scenario()
def update_in_tasks_that_fail(t):
    """Sent with the first task, which fails twice."""
    t.start()
    sent = u.later(t, timeout=10)
    time.sleep(0.3)
    t.fail_task(t.task(), failure=app_failure())
    t.fail_task(t.task(), failure=app_failure())
    task = t.task()
    u.answer(t, task, *u.accepted(task, "in the end"))
    t.settle("update", sent)
    t.history()


@scenario()
def update_between_tasks_that_fail(t):
    """Admitted between two attempts that fail; the third one has it."""
    t.start()
    t.fail_task(t.task(), failure=app_failure())
    sent = u.later(t, timeout=10)
    time.sleep(0.3)
    t.fail_task(t.task(), failure=app_failure())
    task = t.task()
    u.answer(t, task, *u.accepted(task, "in the end"))
    t.settle("update", sent)
    t.history()


@scenario()
def update_while_closing(t):
    """The last completion wanted to close but something waited: updates are refused meanwhile."""
    t.idle()
    t.signal()
    task = t.task()
    t.signal("more")
    t.complete(task, done())
    task = t.task()
    u.send(t, label="while closing", timeout=4)
    t.complete(task, done("end"))
    t.history()


@scenario()
def update_unhandled_command(t):
    """A close is refused because a signal waits: the update of that task is given up."""
    t.idle()
    sent, task = u.delivered(t)
    t.signal("more")
    messages = u.accepted(task, 1)
    u.answer(t, task, *messages, commands=[done()])
    t.settle("update", sent)
    task = t.task(label="next task")
    t.complete(task, done())
    t.history()


@scenario()
def update_message_of_another(t):
    """A response whose meta names another update than the message."""

    def other(m, r):
        one, two = u.acceptance(m, r), u.response("someone", 1)
        two.protocol_instance_id = m.protocol_instance_id
        return u.says(one, two), [one, two]

    _bad(t, "u", other)
