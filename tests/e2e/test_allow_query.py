"""`allow_query` in a running service."""

from __future__ import annotations

import signal
from pathlib import Path

import dns.message
import dns.query
import dns.rcode

from tests.e2e.farm import Rrdns
from tests.peers import wait_until


def test_a_reload_lets_others_ask(tmp_path: Path) -> None:
    """SIGHUP takes the networks of the zone over, both ways, and says so in the log."""
    rrdns = Rrdns(tmp_path, members=[("pvs-1", "127.0.0.21")])
    rrdns.write_config()
    open_to_all = rrdns.config.read_text()
    guarded = 'hostmaster.example.test"\nallow_query = ["192.0.2.0/24"]'
    try:
        rrdns.start()
        for config, rcode in (
            (open_to_all.replace('hostmaster.example.test"', guarded), dns.rcode.REFUSED),
            (open_to_all, dns.rcode.NOERROR),
        ):
            assert rcode_of(rrdns) != rcode
            rrdns.config.write_text(config)
            assert rrdns.process is not None
            rrdns.process.send_signal(signal.SIGHUP)
            wait_until(lambda: rcode_of(rrdns) == rcode, what="reloaded")  # noqa: B023 - here only
    finally:
        rrdns.stop()
    assert "allow_query: 0.0.0.0/0, ::/0 -> 192.0.2.0/24" in rrdns.log.read_text()


def rcode_of(rrdns: Rrdns) -> int:
    """Return the RCODE for the boot name."""
    query = dns.message.make_query("boot.pvs.example.test", "A")
    return int(dns.query.udp(query, "127.0.0.1", port=rrdns.dns_port, timeout=2).rcode())
