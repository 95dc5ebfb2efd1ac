"""What to enter at a resolver that is to find rrdns by its config: BIND, Unbound and dnsmasq."""

from __future__ import annotations

from rrdns.core.model import is_inside
from rrdns.snippets.delegation.records import Delegation, NameserverAddressMissing
from rrdns.snippets.dhcp.boot_options import comment

# What Unbound answers by itself unless told otherwise (RFC 6761, RFC 7686, RFC 8375).
_UNBOUND_KEEPS = ("test", "invalid", "onion", "localhost", "home.arpa")
_UNSIGNED = (
    "rrdns does not sign. A resolver that validates has to be told so, where the parent is signed "
    "and does not hold the delegation:"
)


def bind(it: Delegation) -> str:
    """Return a zone for the named.conf of a BIND that resolves."""
    addresses = "".join(f"{address}; " for address in it.addresses)
    names = "".join(f'"{name}"; ' for name in it.without_address)
    servers = f"    server-addresses {{ {addresses}}};\n" if addresses else ""
    servers += f"    server-names {{ {names}}};\n" if names else ""
    return (
        comment("//", f"named.conf of a BIND that cannot find {it.parent} from the root.")
        + f'zone "{it.zone}" {{\n    type static-stub;\n{servers}}};\n\n'
        + comment("//", f"In its options. {_UNSIGNED}")
        + f'// validate-except {{ "{it.zone}"; }};\n'
        + comment("//", "Where answers with private addresses are refused, these are let through:")
        + "// deny-answer-addresses { 10.0.0.0/8; 172.16.0.0/12; 192.168.0.0/16; } "
        + f'except-from {{ "{it.zone}"; }};\n'
        + comment(
            "//",
            "Leave min-cache-ttl at 0 and stale-answer-enable at no: both keep dead servers in "
            "the answers. A sortlist puts the same address first each time.",
        )
    )


def unbound(it: Delegation) -> str:
    """Return a stub zone for unbound.conf, and what Unbound has to be told of it."""
    servers = "".join(f"    stub-addr: {address}\n" for address in it.addresses)
    servers += "".join(f'    stub-host: "{name}"\n' for name in it.without_address)
    return (
        comment("#", f"unbound.conf: Unbound asks rrdns for {it.zone}.")
        + f'server:\n{_unbound_options(it)}\nstub-zone:\n    name: "{it.zone}"\n{servers}\n'
        + comment(
            "#",
            "Leave cache-min-ttl at 0 and serve-expired at no: both keep dead servers in the "
            "answers.",
            "An Unbound that has to ask another resolver, which knows the delegation, takes this "
            "instead of the stub-zone, with that resolver's address:",
        )
        + f'# forward-zone:\n#     name: "{it.zone}"\n#     forward-addr: 192.0.2.1\n'
    )


def _unbound_options(it: Delegation) -> str:
    options = [
        (_UNSIGNED, f'domain-insecure: "{it.zone}"'),
        (
            "Where private-address is set, this lets private addresses through:",
            f'private-domain: "{it.zone}"',
        ),
        (
            "Where use-caps-for-id is set: after losses Unbound compares answers, and these turn.",
            f'caps-exempt: "{it.zone}"',
        ),
    ]
    kept = next((name for name in _UNBOUND_KEEPS if is_inside(it.zone, name)), None)
    if kept:
        options.append(
            (
                f"Unbound answers for {kept} by itself, but for this:",
                f'local-zone: "{it.zone}." transparent',
            )
        )
    return "".join(f"{comment('    #', why)}    {option}\n" for why, option in options)


def dnsmasq(it: Delegation) -> str:
    """Return lines for dnsmasq.conf.

    Raises:
        NameserverAddressMissing: no nameserver has one.
    """
    if not it.addresses:
        raise NameserverAddressMissing(it.without_address[0], it.zone)
    return (
        comment("#", f"dnsmasq.conf: dnsmasq asks rrdns for {it.zone}.")
        + "".join(f"server=/{it.zone}/{address}\n" for address in it.addresses)
        + comment("#", "Where stop-dns-rebind is set, this lets private addresses through:")
        + f"rebind-domain-ok=/{it.zone}/\n"
        + comment(
            "#",
            "Leave out min-cache-ttl and use-stale-cache: both keep dead servers in the answers. "
            "Leave out no-round-robin: it keeps the order until the TTL has passed.",
        )
    )
