"""Raise the limit of open files and sockets of this process."""

from __future__ import annotations

import resource


def raise_descriptor_limit(wanted: int) -> None:
    """Raise this process's limit to so many open files and sockets, or to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
