"""Let a process have as many sockets open as its work may ask for."""

from __future__ import annotations

import resource


def raise_descriptor_limit(wanted: int) -> None:
    """Raise this process's limit to so many open files and sockets, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
