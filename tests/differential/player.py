"""Plays one sequence on a server, as its only client and worker, and notes all that it sees.

After every operation the workflow is described (and the answer noted), so that the next operation
starts from a known state: that is the barrier. What the server does by itself, at a time, happens
only inside an operation that waits for it; an operation that ends later than that has lost a race,
and the sequence says so with TooLate instead of noting what luck decided.
"""

import time
from concurrent.futures import wait

from driver.rpc import RpcError, request_type, response_type, to_json
from driver.script import ScenarioFailed, Script
from driver.values import app_failure, payloads

from view import RUNNING, View

BEGINS = ("start", "start_delayed", "start_eager", "signal_with_start", "update_with_start")
POLL_S = 8  # a poll that gets nothing ends a second earlier
VAIN_S = 2.4  # of one that will get nothing; less than two seconds are refused
ABANDONED_S = 0.15  # until the server has heard of a poll, and of its end
QUERY_S = 15
STICKY_MEMORY_S = 10  # how long the original believes in a sticky worker it has not heard of
HEARD_S = 4  # for so long a poll of the sticky queue is followed by no other, to announce it
BUFFERED_S = 0.5  # until a query has surely reached the workflow
OTHERS_S = 4  # the longest wait for other runs to hear of something
TERMINATE, REQUEST_CANCEL = 1, 3  # parent close policies
MARGIN_S = 0.1
YOUNG_S, GROWN_S = 0.9, 1.1  # a run is surely younger, or older, than a second
ACTS_AT = 1600000000  # a day in 2020; every action of a schedule has a second of its own
APART_S = 0.7  # what happens by itself must lie so far apart, to have one order
SAME_S = 0.002  # timers due so close together fire in one transaction
SLOW_S = 0.8  # an operation that takes longer may have missed what was due after a second
HIDDEN_S = 0.5  # until what was due has surely happened, where it cannot be seen
HORIZON_S = 8  # nothing is waited for that is due later


class TooLate(Exception):
    """The machine was too slow for this sequence to have one outcome; it can be played again."""


class Forgotten(Exception):
    """A call failed, after which the original reads the run again from its store, and forgets what
    is in memory alone: a query that waits for a task, which is asked again some time later, and a
    reset of stickiness. What comes of it is luck. Or a run closed before its first task ended: the
    original leaves the queries that waited for that hanging."""


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
        self.admitted = []  # updates that wait for a task: (id, label, future)
        self.schedule = None  # what is known of the schedule: its actions, its state
        self.triggers = 0
        self.schedule_id, self.scheduled_id = f"{self.wid}-schedule", f"{self.wid}-scheduled"
        self.children = {}  # {workflow id: parent close policy}
        self.query = None  # (label, future) of the one that waits for a workflow task
        self.queried_run = None
        self.query_is_early = False  # it was asked before the first task was answered
        self.unstuck = False  # stickiness was reset, which the original has not stored yet
        self.waited_until = 0.0  # what was due until then has happened
        self.must_end_by = float("inf")  # the operation that is being played
        self.patient = False  # it may take long, because nothing becomes due meanwhile
        self.awake = 0.0  # since when nothing was waited for on purpose
        self.played = []  # the operations that were possible

    def note(self, label, value):
        """The keys of queries are the server's own choice: they are noted without."""
        if isinstance(value, dict):
            value = _without_keys(value)
            if "workflow_task" in value:
                value["workflow_task"] = _without_keys(value["workflow_task"])
            if "error" in value and (self.query or self.unstuck):
                what = "a query waited" if self.query else "stickiness was reset"
                raise Forgotten(f"{label} failed after {what}")
        return super().note(label, value)

    # --- the whole sequence

    def play(self, operations_table):
        for number, operation in enumerate(self.sequence.operations, 1):
            play = operations_table[operation["kind"]].play
            if self._one(f"{number} {operation['kind']}", play, operation):
                self.played.append(operation)
        self._finish(operations_table)

    def _one(self, label, play, operation):
        if self.view is None and operation["kind"] not in BEGINS:
            return False
        dues = self.dues()
        if operation["kind"] != "wait" and dues and time.time() > dues[0] - MARGIN_S:
            raise TooLate(f"before {label}")
        before, self.must_end_by = self.view, float("inf")
        began, waited_until = time.time(), self.waited_until
        self.awake, self.patient = began, False
        if not play(self, label, operation):
            return False
        self._settle_others(before)
        self.look(f"{label}: then")
        self._after_query(label)
        self._after_updates()
        # The operation may have done away with what was due; it must have been in time for that.
        dues = [due for due in dues if due > self.waited_until]
        if any(due < time.time() for due in dues + [self.must_end_by] + self.dues()):
            raise TooLate(f"after {label}")
        if time.time() - self.awake > SLOW_S and self._could_miss(before, dues, operation):
            raise TooLate(f"slow during {label}")
        if self.waited_until == waited_until and self.view.happened_by_itself(began):
            raise TooLate(f"during {label}")
        return True

    def _could_miss(self, before, dues, operation):
        """Whether something may have become due, and happened, within the operation unseen."""
        soon = time.time() + HORIZON_S
        same_run = before is not None and before.run_id == self.view.run_id
        quiet = self.patient or not (before and before.activities or self.view.activities)
        long_starts = not any(name in operation for name in ("delay", "attempts"))
        nothing_due = not any(due < soon for due in dues + self.dues())
        commands = {command["kind"] for command in operation.get("commands", ())}
        keeps = same_run or operation["kind"] in BEGINS and long_starts
        return not (quiet and nothing_due and keeps and not commands & {"timer", "activity"})

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
            try:
                self.history(run_id, f"history of run {number}")
            except RpcError as error:  # it was deleted
                self.note(f"history of run {number}", error.to_json())
        self._finish_children()
        self._finish_schedule()
        if self.view and self.view.is_open:
            self._clean_up(self.execution())

    # --- what is known

    def look(self, label=None):
        """Describes the current run; notes the answer unless label is None."""
        described = self.describe(label) if label else self.described()
        if described is None:
            if self.view:
                self.view.vanish()
            return
        info = described.workflow_execution_info
        old = self.view
        same = old and old.run_id == info.execution.run_id and old.length == info.history_length
        self._seen(info.execution.run_id)
        events = old.events if same else self.events(info.execution.run_id)
        self.view = View(described, events)
        self._forget_what_is_over()

    def described(self, run_id=None, workflow_id=None):
        """What the server says of a run, or None where there is none; nothing is noted."""
        execution = self.execution(run_id, workflow_id)
        try:
            return self.call("DescribeWorkflowExecution", execution=execution)
        except RpcError as error:
            if error.code != "NOT_FOUND":
                raise
            return None

    def _seen(self, run_id):
        if run_id not in self.runs:
            self.runs.append(run_id)
        if self.view and self.view.run_id != run_id:
            self.sticky_seconds, self.unstuck = None, False

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

    def rest(self, seconds):
        time.sleep(max(0, seconds))
        self.awake = time.time()

    def be_of_age(self, young):
        """What comes next depends on whether the run is older than a second: makes sure of it."""
        if not self.view.is_open:
            return
        began = self.view.began_at()
        if not young:
            self.rest(began + GROWN_S - time.time())
        if young:
            self.must_end_by = min(self.must_end_by, began + YOUNG_S)

    # --- workflow tasks

    def announce_sticky_worker(self):
        """A poll that ends empty, so that the server knows of a worker on the sticky queue."""
        if time.time() - self.sticky_polled < HEARD_S:
            return
        queue = {"name": self.sticky, "kind": 2, "normal_name": self.queue}
        self._poll_nothing("PollWorkflowTaskQueue", task_queue=queue)
        self.sticky_polled = time.time()

    def _poll_nothing(self, method, **fields):
        try:
            nothing = self.call(method, timeout=VAIN_S, identity="worker", **fields)
            self.awake = time.time()
            return nothing
        except RpcError as error:
            if error.code != "DEADLINE_EXCEEDED":
                raise
            raise TooLate("a poll that gets nothing") from None

    def poll_in_vain(self, label, activity_queue=None):
        """Nothing is there for a worker."""
        method = "PollActivityTaskQueue" if activity_queue else "PollWorkflowTaskQueue"
        queue = {"name": activity_queue or self.queue}
        self.note(f"{label}: task", to_json(self._poll_nothing(method, task_queue=queue)))

    def abandon_poll(self):
        """A worker asks for a task and is gone before there is one."""
        fields = {"namespace": self.namespace, "task_queue": {"name": self.queue}}
        request = request_type("PollWorkflowTaskQueue")(identity="worker", **fields)
        call = self.server.begin("PollWorkflowTaskQueue", request, timeout=POLL_S)
        time.sleep(ABANDONED_S)
        call.cancel()
        self.rest(ABANDONED_S)

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
        if self.view:
            self.must_end_by = min(self.must_end_by, time.time() + self.view.task_timeout())
        self.hold(self.note_task(f"{label}: task", task))
        return task

    def hold(self, task):
        self.held = task

    def task_to_answer(self, label):
        """The held task, else the waiting one, else one that is over, else none at all."""
        if self.held:
            return self.held
        if self.view.task_waits:
            return self.take(label)
        return self.stale or response_type("PollWorkflowTaskQueue")()

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
            self.rest(BUFFERED_S)
            self.query = (label, future)
            self.query_is_early = not view.ever_completed_task
            self.queried_run = view.run_id

    def query_results(self, task):
        return {k: {"result_type": 1, "answer": payloads("state")} for k in task.queries}

    def query_was_answered(self):
        (label, future), self.query = self.query, None
        self.settle(label, future)

    def _after_query(self, label):
        """A query that waited for a workflow task goes its own way when there is none any more."""
        if not self.query:
            return
        is_open = self.view.is_open and self.view.run_id == self.queried_run
        if self.query_is_early and not is_open:
            raise Forgotten(f"{label} closed the run before its first task")
        if self.query[1].done():
            self.query_was_answered()
        elif self.view.task is None:
            asked, future = self.query
            self.query = None
            self._serve_query(asked, future)

    def _after_updates(self):
        """Updates that waited for a task, and have been answered or refused meanwhile."""
        if self.admitted and not (self.view.task_runs or self.view.task_waits):
            wait([sent for _, _, sent in self.admitted], QUERY_S)
        for admitted in list(self.admitted):
            _, label, sent = admitted
            if sent.done():
                self.admitted.remove(admitted)
                self.settle(label, sent)

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
            described = self.described(workflow_id=child)
            if described is None or described.workflow_execution_info.status != RUNNING:
                return
            cancels = described.workflow_extended_info.cancel_requested
            if policy == REQUEST_CANCEL and cancels:
                return
            time.sleep(0.02)

    def _finish_children(self):
        for child in self.children:
            described = self.described(workflow_id=child)
            if described is None:
                continue
            execution = described.workflow_execution_info.execution
            fields = {"execution": {"workflow_id": child, "run_id": execution.run_id}}
            label = f"history of child {child.removeprefix(self.wid)}"
            self.does(label, "GetWorkflowExecutionHistory", **fields)
            if described.workflow_execution_info.status == RUNNING:
                self._clean_up(fields["execution"])

    def _finish_schedule(self):
        if self.schedule:
            self.call("DeleteSchedule", schedule_id=self.schedule_id)
        for number in range(1, self.triggers + 1):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ACTS_AT + number))
            self._clean_up({"workflow_id": f"{self.scheduled_id}-{at}"})

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
        self.rest(max(0, due - time.time()) + (HIDDEN_S if hidden else 0.02))
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
