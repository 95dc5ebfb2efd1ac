"""Give and lift orders as fast as it goes, and acknowledge each on stdout, until killed."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from pathlib import Path

from rrdns.core.model import AuditEntry, OrderKind, Override
from rrdns.store.sqlite import SqliteStore


async def main(path: Path) -> None:
    """Give order after order."""
    store = SqliteStore(path)
    await store.open()
    for number in itertools.count():
        member, reason = f"pvs-{number % 7}", f"{os.getpid()}-{number}"
        now = time.time()
        drain = Override("boot", member, OrderKind.DRAIN, "ops", now, reason)
        await store.give(drain, AuditEntry(now, "ops", "drain", "boot", member, reason))
        print(member, reason, flush=True)  # noqa: T201 - the acknowledgement
        if number % 5 == 4:
            line = AuditEntry(now, "ops", "resume", "boot", "pvs-extra")
            await store.lift("boot", "pvs-extra", line)


asyncio.run(main(Path(sys.argv[1])))
