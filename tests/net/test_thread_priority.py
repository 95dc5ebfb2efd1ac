"""What a thread asks of the system before it answers in batches."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import threading

import pytest

from rrdns.net.server.thread_priority import SLICE, reduce_wakeup_latency

PR_GET_TIMERSLACK = 30
SYS_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def in_a_thread() -> tuple[int, int, int]:
    """Return the timer slack, the nice value and the slice of a thread that is prompt."""
    found: list[tuple[int, int, int]] = []

    def look() -> None:
        reduce_wakeup_latency()
        libc = ctypes.CDLL(None)
        told = ctypes.create_string_buffer(ATTRIBUTES.size)
        libc.syscall(SYS_SCHED_GETATTR[platform.machine()], 0, told, ATTRIBUTES.size, 0)
        _, _, _, nice, _, runtime, _, _ = ATTRIBUTES.unpack(told)
        found.append((libc.prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), nice, runtime))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_a_prompt_thread_sleeps_precisely_and_has_a_short_slice() -> None:
    """On kernels before 6.12 there are no slices to choose; the nice value stays in any case."""
    slack, nice, runtime = in_a_thread()
    assert slack == 1000  # nanoseconds
    assert nice == os.getpriority(os.PRIO_PROCESS, 0)
    assert runtime in (0, SLICE)
