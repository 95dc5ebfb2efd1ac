"""`rrdns top`, on a terminal of its own and in figures."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from rich.console import Console

from rrdns.cli.admin.top import queries_by_rcode, watch_lines
from rrdns.cli.admin.top_view import ApiSample, as_json, rates, shares, top_view
from rrdns.cli.api.client import Client
from tests.cli.conftest import Api, Run, api_of
from tests.web.fake_admin_service import FakeAdminService

SEQUENCES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")


def on_a_small_terminal(*args: str, until: bytes, key: bytes = b"", number: int = 0) -> bytes:
    """Run rrdns on 80x24; press a key or send a signal once something is shown."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    before = termios.tcgetattr(there)
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "rrdns", *args],
        stdin=there,
        stdout=there,
        stderr=there,
        env={**clean, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    said, pressed, end = b"", False, time.monotonic() + 20
    while process.poll() is None:
        assert time.monotonic() < end, said
        with suppress(OSError):
            said += os.read(here, 65536)
        if not pressed and until in SEQUENCES.sub(b"", said):
            pressed = True
            if key:
                os.write(here, key)
            else:
                process.send_signal(number)
        if pressed:
            os.set_blocking(here, False)
            time.sleep(0.02)
    assert process.returncode == 0, said
    assert termios.tcgetattr(there) == before, "the terminal is left as it was"
    os.close(there)
    os.close(here)
    return said


@pytest.mark.parametrize(("key", "number"), [(b"q", 0), (b"", signal.SIGINT)])
def test_it_shows_the_farm_on_a_small_terminal_until_it_is_ended(
    api: Api, rrdns: Run, key: bytes, number: int
) -> None:
    """By q or Ctrl-C, with the terminal as it was before."""
    rrdns("drain", "pvs-1", "--reason", "patch night", "--url", api.url)
    said = on_a_small_terminal("top", "--url", api.url, until=b"pvs-3", key=key, number=number)
    shown = SEQUENCES.sub(b"", said)
    for part in (b"queries/s", b"drained by local: patch night", b"last events", b"ready"):
        assert part in shown
    assert b"\x1b[?1049h" in said
    assert said.rstrip().endswith((b"\x1b[?1049l", b"\x1b[?25h"))


def test_it_goes_on_while_the_api_is_away() -> None:
    """It says so, and looks again."""
    said = on_a_small_terminal("top", "--url", "http://127.0.0.1:1", until=b"reach", key=b"q")
    assert b"cannot reach the rrdns API" in SEQUENCES.sub(b"", said)


def test_it_needs_a_terminal(rrdns: Run) -> None:
    """And says what a script should use."""
    result = rrdns("top", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 2
    assert "rrdns top --json" in result.stderr


def test_a_script_gets_a_line_for_the_time_between_two_looks(
    farm: FakeAdminService, capsys: pytest.CaptureFixture[str]
) -> None:
    """With shares, rates and who is in; or with what went wrong."""
    with api_of(farm) as api:
        client, looks = Client(api.url), 0

        def sleep(seconds: float) -> None:
            nonlocal looks
            looks += 1
            assert seconds == 60.0
            farm.answers += 30
            if looks == 2:
                client.url = "http://127.0.0.1:1"
            elif looks == 3:
                raise KeyboardInterrupt

        watch_lines(client, 60.0, sleep=sleep)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    members = first["pools"][0]["members"]
    assert [(one["name"], one["in"], one["share"]) for one in members] == [
        ("pvs-1", True, 0.3333),
        ("pvs-2", True, 0.3333),
        ("pvs-3", True, 0.3333),
    ]
    assert (first["ready"], first["alarms"]) == (True, [])
    assert second["error"].startswith("cannot reach the rrdns API")


def a_look(steady: float, queries: float, answers: tuple[int, int], members: int = 2) -> ApiSample:
    """Return a look at one pool."""
    shown = [
        {
            "name": f"pvs-{n}",
            "in": n != 2,
            "why": "down" if n == 2 else "healthy",
            "sentence": "down" if n == 2 else "healthy",
            "override": None,
            "last_probe": {
                "verdict": "timeout" if n == 2 else "ok",
                "seconds": 0.002,
                "sentence": "no answer within 1 s" if n == 2 else "fine",
            },
        }
        for n in range(1, members + 1)
    ]
    event = {
        "at": "2026-02-02T02:40:00Z",
        "by": "rrdns",
        "action": "standing",
        "pool": "boot",
        "member": "pvs-2",
        "after": "down",
        "reason": "no answer " * 20,
    }
    given = {("boot", "pvs-1"): answers[0], ("boot", "pvs-2"): answers[1]}
    pool = {"name": "boot", "members": shown}
    return ApiSample(
        1e9 + steady, steady, True, [], [pool], {"noerror": queries}, [event] * 9, given
    )


def test_rates_and_shares_are_of_the_time_between_two_looks() -> None:
    """The first look has none, and a restart makes none below zero."""
    first, second = a_look(100.0, 1000.0, (10, 20)), a_look(102.0, 1500.0, (40, 30))
    assert rates(None, first) == {"noerror": 0.0}
    assert rates(first, second) == {"noerror": 250.0}
    assert rates(second, a_look(103.0, 0.0, (0, 0))) == {"noerror": 0.0}
    assert shares(None, first) == {}
    assert shares(first, second) == {("boot", "pvs-1"): 0.75, ("boot", "pvs-2"): 0.25}


@pytest.mark.parametrize("jump", [3600.0, -3600.0, -2.0])
def test_a_wall_clock_that_jumps_changes_no_rate(jump: float) -> None:
    """The time between two looks is counted on a steady clock."""
    first, second = a_look(100.0, 1000.0, (10, 20)), a_look(102.0, 1500.0, (40, 30))
    second = replace(second, at=second.at + jump)
    assert rates(first, second) == {"noerror": 250.0}
    told = as_json(first, second)
    assert (told["seconds"], told["queries_per_second"]) == (2.0, {"noerror": 250.0})


@pytest.mark.parametrize("members", [1, 2, 8, 15, 40])
def test_it_fits_the_terminal_whatever_there_is(members: int) -> None:
    """24 lines of 80 columns; who is not well comes first where not all have room."""
    out = Console(width=80, height=24, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123 - rich writes to it
    now = a_look(102.0, 1500.0, (40, 30), members)
    out.print(top_view(a_look(100.0, 1000.0, (10, 20), members), now, "http://rrdns", 24))
    lines = out.export_text().splitlines()
    out.file.close()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "250" in lines[1]
    if members > 1:
        assert any("no answer within 1 s" in line for line in lines)
    if members == 40:
        assert "more" in lines[-1] or any("more" in line for line in lines)


def test_queries_are_summed_by_rcode() -> None:
    """As the metrics have them."""
    metrics = (
        "# TYPE rrdns_queries counter\n"
        'rrdns_queries_total{kind="a",rcode="noerror"} 12.0\n'
        'rrdns_queries_total{kind="nodata",rcode="noerror"} 3.0\n'
        'rrdns_queries_total{kind="refused",rcode="refused"} 1.0\n'
    )
    assert queries_by_rcode(metrics) == {"noerror": 15.0, "refused": 1.0}


def test_it_ends_when_its_terminal_is_gone(api: Api) -> None:
    """Also where whoever started it has the hang-up ignored."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        ["sh", "-c", f"trap '' HUP; exec {sys.executable} -m rrdns top --url {api.url}"],
        stdin=there,
        stdout=there,
        stderr=there,
        env={**os.environ, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(there)
    try:
        said = b""
        while b"pvs-3" not in said:
            said += os.read(here, 65536)
        os.close(here)
        assert process.wait(10) in (0, 1)
    finally:
        process.kill()
        process.wait(5)
