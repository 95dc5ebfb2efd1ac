"""Let threads that share a core and an interpreter wait little for each other."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Callable

_PR_SET_TIMERSLACK = 29
_SYS_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # the C library has no function for it
# struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period.
_SCHED_ATTR = struct.Struct("=IIQiIQQQ")
SLICE = 100_000  # nanoseconds, the least that there is


def reduce_wakeup_latency() -> None:
    """Let this thread's short sleeps be short, and let it run soon after it wakes; Linux only.

    A short slice (sched_setattr(2), from Linux 6.12 on) lets a loop that wakes for a query
    run before the control process has used up its own on the same core. Where the kernel
    knows none of it, or refuses, all stays as it is.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_TIMERSLACK, 1000, 0, 0, 0)
    number = _SYS_SCHED_SETATTR.get(platform.machine())
    if number is not None and os.sched_getscheduler(0) == os.SCHED_OTHER:
        attributes = _SCHED_ATTR.pack(
            _SCHED_ATTR.size, os.SCHED_OTHER, 0, os.getpriority(os.PRIO_PROCESS, 0), 0, SLICE, 0, 0
        )
        libc.syscall(number, 0, attributes, 0)


# Lets threads run that wait for the core or for the interpreter's lock. With none, it costs
# well under a microsecond. Python 3.11's own sched_yield keeps the lock meanwhile.
yield_cpu: Callable[[], object] = ctypes.CDLL(None).sched_yield
