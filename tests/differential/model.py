"""What the generator believes about the workflow it writes a sequence for.

A coarse model, only good enough that most operations are possible when they are played: whether one
is possible is decided, on both servers alike, by what the player sees. It also keeps a clock, in
seconds, that only waits move noticeably: times are chosen so that no two things are due together.
"""

import copy
import math
import random
from dataclasses import dataclass, field

LONG = 300  # seconds; nothing so long ends within a sequence
APART_S = 0.9
SOON_S = 0.7  # what is due sooner is waited for, before anything else


class Model:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.clock = 0.0
        self.dues = {}  # what is due by itself: {name: time}
        self.numbers = {}
        self.started = False
        self.request = None
        self.retries = 1
        self.activity_tokens = set()
        self.task_taken_once = False
        self.task_completed_once = False
        self.sticky_heard = -math.inf  # when a worker last asked for tasks of the sticky queue
        self.scheduled = False  # whether there is a schedule
        self.begin_run(open=False)

    def run_age(self):
        return self.clock - self.run_began

    def begin_run(self, open=True, task="waiting", task_timeout=LONG):
        self.open, self.run_began = open, self.clock
        self.young = True  # whether the next run has to wait for a second to pass
        self.started = self.started or open
        self.task = task if open else None  # None, "waiting" or "held"
        self.attempt = 1
        self.buffered = False
        self.activities = {}  # {activity id: "waiting", "held" or "backoff"}
        self.timers = []
        self.children = 0
        self.sticky = None  # seconds until the sticky worker counts as gone
        self.cancel_asked = False
        self.query = False
        self.task_timeout = task_timeout
        self.cancel_requested = set()
        self.fails = self.continues = False
        self.dues = {}
        if open:
            self.task_completed_once = False

    def close(self):
        retries = self.retries
        self.begin_run(open=False)
        self.retries = retries

    def workflow_ends(self):
        """The worker closed the run, and perhaps began another one."""
        retries, timeout = self.retries, self.task_timeout
        young, fails = self.young, self.fails
        goes_on = self.continues or self.fails and retries > 1
        self.close()
        self.task_completed_once = True
        if goes_on:
            self.begin_run(task_timeout=timeout)
            if young or fails:
                self.task = None
                self.dues["delay"] = self.clock + 1
            self.retries = max(1, retries - 1)

    def copy(self):
        """For parameters of operations that have no effect."""
        return copy.deepcopy(self)

    # --- choices

    def chance(self, part):
        return self.rng.random() < part

    def one_of(self, *values):
        return self.rng.choice(values)

    def number(self):
        return self.rng.randrange(4)

    def fresh(self, prefix):
        self.numbers[prefix] = self.numbers.get(prefix, 0) + 1
        return f"{prefix}{self.numbers[prefix]}"

    # --- time

    def short(self, name, choices=(1, 2, 3)):
        """A time of a few seconds that nothing else shares; LONG when there is none."""
        for seconds in self.rng.sample(choices, len(choices)):
            at = self.clock + seconds
            if all(abs(at - due) > APART_S for due in self.dues.values()):
                self.dues[name] = at
                return seconds
        return LONG

    def free_seconds(self):
        """Until something happens by itself."""
        return min(self.dues.values(), default=math.inf) - self.clock

    def must_wait(self):
        return self.free_seconds() < SOON_S

    def next_due(self):
        return min(self.dues, key=self.dues.get) if self.dues else None

    # --- workflow tasks

    def event_arrives(self):
        """An event that wakes the workflow."""
        if self.task == "held":
            self.buffered = True
        elif self.task is None and self.open and "delay" not in self.dues:
            self._task_waits()

    def _task_waits(self):
        self.task = "waiting"
        if self.sticky and self.sticky < LONG:
            self.dues["sticky"] = self.clock + self.sticky

    def take_task(self):
        self.task, self.task_taken_once = "held", True
        self.dues.pop("sticky", None)
        if self.task_timeout != LONG:
            self.dues["task"] = self.clock + self.task_timeout

    def task_ends(self, again=False):
        self.dues.pop("task", None)
        self.task = None
        if again or self.buffered:
            self._task_waits()
        self.buffered = False

    def task_fails(self):
        """The attempt failed, or timed out."""
        fresh = self.sticky or self.buffered
        self.attempt = 1 if fresh else self.attempt + 1
        self.sticky = None
        self.task_ends(again=True)

    @property
    def can_answer(self):
        return self.task is not None or self.task_taken_once

    # --- activities

    def activity_in(self, *states):
        found = [k for k, a in sorted(self.activities.items()) if a.state in states]
        return self.rng.choice(found) if found else None

    def takeable_activity(self, *states):
        """One that can be taken without making two things due at about the same time."""
        found = [k for k, a in sorted(self.activities.items()) if a.state in states]
        found = [k for k in found if self.can_take(k)]
        return self.rng.choice(found) if found else None

    def add_activity(self, made):
        self.activities[made["id"]] = Activity(made)

    def _arms(self, activity_id):
        """What taking this activity makes due: (name, time)."""
        made = self.activities[activity_id].made
        names = ("start_to_close", "heartbeat")
        return [(f"activity {activity_id} {n}", self.clock + made[n]) for n in names if n in made]

    def can_take(self, activity_id):
        """Whether nothing else is due when this activity would time out, or during its backoff."""
        if self.activities[activity_id].state == "backoff":
            return self.next_due() == f"activity {activity_id} backoff"
        return all(
            abs(at - due) > APART_S
            for _, at in self._arms(activity_id)
            for due in self.dues.values()
        )

    def take_activity(self, activity_id):
        activity = self.activities[activity_id]
        if activity.state == "backoff":
            self.clock = max(self.clock, self.dues.pop(f"activity {activity_id} backoff"))
        self.dues.pop(f"activity {activity_id} start", None)
        activity.state = "held"
        self.activity_tokens.add(activity_id)
        self.dues.update(self._arms(activity_id))

    def activity_retries(self, activity_id, delay=None):
        """Whether an attempt that failed is followed by another one; plans it if so."""
        activity = self.activities[activity_id]
        if activity.attempt >= activity.made.get("attempts", 100):
            return False
        if activity_id in self.cancel_requested:
            return False
        for name, _ in self._arms(activity_id):
            self.dues.pop(name, None)
        growth = 1 if "attempts" in activity.made or "fatal" in activity.made else 2
        backoff = delay or growth ** (activity.attempt - 1)
        activity.state, activity.attempt = "backoff", activity.attempt + 1
        self.dues[f"activity {activity_id} backoff"] = self.clock + backoff
        return True

    def rearm_heartbeats(self):
        for name in self.dues:
            if name.endswith(" heartbeat"):
                self.dues[name] = self.clock + 2

    def cancel_activity(self):
        """One of the pending activities, by a command."""
        activity_id = self.activity_in("waiting", "backoff", "held")
        if activity_id is None:
            return
        if self.activities[activity_id].state == "held":
            self.cancel_requested.add(activity_id)
        else:
            self.activity_ends(activity_id)
            self.buffered = True

    def activity_ends(self, activity_id):
        self.activities.pop(activity_id, None)
        for name in [n for n in self.dues if n.startswith(f"activity {activity_id} ")]:
            del self.dues[name]

    # --- what happens by itself

    def happen(self, name):
        """The clock moves on to this, and it happens."""
        self.clock = max(self.clock, self.dues.pop(name))
        what, *rest = name.split()
        if what == "task":
            self.task_fails()
        elif what == "sticky":
            self.sticky = None
        elif what == "run":
            self.fails, self.continues = True, False
            self.workflow_ends()
        elif what == "delay":
            self.task = self.task or "waiting"
        elif what == "timer":
            self.timers.remove(rest[0])
            self.event_arrives()
        elif rest[1] == "backoff":
            self.activities[rest[0]].state = "waiting"
        elif rest[1] not in ("start_to_close", "heartbeat") or not self.activity_retries(rest[0]):
            self.activity_ends(rest[0])
            self.event_arrives()


@dataclass
class Activity:
    made: dict
    state: str = "waiting"
    attempt: int = field(default=1)
