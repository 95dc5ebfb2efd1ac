"""Print what makes DNS servers ask rrdns for its zone: the delegation, or a way around it.

A parent zone gets NS records with glue (RFC 1034, section 4.2.1). A resolver that cannot find
them from the root is told the addresses itself. Each text can go as it is into the file that
its first line names; what holds only for some stands in it as a comment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from rrdns.snippets.delegation import parents, resolvers
from rrdns.snippets.delegation.records import Delegation


class Format(StrEnum):
    """Whom a text is for."""

    WINDOWS = "windows"
    BIND = "bind"
    BIND_RESOLVER = "bind-resolver"
    KNOT = "knot"
    UNBOUND = "unbound"
    DNSMASQ = "dnsmasq"


TITLES: Mapping[Format, str] = {
    Format.WINDOWS: "Windows DNS that holds {parent}: PowerShell",
    Format.BIND: "BIND that holds {parent}: its zone file",
    Format.BIND_RESOLVER: "BIND that resolves: named.conf",
    Format.KNOT: "Knot DNS that holds {parent}: its zone file",
    Format.UNBOUND: "Unbound: unbound.conf",
    Format.DNSMASQ: "dnsmasq: dnsmasq.conf",
}

_WRITERS: Mapping[Format, Callable[[Delegation], str]] = {
    Format.WINDOWS: parents.windows,
    Format.BIND: parents.bind,
    Format.BIND_RESOLVER: resolvers.bind,
    Format.KNOT: parents.knot,
    Format.UNBOUND: resolvers.unbound,
    Format.DNSMASQ: resolvers.dnsmasq,
}


def delegation_text(form: Format | str, delegation: Delegation) -> str:
    """Return the text to enter.

    Raises:
        ValueError: there is no such format.
        NameserverAddressMissing: it needs the address of a nameserver, and the config does not
            tell it.
    """
    return _WRITERS[Format(form)](delegation)
