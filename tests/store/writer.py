"""Give and lift orders as fast as it goes, and acknowledge each on stdout, until killed."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from pathlib import Path

from rrdns.core.events import Event
from rrdns.core.model import OrderKind, Override
from rrdns.store.base import OrderTransaction
from rrdns.store.sqlite import SqliteStore


async def main(path: Path) -> None:
    """Give order after order."""
    store = SqliteStore(path)
    await store.open()
    for number in itertools.count():
        member, reason = f"pvs-{number % 7}", f"{os.getpid()}-{number}"
        now = time.time()
        drain = Override("boot", member, OrderKind.DRAIN, "ops", now, reason)
        event = Event(now, "ops", "drain", "boot", member, reason)
        await store.commit(OrderTransaction(set=(drain,), entries=(event,)))
        print(member, reason, flush=True)  # noqa: T201 - the acknowledgement
        if number % 5 == 4:
            end = Event(now, "ops", "resume", "boot", "pvs-extra")
            await store.commit(OrderTransaction(removed=(("boot", "pvs-extra"),), entries=(end,)))


asyncio.run(main(Path(sys.argv[1])))
