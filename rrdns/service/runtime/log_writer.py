"""Write lines of the log without ever waiting for who reads them.

A full pipe, a terminal under Ctrl-S, a hung journal or a hung disk holds up a thread that does
nothing else. Lines wait for it in a buffer; what does not fit there is dropped, counted, and told
in one line once something can be written again.

A thread, and not O_NONBLOCK: that flag belongs to the open file, which is shared with the shell and
with all else that writes there; a file on a disk has no such flag; and /proc/self/fd/1 cannot be
opened anew where it is a socket, or a pipe of another user. The supervisor forks without its
thread: it ends before each fork, or sits in write(2), where it holds no lock.
"""

from __future__ import annotations

import fcntl
import io
import mmap
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

MAX_WAITING_BYTES = 262_144  # of lines, per process and stream
FLUSH_TIMEOUT = 0.2  # seconds that the end of a process waits for its last lines
_REST_TIMEOUT = 0.05  # seconds that a fork waits for the thread
_ATOMIC_BYTES = select.PIPE_BUF  # a pipe takes so many in one piece (pipe(7))
_CELLS = 2  # of a process: standard output, standard error
_CELL_BYTES = 8
TOO_SLOW = "nobody read them"

Cell = memoryview  # one count, in memory that processes may share
Notice = Callable[
    [int, str], bytes
]  # how many lines were dropped, and why -> the line that says so


class DropCounters:
    """Count the lines that each process drops, in memory that all of them share."""

    def __init__(self, processes: Sequence[str]) -> None:
        """Take the memory; processes that are forked from here on share it."""
        size = max(len(processes), 1) * _CELLS * _CELL_BYTES
        self._cells = memoryview(mmap.mmap(-1, size)).cast("Q")
        self._places = {name: number * _CELLS for number, name in enumerate(processes)}
        # Whoever writes holds a lock on a byte of this file: so no line stands inside another, and
        # a process that is killed leaves no lock behind, as it would in memory.
        self.turns = os.memfd_create("rrdns-log")

    def cells(self, process: str) -> tuple[Cell, Cell]:
        """Return where a process counts, for standard output and standard error."""
        at = self._places[process]
        return self._cells[at : at + 1], self._cells[at + 1 : at + 2]

    def totals(self) -> Mapping[str, int]:
        """Return how many lines each process has dropped since the service started."""
        return {name: sum(self._cells[at : at + _CELLS]) for name, at in self._places.items()}


class LogWriter:
    """Writes lines to a descriptor, from a thread of its own."""

    def __init__(self, fd: int, dropped: Cell, event: Notice, turns: int = -1) -> None:
        self._fd = fd
        self._dropped = dropped
        self._notice = event
        self._turns = turns
        self._begin_anew()

    def _begin_anew(self) -> None:
        # Reentrant: a destructor that has something to say may run in the middle of `put`.
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._waiting: deque[bytes] = deque()
        self._bytes = 0  # of what waits, and of what is being written
        self._accepted = self._done = 0  # lines
        self._untold = 0  # dropped lines that no notice has told of
        self._why = ""
        self._gap_at = 0  # the notice comes when so many lines are done
        self._fails = False  # the last write did
        self._torn = False  # the last line written has no end
        self._paused = False  # no thread is started, and one that runs ends

    def put(self, line: bytes) -> None:
        """Have a line written, or dropped where too much waits; this never waits."""
        with self._changed:
            if self._bytes and self._bytes + len(line) > MAX_WAITING_BYTES:
                self._lose(1, TOO_SLOW, self._accepted)
                return
            self._waiting.append(line)
            self._bytes += len(line)
            self._accepted += 1
            if self._thread is not None:
                self._changed.notify_all()
            elif not self._paused:
                self._start()

    def flush(self, timeout: float = FLUSH_TIMEOUT) -> bool:
        """Wait until all is written, for `timeout` seconds at most; tell whether it is."""
        with self._changed:
            if self._thread is None and self._waiting:
                self._start()
            return self._changed.wait_for(self._is_idle, timeout)

    def pause(self) -> None:
        """End the thread once it has written what waits, if it is not held up; lines wait on."""
        with self._changed:
            thread, self._paused = self._thread, True
            self._changed.notify_all()
            ended = self._changed.wait_for(lambda: self._thread is None, _REST_TIMEOUT)
        if thread is not None and ended:
            thread.join(_REST_TIMEOUT)

    def go_on(self) -> None:
        """Write again, after a pause."""
        with self._changed:
            self._paused = False
            if self._waiting and self._thread is None:
                self._start()

    def after_fork_in_child(self) -> None:
        """Begin with nothing: what waits is the parent's to write."""
        self._begin_anew()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=f"log-{self._fd}", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # none is to be had: the next line tries again
            self._thread = None

    def _is_idle(self) -> bool:
        return not self._bytes and (self._fails or not self._untold)

    def _lose(self, lines: int, why: str, gap_at: int) -> None:
        if not self._untold:
            self._gap_at, self._why = gap_at, why
        self._untold += lines
        self._dropped[0] += lines

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            with self._changed:
                while not (self._waiting or self._notice_is_due() or self._paused):
                    self._changed.wait()
                told = self._untold if self._notice_is_due() else 0
                lines = [] if told else self._take()
                if not told and not lines:
                    self._thread = None
                    self._changed.notify_all()
                    return
                why = self._why
            if told:
                self._tell(told, why)
            else:
                self._write_lines(lines)

    def _notice_is_due(self) -> bool:
        return bool(self._untold) and not self._fails and self._done >= self._gap_at

    def _take(self) -> list[bytes]:
        """Return the next lines, as many as a pipe takes in one piece, none from behind a gap."""
        lines: list[bytes] = []
        size = 0
        most = self._gap_at - self._done if self._untold and not self._fails else len(self._waiting)
        while self._waiting and len(lines) < most:
            size += len(self._waiting[0])
            if lines and size > _ATOMIC_BYTES:
                break
            lines.append(self._waiting.popleft())
        return lines

    def _write_lines(self, lines: list[bytes]) -> None:
        written, error = self._write(b"".join(lines))
        with self._changed:
            self._done += len(lines)
            self._fails = error is not None
            for line in lines:
                self._bytes -= len(line)
                written -= len(line)
                if written < 0:
                    self._lose(1, error or TOO_SLOW, self._done)
            self._changed.notify_all()

    def _tell(self, count: int, why: str) -> None:
        _, error = self._write(self._notice(count, why))
        with self._changed:
            self._fails = error is not None
            if error is None:
                self._untold -= count
                self._gap_at = self._accepted  # of those that were dropped meanwhile
            self._changed.notify_all()

    def _write(self, text: bytes) -> tuple[int, str | None]:
        """Write, however long it takes; return how many bytes, and what went wrong."""
        head = b"\n" if self._torn else b""
        left = memoryview(head + text)
        error = None
        with suppress(OSError):
            fcntl.lockf(self._turns, fcntl.LOCK_EX, 1, self._fd)
        try:
            while left:
                left = left[self._write_some(left) :]
        except OSError as failure:
            error = failure.strerror or str(failure)
        with suppress(OSError):
            fcntl.lockf(self._turns, fcntl.LOCK_UN, 1, self._fd)
        written = len(head) + len(text) - len(left)
        if written:
            self._torn = error is not None
        return max(written - len(head), 0), error

    def _write_some(self, left: memoryview) -> int:
        while True:
            try:
                return os.write(self._fd, left)
            except BlockingIOError:  # somebody who shares the open file has made it so
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                poll.poll(1000)
                time.sleep(0.01)


class ErrorStream(io.TextIOBase):
    """What stands for standard error: tracebacks, warnings, and what libraries log."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, writer: LogWriter, fd: int) -> None:
        self._writer = writer
        self._fd = fd
        self._begun = ""  # a line that has no end yet

    def write(self, text: str) -> int:
        """Hand over each line that is whole."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._writer.put(encode(line))
        return len(text)

    def flush(self) -> None:
        """Hand over what has no end, too."""
        if self._begun:
            begun, self._begun = self._begun, ""
            self._writer.put(encode(begun))

    def writable(self) -> bool:
        """Tell that this can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor behind it."""
        return self._fd


def encode(line: str) -> bytes:
    """Return a line as it is written."""
    return (line + "\n").encode("utf-8", "backslashreplace")
