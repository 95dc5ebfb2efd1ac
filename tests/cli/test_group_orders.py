"""Several members at once, for later and as a trial, on the command line; and `rrdns force`."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from rrdns.cli.terminal.durations import parse_start
from rrdns.core.model import OrderKind
from rrdns.timeformat import from_rfc3339
from tests.cli.conftest import Api, Run, api_of
from tests.web.fake_admin_service import FakeAdminService

BOTH = ("pvs-1", "pvs-2")


@pytest.mark.parametrize(
    "whom", [["pvs-1", "pvs-2"], ["pvs-[12]"], ["pvs-1", "pvs-[2]"], ["pvs-2", "pvs-1", "pvs-1"]]
)
def test_members_are_drained_together(rrdns: Run, api: Api, whom: list[str]) -> None:
    """By name or pattern; a script is not asked."""
    result = rrdns("drain", *whom, "--reason", "patch", "--url", api.url)
    assert result.exit_code == 0, result.output
    assert {member for _, member in api.farm.orders} == set(BOTH)
    assert "Safe to work on them after" in result.stdout
    back = rrdns("resume", *whom, "--url", api.url)
    assert back.stdout.splitlines() == [
        f"{name} of pool boot is resumed, and in the answers." for name in BOTH
    ]


def test_a_whole_rack_is_refused_or_forced(rrdns: Run, api: Api) -> None:
    """With the guard's word, and nothing done."""
    refused = rrdns("drain", "--tag", "rack-1", "--url", api.url)
    assert (refused.exit_code, api.farm.orders) == (1, {})
    assert "are the last members in rotation of pool 'boot'" in refused.stderr
    assert rrdns("drain", "--tag", "rack-1", "--force", "--url", api.url).exit_code == 0
    assert len(api.farm.orders) == 3


@pytest.mark.parametrize("whom", [[], ["pvs-1", "--tag", "rack-1"]])
def test_nobody_is_drained_by_guess(rrdns: Run, api: Api, whom: list[str]) -> None:
    """Neither by nothing nor by two ways at once."""
    result = rrdns("drain", *whom, "--url", api.url)
    assert (result.exit_code, api.farm.orders) == (2, {})
    assert "give the members" in result.stderr


def test_a_trial_tells_what_would_be_and_what_the_guard_says(rrdns: Run, api: Api) -> None:
    """Exit status 1 when it would be refused."""
    fine = rrdns("drain", "pvs-1", "--dry-run", "--url", api.url)
    assert fine.exit_code == 0
    assert "Then in rotation in pool boot: pvs-2, pvs-3." in fine.stdout
    refused = rrdns("drain", "pvs-*", "--dry-run", "--url", api.url)
    assert refused.exit_code == 1
    assert "rrdns would REFUSE it" in refused.stdout
    assert "in pool boot: NONE." in refused.stdout
    assert api.farm.orders == {}
    rrdns("drain", "pvs-1", "--url", api.url)
    back = rrdns("resume", "pvs-1", "--dry-run", "--url", api.url)
    assert "It would end the orders for pvs-1." in back.stdout
    assert len(api.farm.orders) == 1


def test_an_order_for_later_is_told_shown_and_cancelled(rrdns: Run, api: Api) -> None:
    """Until then the member stays in."""
    result = rrdns("drain", "pvs-1", "--at", "+2h", "--for", "1h", "--url", api.url)
    assert result.exit_code == 0, result.output
    assert "pvs-1 of pool boot will be drained by local at" in result.stdout
    assert "Safe" not in result.stdout
    assert "will be drained by local at" in rrdns("status", "--url", api.url).stdout
    assert api.farm.orders == {}
    rrdns("resume", "pvs-1", "--url", api.url)
    assert api.farm.plans == {}


def test_waiting_for_what_is_not_yet_is_wrong_use(rrdns: Run, api: Api) -> None:
    """Before anybody is asked."""
    result = rrdns("drain", "pvs-1", "--at", "+2h", "--wait", "--url", api.url)
    assert (result.exit_code, api.farm.plans) == (2, {})


def test_a_wait_ends_with_status_1_when_the_member_is_back(
    rrdns: Run, farm: FakeAdminService
) -> None:
    """A script must not go on to reboot a server that is handed out."""
    farm.now -= 60
    really = farm.execute

    async def execute(command):  # type: ignore[no-untyped-def]  # as FakeFarm's
        done = await really(command)
        farm.orders.clear()
        return done

    farm.execute = execute  # type: ignore[method-assign]  # somebody resumes at once
    with api_of(farm) as api:
        result = rrdns("drain", "pvs-1", "--wait", "--url", api.url)
    assert result.exit_code == 1
    assert "pvs-1 is in rotation again" in result.stderr


@pytest.mark.parametrize(
    ("direction", "order"), [("up", OrderKind.FORCE_UP), ("down", OrderKind.FORCE_DOWN)]
)
def test_the_probes_can_be_overruled(
    rrdns: Run, api: Api, direction: str, order: OrderKind
) -> None:
    """In both directions, and it is told as such."""
    api.farm.fall("boot", "pvs-1")
    result = rrdns("force", "pvs-1", direction, "--reason", "I know", "--url", api.url)
    assert result.exit_code == 0, result.output
    assert (
        f"forced {'in' if direction == 'up' else 'out'} by local until you resume it"
        in result.stdout
    )
    assert api.farm.orders["boot", "pvs-1"].order is order
    done = json.loads(rrdns("force", "pvs-2", "down", "--json", "--url", api.url).stdout)
    assert done["member"]["why"] == "forced-down"


def test_an_order_ends_when_the_clock_says_so(rrdns: Run, api: Api) -> None:
    """At six in the morning: the next one after it begins."""
    late = (datetime.now().astimezone() + timedelta(hours=30)).replace(microsecond=0)
    earlier = (late - timedelta(hours=1)).strftime("%H:%M")
    args = ("drain", "pvs-1", "--until", earlier, "--url", api.url)
    assert rrdns(*args).exit_code == 0
    until = api.farm.orders["boot", "pvs-1"].until
    assert until is not None
    assert 0 < until - time.time() <= 86_400
    assert rrdns("drain", "pvs-2", "--at", late.isoformat(), *args[2:]).exit_code == 0
    plan = api.farm.plans["boot", "pvs-2"].override
    assert plan.until is not None
    assert plan.since == late.timestamp()
    assert 22 * 3600 < plan.until - plan.since < 24 * 3600


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--for", "1h", "--until", "06:00"), "both set the end"),
        (("--until", "soon"), "--until: 'soon' is not a time; write it as 22:00 or"),
        (("--at", "soon"), "write it as 22:00 or 2026-01-31T22:00, or +2h"),
    ],
)
def test_an_end_that_means_nothing_is_refused(
    rrdns: Run, options: tuple[str, ...], said: str
) -> None:
    """Before anybody is asked."""
    result = rrdns("drain", "pvs-1", *options, "--url", "http://127.0.0.1:1")
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_clock_means_its_next_time_here() -> None:
    """Later today, or tomorrow; a date is taken as it is."""
    now = datetime(2026, 1, 31, 21, 30).astimezone()
    assert from_rfc3339(parse_start("22:00", now)) == (now + timedelta(minutes=30)).timestamp()
    assert from_rfc3339(parse_start("21:00", now)) == (now + timedelta(hours=23.5)).timestamp()
    there = from_rfc3339(parse_start("2026-02-02T02:40:00+01:00", now))
    assert there == from_rfc3339("2026-02-02T01:40:00Z")
    here = datetime(2026, 2, 2, 2, 40).astimezone().timestamp()
    assert from_rfc3339(parse_start("2026-02-02T02:40", now)) == here
    assert parse_start("+1h30m") == "+1h30m"


@pytest.mark.parametrize("text", ["25:00", "soon", "+", "+soon", "22", ""])
def test_a_start_that_means_nothing_is_refused(rrdns: Run, text: str) -> None:
    """Before anybody is asked."""
    result = rrdns("drain", "pvs-1", "--at", text, "--url", "http://127.0.0.1:1")
    assert result.exit_code == 2
    assert "--at" in result.stderr


def test_the_trail_is_exported_as_json_lines(rrdns: Run, api: Api) -> None:
    """All of it, of one member where that is asked."""
    rrdns("drain", *BOTH, "--url", api.url)
    result = rrdns("audit", "--export", "--member", "pvs-2", "--url", api.url)
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["member"] == "pvs-2"


def test_explain_tells_who_is_next_and_why_others_are_not(rrdns: Run, api: Api) -> None:
    """With what would change it, and the words for that."""
    api.farm.fall("boot", "pvs-2")
    rrdns("drain", "pvs-1", "--for", "2h", "--reason", "patch", "--url", api.url)
    said = rrdns("explain", "boot", "--url", api.url).stdout
    assert "  1. pvs-3\n" in said
    assert "OUT pvs-1  drained by local: patch, since " in said
    assert "in when the drain ends at " in said
    assert "`rrdns resume pvs-1 --pool boot`" in said
    assert "OUT pvs-2  down" in said
    assert "in when 2 probes in a row pass, in about " in said
    told = json.loads(rrdns("explain", "--json", "--url", api.url).stdout)
    assert told["pools"][0]["next"] == [["pvs-3"]]
    assert rrdns("explain", "nope", "--url", api.url).exit_code == 2


def answering(answer: bytes, *args: str) -> tuple[bytes, int]:
    """Run a verb on a terminal, and answer its question."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rrdns", *args], stdin=there, stdout=there, stderr=there
    )
    os.close(there)
    said = b""
    with suppress(OSError):  # Linux's way to say that the other end is closed
        while chunk := os.read(here, 4096):
            said += chunk
            if b"[y/N]" in chunk:
                os.write(here, answer)
    os.close(here)
    return said, process.wait(30)


def test_a_person_is_asked_before_several_are_drained(api: Api) -> None:
    """With the list, and who is left; no is no, and --yes asks nobody."""
    said, ended = answering(b"n\n", "drain", "pvs-[12]", "--url", api.url)
    assert (ended, api.farm.orders) == (1, {})
    assert b"pvs-1 of pool boot: healthy" in said
    assert b"Then in rotation in pool boot: pvs-3." in said
    said, ended = answering(b"y\n", "drain", "pvs-[12]", "--url", api.url)
    assert (ended, len(api.farm.orders)) == (0, 2)
    said, ended = answering(b"", "resume", "pvs-[12]", "--yes", "--url", api.url)
    assert (ended, len(api.farm.orders)) == (0, 0)
    assert b"[y/N]" not in said
