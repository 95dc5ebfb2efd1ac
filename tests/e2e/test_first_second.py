"""A start that knows nothing answers nobody who is dead, not for a moment."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import dns.exception
import pytest

from tests import sample_config
from tests.e2e.farm import Rrdns, a_farm
from tests.peers import wait_until

pytestmark = pytest.mark.peers


def configure(rrdns: Rrdns, timeout: float) -> None:
    """Give the pool another time-out, and add a pool whose one server lives."""
    rrdns.write_config()
    text = rrdns.config.read_text().replace(
        "[pools.probe]\n", f"[pools.probe]\ninterval = 10\ntimeout = {timeout}\n"
    )
    other = sample_config.pool(
        rrdns.members[:1],
        probe={"port": rrdns.tftp_port},
        name="other",
        hostname="other.pvs.example.test",
    )
    api, found, rest = text.partition("[api]")
    rrdns.config.write_text(f"{api}{other}{found}{rest}")


def answered_from_the_start(
    rrdns: Rrdns, names: tuple[str, ...], seconds: float
) -> tuple[set[str], list[float]]:
    """Start rrdns and ask all the time; return whom it named, and when each name first was."""
    named, first, over = set[str](), dict[str, float](), threading.Event()
    began = time.monotonic()

    def ask(name: str) -> None:
        while not over.is_set():
            with suppress(dns.exception.DNSException, OSError):
                found = rrdns.addresses(name, timeout=0.3)
                first.setdefault(name, time.monotonic() - began)
                named.update(found)
            time.sleep(0.005)

    threads = [threading.Thread(target=ask, args=(name,)) for name in names for _ in range(3)]
    for thread in threads:
        thread.start()
    rrdns.launch()
    wait_until(lambda: len(first) == len(names), 20, "answering")
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join()
    return named, [first[name] for name in names]


def test_a_dead_server_is_not_answered_before_its_first_probe(tmp_path: Path) -> None:
    """One refuses and one is silent; the other pool does not wait; a memory answers at once."""
    boot, other = "boot.pvs.example.test", "other.pvs.example.test"
    with a_farm(tmp_path, first_host=231) as (rrdns, servers):
        servers["pvs-2"].stop()
        servers["pvs-3"].signal(signal.SIGSTOP)
        rrdns.stop()
        for file in tmp_path.glob("rrdns.last-good*"):
            file.unlink()
        configure(rrdns, timeout=2)
        named, (held, at_once) = answered_from_the_start(rrdns, (boot, other), 0.5)
        assert named == {servers["pvs-1"].address}
        assert at_once + 1.5 < held, "only the silent one's pool waits for its time-out"
        rrdns.stop()
        configure(rrdns, timeout=9)
        named, (held,) = answered_from_the_start(rrdns, (boot,), 0.5)
        assert named == {servers["pvs-1"].address}
        assert held < 9, "what was answered before the stop is answered without a probe"


def test_a_dead_server_that_a_reload_adds_is_never_answered(tmp_path: Path) -> None:
    """The others are, all the time."""
    with a_farm(tmp_path, first_host=235) as (rrdns, servers):
        assert rrdns.process is not None
        servers["pvs-3"].signal(signal.SIGSTOP)
        rrdns.members = rrdns.members[:2]
        rrdns.write_config()
        os.kill(rrdns.process.pid, signal.SIGHUP)
        wait_until(lambda: len(rrdns.addresses()) == 2, 5, "taken out of the config")
        rrdns.members = [(server.name, server.address) for server in servers.values()]
        rrdns.write_config()
        os.kill(rrdns.process.pid, signal.SIGHUP)
        silent = servers["pvs-3"].address
        wait_until(lambda: _is_known(rrdns, silent), 5, "its first probe has ended")
        assert silent not in rrdns.addresses()


def _is_known(rrdns: Rrdns, silent: str) -> bool:
    found = rrdns.addresses()
    assert silent not in found
    assert len(found) == 2
    members = rrdns.json("GET", "/v1/pools/boot")["members"]
    return any(one["address"] == silent and one["why"] == "down" for one in members)
