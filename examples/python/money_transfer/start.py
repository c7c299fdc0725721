"""Starts one transfer and waits for it: `python start.py alice bob 12.50`."""

import argparse
import asyncio
import sys
import uuid

from temporalio.client import Client, WorkflowFailureError

from activities import Transfer
from worker import TASK_QUEUE
from workflows import MoneyTransfer


def chain(e):
    """An error and everything behind it, one line each."""
    lines = []
    while e:
        kind = getattr(e, "type", None)
        lines.append(f"{type(e).__name__}{f' ({kind})' if isinstance(kind, str) else ''}: {e}")
        e = e.cause if hasattr(e, "cause") else e.__cause__
    return lines


async def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--address", default="127.0.0.1:7233")
    ap.add_argument("source")
    ap.add_argument("target")
    ap.add_argument("amount", type=float)
    args = ap.parse_args()
    client = await Client.connect(args.address)
    transfer = Transfer(args.source, args.target, round(args.amount * 100))
    handle = await client.start_workflow(MoneyTransfer.run, transfer, task_queue=TASK_QUEUE,
                                         id=f"transfer-{uuid.uuid4()}")
    print(f"started {handle.id}")
    try:
        print(await handle.result())
    except WorkflowFailureError as e:
        print("\n  because: ".join(chain(e)))
        sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
