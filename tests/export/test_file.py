"""Files: replaced whole, kept as they were, and read by whom they are for."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rrdns.core.model import Zone
from rrdns.export.atomic_write import write_atomically
from rrdns.export.errors import CommandFailed, FileNotWritten, SignalFailed, TemplateInvalid
from rrdns.export.file.exporter import FileExporter
from rrdns.export.pool_view import Option66
from rrdns.export.settings import FileSettings
from tests.export.pool_views import view
from tests.peers import wait_until


def settings(path: Path, **others: Any) -> FileSettings:
    """Return the settings of a file exporter."""
    return FileSettings(
        **{"name": "dhcp", "pools": ("boot",), "path": path, "template": "hosts", **others}
    )


async def test_a_file_is_new_or_old_but_never_half(tmp_path: Path) -> None:
    """A reader that looks all the time sees nothing but whole files."""
    path = tmp_path / "file"
    write_atomically(path, b"a" * 100_000, 0o644)
    seen: set[bytes] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=look)
    reader.start()
    for letter in b"bcdefgh":
        write_atomically(path, bytes([letter]) * 100_000, 0o644)
    done.set()
    reader.join()
    assert {len(data) for data in seen} == {100_000}
    assert all(len(set(data)) == 1 for data in seen)
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_mode_and_owner_of_an_existing_file_are_kept(tmp_path: Path) -> None:
    """Whoever could read the file before can read the new one."""
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    before = path.stat()
    write_atomically(path, b"new", 0o600)
    after = path.stat()
    assert path.read_text() == "new"
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_a_new_file_gets_the_mode_that_was_set(tmp_path: Path) -> None:
    """Not that of a temporary file, and whatever the umask."""
    write_atomically(tmp_path / "file", b"", 0o664)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o664


@pytest.mark.parametrize(("mode", "written"), [(0o644, True), (0o640, True), (0o600, False)])
def test_where_the_owner_cannot_be_kept_the_readers_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, written: bool
) -> None:
    """Only root may give a file away; one that its owner alone may read is then left alone."""
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    before, real = path.stat(), os.stat

    def fchown(fd: int, uid: int, gid: int) -> None:
        if uid != -1:
            raise PermissionError(1, "Operation not permitted")

    def fstat(fd: int) -> os.stat_result:
        return os.stat_result((*real(fd)[:4], before.st_uid + 1, *real(fd)[5:]))

    monkeypatch.setattr(os, "fchown", fchown)
    monkeypatch.setattr(os, "fstat", fstat)
    if not written:
        with pytest.raises(FileNotWritten, match="not permitted"):
            write_atomically(path, b"new", 0o644)
        return
    write_atomically(path, b"new", 0o644)
    monkeypatch.undo()
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is replaced."""
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").write_text("old")
    write_atomically(tmp_path / "link", b"new", 0o644)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_a_file_that_cannot_be_written_is_as_it_was(tmp_path: Path) -> None:
    """The reason is given, and nothing is left behind."""
    with pytest.raises(FileNotWritten, match="could not be written and is as it was"):
        write_atomically(tmp_path / "no" / "file", b"new", 0o644)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotWritten):
        write_atomically(tmp_path / "folder", b"new", 0o644)
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]


async def test_json_says_all_that_is_told(tmp_path: Path) -> None:
    """The members in the order of the present rotation, beginning with the first."""
    path = tmp_path / "file"
    await FileExporter(settings(path, template="json")).export([view(1, 2, 3, first=2)])
    value = json.loads(path.read_text())
    assert value == {
        "version": 1,
        "exporter": "dhcp",
        "serial": 7,
        "at": 1_700_000_000.0,
        "pools": [
            {
                "pool": "boot",
                "hostname": "boot.pvs.example.test",
                "ttl": 5,
                "first": "10.0.0.2",
                "addresses": ["10.0.0.2", "10.0.0.3", "10.0.0.1"],
                "members": [
                    {"name": "pvs-2", "address": "10.0.0.2"},
                    {"name": "pvs-3", "address": "10.0.0.3"},
                    {"name": "pvs-1", "address": "10.0.0.1"},
                ],
                "everything_down": False,
            }
        ],
    }


@pytest.mark.parametrize(
    ("option66", "line"),
    [
        (Option66.NAME, 'option:tftp-server,"boot.pvs.example.test"'),
        (Option66.ADDRESS, 'option:tftp-server,"10.0.0.2"'),
        (Option66.LIST, 'option:tftp-server,"10.0.0.2;10.0.0.3;10.0.0.1"'),
    ],
)
async def test_option_66_has_three_forms(tmp_path: Path, option66: Option66, line: str) -> None:
    """A name, one address, or the list with semicolons; option 150 is always the list."""
    path = tmp_path / "file"
    exporter = FileExporter(settings(path, template="dnsmasq-options", option66=option66))
    await exporter.export([view(1, 2, 3, first=2)])
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert lines == [line, "option:tftp-server-address,10.0.0.2,10.0.0.3,10.0.0.1"]


async def test_a_template_of_ones_own_is_filled_in(tmp_path: Path) -> None:
    """All fields of docs/exporters.md are there."""
    template = tmp_path / "template"
    template.write_text(
        "$exporter $serial $written\n%each pools\n"
        "$pool $hostname $ttl $first $option66 $with_commas $with_semicolons $with_spaces\n"
        "%each members\n$name=$address\n%end\n%end\n"
    )
    path = tmp_path / "file"
    await FileExporter(settings(path, template=str(template))).export([view(1, 2)])
    assert path.read_text() == (
        "dhcp 7 2023-11-14 22:13:20 UTC\n"
        "boot boot.pvs.example.test 5 10.0.0.1 boot.pvs.example.test "
        "10.0.0.1,10.0.0.2 10.0.0.1;10.0.0.2 10.0.0.1 10.0.0.2\n"
        "pvs-1=10.0.0.1\npvs-2=10.0.0.2\n"
    )


async def test_a_template_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The file stays as it was."""
    path = tmp_path / "file"
    with pytest.raises(TemplateInvalid, match="there is none of this name; bind-zone, "):
        await FileExporter(settings(path, template="nonsense")).export([view(1)])
    with pytest.raises(TemplateInvalid, match="cannot be read"):
        await FileExporter(settings(path, template=str(tmp_path / "no"))).export([view(1)])
    assert not path.exists()


async def test_a_mistake_in_a_template_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    """The author of the template reads where to look."""
    path, template = tmp_path / "file", tmp_path / "template"
    template.write_text("$exporter\n$other\n")
    with pytest.raises(TemplateInvalid, match=f"^template {template}, line 2: .* field .other"):
        await FileExporter(settings(path, template=str(template))).export([view(1)])
    assert not path.exists()


async def test_a_zone_file_holds_one_zone(tmp_path: Path) -> None:
    """Pools of two zones cannot stand in one file."""
    other = replace(view(2, pool="login"), zone=Zone("other.test", (), "x.test"))
    exporter = FileExporter(settings(tmp_path / "file", template="bind-zone"))
    with pytest.raises(TemplateInvalid, match="one zone"):
        await exporter.export([view(1), other])


async def test_a_zone_serial_rises_with_each_change(tmp_path: Path) -> None:
    """Also with changes in the same second; else no secondary would take the new one."""
    path = tmp_path / "file"
    exporter = FileExporter(settings(path, template="bind-zone"))
    serials = []
    for number in (1, 2, 3):
        await exporter.export([view(number)])
        line = next(line for line in path.read_text().splitlines() if "; serial" in line)
        serials.append(int(line.split()[0]))
    assert serials == [1_700_000_000, 1_700_000_001, 1_700_000_002]


async def test_what_is_in_place_is_not_written_again(tmp_path: Path) -> None:
    """No write and no command without a change; but a file that was tampered with is mended."""
    path, runs = tmp_path / "file", tmp_path / "runs"
    command = ("sh", "-c", f"echo run >> {runs}; echo said")
    exporter = FileExporter(settings(path, command=command))
    assert await exporter.export([view(1)]) == "said"
    assert await exporter.export([view(1, serial=9)]) is None
    assert runs.read_text() == "run\n"
    path.write_text("tampered")
    assert await exporter.export([view(1)]) == "said"
    assert "10.0.0.1 boot.pvs.example.test" in path.read_text()
    assert runs.read_text() == "run\nrun\n"
    path.unlink()
    assert await exporter.export([view(1)]) == "said"
    assert path.exists()


async def test_a_write_that_was_given_up_is_not_overtaken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow disk the older of two writes must not be the one that lasts."""
    path, may_go_on = tmp_path / "file", threading.Event()
    real = os.fsync

    def slow(fd: int) -> None:
        may_go_on.wait(10)
        real(fd)

    monkeypatch.setattr(os, "fsync", slow)
    exporter = FileExporter(settings(path))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await exporter.export([view(1)])
    later = asyncio.create_task(exporter.export([view(2)]))
    await asyncio.sleep(0.1)
    assert not later.done()
    may_go_on.set()
    await later
    assert "10.0.0.2 boot" in path.read_text()
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


async def test_a_pipe_in_place_of_a_file_holds_up_nobody(tmp_path: Path) -> None:
    """To open one waits for its other end: the file is written anew, and the signal not sent."""
    path, pid_file = tmp_path / "file", tmp_path / "pid"
    exporter = FileExporter(settings(path))
    assert await exporter.export([view(1)]) == ""
    path.unlink()
    os.mkfifo(path)
    os.mkfifo(pid_file)
    with late_writer(path), late_writer(pid_file) as began:
        await exporter.export([view(1)])
        assert path.is_file()
        signalling = FileExporter(settings(path, pid_file=pid_file))
        with pytest.raises(SignalFailed, match="is no regular file"):
            await signalling.export([view(1)])
        assert time.monotonic() - began < 1.0


@contextmanager
def late_writer(fifo: Path) -> Iterator[float]:
    """Let whoever waits at a pipe go on after 1.5 s, so that a failure is no hang."""
    done = threading.Event()

    def let_go() -> None:
        while not done.wait(1.5):
            with suppress(OSError):  # nobody waits, or it is no pipe any more
                os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))

    threading.Thread(target=let_go).start()
    try:
        yield time.monotonic()
    finally:
        done.set()


async def test_a_file_server_that_hangs_holds_up_its_exporter_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty exporters hang on it: what else needs a thread (reload, metrics) gets one."""
    may_go_on = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: may_go_on.wait(10))
    exporters = [FileExporter(settings(tmp_path / str(number))) for number in range(40)]
    telling_all = [asyncio.create_task(each.export([view(1)])) for each in exporters]
    try:
        await asyncio.sleep(0.2)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 1.0) == "free"
    finally:
        may_go_on.set()
        await asyncio.gather(*telling_all)


async def test_a_command_that_failed_is_run_again(tmp_path: Path) -> None:
    """The file alone is not enough: its reader must have been told."""
    path, flag = tmp_path / "file", tmp_path / "flag"
    exporter = FileExporter(settings(path, command=("sh", "-c", f"echo no luck; test -e {flag}")))
    with pytest.raises(CommandFailed, match="ended with status 1; its output: no luck"):
        await exporter.export([view(1)])
    flag.touch()
    assert await exporter.export([view(1)]) == "no luck"


def test_a_process_is_signalled_after_the_write(tmp_path: Path) -> None:
    """By its pid file, and only if it is what it is said to be."""
    said, pid_file = tmp_path / "said", tmp_path / "pid"
    program = (
        "import pathlib, signal, sys\n"
        "signal.signal(signal.SIGHUP, lambda *_: None)\n"
        "pathlib.Path(sys.argv[2]).touch()\n"
        "signal.pause()\n"
        "pathlib.Path(sys.argv[1]).write_text('hup')\n"
    )
    ready = tmp_path / "ready"
    process = subprocess.Popen([sys.executable, "-c", program, said, ready])
    try:
        wait_until(ready.exists)
        pid_file.write_text(f"{process.pid}\n")
        called = Path(f"/proc/{process.pid}/comm").read_text().strip()
        wrong = settings(tmp_path / "file", pid_file=pid_file, process="dnsmasq")
        with pytest.raises(SignalFailed, match="and not 'dnsmasq'"):
            asyncio.run(FileExporter(wrong).export([view(1)]))
        asyncio.run(FileExporter(replace(wrong, process=called)).export([view(1)]))
        assert process.wait(10) == 0
        assert said.read_text() == "hup"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no process id can be read there"),
        ("abc", "no process id can be read there"),
        ("1", "is not the id of a service"),
        ("-1", "is not the id of a service"),
        (str(2**22 + 1), "No such process"),
    ],
)
async def test_a_pid_file_without_a_process_is_told(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    """A stale or wrong pid file signals nobody; above all not everybody."""
    pid_file = tmp_path / "pid"
    if content is not None:
        pid_file.write_text(content)
    exporter = FileExporter(settings(tmp_path / "file", pid_file=pid_file))
    with pytest.raises(SignalFailed, match=reason):
        await exporter.export([view(1)])


async def test_an_unknown_signal_is_named(tmp_path: Path) -> None:
    """The admin wrote a signal that there is not."""
    before = signal.getsignal(signal.SIGHUP)  # whoever runs the tests may have it ignored
    pid_file = tmp_path / "pid"
    pid_file.write_text(str(os.getpid()))
    exporter = FileExporter(settings(tmp_path / "file", pid_file=pid_file, signal="HOP"))
    with pytest.raises(SignalFailed, match="no signal is called 'HOP'"):
        await exporter.export([view(1)])
    assert signal.getsignal(signal.SIGHUP) == before
