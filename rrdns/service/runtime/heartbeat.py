"""Tie a child process to its supervisor: it beats while it lives, and dies with it.

Two means, since each has a gap: the end of a pipe works everywhere but needs a process
that still runs; the kernel's parent-death signal (prctl(2), Linux) reaches a stopped one too.
"""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


class Heartbeat:
    """The child's end of the line: tell the supervisor that this process is alive."""

    ALIVE = b"."
    READY = b"R"

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.set_blocking(fd, False)

    def alive(self) -> None:
        """Say that this process lives; a full pipe says so already."""
        self._say(self.ALIVE)

    def ready(self) -> None:
        """Say that this process does its job from now on."""
        self._say(self.READY)

    def _say(self, word: bytes) -> None:
        try:
            os.write(self._fd, word)
        except BlockingIOError:
            return
        except BrokenPipeError:  # the supervisor is gone, and the parent pipe will say so
            return


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when `parent` dies.

    The setting is lost when a process changes its user, so it comes after that.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def set_no_new_privs() -> None:
    """Let neither this process nor its children gain rights by running a program."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
