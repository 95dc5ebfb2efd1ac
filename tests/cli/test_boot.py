"""`rrdns boot` against the lab's TFTP servers, on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rrdns.cli.tools import boot as verb
from rrdns.lab.tftpd.boot_files import boot_files
from rrdns.lab.tftpd.server import TftpServer
from tests.cli.conftest import Run, in_a_thread
from tests.cli.terminal import on_a_terminal
from tests.peers import peer

FIRST, SECOND, DEAD = "127.0.0.61", "127.0.0.62", "127.0.0.63"
BOTH = f"{FIRST},{SECOND}"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve boot files at two addresses; return the port."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        async with (
            TftpServer(FIRST, 0, boot_files()) as first,
            TftpServer(SECOND, first.port, boot_files()),
        ):
            yield first.port

    with in_a_thread(serve) as url:
        yield int(url.rpartition(":")[2])


def test_it_tells_who_booted_from_whom_and_how_fast(rrdns: Run, port: int) -> None:
    """In words, with a histogram."""
    args = ("--port", port, "--clients", 10, "--ramp", "0.2s", "--seed", 5)
    result = rrdns("boot", "--round-robin", BOTH, *args)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "10 targets (iPXE) within 0.2 s, ARDBP32.BIN, seed 5"
    assert "  10 of 10 booted" in lines
    for server in (FIRST, SECOND):
        assert any(line.split() == [server, "5", "50.0%", "0"] for line in lines)
    assert "  spread: servers that served are within 0.0% of an even share" in lines
    assert "from power-on to the boot file: median " in result.stdout
    assert "█" in result.stdout


def test_a_dns_server_that_does_not_answer_fails_every_boot(rrdns: Run) -> None:
    """The status says so, the reason is in words; what it is compared with does not count."""
    dead = f"boot.example.test@{DEAD}:1"
    args = ("--clients", 3, "--ramp", 0, "--firmware", "edk2")
    result = rrdns("boot", dead, *args)
    assert result.exit_code == 1
    assert "0 of 3 booted" in result.stdout
    why = f"3 failed: no answer for boot.example.test from {DEAD}:1 within 2 s"
    assert why in result.stdout


def test_only_the_first_name_decides_on_the_status(rrdns: Run, port: int) -> None:
    """Here the comparison is what boots, and a table holds both beside each other."""
    args = ("--clients", 4, "--ramp", "0", "--firmware", "edk2", "--port", port)
    result = rrdns("boot", f"x.test@{DEAD}:1", "--round-robin", BOTH, *args)
    assert result.exit_code == 1
    table = result.stdout[result.stdout.index("compared") :].splitlines()
    assert table[1].split()[3:] == ["0", "4", "-", "-", "-"]
    assert table[2].startswith(f"plain round robin over {FIRST}, {SECOND}")
    assert "0.0%" in table[2]


def test_a_script_gets_every_boot_as_json(rrdns: Run, port: int) -> None:
    """The same seed plans the same storm."""
    args = ("--port", port, "--clients", 8, "--ramp", "0.1s", "--seed", 9, "--firmware", "mixed")
    told = [json.loads(rrdns("boot", "--round-robin", BOTH, *args, "--json").stdout) for _ in "ab"]
    assert (told[0]["seed"], told[0]["clients"], told[0]["ramp"]) == (9, 8, 0.1)
    (storm,) = told[0]["storms"]
    assert (storm["targets"], storm["booted"], storm["failed"]) == (8, 8, 0)
    assert storm["shares"][0] == {"server": FIRST, "asked": 4, "booted": 4}
    assert [one["target"] for one in storm["boots"]] == list(range(8))
    assert {one["verdict"] for one in storm["boots"]} == {"ok"}
    plans = [
        [(one["firmware"], one["start"], one["server"]) for one in run["storms"][0]["boots"]]
        for run in told
    ]
    assert plans[0] == plans[1]


def test_without_a_seed_each_storm_is_another_and_says_which(rrdns: Run, port: int) -> None:
    """So that it can be repeated."""
    args = ("--port", port, "--clients", 1, "--ramp", "0", "--json")
    seeds = {json.loads(rrdns("boot", "--round-robin", BOTH, *args).stdout)["seed"] for _ in "ab"}
    assert len(seeds) == 2


def test_the_chart_is_written(rrdns: Run, port: int, tmp_path: Path) -> None:
    """And named."""
    chart = tmp_path / "storm.svg"
    args = ("--port", port, "--clients", 3, "--ramp", "0", "--chart", chart)
    result = rrdns("boot", "--round-robin", BOTH, *args)
    assert result.exit_code == 0
    assert str(chart) in result.stdout
    assert chart.read_text().startswith("<svg ")


@pytest.mark.peers
def test_a_png_is_made_by_librsvg(rrdns: Run, port: int, tmp_path: Path) -> None:
    """By its ending."""
    peer("rsvg-convert")
    chart = tmp_path / "storm.PNG"
    args = ("--port", port, "--clients", 3, "--ramp", "0", "--chart", chart)
    assert rrdns("boot", "--round-robin", BOTH, *args).exit_code == 0
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_where_librsvg_is_not_there_a_png_is_refused_before_the_storm(
    rrdns: Run, port: int, tmp_path: Path
) -> None:
    """It says what to install, or which name to give instead."""
    chart = tmp_path / "storm.png"
    args = ("boot", "--round-robin", BOTH, "--port", port, "--chart", chart)
    result = rrdns(*args, env={"PATH": str(tmp_path)})
    assert result.exit_code == 2
    assert "a PNG needs rsvg-convert, which is not installed" in result.stderr
    assert "librsvg2-bin" in result.stderr


def test_a_converter_that_fails_is_heard(rrdns: Run, port: int, tmp_path: Path) -> None:
    """In its own words."""
    fake = tmp_path / "rsvg-convert"
    fake.write_text("#!/bin/sh\necho no room >&2\nexit 3\n")
    fake.chmod(0o755)
    chart = tmp_path / "storm.png"
    args = ("boot", "--round-robin", BOTH, "--port", port, "--ramp", 0, "--chart", chart)
    result = rrdns(*args, env={"PATH": str(tmp_path)})
    assert result.exit_code == 1
    assert f"rsvg-convert could not write {chart}: no room" in result.stderr


def test_a_chart_that_cannot_be_written_is_told_before_the_storm(rrdns: Run) -> None:
    """Nobody waits for a picture that does not come."""
    args = ("boot", "--round-robin", BOTH, "--ramp", "1h", "--chart", "/nowhere/storm.svg")
    result = rrdns(*args)
    assert result.exit_code == 1
    assert "/nowhere/storm.svg: no such file or directory" in result.stderr


def test_more_targets_than_this_process_may_open_files_can_be_played(port: int) -> None:
    """As many as the system allows when it is asked; the soft limit is for the careless."""
    script = (
        "import resource as r; "
        "r.setrlimit(r.RLIMIT_NOFILE, (40, r.getrlimit(r.RLIMIT_NOFILE)[1])); "
        "from rrdns.cli.main import main; main()"
    )
    args = ("boot", "--round-robin", BOTH, "--port", port, "--clients", 60, "--ramp", 0)
    command = [sys.executable, "-c", script, *(str(arg) for arg in args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 of 60 booted" in done.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "the boot hostname is missing"),
        (["boot..test@127.0.0.1"], "'boot..test' is no domain name"),
        (["boot.test@"], "the DNS server is ''"),
        (["boot.test@resolver.test"], "'resolver.test' is not an IP address"),
        (["boot.test", "--via", "127.0.0.1", "--via", "::1"], "all be IPv4, or all IPv6"),
        (["boot.test@127.0.0.1", "--ramp", "soon"], "--ramp: 'soon' is no length of time"),
        (["boot.test@127.0.0.1", "--ramp", "2d"], "the maximum is one day"),
        (["boot.test@127.0.0.1", "--firmware", "bios"], "there is no firmware 'bios'"),
        (["boot.test@127.0.0.1", "--file", ""], "must be a file name"),
        (["boot.test@127.0.0.1", "--clients", "0"], "--clients"),
        (["--round-robin", "127.0.0.1,pvs-1"], "'pvs-1' is not an IPv4 address"),
        (["--round-robin", "::1"], "'::1' is not an IPv4 address"),
        (["boot.test@127.0.0.1", "--chart", "storm.gif"], "unsupported file type '.gif'"),
        (["boot.test@127.0.0.1", "--chart", "storm"], "storm has no file type"),
    ],
)
def test_what_cannot_be_played_is_wrong_use(rrdns: Run, args: list[str], said: str) -> None:
    """Before anything is sent, with what would be right."""
    result = rrdns("boot", *args)
    assert result.exit_code == 2
    assert said in result.stderr


def test_without_a_dns_server_this_hosts_own_is_asked(
    rrdns: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As resolv.conf(5) has it; where it names none, that is said."""
    conf = tmp_path / "resolv.conf"
    monkeypatch.setattr(verb, "RESOLV_CONF", conf)
    args = ("boot", "boot.test", "--clients", 1, "--ramp", "0", "--firmware", "edk2")
    result = rrdns(*args)
    assert result.exit_code == 2
    assert "has no DNS server" in result.stderr
    conf.write_text(f"search example.test\nnameserver {DEAD}\noptions edns0\n")
    assert f"boot.test at {DEAD}:53" in rrdns(*args).stdout


def test_on_a_terminal_its_progress_is_seen_and_goes_away(port: int) -> None:
    """What is left is the report."""
    args = ("--port", port, "--clients", 5, "--ramp", "1s")
    said, status = on_a_terminal("boot", "--round-robin", BOTH, *args, errors=True)
    assert status == 0
    assert b" booting" in said
    assert b"5 of 5 booted" in said


def test_interrupted_it_tells_what_it_knows(port: int) -> None:
    """Ctrl-C: how many had not ended, and status 1."""
    args = ("--port", port, "--clients", 30, "--ramp", "60s", "--seed", 1)
    said, status = on_a_terminal(
        "boot", "--round-robin", BOTH, *args, errors=True, until=b"1 booted", signal=2
    )
    assert status == 1
    assert b"had not finished" in said
