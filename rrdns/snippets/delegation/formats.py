"""Render config that makes DNS servers query rrdns for its zone.

A parent zone gets NS records with glue (RFC 1034, section 4.2.1). A resolver that cannot find
them from the root gets the addresses in its config. Each text can be copied unchanged into the
file that its first line names. Lines that only some sites need are comments.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from rrdns.snippets.delegation.records import Delegation, NameserverAddressMissing
from rrdns.snippets.delegation.template_fields import fields_of
from rrdns.snippets.rendering import render


class Format(StrEnum):
    """The DNS server that a text is for. Its template has the same name."""

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


def delegation_text(form: Format | str, delegation: Delegation) -> str:
    """Return the text to enter.

    Raises:
        ValueError: there is no such format.
        NameserverAddressMissing: the format needs the address of a nameserver, and the config
            has none.
    """
    form = Format(form)
    _check_addresses(form, delegation)
    return render(f"delegation/{form}", fields_of(delegation))


def _check_addresses(form: Format, it: Delegation) -> None:
    """Refuse a delegation without the addresses that the format needs.

    The PowerShell command needs one for each nameserver, dnsmasq at least one.
    """
    is_missing = (form is Format.WINDOWS and it.without_address) or (
        form is Format.DNSMASQ and not it.addresses
    )
    if is_missing:
        raise NameserverAddressMissing(it.without_address[0], it.zone)
