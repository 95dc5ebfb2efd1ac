"""A Kea that is down, refuses or hangs: retried and reported, and no answer waits for it."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.farm import Rrdns, a_farm, seconds_until
from tests.e2e.load import lost_while
from tests.e2e.nameservers import exporter
from tests.export.kea_peer import Kea, kea
from tests.peers import wait_until

pytestmark = pytest.mark.peers

SMALL = {"subnet4": [{"id": 1, "subnet": "10.0.0.0/24"}]}


def fares(rrdns: Rrdns, name: str) -> dict[str, Any]:
    """Return what the API says of an exporter."""
    exporters: list[dict[str, Any]] = rrdns.json("GET", "/v1/exporters")["exporters"]
    return next(one for one in exporters if one["name"] == name)


def failed_twice(rrdns: Rrdns, name: str) -> bool:
    """Tell whether an exporter was tried again after a failure, and failed again."""
    return bool(fares(rrdns, name)["failed"] >= 2)


def next_server(server: Kea) -> str:
    """Return what Kea tells its clients; empty: nothing."""
    return str(server.config()["Dhcp4"]["subnet4"][0].get("next-server", ""))


def test_no_answer_waits_for_a_kea_in_trouble(tmp_path: Path) -> None:
    """At 2,000 queries a second none is lost, and a dead server leaves the answers in its time."""
    with a_farm(tmp_path, first_host=175) as (rrdns, servers), kea(SMALL) as a, kea(SMALL) as b:
        common = {"type": "kea", "subnets": [1], "timeout": 1.0}
        with rrdns.config.open("a") as config:
            config.write(exporter(name="down", url="http://127.0.0.1:1/", **common))
            config.write(
                exporter(name="refusing", socket=str(a.socket), boot_file="x" * 200, **common)
            )
            config.write(exporter(name="hanging", socket=str(b.socket), **common))
        assert rrdns.process is not None
        assert b.process is not None
        rrdns.process.send_signal(signal.SIGHUP)
        victim = servers["pvs-1"]
        wait_until(lambda: next_server(b) == victim.address, what="told")
        b.process.send_signal(signal.SIGSTOP)

        def fall() -> None:
            victim.stop()
            took = seconds_until(lambda: victim.address not in rrdns.addresses(), 5)
            assert (
                took <= 1.5 + 0.8
            )  # 0.8 s for a busy machine; less than one more probe would take

        sent, lost = lost_while(rrdns, fall, rate=2000, seconds=6)
        assert sent > 10_000
        assert lost == 0
        for name, sentence in {
            "down": "http://127.0.0.1:1/: Cannot connect",
            "refusing": "boot-file-name must be at most 127",
            "hanging": "it took more than 1 s and was given up",
        }.items():
            wait_until(partial(failed_twice, rrdns, name), what="retried")
            said = fares(rrdns, name)
            assert said["failing"]
            assert sentence in said["last_error"]
        b.process.send_signal(signal.SIGCONT)
        wait_until(lambda: next_server(b) == servers["pvs-2"].address, 20, "told at last")
        wait_until(lambda: not fares(rrdns, "hanging")["failing"], what="recovered")
        assert next_server(a) == ""  # the config that it refused is not half in force
