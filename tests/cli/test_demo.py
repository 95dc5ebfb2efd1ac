"""The demo ends what it started, however it is ended, and tells of no other rrdns."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from rrdns.cli.run import demo
from rrdns.core.model import Endpoint
from rrdns.errors import ListenFailed
from tests import sample_config

# The demo, with its servers left out and ports of its own: what it starts is told by its number.
PLAY = """
import asyncio, sys
from contextlib import asynccontextmanager
from pathlib import Path
from rrdns.cli.run import demo

@asynccontextmanager
async def stage(console, folder, *, quiet):
    async with demo._service(Path(sys.argv[1]), quiet=False) as process:
        print(process.pid, flush=True)
        await asyncio.sleep(60)
        yield

demo._start_farm = stage
sys.exit(demo.run(script=sys.argv[2] == "script"))
"""
CONFIG = sample_config.farm(
    [("pvs-1", "127.0.0.1")],
    dns={"listen": ["127.0.0.1:0"], "workers": 1},
    api={"listen": "127.0.0.1:0"},
    store={"backend": "memory"},
)


@pytest.mark.parametrize(
    ("number", "kind", "status"),
    [
        (signal.SIGTERM, "watched", 0),
        (signal.SIGHUP, "watched", 0),
        (signal.SIGINT, "script", 130),
        (signal.SIGKILL, "watched", -signal.SIGKILL),
    ],
)
def test_a_demo_that_is_ended_at_any_time_leaves_no_rrdns_behind(
    tmp_path: Path, number: int, kind: str, status: int
) -> None:
    """By Ctrl-C, by `timeout`, by closing the terminal while it starts, or by force."""
    config = tmp_path / "rrdns.toml"
    config.write_text(CONFIG)
    with subprocess.Popen(
        [sys.executable, "-c", PLAY, config, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as playing:
        assert playing.stdout is not None
        started = int(playing.stdout.readline())
        playing.send_signal(number)
        assert playing.wait(30) == status
    assert _ends(started)


def _ends(process: int) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_a_demo_does_not_begin_where_something_else_listens() -> None:
    """Its story would be told of that one."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = Endpoint("127.0.0.1", other.getsockname()[1])
        with pytest.raises(ListenFailed, match=f"for the demo on {taken}: Address already in use"):
            demo.check_ports_free(taken)
    demo.check_ports_free(taken)


@pytest.mark.parametrize(
    ("path", "called", "said"),
    [
        ("/nowhere", ".venv/bin/rrdns", ".venv/bin/rrdns status"),
        ("/nowhere", "/src/rrdns/__main__.py", "rrdns status"),
        (str(Path(sys.executable).parent), ".venv/bin/rrdns", "rrdns status"),
    ],
)
def test_what_to_try_can_be_typed_as_it_stands(
    monkeypatch: pytest.MonkeyPatch, path: str, called: str, said: str
) -> None:
    """After `make demo` in a fresh clone no rrdns is on the PATH."""
    monkeypatch.setenv("PATH", path)
    monkeypatch.setattr(sys, "argv", [called])
    console = Console(width=100)
    with console.capture() as shown:
        demo._print_suggestions(console)
    assert re.search(rf"^  {re.escape(said)} ", shown.get(), re.MULTILINE)
