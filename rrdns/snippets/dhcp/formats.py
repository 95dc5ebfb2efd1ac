"""Render config for a DHCP server, for the members that are in rotation now.

Each snippet has both boot files by client architecture (option 93, RFC 4578). Its comments
contain the facts that an admin must know before using it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from rrdns.snippets.dhcp.boot_options import BootFiles, DhcpBootOptions
from rrdns.snippets.dhcp.template_fields import fields_of
from rrdns.snippets.rendering import render


class Format(StrEnum):
    """A DHCP server, or an option. Its template has the same name."""

    WINDOWS = "windows"
    KEA = "kea"
    ISC = "isc"
    DNSMASQ = "dnsmasq"
    OPTION66 = "option66"
    OPTION150 = "option150"


def snippet(
    form: Format | str,
    hostname: str,
    addresses: Sequence[str],
    *,
    boot_files: BootFiles | None = None,
) -> str:
    """Return the text to enter; `addresses` begin with the one for `next-server`.

    Raises:
        ValueError: there is no such format, or no member is in rotation.
    """
    if not addresses:
        raise ValueError(f"no member of {hostname} is in rotation now, so there is no address")
    boot = DhcpBootOptions(hostname, tuple(addresses), boot_files or BootFiles())
    return render(f"dhcp/{Format(form)}", fields_of(boot))
