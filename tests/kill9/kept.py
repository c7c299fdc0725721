"""What is kept beside histories: schedules, namespaces, batches, options of pending activities.
Each is a record with a kind, an id and the value that was acknowledged, and one way to read it."""

import grpc
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import BatchOperationState, PendingActivityState
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (DescribeBatchOperationRequest,
                                               DescribeNamespaceRequest, DescribeScheduleRequest,
                                               DescribeWorkflowExecutionRequest)

GONE = None  # the value of what was deleted
DONE = BatchOperationState.BATCH_OPERATION_STATE_COMPLETED
PAUSED = {PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED,
          PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED}


async def read_schedule(load, id):
    found = await load.look(load.stub.DescribeSchedule,
                            DescribeScheduleRequest(namespace="default", schedule_id=id))
    return found.schedule.state.notes


async def read_namespace(load, id):
    found = await load.look(load.stub.DescribeNamespace, DescribeNamespaceRequest(namespace=id))
    return found.namespace_info.description


async def read_attributes(load, id):
    found = await load.look(load.operator.ListSearchAttributes,
                            ListSearchAttributesRequest(namespace=id))
    return dict(found.custom_attributes)


async def read_batch(load, id):
    """A batch goes on by itself: that it is known, and that it is whole once it has ended."""
    found = await load.look(load.stub.DescribeBatchOperation,
                            DescribeBatchOperationRequest(namespace="default", job_id=id))
    whole = found.complete_operation_count + found.failure_operation_count
    return found.state != DONE or whole == found.total_operation_count


async def read_activity(load, id):
    """(paused, seconds it may run) of the one that is pending."""
    found = await load.look(load.stub.DescribeWorkflowExecution, DescribeWorkflowExecutionRequest(
        namespace="default", execution=WorkflowExecution(workflow_id=id)))
    if not found.pending_activities:
        return GONE
    pending = found.pending_activities[0]
    return pending.state in PAUSED, pending.activity_options.start_to_close_timeout.seconds


READ = {"schedule": read_schedule, "namespace": read_namespace, "attributes": read_attributes,
        "batch": read_batch, "activity": read_activity}


class Kept:
    def __init__(self):
        self.values = {}  # (kind, id) -> the value that was acknowledged; in doubt: not there
        self.changed = set()  # since they were checked

    def doubt(self, kind, id):
        """An operation is on its way: until it is answered nobody knows which value is right."""
        self.values.pop((kind, id), None)

    def acknowledge(self, kind, id, value):
        self.values[kind, id] = value
        self.changed.add((kind, id))

    async def judge(self, load, key):
        """Lost: sentences."""
        if key not in self.values:
            return []
        kind, id = key
        expected = self.values[key]
        try:
            value = await READ[kind](load, id)
        except grpc.aio.AioRpcError as e:
            if e.code() != grpc.StatusCode.NOT_FOUND:
                raise
            value = GONE
        still = self.values.get(key, "in doubt") == expected
        return [f"{kind} {id}: {expected!r}, is {value!r}"] if still and value != expected else []
