"""The table of all kinds. To add one: a class in one of the modules below, nothing else."""

import activity_operations
import client_operations
import list_operations
import other_operations
import run_operations
import schedule_operations
import task_operations
import update_operations
from commands import COMMANDS

MODULES = (
    client_operations,
    task_operations,
    activity_operations,
    update_operations,
    run_operations,
    list_operations,
    schedule_operations,
    other_operations,
)
BY_KIND = {
    operation.kind: operation
    for module in MODULES
    for operation in module.OPERATIONS
}
KINDS = sorted((BY_KIND.keys() - {"answer"}) | COMMANDS.keys() | {"answer_nothing", "sticky"})
