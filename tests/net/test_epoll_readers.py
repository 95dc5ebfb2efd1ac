"""Readers: the cheap ones and the loop's own keep the same promises."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import weakref
from collections.abc import Callable

import pytest

from rrdns.core.health.probe_result import ProbeDepth, Verdict
from rrdns.core.model import BootFile, ProbeSpec
from rrdns.lab.tftpd.boot_files import BIOS_FILE, boot_files
from rrdns.lab.tftpd.server import TftpServer
from rrdns.net import epoll_readers
from rrdns.net.epoll_readers import LoopReaders, Readers, readers_of
from rrdns.net.tftp_prober import probe

KINDS: list[Callable[[asyncio.AbstractEventLoop], Readers]] = [lambda loop: LoopReaders()]
if sys.platform == "linux":
    KINDS.append(epoll_readers.EpollReaders)


@pytest.mark.parametrize("kind", KINDS)
async def test_readers_call_while_there_is_something_to_read(
    kind: Callable[[asyncio.AbstractEventLoop], Readers],
) -> None:
    """Once for each datagram when each call takes one; and not after they were removed."""
    readers = kind(asyncio.get_running_loop())
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


@pytest.mark.parametrize("kind", KINDS)
async def test_probes_work_on_either_kind(
    kind: Callable[[asyncio.AbstractEventLoop], Readers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good file, and an ICMP error, which shows as readiness too."""
    monkeypatch.setattr(epoll_readers, "_make", kind)
    async with TftpServer("127.0.0.33", 0, boot_files()) as server:
        spec = ProbeSpec((BootFile(BIOS_FILE),), port=server.port, timeout=5.0)
        assert (await probe("127.0.0.33", spec, ProbeDepth.FULL)).passed
    result = await probe("127.0.0.33", spec, ProbeDepth.LIGHT)
    assert result.verdict is Verdict.REFUSED


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_has_one_set_of_readers_which_goes_with_it(
    kind: Callable[[asyncio.AbstractEventLoop], Readers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing keeps a closed loop, or its epoll object, alive."""
    monkeypatch.setattr(epoll_readers, "_make", kind)

    async def twice() -> weakref.ref[Readers]:
        loop = asyncio.get_running_loop()
        assert readers_of(loop) is readers_of(loop)
        return weakref.ref(readers_of(loop))

    gone = asyncio.run(twice())
    gc.collect()
    assert gone() is None
