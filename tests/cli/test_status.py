"""`rrdns status`: what a person sees at a glance, and what a script gets."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from rrdns.cli.admin import status
from rrdns.cli.admin.status_table import status_table
from rrdns.cli.api.client import Client
from rrdns.cli.terminal.output import console
from rrdns.core.health.standing import Standing
from rrdns.core.model import OrderKind, Override
from rrdns.core.status import Alarm, WorkerStatus
from tests.cli.conftest import Api, Run, api_of
from tests.cli.terminal import on_a_terminal
from tests.web.fake_admin_service import FakeAdminService


def line_of(output: str, member: str) -> str:
    """Return the line of the table that a member has."""
    [line] = [line for line in output.splitlines() if re.match(rf"(IN|OUT) +{member} ", line)]
    return line


def order(api: Api, member: str, **given: Any) -> None:
    """Put an order in force behind the API's back."""
    now = time.time()
    facts: dict[str, Any] = {"order": OrderKind.DRAIN, "by": "ops", "since": now, **given}
    api.farm.orders["boot", member] = Override("boot", member, **facts)


def test_healthy_members_are_in(rrdns: Run, api: Api) -> None:
    """Each has a line: address, why, last probe, how long it took, and its share."""
    result = rrdns("status", "--url", api.url)
    assert result.exit_code == 0, result.output
    line = line_of(result.stdout, "pvs-1")
    assert line.startswith("IN")
    for part in ("10.0.0.11", "healthy", "ok,", "12 ms", "33%"):
        assert part in line
    assert "boot.pvs.example.test" in result.stdout
    assert (
        "3 of 3 in, TTL 5 s, a dead server stays in answers for 9.5 s at most, 12 queries"
        in result.stdout
    )


def test_a_fallen_member_is_out_with_the_verdict_in_words(rrdns: Run, api: Api) -> None:
    """One of three down is no reason for an exit status."""
    api.farm.fall("boot", "pvs-2")
    result = rrdns("status", "--url", api.url)
    line = line_of(result.stdout, "pvs-2")
    assert line.startswith("OUT")
    assert "down, since" in line
    assert "no answer within 1 s" in line
    assert result.exit_code == 0


def test_a_drained_member_tells_who_why_and_until_when(rrdns: Run, api: Api) -> None:
    """What the probes say stands beside what was ordered."""
    order(api, "pvs-2", reason="patch night", until=time.time() + 7200)
    line = line_of(rrdns("status", "--url", api.url).stdout, "pvs-2")
    assert line.startswith("OUT")
    assert "drained by ops: patch night, until " in line
    assert re.search(r"\(in (2 h|1 h 59 min|1 h 60 min)\)", line)
    assert "its probes pass" in line
    assert "safe after" in line


def test_a_forced_member_without_an_end_says_so(rrdns: Run, api: Api) -> None:
    """It stays so until somebody resumes it."""
    api.farm.fall("boot", "pvs-2")
    order(api, "pvs-2", order=OrderKind.FORCE_UP)
    line = line_of(rrdns("status", "--url", api.url).stdout, "pvs-2")
    assert line.startswith("IN")
    assert "forced in by ops, until it is resumed; its probes fail" in line


def test_a_member_in_doubt_is_shown_as_such(rrdns: Run, api: Api) -> None:
    """Two probes were lost, and the third decides."""
    api.farm.standings["boot", "pvs-1"] = Standing(up=True, contradicting_probes=2)
    api.farm.standings["boot", "pvs-2"] = Standing(up=True, contradicting_probes=1)
    shown = rrdns("status", "--url", api.url).stdout
    assert "healthy, but the last 2 probes failed" in line_of(shown, "pvs-1")
    assert "healthy, but the last probe failed" in line_of(shown, "pvs-2")


def test_a_member_that_was_not_probed_yet_is_in_on_trust(rrdns: Run, api: Api) -> None:
    """The first round of probes decides."""
    api.farm.standings["boot", "pvs-1"] = Standing(up=True, probed=False)
    assert "not probed yet" in line_of(rrdns("status", "--url", api.url).stdout, "pvs-1")


def test_drift_is_told_below_the_table(rrdns: Run, api: Api) -> None:
    """A warning, once, and no reason for an exit status."""
    result = rrdns("status", "--url", api.url)
    assert result.stdout.count("! pvs-3 serves another ARDBP32.BIN") == 1


def test_everything_down_is_shouted(rrdns: Run, api: Api) -> None:
    """First line, and exit status 1."""
    api.farm.fall("boot", "pvs-1", "pvs-2", "pvs-3")
    result = rrdns("status", "--url", api.url)
    assert result.exit_code == 1
    first = result.stdout.splitlines()[0]
    assert "EVERYTHING IS DOWN in pool boot (boot.pvs.example.test)" in first
    assert "targets still get the 3 members that are not drained" in first
    assert "0 of 3 healthy, 3 still in" in result.stdout
    assert "in rotation because all members are down" in line_of(result.stdout, "pvs-1")


def test_a_service_that_is_not_ready_fails_the_command(rrdns: Run, api: Api) -> None:
    """A worker is gone: the API answers /readyz with 503, which is no failure of the call."""
    api.farm.workers = (WorkerStatus(0, True, 7, 0), WorkerStatus(1, False, 0, 3))
    result = rrdns("status", "--url", api.url)
    assert result.exit_code == 1
    assert "NOT READY" in result.stdout


def test_alarms_come_first(rrdns: Run, api: Api) -> None:
    """With their sentence and since when."""
    api.farm.alarms = (Alarm("store-failed", "the disk is full", time.time() - 120),)
    result = rrdns("status", "--url", api.url)
    first = result.stdout.splitlines()[0]
    assert re.match(r"ALARM store-failed, since .* ago\): the disk is full$", first)
    assert "(2 min ago)" in first


def test_a_script_gets_everything_as_json(rrdns: Run, api: Api) -> None:
    """With the same exit status as for people."""
    api.farm.fall("boot", "pvs-1", "pvs-2", "pvs-3")
    result = rrdns("status", "--json", "--url", api.url)
    told = json.loads(result.stdout)
    assert told["pools"][0]["everything_down"] is True
    assert [member["why"] for member in told["pools"][0]["members"]] == ["last-resort"] * 3
    assert result.exit_code == 1


def test_one_pool_can_be_looked_at(rrdns: Run, two_pools: FakeAdminService) -> None:
    """The others are neither shown nor judged."""
    two_pools.fall("login", "pvs-1", "pvs-2")
    with api_of(two_pools) as api:
        assert rrdns("status", "--url", api.url).exit_code == 1
        result = rrdns("status", "--pool", "boot", "--url", api.url)
        assert result.exit_code == 0
        assert "login" not in result.stdout
        missed = rrdns("status", "--pool", "boat", "--url", api.url)
    assert missed.exit_code == 2
    assert "no pool is called 'boat'" in missed.stderr
    assert "boot, login" in missed.stderr


def test_what_servers_and_admins_write_cannot_steer_the_terminal(rrdns: Run, api: Api) -> None:
    """Escape sequences and markup in a reason are shown as text."""
    order(api, "pvs-2", reason="\x1b[2J[red]now\x07")
    result = rrdns("status", "--url", api.url)
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout
    assert "[red]now" in result.stdout


def test_words_that_a_later_version_adds_are_shown_as_they_are() -> None:
    """The contract grows by adding."""
    member: dict[str, Any] = {
        "name": "pvs-1",
        "address": "10.0.0.1",
        "in": False,
        "why": "resting",
        "sentence": "resting until noon",
        "share": 0.0,
        "standing": {"up": True, "contradicting_probes": 0, "since": "2026-01-31T12:00:00.123Z"},
    }
    pool = {
        "name": "boot",
        "hostname": "h",
        "ttl": 5,
        "queries": 0,
        "worst_case": 9.0,
        "on_empty": "servfail",
        "everything_down": True,
        "members": [member],
    }
    out = console()
    with out.capture() as shown:
        for thing in status_table([pool], {"ready": True}, 1_770_000_000.0):
            out.print(thing)
    assert "resting until noon" in shown.get()
    assert "none yet" in shown.get()
    assert "targets get SERVFAIL" in shown.get()


def shown_at(width: int, farm: FakeAdminService) -> str:
    """Return the table of a farm on a terminal so wide."""
    out = console()
    out.width = width
    with api_of(farm) as api, out.capture() as shown:
        client = Client(api.url)
        for thing in status_table(*status.fetch(client, None), client.now()):
            out.print(thing)
    return shown.get()


def test_what_fits_no_column_is_told_below_the_table(farm: FakeAdminService) -> None:
    """80 columns are what a console on a server has; nothing is cut off there."""
    order(Api(farm, ""), "pvs-1", reason="KB5031356, and the firmware of the storage controller")
    farm.fall("boot", "pvs-2")
    shown = shown_at(80, farm)
    assert re.search(r"^OUT  pvs-1   10\.0\.0\.11  drained  ok, .* ago ", shown, re.MULTILINE)
    assert re.search(r"^OUT  pvs-2   10\.0\.0\.12  down     timeout, .* ago ", shown, re.MULTILINE)
    assert re.search(r"^IN   pvs-3   10\.0\.0\.13  healthy  ok, ", shown, re.MULTILINE)
    told = " ".join(shown.split())
    assert "pvs-1: drained by ops: KB5031356, and the firmware of the storage controller" in told
    assert "pvs-2: down, since" in told
    assert "no answer within 1 s" in told
    assert "pvs-3: " not in told
    narrow = shown_at(60, farm)
    assert re.search(r"^OUT  pvs-2   down     timeout, .* ago", narrow, re.MULTILINE)
    assert "10.0.0.11 " not in narrow


def test_what_fits_beside_is_told_beside(farm: FakeAdminService) -> None:
    """As long as all is well, and where the terminal is wide."""
    assert "IN  pvs-2   10.0.0.12  healthy  ok, " in shown_at(80, farm)
    order(Api(farm, ""), "pvs-1", reason="KB5031356, and the firmware of the storage controller")
    assert "pvs-1: " not in shown_at(120, farm)


def test_watching_looks_again_and_survives_an_api_that_is_away(
    farm: FakeAdminService, capsys: pytest.CaptureFixture[str]
) -> None:
    """A restart of rrdns does not end the watch; Ctrl-C does."""
    with api_of(farm) as api:
        client = Client(api.url)
        looks = 0

        def sleep(seconds: float) -> None:
            nonlocal looks
            looks += 1
            assert seconds == status.WATCH_INTERVAL
            if looks == 1:
                farm.fall("boot", "pvs-1")
            elif looks == 2:
                client.url = "http://127.0.0.1:1"
            else:
                raise KeyboardInterrupt

        status.watch_table(client, None, sleep=sleep)
    shown = capsys.readouterr().out
    assert looks == 3
    assert shown.count("3 of 3 in") == 1
    assert shown.count("2 of 3 in") == 1
    assert "cannot reach the rrdns API at http://127.0.0.1:1: connection refused" in shown


def test_a_reader_that_has_seen_enough_ends_the_watch(api: Api) -> None:
    """As in `rrdns status --watch | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "rrdns", "status", "--watch", "--url", api.url],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=30,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_watching_as_json_is_a_line_for_each_look(
    farm: FakeAdminService, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script reads line by line, and hears when rrdns cannot be asked."""
    with api_of(farm) as api:
        client = Client(api.url)
        looks = 0

        def sleep(_: float) -> None:
            nonlocal looks
            looks += 1
            client.url = "http://127.0.0.1:1"
            if looks == 2:
                raise KeyboardInterrupt

        status.watch_lines(client, "boot", sleep=sleep)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [member["in"] for member in first["pools"][0]["members"]] == [True, True, True]
    assert second["error"].startswith("cannot reach the rrdns API")


def test_watching_a_pool_that_is_not_there_ends(rrdns: Run, api: Api) -> None:
    """It will not come by being looked for."""
    result = rrdns("status", "--watch", "--json", "--pool", "nope", "--url", api.url)
    assert (result.exit_code, result.stdout) == (2, "")


def outlook(on_empty: str, reasons: dict[str, bool]) -> str:
    """Return the first line for a pool with nothing healthy."""
    since = "2026-01-31T12:00:00.123Z"
    members = [
        {
            "name": name,
            "address": "10.0.0.1",
            "in": is_in,
            "why": "last-resort" if is_in else "drained",
            "share": 1.0,
            "standing": {"up": False, "contradicting_probes": 0, "since": since},
        }
        for name, is_in in reasons.items()
    ]
    pool = {
        "name": "boot",
        "hostname": "h",
        "ttl": 5,
        "queries": 0,
        "worst_case": 9.0,
        "on_empty": on_empty,
        "everything_down": True,
        "members": members,
    }
    return str(status_table([pool], {"ready": True}, 1_770_000_000.0)[0])


def test_the_shout_says_what_targets_get() -> None:
    """It depends on the pool's `on_empty`, and on who is drained."""
    assert "still get the member that is not drained" in outlook(
        "serve-all", {"a": True, "b": False}
    )
    assert "orders took all members out" in outlook("serve-all", {"a": False})
    assert "targets get SERVFAIL." in outlook("servfail", {"a": False})
    assert "targets get no answer." in outlook("silent", {"a": False})


def test_a_farm_without_pools_says_so() -> None:
    """It cannot be configured so, and is not passed over in silence."""
    assert str(status_table([], {"ready": False}, 0.0)[-1]) == "There are no pools."


def test_watching_on_a_terminal_ends_with_ctrl_c(api: Api) -> None:
    """The table is drawn in place, on the terminal's other screen, and leaves no trace."""
    said, ended = on_a_terminal(
        "status", "--watch", "--url", api.url, until=b"10.0.0.13", signal=signal.SIGINT
    )
    assert ended == 0
    assert b"\x1b[?1049h" in said
    assert said.rstrip().endswith((b"\x1b[?1049l", b"\x1b[?25h"))
