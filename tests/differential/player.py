"""Plays one sequence on a server, as its only client and worker, and notes all that it sees.

After every operation the workflow is described (and the answer noted), so that the next operation
starts from a known state: that is the barrier. What the server does by itself, at a time, happens
only inside an operation that waits for it; an operation that ends later than that has lost a race,
and the sequence says so with TooLate instead of noting what luck decided.
"""

import time

from driver.rpc import RpcError, to_json
from driver.script import ScenarioFailed, Script
from driver.values import app_failure, payloads

from view import RUNNING, View

BEGINS = ("start", "start_delayed", "start_eager", "signal_with_start")
POLL_S = 8  # a poll that gets nothing ends a second earlier
QUERY_S = 15
STICKY_MEMORY_S = 10  # how long the original believes in a sticky worker it has not heard of
BUFFERED_S = 0.5  # until a query has surely reached the workflow
OTHERS_S = 4  # the longest wait for other runs to hear of something
TERMINATE, REQUEST_CANCEL = 1, 3  # parent close policies
MARGIN_S = 0.1
YOUNG_S, GROWN_S = 0.9, 1.1  # a run is surely younger, or older, than a second
APART_S = 0.7  # what happens by itself must lie so far apart, to have one order
SAME_S = 0.002  # timers due so close together fire in one transaction
HIDDEN_S = 0.5  # until what was due has surely happened, where it cannot be seen
HORIZON_S = 8  # nothing is waited for that is due later


class TooLate(Exception):
    """The machine was too slow for this sequence to have one outcome; it can be played again."""


class Forgotten(Exception):
    """A call failed while a query waited for a task: the original forgets such a query, and asks it
    again some time later; what comes of it is luck."""


def _without_keys(task):
    return {**task, "queries": list(task["queries"].values())} if "queries" in task else {**task}


class Player(Script):
    def __init__(self, server, sequence, nonce):
        super().__init__(server, sequence.name, nonce)
        self.sequence = sequence
        self.view = None
        self.runs = []  # run ids in the order they were met
        self.held = None  # the workflow task that was taken and not answered
        self.stale = None  # the last one that is over
        self.sticky_seconds = None  # set while the server should use the sticky queue
        self.sticky_polled = float("-inf")
        self.strays = {}  # polls that wait in the background, by task queue
        self.activities = {}  # the last task of every activity, by activity id
        self.updates = []  # ids of those that were accepted
        self.children = {}  # {workflow id: parent close policy}
        self.query = None  # (label, future) of the one that waits for a workflow task
        self.waited_until = 0.0  # what was due until then has happened
        self.must_end_by = float("inf")  # the operation that is being played
        self.played = []  # the operations that were possible

    def note(self, label, value):
        """The keys of queries are the server's own choice: they are noted without."""
        if isinstance(value, dict):
            value = _without_keys(value)
            if "workflow_task" in value:
                value["workflow_task"] = _without_keys(value["workflow_task"])
            if "error" in value and self.query:
                raise Forgotten(f"{label} failed while a query waited")
        return super().note(label, value)

    # --- the whole sequence

    def play(self, operations_table):
        if any(operation.get("sticky") for operation in self.sequence.operations):
            self._announce_sticky_worker()
        for number, operation in enumerate(self.sequence.operations, 1):
            play = operations_table[operation["kind"]].play
            if self._one(f"{number} {operation['kind']}", play, operation):
                self.played.append(operation)
        self._finish(operations_table)

    def _announce_sticky_worker(self):
        """A poll that ends empty, so that the server knows of a worker on the sticky queue."""
        queue = {"name": self.sticky, "kind": 2, "normal_name": self.queue}
        try:
            self.call("PollWorkflowTaskQueue", timeout=4, task_queue=queue)
        except RpcError:
            raise TooLate("the announcing poll") from None
        self.sticky_polled = time.time()

    def _one(self, label, play, operation):
        if self.view is None and operation["kind"] not in BEGINS:
            return False
        dues = self.dues()
        if operation["kind"] != "wait" and dues and time.time() > dues[0] - MARGIN_S:
            raise TooLate(f"before {label}")
        before, self.must_end_by = self.view, float("inf")
        if not play(self, label, operation):
            return False
        self._settle_others(before)
        self.look(f"{label}: then")
        self._after_query(label)
        # The operation may have done away with what was due; it must have been in time for that.
        dues = [due for due in dues if due > self.waited_until]
        if any(due < time.time() for due in dues + [self.must_end_by] + self.dues()):
            raise TooLate(f"after {label}")
        return True

    def _finish(self, operations_table):
        """A query that still waits gets its answer; then the histories are noted."""
        if self.query:
            answer = {"kind": "answer", "commands": []}
            self._one("end, for the query", operations_table["answer"].play, answer)
        if self.query:
            self.query_was_answered()
        for number, run_id in enumerate(self.runs, 1):
            if run_id != self.view.run_id:
                self.describe(f"run {number} at the end", run_id)
            self.history(run_id, f"history of run {number}")
        self._finish_children()
        if self.view and self.view.is_open:
            self._clean_up(self.execution())

    # --- what is known

    def look(self, label=None):
        """Describes the current run; notes the answer unless label is None."""
        if label:
            described = self.describe(label)
        else:
            described = self.call("DescribeWorkflowExecution", execution=self.execution())
        if described is None:
            return
        info = described.workflow_execution_info
        old = self.view
        same = old and old.run_id == info.execution.run_id and old.length == info.history_length
        self._seen(info.execution.run_id)
        events = old.events if same else self.events(info.execution.run_id)
        self.view = View(described, events)
        self._forget_what_is_over()

    def _seen(self, run_id):
        if run_id not in self.runs:
            self.runs.append(run_id)

    def _forget_what_is_over(self):
        task = self.view.task
        if self.held and not (self.view.task_runs and task.attempt == self.held.attempt):
            self.stale, self.held = self.held, None
        if task is not None and task.attempt > 1 or not self.view.is_open:
            self.sticky_seconds = None

    def dues(self):
        """When something will happen by itself; what was waited for has happened."""
        dues = self.view.dues(self.sticky_seconds) if self.view else []
        return [due for due in dues if due > self.waited_until]

    def be_of_age(self, young):
        """What comes next depends on whether the run is older than a second: makes sure of it."""
        if not self.view.is_open:
            return
        began = self.view.began_at()
        if not young:
            time.sleep(max(0, began + GROWN_S - time.time()))
        if young:
            self.must_end_by = min(self.must_end_by, began + YOUNG_S)

    # --- workflow tasks

    def sticky_alive(self):
        """Whether the server believes in a worker on the sticky queue."""
        silence = time.time() - self.sticky_polled
        if abs(silence - STICKY_MEMORY_S) < 1:
            raise TooLate("the server may or may not believe in the sticky worker")
        return silence < STICKY_MEMORY_S

    def poll_task(self, sticky):
        """The next workflow or query task, or None."""
        queue = self.sticky if sticky else self.queue
        future = self.strays.pop(queue, None) or self._poll_later(sticky)
        return self._polled(queue, future)

    def _poll_later(self, sticky):
        task_queue = {"name": self.queue}
        if sticky:
            task_queue = {"name": self.sticky, "kind": 2, "normal_name": self.queue}
        return self.later(
            self.call,
            "PollWorkflowTaskQueue",
            timeout=POLL_S,
            task_queue=task_queue,
            identity="worker",
        )

    def _polled(self, queue, future):
        if queue == self.sticky:
            self.sticky_polled = time.time()
        task = future.result(POLL_S + 5)
        return task if task.task_token else None

    def take(self, label):
        """Takes the waiting workflow task; notes it and keeps it as held."""
        return self.take_from(label, self.view.task_is_sticky and self.sticky_alive())

    def take_from(self, label, sticky):
        task = self.poll_task(sticky)
        if task is None:
            raise ScenarioFailed(f"{label}: no workflow task came")
        if not sticky:
            self.sticky_seconds = None
        self.must_end_by = min(self.must_end_by, time.time() + self.view.task_timeout())
        self.hold(self.note_task(f"{label}: task", task))
        return task

    def hold(self, task):
        self.held = task

    def task_to_answer(self, label):
        """The held task, else the waiting one, else one that is over, else None."""
        if self.held:
            return self.held
        if self.view and self.view.task_waits:
            return self.take(label)
        return self.stale

    # --- queries

    def ask(self, label, **fields):
        """Sends a query; what becomes of it depends on the state the workflow is in."""
        view, future = self.view, self.later(self.query_call, timeout=QUERY_S, **fields)
        refused = not view.is_open and fields.get("query_reject_condition", 1) != 1
        if refused or not view.is_open and not view.ever_completed_task:
            self.settle(label, future)
        elif view.task is None:
            self._serve_query(label, future)
        elif self.query or view.task.attempt >= 3:
            self.settle(label, future)
        else:
            time.sleep(BUFFERED_S)
            self.query = (label, future)

    def query_results(self, task):
        return {k: {"result_type": 1, "answer": payloads("state")} for k in task.queries}

    def query_was_answered(self):
        (label, future), self.query = self.query, None
        self.settle(label, future)

    def _after_query(self, label):
        """A query that waited for a workflow task goes its own way when there is none any more."""
        if not self.query:
            return
        if self.query[1].done():
            self.query_was_answered()
        elif self.view.task is None:
            asked, future = self.query
            self.query = None
            self._serve_query(asked, future)

    def _serve_query(self, label, future):
        sticky = bool(self.sticky_seconds) and self.sticky_alive()
        queue = self.sticky if sticky else self.queue
        poll = self.strays.pop(queue, None) or self._poll_later(sticky)
        while not poll.done() and not future.done():
            time.sleep(0.01)
        if not poll.done():
            self.strays[queue] = poll
        else:
            task = self._polled(queue, poll)
            if task is not None:
                self._answer_query(label, task)
        self.settle(label, future)

    def _answer_query(self, label, task):
        self.note_task(f"{label}: query task", task)
        self.does(
            f"{label}: answer",
            "RespondQueryTaskCompleted",
            task_token=task.task_token,
            completed_type=1,
            query_result=payloads("state"),
        )

    # --- activities

    def pending_activity(self, choice, *states):
        """The id of one of the pending activities in these states, or None."""
        if self.view is None:
            return None
        found = [k for k, a in sorted(self.view.activities.items()) if a.state in states]
        return found[choice % len(found)] if found else None

    def queue_of(self, activity_id):
        """Every activity has a task queue of its own: the order of dispatch is the script's."""
        return f"{self.queue}-{activity_id}"

    def take_activity(self, label, activity_id):
        if self.view.in_backoff(activity_id, time.time()):
            due = self._claim_next_due()
            if due != self.view.next_attempt(activity_id):
                raise TooLate("something else is due before the next attempt")
        task = self.call(
            "PollActivityTaskQueue",
            timeout=POLL_S,
            task_queue={"name": self.queue_of(activity_id)},
            identity="worker",
        )
        if not task.task_token:
            raise ScenarioFailed(f"{label}: no activity task came")
        self.note(f"{label}: task", to_json(task))
        self.activities[activity_id] = task
        return task

    # --- other runs

    def child_of(self, name):
        return f"{self.wid}-{name}"

    def queue_of_child(self, child):
        return f"{self.queue}-{child.removeprefix(self.wid)}"

    def wait_until(self, seen):
        """Looks, and notes nothing, until something is seen; not for long."""
        until = time.time() + OTHERS_S
        while time.time() < until:
            self.look()
            if not self.view.is_open or seen(self.view):
                return
            time.sleep(0.02)

    def _settle_others(self, before):
        """What this run asked of others has been answered; what its end means to its children has
        happened to them."""
        if not self.children or before is None:
            if before is not None and self._told_others(before):
                self.wait_until(View.others_answered)
            return
        self.wait_until(View.others_answered)
        if self.view.run_id != before.run_id or not self.view.is_open and before.is_open:
            for child, policy in self.children.items():
                self._wait_for_end_of(child, policy)

    def _told_others(self, before):
        self.look()
        return self.view.is_open and not self.view.others_answered()

    def _wait_for_end_of(self, child, policy):
        until = time.time() + OTHERS_S
        while policy in (TERMINATE, REQUEST_CANCEL) and time.time() < until:
            described = self._child(child)
            if described is None or described.workflow_execution_info.status != RUNNING:
                return
            cancels = described.workflow_extended_info.cancel_requested
            if policy == REQUEST_CANCEL and cancels:
                return
            time.sleep(0.02)

    def _child(self, child):
        try:
            return self.call("DescribeWorkflowExecution", execution={"workflow_id": child})
        except RpcError:
            return None

    def _finish_children(self):
        for child in self.children:
            described = self._child(child)
            if described is None:
                continue
            execution = described.workflow_execution_info.execution
            fields = {"execution": {"workflow_id": child, "run_id": execution.run_id}}
            label = f"history of child {child.removeprefix(self.wid)}"
            self.does(label, "GetWorkflowExecutionHistory", **fields)
            if described.workflow_execution_info.status == RUNNING:
                self._clean_up(fields["execution"])

    def _clean_up(self, execution):
        try:
            self.call("TerminateWorkflowExecution", workflow_execution=execution)
        except RpcError:
            pass  # it closed by itself meanwhile

    # --- time

    def _claim_next_due(self):
        """When the next thing happens by itself, alone; None when that is too far away. From now on
        it counts as having happened."""
        dues = self.dues()
        if not dues or dues[0] > time.time() + HORIZON_S:
            return None
        timers = {due for _, due in self.view.timers.values()}
        later = [due for due in dues[1:] if due > dues[0] + SAME_S or due not in timers]
        if later and later[0] - dues[0] < APART_S:
            raise TooLate("two things are due at about the same time")
        self.waited_until = dues[0] + SAME_S
        return dues[0]

    def wait(self):
        """Waits for what happens next by itself; False when nothing does."""
        before = self.view.fingerprint() if self.view else None
        due = self._claim_next_due()
        if due is None:
            return False
        hidden = self.view.task_runs  # a timer that fires now is buffered, unseen
        time.sleep(max(0, due - time.time()) + (HIDDEN_S if hidden else 0.02))
        self.look()
        while self.view.fingerprint() == before and time.time() < due + HIDDEN_S:
            time.sleep(0.03)
            self.look()
        return True


def failure_of(operation):
    """The failure an operation describes."""
    fields = dict(operation.get("failure", {}))
    delay = fields.pop("next_retry_delay", None)
    cause = fields.pop("cause", None)
    if delay is not None:
        fields["next_retry_delay"] = {"seconds": delay}
    if cause:
        fields["cause"] = app_failure(cause, "Inner", stack_trace="at inner")
    details = fields.pop("details", None)
    if details is not None:
        fields["details"] = payloads(details)
    return app_failure(**fields)
