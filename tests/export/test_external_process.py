"""Commands: what they are given, what they say, and how they are ended."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from rrdns.export.errors import CommandFailed
from rrdns.export.external_process import MAX_OUTPUT, run
from rrdns.export.json_exporters import CommandExporter
from rrdns.export.settings import CommandSettings
from tests.export.pool_views import view
from tests.peers import wait_until


async def test_a_command_reads_json_on_its_standard_input(tmp_path: Path) -> None:
    """The same JSON as in a file or a webhook, to the end of the input."""
    command = ("sh", "-c", f"cat > {tmp_path}/given; echo out; echo err >&2")
    exporter = CommandExporter(CommandSettings(name="c", pools=("boot",), command=command))
    assert await exporter.export([view(1, 2)]) == "out\nerr"
    given = json.loads((tmp_path / "given").read_text())
    assert given["pools"][0]["addresses"] == ["10.0.0.1", "10.0.0.2"]


async def test_a_command_gets_its_arguments_as_they_are() -> None:
    """No shell looks at them."""
    assert await run(["printf", "%s|", "a b", "$HOME", "; true"]) == "a b|$HOME|; true|"


async def test_a_command_that_does_not_read_does_no_harm() -> None:
    """Nobody waits for a reader that does not read."""
    assert await run(["true"], b"x" * 10_000_000) == ""


async def test_of_a_long_output_the_end_is_kept() -> None:
    """The end tells why; memory is not for all the rest."""
    said = await run(["sh", "-c", "yes | head -c 200000; echo the end"])
    assert said.startswith("... ")
    assert said.endswith("the end")
    assert len(said) <= MAX_OUTPUT + 4


async def test_a_daemon_that_a_command_leaves_behind_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Reloading a service may start one that holds the output open."""
    begun = time.monotonic()
    try:
        assert await run(["sh", "-c", f"sleep 30 & echo $! > {tmp_path}/pid; echo done"]) == "done"
        assert time.monotonic() - begun < 10
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 9)


async def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    """Nothing of it is left running."""
    script = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await run(["sh", "-c", script])
    pid = int((tmp_path / "pid").read_text())
    await asyncio.to_thread(wait_until, lambda: not _runs(pid), 5, "gone")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_how_a_command_failed_is_told() -> None:
    """Its status or signal, and the end of what it said."""
    with pytest.raises(CommandFailed, match=r"^sh -c 'echo why; exit 3' ended with status 3; its "):
        await run(["sh", "-c", "echo why; exit 3"])
    with pytest.raises(CommandFailed, match="was ended by SIGTERM"):
        await run(["sh", "-c", "kill $$"])
    with pytest.raises(CommandFailed, match=r"could not be started: .*No such file"):
        await run(["/nonexistent/program"])
