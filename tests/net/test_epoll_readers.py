"""Readers behind one epoll object: they call back while there is something to read."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref

from rrdns.core.health.probe_result import ProbeDepth, Verdict
from rrdns.core.model import BootFile, ProbeSpec
from rrdns.lab.tftpd.boot_files import BIOS_FILE, boot_files
from rrdns.lab.tftpd.server import TftpServer
from rrdns.net.epoll_readers import EpollReaders, readers_of
from rrdns.net.tftp_prober import probe


async def test_readers_call_while_there_is_something_to_read() -> None:
    """Once for each datagram when each call takes one; and not after they were removed."""
    readers = readers_of(asyncio.get_running_loop())
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    outcome: list[bytes] = []
    with ours, theirs:
        readers.add(ours.fileno(), lambda: outcome.append(ours.recv(100)))
        for word in (b"one", b"two", b"three"):
            theirs.send(word)
        async with asyncio.timeout(5):
            while len(outcome) < 3:  # noqa: ASYNC110  # the loop must turn
                await asyncio.sleep(0)
        readers.remove(ours.fileno())
        theirs.send(b"four")
        await asyncio.sleep(0.02)
    assert outcome == [b"one", b"two", b"three"]


async def test_probes_see_data_and_icmp_errors() -> None:
    """A good file, and an ICMP error, which shows as readiness too."""
    async with TftpServer("127.0.0.33", 0, boot_files()) as server:
        spec = ProbeSpec((BootFile(BIOS_FILE),), port=server.port, timeout=5.0)
        assert (await probe("127.0.0.33", spec, ProbeDepth.FULL)).passed
    result = await probe("127.0.0.33", spec, ProbeDepth.LIGHT)
    assert result.verdict is Verdict.REFUSED


def test_a_loop_has_one_set_of_readers_which_goes_with_it() -> None:
    """Nothing keeps a closed loop, or its epoll object, alive."""

    async def twice() -> weakref.ref[EpollReaders]:
        loop = asyncio.get_running_loop()
        assert readers_of(loop) is readers_of(loop)
        return weakref.ref(readers_of(loop))

    gone = asyncio.run(twice())
    gc.collect()
    assert gone() is None
