"""Which scenarios show which value of the protocol: every name of every enum, every error detail.

A value is shown by a scenario that asks for it or is answered with it. `UNSHOWN` has the rest, with
the reason; whatever is in neither, or in both, fails test_matrix.py. Zero values mean "not set" and
need no scenario.
"""

import importlib
import pkgutil
from fnmatch import fnmatchcase

import temporalio.api.enums.v1 as enums
from driver import named, recording
from temporalio.api.errordetails.v1 import message_pb2 as error_details

VERSIONS = "next wave: routing by worker version"
NEXUS = "next wave: Nexus"
STANDALONE = "next wave: standalone activities"
PAUSE = "next wave: workflow pause"
SKIPPING = "next wave: time skipping"
CALLBACKS = "callbacks that can be delivered come with Nexus: next wave"
OLD_NAME = "an older name: the server answers with the one that ends in _WORKFLOW"
COMMANDS_CHECKED = (
    "a command that names another namespace fails its task; the child, signal or request is never"
    " on its way"
)
OVERLOAD = "only an overloaded or specially configured server says so"
NEVER_SENT = "no call of the server's API asks for it or answers with it"
ONE_CLUSTER = "there is no other cluster"

# A name, or a pattern of names, and why no scenario shows it.
UNSHOWN = {
    "ACTIVITY_EXECUTION_STATUS_*": STANDALONE,
    "ACTIVITY_ID_CONFLICT_POLICY_*": STANDALONE,
    "ACTIVITY_ID_REUSE_POLICY_*": STANDALONE,
    "EXECUTION_TYPE_ACTIVITY": STANDALONE,
    "errordetails.v1.ActivityExecutionAlreadyStartedFailure": STANDALONE,
    "BATCH_OPERATION_TYPE_CANCEL": OLD_NAME,
    "BATCH_OPERATION_TYPE_DELETE": OLD_NAME,
    "BATCH_OPERATION_TYPE_RESET": OLD_NAME,
    "BATCH_OPERATION_TYPE_SIGNAL": OLD_NAME,
    "BATCH_OPERATION_TYPE_TERMINATE": OLD_NAME,
    "BATCH_OPERATION_TYPE_UPDATE_EXECUTION_OPTIONS": OLD_NAME,
    "BATCH_OPERATION_TYPE_CANCEL_ACTIVITY": STANDALONE,
    "BATCH_OPERATION_TYPE_DELETE_ACTIVITY": STANDALONE,
    "BATCH_OPERATION_TYPE_TERMINATE_ACTIVITY": STANDALONE,
    "COMMAND_TYPE_*_NEXUS_OPERATION": NEXUS,
    "EVENT_TYPE_NEXUS_OPERATION_*": NEXUS,
    "EXECUTION_TYPE_NEXUS_OPERATION": NEXUS,
    "NEXUS_*": NEXUS,
    "PENDING_NEXUS_OPERATION_STATE_*": NEXUS,
    "WORKFLOW_TASK_FAILED_CAUSE_*NEXUS*": NEXUS,
    "errordetails.v1.NexusOperationExecutionAlreadyStartedFailure": NEXUS,
    "CALLBACK_STATE_BACKING_OFF": CALLBACKS,
    "CALLBACK_STATE_BLOCKED": CALLBACKS,
    "CALLBACK_STATE_SCHEDULED": CALLBACKS,
    "CALLBACK_STATE_SUCCEEDED": CALLBACKS,
    "BUILD_ID_TASK_REACHABILITY_CLOSED_WORKFLOWS_ONLY": VERSIONS,
    "BUILD_ID_TASK_REACHABILITY_UNREACHABLE": VERSIONS,
    "CONTINUE_AS_NEW_VERSIONING_BEHAVIOR_*": VERSIONS,
    "DEPLOYMENT_REACHABILITY_*": VERSIONS,
    "ROUTING_CONFIG_UPDATE_STATE_*": VERSIONS,
    "START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_INVALID_VERSIONING_OVERRIDE": VERSIONS,
    "TASK_REACHABILITY_*": VERSIONS,
    "VERSION_DRAINAGE_STATUS_*": VERSIONS,
    "WORKER_DEPLOYMENT_VERSION_STATUS_*": VERSIONS,
    "WORKER_VERSIONING_MODE_VERSIONED": VERSIONS,
    "errordetails.v1.NewerBuildExistsFailure": VERSIONS,
    "EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED": PAUSE,
    "EVENT_TYPE_WORKFLOW_EXECUTION_UNPAUSED": PAUSE,
    "WORKFLOW_EXECUTION_STATUS_PAUSED": PAUSE,
    "WORKFLOW_RULE_ACTION_SCOPE_*": PAUSE,
    "WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_PAUSE_REQUESTED_BEFORE_TASK_STARTED": PAUSE,
    "EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED": SKIPPING,
    "FAST_FORWARD_POLLING_RESULT_*": SKIPPING,
    "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND": COMMANDS_CHECKED,
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND": COMMANDS_CHECKED,
    "START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND": COMMANDS_CHECKED,
    "RESOURCE_EXHAUSTED_CAUSE_APS_LIMIT": OVERLOAD,
    "RESOURCE_EXHAUSTED_CAUSE_BANDWIDTH_LIMIT": OVERLOAD,
    "RESOURCE_EXHAUSTED_CAUSE_CIRCUIT_BREAKER_OPEN": OVERLOAD,
    "RESOURCE_EXHAUSTED_CAUSE_OPS_LIMIT": OVERLOAD,
    "RESOURCE_EXHAUSTED_CAUSE_PERSISTENCE_LIMIT": OVERLOAD,
    "RESOURCE_EXHAUSTED_CAUSE_PERSISTENCE_STORAGE_LIMIT": OVERLOAD,
    "RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT": OVERLOAD,
    "RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED": OVERLOAD,
    "RESOURCE_EXHAUSTED_CAUSE_WORKER_DEPLOYMENT_LIMITS": VERSIONS,
    "RESOURCE_EXHAUSTED_SCOPE_SYSTEM": OVERLOAD,
    "RETRY_STATE_INTERNAL_SERVER_ERROR": "a retry is not decided by calls that could fail",
    "ENCODING_TYPE_*": NEVER_SENT,
    "EVENT_TYPE_ACTIVITY_PROPERTIES_MODIFIED_EXTERNALLY": NEVER_SENT,
    "EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_REJECTED": NEVER_SENT,
    "EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED_EXTERNALLY": NEVER_SENT,
    "SEVERITY_*": NEVER_SENT,
    "TASK_QUEUE_KIND_WORKER_COMMANDS": "its use is a capability that namespaces do not have",
    "errordetails.v1.CancellationAlreadyRequestedFailure": "a second request is answered as done",
    "errordetails.v1.NamespaceNotActiveFailure": ONE_CLUSTER,
    "errordetails.v1.NamespaceUnavailableFailure": ONE_CLUSTER,
    "errordetails.v1.SystemWorkflowFailure": "the server runs no workflows of its own",
    "errordetails.v1.WorkflowTaskCompletionBufferLostFailure": NEVER_SENT,
}


def values():
    """Every name there is, in the order of the protocol's files."""
    for module in pkgutil.iter_modules(enums.__path__):
        file = importlib.import_module(f"{enums.__name__}.{module.name}").DESCRIPTOR
        for enum in file.enum_types_by_name.values():
            yield from (value.name for value in enum.values if value.number)
    for name in error_details.DESCRIPTOR.message_types_by_name:
        yield f"errordetails.v1.{name}"


def shown():
    """The scenarios by the names they show."""
    found = {}
    for name in sorted(path.stem for path in recording.FOLDER.glob("*.json")):
        for value in named.in_record(recording.read(name)) | set(recording.asked(name) or ()):
            found.setdefault(value, []).append(name)
    return found


def reason_of(value):
    return next((why for name, why in UNSHOWN.items() if fnmatchcase(value, name)), None)


def show():
    scenarios = shown()
    for value in values():
        names = scenarios.get(value, [])
        print(f"{value:60} {len(names):4} {', '.join(names[:3]) or reason_of(value)}")
