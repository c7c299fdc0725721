"""Runs workflows and activities of the example: `python worker.py --bank FILE`."""

import argparse
import asyncio
import concurrent.futures
import signal

from temporalio.client import Client
from temporalio.worker import Worker

from activities import BankActivities
from bank import Bank
from workflows import MoneyTransfer

TASK_QUEUE = "money-transfer"


async def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--address", default="127.0.0.1:7233")
    ap.add_argument("--bank", required=True, metavar="FILE")
    args = ap.parse_args()
    client = await Client.connect(args.address)
    steps = BankActivities(Bank(args.bank))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        async with Worker(client, task_queue=TASK_QUEUE, workflows=[MoneyTransfer],
                          activities=[steps.withdraw, steps.deposit, steps.refund],
                          activity_executor=threads):
            print("worker is polling", flush=True)
            await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
