"""A steady load of DNS queries, and how many of them were lost meanwhile."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable

from tests.e2e.farm import Rrdns
from tests.peers import peer


def lost_while(rrdns: Rrdns, act: Callable[[], None], rate: int, seconds: int) -> tuple[int, int]:
    """Ask at a rate while something happens; return how many were asked and how many lost."""
    queries = rrdns.folder / "queries"
    queries.write_text("boot.pvs.example.test A\n")
    options = ["-Q", str(rate), "-l", str(seconds), "-c", "8", "-t", "2"]
    load = subprocess.Popen(
        [
            peer("dnsperf"),
            "-s",
            "127.0.0.1",
            "-p",
            str(rrdns.dns_port),
            "-d",
            str(queries),
            *options,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(0.5)
    act()
    said, _ = load.communicate(timeout=seconds + 20)
    figures = {
        name: int(re.search(rf"Queries {name}:\s+(\d+)", said)[1])  # type: ignore[index]  # dnsperf says it
        for name in ("sent", "lost")
    }
    assert "SERVFAIL" not in said
    return figures["sent"], figures["lost"]
