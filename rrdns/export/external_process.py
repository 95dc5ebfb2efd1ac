"""Run a command, or signal a running process, on behalf of an exporter."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rrdns.export.disk_io import read_file
from rrdns.export.errors import CommandFailed, SignalFailed

MAX_OUTPUT = 8192  # bytes of the end of what a command says that are kept


async def run(command: Sequence[str], stdin: bytes = b"") -> str:
    """Run a command without a shell; return what it said, on both outputs.

    Cancelled, it kills the command and all that the command has started in its group.

    Raises:
        CommandFailed: it could not be started, or ended with another status than 0.
    """
    # Files instead of pipes: a command that leaves a daemon behind, or that never reads its
    # input, can then keep nobody waiting.
    given, said = _anonymous_file(), _anonymous_file()
    try:
        os.write(given, stdin)
        os.lseek(given, 0, os.SEEK_SET)
        status = await _status_of(command, given, said)
        output = _end_of(said)
    finally:
        os.close(given)
        os.close(said)
    if status:
        raise CommandFailed(shlex.join(command), _how_it_ended(status), output)
    return output


async def _status_of(command: Sequence[str], given: int, said: int) -> int:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=given, stdout=said, stderr=said, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise CommandFailed(shlex.join(command), f"could not be started: {error}") from error
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def send_signal(pid_file: Path, name: str, process: str = "") -> None:
    """Signal the process whose id is in a file; `process` is what it must be called.

    Raises:
        SignalFailed: there is no such process, it is another one, or it may not be signalled.
    """
    try:
        pid = int(read_file(pid_file).decode("ascii"))
        called = _name_of(pid) if pid > 1 else ""
    except (OSError, ValueError) as error:
        raise SignalFailed(str(pid_file), f"no process id can be read there: {error}") from error
    if pid <= 1:
        raise SignalFailed(str(pid_file), f"{pid} is not the id of a service")
    if process and called and called != process[:15]:
        raise SignalFailed(str(pid_file), f"process {pid} is {called!r}, and not {process!r}")
    try:
        os.kill(pid, signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"])
    except KeyError as error:
        raise SignalFailed(str(pid_file), f"no signal is called {name!r}") from error
    except OSError as error:
        raise SignalFailed(str(pid_file), f"process {pid}: {error.strerror}") from error


def _name_of(pid: int) -> str:
    """Return what a process is called, 15 characters at most; empty where nobody can say."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return ""


def _anonymous_file() -> int:
    # In memory, since rrdns may run where nothing can be written.
    return os.memfd_create("rrdns-export")


def _end_of(fd: int) -> str:
    size = os.fstat(fd).st_size
    start = max(0, size - MAX_OUTPUT)
    said = os.pread(fd, MAX_OUTPUT, start).decode(errors="replace").strip()
    return f"... {said}" if start else said


def _how_it_ended(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"
