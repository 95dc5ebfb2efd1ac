"""A start that knows nothing answers nobody who is dead, not for a moment."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import dns.exception
import pytest

from tests.e2e.farm import Rrdns, a_farm
from tests.peers import wait_until

pytestmark = pytest.mark.peers


def answered_from_the_start(rrdns: Rrdns, seconds: float) -> tuple[set[str], float]:
    """Start rrdns and ask all the time; return who was answered, and when the first answer came."""
    named, first, over = set[str](), list[float](), threading.Event()
    began = time.monotonic()

    def ask() -> None:
        while not over.is_set():
            with suppress(dns.exception.DNSException, OSError):
                found = rrdns.addresses(timeout=0.3)
                first.append(time.monotonic() - began)
                named.update(found)
            time.sleep(0.005)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    rrdns.launch()
    wait_until(lambda: bool(first), 10, "answering")
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join()
    return named, first[0]


def test_a_dead_server_is_not_answered_before_its_first_probe(tmp_path: Path) -> None:
    """One that refuses and one that is silent; with a memory it is the same, at once."""
    with a_farm(tmp_path, first_host=231) as (rrdns, servers):
        servers["pvs-2"].stop()
        servers["pvs-3"].signal(signal.SIGSTOP)
        rrdns.stop()
        for file in tmp_path.glob("rrdns.last-good*"):
            file.unlink()
        named, without = answered_from_the_start(rrdns, 1.5)
        assert named == {servers["pvs-1"].address}
        assert without > 1.0, "the silent one's time-out is waited for"
        rrdns.stop()
        named, _ = answered_from_the_start(rrdns, 0.5)
        assert named == {servers["pvs-1"].address}
