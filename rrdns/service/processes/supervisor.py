"""Bind the sockets, drop the rights, start the processes, and start again who falls.

The supervisor keeps every socket open, so that a process that falls loses at most what
it held in its hands. It does next to nothing else, so that nothing in it can fail: no event
loop, no store, and after the start no config either; what may wait for a disk or for a reader
(the log, a look after the store's lock) has threads of its own.
"""

from __future__ import annotations

import contextvars
import os
import select
import selectors
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import NoReturn

from rrdns.service.runtime.heartbeat import Heartbeat, die_with_parent
from rrdns.service.runtime.log_setup import flush, get_log
from rrdns.service.runtime.sd_notify import SystemdNotifier

STOP_TIMEOUT = 1.5  # seconds from SIGTERM to SIGKILL
KILL_TIMEOUT = 1.0  # seconds from SIGKILL until nobody is waited for any more
DUTY_INTERVAL = 1.0  # seconds
START_TIMEOUT = 60.0  # ten thousand pools are read before the first heartbeat
STEADY_AFTER = 10.0  # a process that has run this long is started again at once
FIRST_DELAY = 0.1  # before the second start in a row; doubles
MAX_DELAY = 10.0
_MAX_DOUBLINGS = 10
# The loop comes round twice a second. Where it did not for so long, the whole host may have stood
# still (a paused virtual machine), and silence means nothing.
HOST_PAUSE_SECONDS = 2.0  # seconds
EXIT_CONFIG = 78  # EX_CONFIG: what a child ends with when starting it again is no use

Main = Callable[
    [Heartbeat, int], None
]  # what a child runs: its heartbeat, the descriptor of the parent pipe


@dataclass(slots=True)
class Child:
    """One process under supervision."""

    name: str
    main: Callable[[bool], Main]  # given: is it a restart?
    hang_after: float  # seconds without a heartbeat
    early: bool = False  # started before `Supervisor.prepare`
    pid: int = 0
    started: float = 0.0
    heartbeat_fd: int = -1
    last_heartbeat: float = 0.0
    ready: bool = False
    has_started: bool = False  # it has beaten, so its signal handlers are in place
    failures: int = 0  # falls in a row, each soon after its start
    starts: int = 0
    due: float | None = None  # when to start it again

    @property
    def hang_timeout(self) -> float:
        """Return after how many silent seconds it has hung; a start may take longer."""
        return self.hang_after if self.has_started else max(self.hang_after, START_TIMEOUT)


@dataclass(slots=True)
class Supervisor:
    """Starts children and keeps them running until it is told to stop."""

    children: list[Child]
    notify: SystemdNotifier = field(default_factory=SystemdNotifier)
    clock: Callable[[], float] = time.monotonic
    # Each child calls this first of all: to give up rights, of which an early one has still all.
    enter: Callable[[], None] = lambda: None
    prepare: Callable[[], None] = lambda: None  # once, while the early children work already
    # Done each DUTY_INTERVAL, in a thread: it may look at a disk that hangs. It must raise nothing.
    job: Callable[[], None] | None = None
    _stopping: bool = False
    _status: int = 0
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _signals: list[int] = field(default_factory=list)
    _parent_pipe: tuple[int, int] = (-1, -1)
    _announced: bool = False
    _notified: bool = False
    _doing: threading.Thread | None = None  # the duty
    _duty_due: float = 0.0
    _reload_asked: bool = False
    _looked_at: float = 0.0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit status."""
        wake_read, wake_write = os.pipe()
        for fd in (wake_read, wake_write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._note_signal)
        self._parent_pipe = os.pipe()
        self._selector.register(wake_read, selectors.EVENT_READ)
        for child in self.children:
            if child.early:
                self._start(child)
        self.prepare()
        for child in self.children:
            if not child.early:
                self._start(child)
        self._looked_at = self.clock()
        while not self._stopping:
            self._wait(wake_read)
            self._handle_signals()
            self._ask_for_reload()
            self._reap()
            self._kill_hung()
            self._start_due()
            self._announce()
            self._do_duty()
        self._stop()
        return self._status

    def _do_duty(self) -> None:
        now = self.clock()
        if self.job is None or now < self._duty_due:
            return
        if self._doing is not None and self._doing.is_alive():
            return
        self._duty_due = now + DUTY_INTERVAL
        named = contextvars.copy_context().run  # so that its log lines say which process it is
        self._doing = threading.Thread(target=named, args=(self.job,), name="duty", daemon=True)
        try:
            self._doing.start()
        except RuntimeError:  # no thread is to be had; the next round tries again
            self._doing = None

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _wait(self, wake_fd: int) -> None:
        dues = [child.due - self.clock() for child in self.children if child.due is not None]
        for key, _ in self._selector.select(max(0.0, min([*dues, 0.5]))):
            if key.fd == wake_fd:
                _drain(wake_fd)
            else:
                self._read_heartbeats(key.data)

    def _read_heartbeats(self, child: Child) -> None:
        said = _drain(child.heartbeat_fd)
        if not said:
            self._selector.unregister(child.heartbeat_fd)
            os.close(child.heartbeat_fd)
            child.heartbeat_fd = -1
            return
        child.last_heartbeat, child.has_started = self.clock(), True
        child.ready = child.ready or Heartbeat.READY in said

    def _handle_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGHUP:
                self._reload_asked = True
            elif number in (signal.SIGTERM, signal.SIGINT):
                self._stopping = True

    def _ask_for_reload(self) -> None:
        """Have the control process read the config again, as soon as it can hear that.

        Until then it ignores the signal, or is not there.
        """
        for child in self.children:
            if self._reload_asked and child.name == "control" and child.pid and child.has_started:
                os.kill(child.pid, signal.SIGHUP)
                self._reload_asked = False

    def _reap(self) -> None:
        for child in self.children:
            if child.pid:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                if pid:
                    self._on_exit(child, os.waitstatus_to_exitcode(status))

    def _on_exit(self, child: Child, code: int) -> None:
        now = self.clock()
        child.failures = 0 if now - child.started > STEADY_AFTER else child.failures + 1
        child.pid, child.ready = 0, False
        if code == EXIT_CONFIG and not self._announced:
            get_log().error("cannot start", process_name=child.name)
            self._stopping, self._status = True, 2
            return
        delay = restart_delay(child.failures)
        child.due = now + delay
        get_log().error(
            "a process fell",
            process_name=child.name,
            because=_how_it_ended(code),
            starts_again_in=delay,
        )

    def _kill_hung(self) -> None:
        now, looked_at = self.clock(), self._looked_at
        self._looked_at = now
        if now - looked_at > HOST_PAUSE_SECONDS:
            for child in self.children:
                child.last_heartbeat = now
        for child in self.children:
            if child.pid and now - child.last_heartbeat > child.hang_timeout:
                get_log().error(
                    "a process hangs",
                    process_name=child.name,
                    because=f"no heartbeat for {now - child.last_heartbeat:.1f} s",
                )
                child.last_heartbeat, child.has_started = now, False
                os.kill(child.pid, signal.SIGKILL)

    def _start_due(self) -> None:
        now = self.clock()
        for child in self.children:
            if child.due is not None and child.due <= now and not self._stopping:
                self._start(child)

    def _start(self, child: Child) -> None:
        supervisor = os.getpid()
        try:
            pid, read_fd, write_fd = _fork()
        except OSError as error:  # no process or no descriptor is to be had just now
            self._start_later(child, error)
            return
        if pid == 0:
            _be_child(
                partial(self._enter, child, read_fd, supervisor),
                Heartbeat(write_fd),
                self._parent_pipe[0],
            )
        os.close(write_fd)
        os.set_blocking(read_fd, False)
        if child.heartbeat_fd >= 0:
            self._selector.unregister(child.heartbeat_fd)
            os.close(child.heartbeat_fd)
        child.pid, child.heartbeat_fd, child.due = pid, read_fd, None
        child.started = child.last_heartbeat = self.clock()
        child.has_started = False
        child.starts += 1
        self._selector.register(read_fd, selectors.EVENT_READ, child)

    def _start_later(self, child: Child, error: OSError) -> None:
        child.failures += 1
        delay = restart_delay(child.failures)
        child.due = self.clock() + delay
        get_log().error(
            "a process cannot be started",
            process_name=child.name,
            because=error.strerror,
            tried_again_in=delay,
        )

    def _enter(self, child: Child, read_fd: int, supervisor: int) -> Main:
        """Become a child: let go of what is the supervisor's alone."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        # A Ctrl-C reaches every process of the terminal; only the supervisor acts on it.
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._selector.close()
        os.close(read_fd)
        os.close(self._parent_pipe[1])
        for other in self.children:
            if other.heartbeat_fd >= 0:
                os.close(other.heartbeat_fd)
        self.enter()
        die_with_parent(supervisor)
        return child.main(child.starts > 0)

    def _announce(self) -> None:
        if not self._announced and all(child.ready for child in self.children):
            self._announced = True
        if self._announced and not self._notified:
            self._notified = self.notify.ready()

    def _stop(self) -> None:
        self.notify.stopping()
        alive = [child for child in self.children if child.pid]
        for child in alive:
            os.kill(child.pid, signal.SIGTERM)
        alive = self._still_alive(alive, STOP_TIMEOUT)
        for child in alive:
            get_log().error("a process did not stop", process_name=child.name)
            os.kill(child.pid, signal.SIGKILL)
        for child in self._still_alive(alive, KILL_TIMEOUT):
            get_log().error(
                "a process cannot be killed",
                process_name=child.name,
                because="it waits in the kernel, mostly for a disk that hangs",
                pid=child.pid,
            )

    def _still_alive(self, children: list[Child], timeout: float) -> list[Child]:
        """Wait for children to end; return those that have not."""
        end = self.clock() + timeout
        while children and self.clock() < end:
            children = [child for child in children if not os.waitpid(child.pid, os.WNOHANG)[0]]
            # Not time.sleep: under libfaketime it fails (EINVAL) where the time is over already.
            select.select([], [], [], 0.01)
        return children


def restart_delay(failures: int) -> float:
    """Return how many seconds to wait before the next start, after so many falls in a row.

    The first is made good at once; who falls again soon waits longer each time.
    """
    if failures < 2:
        return 0.0
    return min(FIRST_DELAY * 2.0 ** min(failures - 2, _MAX_DOUBLINGS), MAX_DELAY)


def _fork() -> tuple[int, int, int]:
    """Fork; return the child's process id, 0 there, and the ends of its heartbeat."""
    read_fd, write_fd = os.pipe()
    try:
        return os.fork(), read_fd, write_fd
    except OSError:
        os.close(read_fd)
        os.close(write_fd)
        raise


def _be_child(enter: Callable[[], Main], heartbeat: Heartbeat, parent_pipe: int) -> NoReturn:
    """Run a child's main to its end, and never return into the supervisor's code."""
    status = 1
    try:
        enter()(heartbeat, parent_pipe)
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 1
    except BaseException:  # noqa: BLE001 - the last place where it can be told
        get_log().critical("a process broke", exc_info=True)
    finally:
        flush()
        os._exit(status)


def _drain(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return Heartbeat.ALIVE


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"
