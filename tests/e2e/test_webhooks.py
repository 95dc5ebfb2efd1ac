"""A webhook of a running service, over the receiver's absence and the death of control."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.farm import Rrdns, a_farm
from tests.peers import free_port, wait_until

pytestmark = pytest.mark.peers


@contextmanager
def receiving(port: int) -> Iterator[list[dict[str, Any]]]:
    """Take what is posted, until the block ends."""
    got: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", port), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def hook(rrdns: Rrdns) -> dict[str, Any]:
    (found,) = rrdns.json("GET", "/v1/webhooks")["webhooks"]
    return dict(found)


def test_an_order_reaches_the_receiver_whatever_falls(tmp_path: Path) -> None:
    """It is away, an alarm says so, control is killed, and it hears of the order all the same."""
    port = free_port()
    with a_farm(tmp_path, first_host=221) as (rrdns, servers):
        assert rrdns.process is not None
        text = rrdns.config.read_text()
        table = f'[[webhooks]]\nname = "chat"\nurl = "http://127.0.0.1:{port}/key"\n'
        rrdns.config.write_text(text + table)
        rrdns.process.send_signal(signal.SIGHUP)
        wait_until(lambda: rrdns.json("GET", "/v1/webhooks")["webhooks"], what="configured")
        rrdns.json("POST", "/v1/pools/boot/members/pvs-1/drain", {"reason": "patch night"})
        outbox = tmp_path / "rrdns.webhooks.json"
        wait_until(lambda: "patch night" in (outbox.read_text() if outbox.exists() else ""), 10)
        assert hook(rrdns)["failing"]
        assert hook(rrdns)["origin"] == f"http://127.0.0.1:{port}/"
        alarms = {alarm["name"] for alarm in rrdns.json("GET", "/readyz")["alarms"]}
        assert "webhook-failed-chat" in alarms
        os.kill(rrdns.pids()["control"], signal.SIGKILL)
        with receiving(port) as got:
            wait_until(lambda: "drain" in [event["action"] for event in got], 15)
            servers["pvs-2"].stop()
            wait_until(lambda: ("standing", "pvs-2") in _whats(got), 15)
        actions = [event["action"] for event in got]
        assert actions.index("drain") < actions.index("standing")
        drain = got[actions.index("drain")]
        assert (drain["by"], drain["reason"], drain["member"]) == ("local", "patch night", "pvs-1")
        ids = [event["id"] for event in got]
        assert ids == sorted(ids)
        wait_until(lambda: not hook(rrdns)["waiting"], what="all told")


def _whats(got: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(event["event"], event["member"]) for event in got}
