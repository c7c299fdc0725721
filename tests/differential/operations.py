"""The table of all kinds. To add one: a class in one of the modules below, nothing else."""

import activity_operations
import client_operations
import other_operations
import task_operations
from commands import COMMANDS

BY_KIND = {
    operation.kind: operation
    for module in (client_operations, task_operations, activity_operations, other_operations)
    for operation in module.OPERATIONS
}
KINDS = sorted((BY_KIND.keys() - {"answer"}) | COMMANDS.keys() | {"answer_nothing", "sticky"})
