"""The allow-list: the only fields of a record that may differ, each with its reason.

A path is the end of a dotted path of field names, list positions left out; (key) stands for the
keys of a map. Kinds:
  id        the UUIDs inside the text are named after the first place they appear, so that it is
            still compared which ids are equal
  time      a time must be present, not equal
  token     opaque bytes must be present, not equal
  number    a number must be present, not equal
  remainder a duration that is no whole number of seconds depends on the clock: may be there
  rounded   a duration compared to a hundredth of a second
  payload   base64 whose decoded text holds UUIDs, treated as id
  opaque    anything must be present, not equal
  advice    may be there or not
  unordered a list compared as a set
  size      text, or base64 of text, in which a number of bytes is not compared
  spaces    text in which a no-break space counts as a space
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache


@dataclass(frozen=True)
class Rule:
    path: str
    kind: str
    reason: str
    scenarios: str = "*"

    def covers(self, scenario, path):
        if not fnmatchcase(scenario, self.scenarios):
            return False
        return path == self.path or path.endswith("." + self.path)


RUN_ID = "run ids are random"
REQUEST_ID = "the server makes up a request id where the caller gives none"
CLOCK = "the wall clock"
TOKEN = "opaque to clients, each server has its own form"
SIZE = "bytes of the stored form, which each server has its own of"

RULES = [
    Rule("completed.error.message", "size", SIZE, "limit_transaction*"),
    Rule("details.payloads.data", "size", SIZE, "limit_transaction*"),
    Rule("run_id", "id", RUN_ID),
    Rule("first_execution_run_id", "id", RUN_ID),
    Rule("first_run_id", "id", RUN_ID),
    Rule("original_execution_run_id", "id", RUN_ID),
    Rule("continued_execution_run_id", "id", RUN_ID),
    Rule("new_execution_run_id", "id", RUN_ID),
    Rule("base_run_id", "id", RUN_ID),
    Rule("new_run_id", "id", RUN_ID),
    Rule("reset_run_id", "id", RUN_ID),
    Rule("last_reset_time", "time", CLOCK),
    Rule("registration_time", "time", CLOCK),
    Rule("callbacks", "unordered", "the original keeps callbacks in no order"),
    Rule(
        "bad message.error.message",
        "spaces",
        "Go's protobuf library prints either space, at random by build",
    ),
    Rule(
        "unknown path.error.message",
        "spaces",
        "Go's protobuf library prints either space, at random by build",
    ),
    Rule("error.message", "id", "the text of some errors names a run"),
    Rule("statuses.message", "id", "the text of some errors names a run"),
    Rule("workflow_execution_terminated_event_attributes.details.payloads.data", "payload", RUN_ID),
    Rule("workflow_task_started_event_attributes.request_id", "id", REQUEST_ID),
    Rule("activity_task_started_event_attributes.request_id", "id", REQUEST_ID),
    Rule("start_request_id", "id", REQUEST_ID),
    Rule("request_id_infos.(key)", "id", REQUEST_ID),
    Rule("cluster_id", "id", "every cluster makes up its own"),
    Rule("namespace_info.id", "id", "every cluster makes up its own"),
    Rule("namespace_id", "id", "every cluster makes up its own"),
    Rule("parent_workflow_namespace_id", "id", "every cluster makes up its own"),
    Rule("parent_namespace_id", "id", "every cluster makes up its own"),
    Rule("event_time", "time", CLOCK),
    Rule("scheduled_time", "time", CLOCK),
    Rule("started_time", "time", CLOCK),
    Rule("current_attempt_scheduled_time", "time", CLOCK),
    Rule("start_time", "time", CLOCK),
    Rule("close_time", "time", CLOCK),
    Rule("execution_time", "time", CLOCK),
    Rule("expiration_time", "time", CLOCK),
    Rule("execution_expiration_time", "time", CLOCK),
    Rule("run_expiration_time", "time", CLOCK),
    Rule("workflow_execution_expiration_time", "time", CLOCK),
    Rule("original_start_time", "time", CLOCK),
    Rule("create_time", "time", CLOCK),
    Rule("last_started_time", "time", CLOCK),
    Rule("last_heartbeat_time", "time", CLOCK),
    Rule("last_attempt_complete_time", "time", CLOCK),
    Rule("next_attempt_schedule_time", "time", CLOCK),
    Rule("original_scheduled_time", "time", CLOCK),
    Rule("pause_time", "time", CLOCK),
    Rule("last_access_time", "time", CLOCK),
    Rule("metadata.update_time", "time", CLOCK),
    Rule("approximate_backlog_age", "remainder", CLOCK),
    Rule("tasks_add_rate", "advice", "the original forgets some, and then all after a while"),
    Rule("tasks_dispatch_rate", "advice", "the original forgets some, and then all after a while"),
    Rule("owner_host_name", "opaque", "the address of the server's own part"),
    Rule("execution_duration", "opaque", CLOCK),
    Rule("update_time", "time", CLOCK),
    Rule("actual_time", "time", CLOCK),
    Rule("at once.info.recent_actions.schedule_time", "time", CLOCK),
    Rule("at once.info.recent_actions.start_workflow_result.workflow_id", "opaque", CLOCK),
    Rule("at once.info.running_workflows.workflow_id", "opaque", CLOCK),
    Rule("took both.info.recent_actions.schedule_time", "time", CLOCK),
    Rule("took both.info.recent_actions.start_workflow_result.workflow_id", "opaque", CLOCK),
    Rule("future_action_times", "time", CLOCK, "schedule_*"),
    Rule(
        "workflow_task_scheduled_event_attributes.start_to_close_timeout",
        "opaque",
        "from attempt 4 on the original adds jitter; the scenario notes the range",
        "task_attempt_grows",
    ),
    Rule("current_retry_interval", "opaque", "jitter is random", "activity_*_jitter"),
    Rule(
        "current_retry_interval", "opaque", "jitter is random", "activity_execution_operations"
    ),
    Rule(
        "current_retry_interval",
        "rounded",
        "the original takes the difference of two clock readings, some microseconds too long",
    ),
    Rule(
        "first_workflow_task_backoff",
        "remainder",
        "what is left of the second that must lie between two runs, if anything is",
    ),
    Rule("core_used_flags", "unordered", "the SDK writes them in no order", "sdk_*"),
    Rule("sdk_version", "opaque", "the version of the SDK under the driver", "sdk_*"),
    Rule("stack_trace", "opaque", "paths and lines of the Python installation", "sdk_*"),
    Rule("task_queue.name", "id", "the SDK makes up the name of its sticky queue", "sdk_*"),
    Rule(
        "workflow_execution_signaled_event_attributes.request_id",
        "id",
        "made up by the SDK",
        "sdk_*",
    ),
    Rule(
        "workflow_execution_signaled_event_attributes.request_id",
        "id",
        "made up by the server that sends it for another run",
        "differential",
    ),
    Rule(
        "workflow_execution_signaled_event_attributes.request_id",
        "id",
        "the server makes it up for a signal of a workflow",
        "signal_external_*",
    ),
    Rule("data.payloads.data", "opaque", "holds times of the SDK's clock", "sdk_local_activity"),
    Rule("expire_time", "time", CLOCK),
    Rule("task_token", "token", TOKEN),
    Rule("next_page_token", "token", TOKEN),
    Rule("task_id", "number", "a counter of the server's own tasks"),
    Rule("backlog_count_hint", "advice", "depends on how busy the queue is at that moment"),
    Rule("poller_scaling_decision", "advice", "depends on how busy the queue is at that moment"),
    Rule("history_size_bytes", "number", SIZE),
    Rule("state_transition_count", "number", "counts the original's internal transactions"),
]


@lru_cache(maxsize=None)
def rule_for(scenario, path):
    for rule in RULES:
        if rule.covers(scenario, path):
            return rule
    return None
