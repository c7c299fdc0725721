"""What is done to a run as a whole: reset, deleted, counted among many by a batch."""

import threading
import time
from collections import defaultdict

from driver.rpc import RpcError, to_json
from driver.values import payloads

from client_operations import target
from operation import Operation
from player import TooLate
from view import TASK_COMPLETED, TASK_FAILED, TASK_STARTED, TASK_TIMED_OUT

SIGNALS, UPDATES, NEXUS, CANCEL_REQUESTS = 1, 2, 3, 4  # what a reset may leave out
GONE_S = 20
BATCH_S = 20
BATCH_RUNS = 1
ONE_BATCH = defaultdict(threading.Lock)  # by server: the original runs one at a time


class Reset(Operation):
    """To the end of a workflow task, or its beginning, or where a run cannot be reset to."""

    kind = "reset"
    seconds = 0.3

    def make(self, model):
        made = {"run": model.one_of("", "", "first"), "choice": model.number()}
        made["request"] = model.one_of(model.fresh("reset"), "reset1")
        if model.chance(0.2):
            made["point"] = model.one_of("started", "end", 1)
        made.update(self.options(model))
        if model.task_taken_once:
            timeout, delayed = model.task_timeout, "delay" in model.dues
            model.close()
            model.begin_run(task="waiting", task_timeout=timeout)
            model.task_completed_once = not delayed
        return made

    def options(self, model):
        return {"reapply": model.one_of(1, 2, 3)} if model.chance(0.5) else {}

    def play(self, player, label, operation):
        fields = {"reset_reapply_type": operation["reapply"]} if "reapply" in operation else {}
        if "exclude" in operation:
            fields["reset_reapply_exclude_types"] = operation["exclude"]
        execution = target(player, operation)
        player.does(
            label,
            "ResetWorkflowExecution",
            workflow_execution=execution,
            workflow_task_finish_event_id=self._point(player, execution, operation),
            request_id=operation["request"],
            reason="again",
            **fields,
        )
        return True

    def _point(self, player, execution, operation):
        point = operation.get("point", "finished")
        wanted = {
            "finished": (TASK_COMPLETED, TASK_FAILED, TASK_TIMED_OUT),
            "started": (TASK_STARTED,),
        }
        try:
            events = player.events(execution["run_id"])
        except RpcError:
            return 4
        if point == "end":
            return events[-1].event_id + 1
        if point not in wanted:
            return point
        found = [e.event_id for e in events if e.event_type in wanted[point]]
        return found[operation["choice"] % len(found)] if found else 4


class ResetExcluding(Reset):
    kind = "reset_excluding"

    def options(self, model):
        kinds = [SIGNALS, UPDATES, NEXUS, CANCEL_REQUESTS]
        return {"exclude": sorted(model.rng.sample(kinds, model.rng.randint(1, 3)))}


class Delete(Operation):
    kind = "delete"
    seconds = 0.5

    def make(self, model):
        made = {"run": model.one_of("", "first")}
        model.close()
        return made

    def play(self, player, label, operation):
        player.patient = True
        execution = target(player, operation)
        run_id = execution["run_id"] or player.view.run_id
        answer = player.does(label, "DeleteWorkflowExecution", workflow_execution=execution)
        until = time.time() + GONE_S
        while answer is not None and player.described(run_id):
            if time.time() > until:
                raise TooLate("the run is still there")
            time.sleep(0.05)
        return True


class Batch(Operation):
    """Of one run, the current one."""

    kind = "batch"
    seconds = 1.5

    def make(self, model):
        how = model.one_of("signal", "cancellation", "termination")
        if how == "termination":
            model.close()
        elif how == "signal" or not model.cancel_asked:
            model.event_arrives()
        return {"how": how}

    def play(self, player, label, operation):
        player.patient = True
        job = f"{player.wid}-{label}"
        made = {"identity": "operator"}
        if operation["how"] == "signal":
            made.update(signal="sig", input=payloads("to many"))
        fields = {f"{operation['how']}_operation": made, "job_id": job, "reason": "why"}
        with ONE_BATCH[player.server.address]:
            self._begin(player, label, executions=[player.execution(player.view.run_id)], **fields)
            described = self._wait(player, job)
        player.note(f"{label}: batch", to_json(described))
        return True

    def _begin(self, player, label, **fields):
        """The original counts the batches that run by its lists, which lag."""
        until = time.time() + BATCH_S
        while True:
            try:
                player.note(label, to_json(player.call("StartBatchOperation", **fields)))
                return
            except RpcError as error:
                if error.code != "RESOURCE_EXHAUSTED" or time.time() > until:
                    raise
            time.sleep(0.1)

    def _wait(self, player, job):
        until = time.time() + BATCH_S
        while time.time() < until:
            described = player.call("DescribeBatchOperation", job_id=job)
            if described.state != BATCH_RUNS:
                return described
            time.sleep(0.05)
        raise TooLate("the batch takes long")


OPERATIONS = [Reset(), ResetExcluding(), Delete(), Batch()]
