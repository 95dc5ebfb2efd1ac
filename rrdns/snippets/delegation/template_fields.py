"""The fields of the templates for parent zones and resolvers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rrdns.core.model import is_inside
from rrdns.snippets.delegation.records import Delegation, address_records
from rrdns.snippets.rendering import powershell_string
from rrdns.template import Item

# Unbound answers for these domains itself by default (RFC 6761, RFC 7686, RFC 8375).
_KEPT_BY_UNBOUND = ("test", "invalid", "onion", "localhost", "home.arpa")

NOTES = {  # comments that several texts have
    "note_no_ds": (
        "There is no DS record, since rrdns does not sign. A signed parent zone proves that, and "
        "validating resolvers accept it."
    ),
    "note_unsigned": (
        "rrdns does not sign. If the resolver validates, and the parent is signed but has no "
        "delegation for the zone, this is needed:"
    ),
}


def fields_of(it: Delegation) -> Item:
    """Return the fields that all templates of a delegation can use."""
    replaced = f"Delete the records that {it.parent} itself has for {', '.join(it.hostnames)}."
    return {
        **NOTES,
        "note_replaced": replaced if it.hostnames else "",
        "zone": it.zone,
        "zone_powershell": powershell_string(it.zone),
        "parent": it.parent,
        "parent_powershell": powershell_string(it.parent),
        "child_powershell": powershell_string(it.child),
        "hostnames": [{"hostname_powershell": powershell_string(name)} for name in it.hostnames],
        "records": list(_records(it.records)),
        "nameservers": [
            {
                "name_powershell": powershell_string(server.name),
                "addresses_powershell": _powershell_list(server.addresses),
            }
            for server in it.nameservers
        ],
        "external_nameservers": [
            {"name": server.name, "records": list(_records(address_records([server])))}
            for server in it.external_nameservers
        ],
        "addresses": [{"address": address} for address in it.addresses],
        "addresses_powershell": _powershell_list(it.addresses),
        "without_address": [{"name": name} for name in it.without_address],
        "server_addresses": _bind_list(it.addresses),
        "server_names": _bind_list(f'"{name}"' for name in it.without_address),
        "kept_by_unbound": [
            {"domain": domain} for domain in _KEPT_BY_UNBOUND if is_inside(it.zone, domain)
        ],
    }


def _records(records: tuple[tuple[str, str, str], ...]) -> Iterator[Item]:
    longest = max((len(owner) for owner, _, _ in records), default=0)
    for owner, rtype, data in records:
        yield {
            "owner": owner,
            "owner_column": f"{owner}.".ljust(longest + 1),
            "type": rtype,
            "type_column": f"{rtype:<4}",
            "data": data,
        }


def _powershell_list(texts: Iterable[str]) -> str:
    return ", ".join(powershell_string(text) for text in texts)


def _bind_list(texts: Iterable[str]) -> list[Item]:
    """Return the body of a list in named.conf; no item: named.conf has no empty lists."""
    body = " ".join(f"{text};" for text in texts)
    return [{"list": body}] if body else []
