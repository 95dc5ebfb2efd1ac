"""Print what to enter at a DHCP server, ready for the members that are handed out now.

Each snippet gives both boot files by client architecture (option 93, RFC 4578) and says in
its comments what an admin should know before using it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from rrdns.snippets.dhcp import options, servers
from rrdns.snippets.dhcp.boot_options import BootFiles, DhcpBootOptions


class Format(StrEnum):
    """Whom a snippet is for."""

    WINDOWS = "windows"
    KEA = "kea"
    ISC = "isc"
    DNSMASQ = "dnsmasq"
    OPTION66 = "option66"
    OPTION150 = "option150"


WRITERS: Mapping[Format, Callable[[DhcpBootOptions], str]] = {
    Format.WINDOWS: servers.windows,
    Format.KEA: servers.kea,
    Format.ISC: servers.isc,
    Format.DNSMASQ: servers.dnsmasq,
    Format.OPTION66: options.option66,
    Format.OPTION150: options.option150,
}


def snippet(
    form: Format | str,
    hostname: str,
    addresses: Sequence[str],
    *,
    boot_files: BootFiles | None = None,
) -> str:
    """Return the text to enter; `addresses` begin with the one for `next-server`.

    Raises:
        ValueError: there is no such format, or nobody is handed out.
    """
    if not addresses:
        raise ValueError(f"nobody is handed out for {hostname} now, so there is nothing to enter")
    boot = DhcpBootOptions(hostname, tuple(addresses), boot_files or BootFiles())
    return WRITERS[Format(form)](boot)
