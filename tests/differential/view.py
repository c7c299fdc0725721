"""What a workflow looks like from outside, and what will happen to it by itself, and when.

Both servers run on the clock of this machine, so the times they report can be compared with ours.
That makes every race visible: an operation that ended after something was due has lost it.
"""

import time

from temporalio.api.enums.v1 import event_type_pb2 as event_enum

SCHEDULED, STARTED, CANCEL_REQUESTED, PAUSED, PAUSE_REQUESTED = EVERY_STATE = 1, 2, 3, 4, 5
RUNNING = 1


def _type(name):
    return event_enum.EventType.Value("EVENT_TYPE_" + name)


TIMER_STARTED, TIMER_FIRED = _type("TIMER_STARTED"), _type("TIMER_FIRED")
TIMER_CANCELED = _type("TIMER_CANCELED")
TASK_SCHEDULED = _type("WORKFLOW_TASK_SCHEDULED")
BY_ITSELF = {
    TIMER_FIRED,
    _type("WORKFLOW_TASK_TIMED_OUT"),
    _type("ACTIVITY_TASK_TIMED_OUT"),
    _type("WORKFLOW_EXECUTION_TIMED_OUT"),
}
TASK_STARTED = _type("WORKFLOW_TASK_STARTED")
TASK_COMPLETED = _type("WORKFLOW_TASK_COMPLETED")
TASK_FAILED = _type("WORKFLOW_TASK_FAILED")
TASK_TIMED_OUT = _type("WORKFLOW_TASK_TIMED_OUT")
ACTIVITY_SCHEDULED = _type("ACTIVITY_TASK_SCHEDULED")


def _at(timestamp):
    return timestamp.seconds + timestamp.nanos / 1e9


def _seconds(duration):
    return duration.seconds + duration.nanos / 1e9


OTHERS_ASKED = (
    "EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
    "EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
)
OTHERS_ANSWERED = (
    "EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
    "EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED",
    "EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
    "EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED",
)


class View:
    """One describe answer with the events of the run it describes."""

    def __init__(self, described, events):
        self.described = described
        info = described.workflow_execution_info
        self.run_id = info.execution.run_id
        self.is_open = info.status == RUNNING
        self.length = info.history_length
        self.events = events
        self.task = described.pending_workflow_task if self._has_task() else None
        self.activities = {a.activity_id: a for a in described.pending_activities}
        self.timers = self._timers()

    def happened_by_itself(self, since):
        """Whether, since then, anything left an event without anyone's doing."""
        new = [e for e in self.events if _at(e.event_time) >= since]
        return any(e.event_type in BY_ITSELF for e in new) or self._waited_for_first_task(new)

    def _waited_for_first_task(self, new):
        started = self.events[0]
        attributes = started.workflow_execution_started_event_attributes
        delay = _seconds(attributes.first_workflow_task_backoff)
        first = next((e for e in self.events if e.event_type == TASK_SCHEDULED), None)
        waited = first in new and _at(first.event_time) - _at(started.event_time) >= delay
        return bool(delay and waited)

    def vanish(self):
        """The run was deleted."""
        self.is_open, self.task, self.activities, self.timers = False, None, {}, {}
        del self.described.pending_children[:]

    def began_at(self):
        """When the run began to work: its delay does not count, unless it was cut short."""
        started = self.events[0]
        attributes = started.workflow_execution_started_event_attributes
        began = _at(started.event_time)
        planned = began + _seconds(attributes.first_workflow_task_backoff)
        return planned if planned <= time.time() else began

    def _has_task(self):
        return self.is_open and self.described.HasField("pending_workflow_task")

    @property
    def task_waits(self):
        return self.task is not None and self.task.state == SCHEDULED

    @property
    def task_runs(self):
        return self.task is not None and self.task.state == STARTED

    @property
    def ever_completed_task(self):
        return any(e.event_type == TASK_COMPLETED for e in self.events)

    @property
    def ever_had_task(self):
        """As described: events were read a little later."""
        return any(
            e.event_type == TASK_SCHEDULED and e.event_id <= self.length for e in self.events
        )

    def in_first_backoff(self):
        """Whether the run has to wait for its first task."""
        return self.is_open and not self.ever_had_task

    @property
    def task_is_sticky(self):
        """Whether the waiting task was scheduled on a sticky queue."""
        if not self.task_waits or self.task.attempt > 1:
            return False
        scheduled = [e for e in self.events if e.event_type == TASK_SCHEDULED]
        queue = scheduled[-1].workflow_task_scheduled_event_attributes.task_queue
        return queue.kind == 2

    def _timers(self):
        """Pending timers: {timer id: (started event id, when it fires)}."""
        found = {}
        for event in self.events:
            if event.event_type == TIMER_STARTED:
                a = event.timer_started_event_attributes
                due = _at(event.event_time) + _seconds(a.start_to_fire_timeout)
                found[a.timer_id] = (event.event_id, due)
            elif event.event_type == TIMER_FIRED:
                found.pop(event.timer_fired_event_attributes.timer_id, None)
            elif event.event_type == TIMER_CANCELED:
                found.pop(event.timer_canceled_event_attributes.timer_id, None)
        return found

    def child_ids(self):
        return {child.workflow_id for child in self.described.pending_children}

    def others_answered(self):
        """Whether every child that was asked for has started, or not, and every message to another
        run has its result. What waits behind a task that is being worked on cannot be seen."""
        if any(not child.run_id for child in self.described.pending_children):
            return False
        kinds = [event_enum.EventType.Name(e.event_type) for e in self.events]
        asked = sum(kind in OTHERS_ASKED for kind in kinds)
        return self.task_runs or sum(kind in OTHERS_ANSWERED for kind in kinds) == asked

    def scheduled_event_of(self, activity_id):
        for event in reversed(self.events):
            if event.event_type == ACTIVITY_SCHEDULED:
                if event.activity_task_scheduled_event_attributes.activity_id == activity_id:
                    return event
        return None

    def in_backoff(self, activity_id, now):
        activity = self.activities[activity_id]
        return activity.state == SCHEDULED and self.next_attempt(activity_id) > now

    def next_attempt(self, activity_id):
        return _at(self.activities[activity_id].next_attempt_schedule_time)

    def fingerprint(self):
        """Changes whenever something happened that can be seen from outside."""
        task = (self.task.state, self.task.attempt) if self.task else None
        activities = tuple(
            (key, a.state, a.attempt, a.HasField("next_attempt_schedule_time"))
            for key, a in sorted(self.activities.items())
        )
        status = self.described.workflow_execution_info.status
        return self.run_id, status, self.length, task, activities

    def dues(self, sticky_seconds=None):
        """The times at which something happens without anyone's doing, in order."""
        if not self.is_open:
            return []
        found = [due for _, due in self.timers.values()]
        found += self._run_dues() + self._task_dues(sticky_seconds)
        for activity in self.activities.values():
            found += self._activity_dues(activity)
        return sorted(due for due in found if due > 0)

    def _run_dues(self):
        started = self.events[0]
        attributes = started.workflow_execution_started_event_attributes
        extended = self.described.workflow_extended_info
        found = [_at(extended.run_expiration_time), _at(extended.execution_expiration_time)]
        backoff = _seconds(attributes.first_workflow_task_backoff)
        if backoff and not self.ever_had_task:
            found.append(_at(started.event_time) + backoff)
        return found

    def task_timeout(self):
        attributes = self.events[0].workflow_execution_started_event_attributes
        return _seconds(attributes.workflow_task_timeout)

    def _task_dues(self, sticky_seconds):
        if self.task_runs:
            return [_at(self.task.started_time) + self.task_timeout()]
        if self.task_is_sticky and sticky_seconds:
            return [_at(self.task.scheduled_time) + sticky_seconds]
        return []

    def _activity_dues(self, activity):
        event = self.scheduled_event_of(activity.activity_id)
        if event is None:
            return []
        attributes = event.activity_task_scheduled_event_attributes
        found = []
        if activity.paused:
            return found

        def add(since, timeout):
            if _seconds(timeout):
                found.append(_at(since) + _seconds(timeout))

        add(event.event_time, attributes.schedule_to_close_timeout)
        if activity.state == SCHEDULED:
            if activity.HasField("next_attempt_schedule_time"):
                found.append(_at(activity.next_attempt_schedule_time))
                add(activity.next_attempt_schedule_time, attributes.schedule_to_start_timeout)
            else:
                add(activity.scheduled_time, attributes.schedule_to_start_timeout)
        else:
            add(activity.last_started_time, attributes.start_to_close_timeout)
            beat = max(_at(activity.last_started_time), _at(activity.last_heartbeat_time))
            if _seconds(attributes.heartbeat_timeout):
                found.append(beat + _seconds(attributes.heartbeat_timeout))
        return found
