"""What to enter where the parent zone is: Windows DNS, BIND and Knot DNS."""

from __future__ import annotations

from collections.abc import Iterable

from rrdns.snippets.delegation.records import Delegation, NameserverAddressMissing, address_records
from rrdns.snippets.dhcp.boot_options import comment, powershell_string

TTL = 3600  # of the records where a parent needs to be told one

_NO_DS = (
    "There is no DS record, as rrdns does not sign; a signed parent zone proves that there is "
    "none, and validating resolvers go on."
)
_NETMASK_ORDERING = (
    "Netmask ordering is on by default: addresses in the asker's own subnet come first, each "
    "time. answers = 1 in the pool leaves nothing to order; this ends it for all of the server's "
    "answers:"
)


def windows(it: Delegation) -> str:
    """Return PowerShell for a Windows DNS server.

    Raises:
        NameserverAddressMissing: a nameserver has none, and the command wants one.
    """
    if it.without_address:
        raise NameserverAddressMissing(it.without_address[0], it.zone)
    where = f"-Name {powershell_string(it.parent)} -ChildZoneName {powershell_string(it.child)}"
    added = "".join(
        f"Add-DnsServerZoneDelegation {where} -NameServer {powershell_string(server.name)} "
        f"-IPAddress {_list(server.addresses)}\n"
        for server in it.nameservers
    )
    looks = "".join(
        f"Resolve-DnsName -Name {powershell_string(hostname)} -Type A\n"
        for hostname in it.hostnames
    )
    return (
        comment("#", f"PowerShell, on a DNS server that holds {it.parent}.", *_to_go(it))
        + f"{added}\n{comment('#', 'See that it is there, and that the name resolves:')}"
        + f"Get-DnsServerZoneDelegation {where}\n{looks}\n{_windows_notes(it)}"
    )


def _windows_notes(it: Delegation) -> str:
    forwarder = f"-Name {powershell_string(it.zone)} -MasterServers {_list(it.addresses)}"
    return (
        comment("#", f"On servers that do not hold {it.parent} and cannot find it, this instead:")
        + f"# Add-DnsServerConditionalForwarderZone {forwarder}\n"
        + comment("#", _NETMASK_ORDERING)
        + "# dnscmd /Config /LocalNetPriority 0\n"
    )


def _list(texts: Iterable[str]) -> str:
    return ", ".join(powershell_string(text) for text in texts)


def bind(it: Delegation) -> str:
    """Return lines for the parent's zone file on BIND."""
    return comment(
        ";",
        f"In the zone file of {it.parent}. Raise its serial, then: rndc reload {it.parent}",
        f"A BIND that resolves and cannot find {it.parent} from the root gets the zone by its "
        "named.conf: --format bind-resolver.",
        _NO_DS,
        *_to_go(it),
    ) + _zone_lines(it)


def knot(it: Delegation) -> str:
    """Return lines for the parent's zone file on Knot DNS, and the same by knotc."""
    orders = [
        f"zone-begin {it.parent}",
        *(
            f"zone-set {it.parent} {owner}. {TTL} {rtype} {data}"
            for owner, rtype, data in it.records
        ),
        f"zone-commit {it.parent}",
    ]
    return (
        comment(
            ";",
            f"In the zone file of {it.parent}. Raise its serial, then: "
            f"knotc zone-reload {it.parent}",
            _NO_DS,
            *_to_go(it),
        )
        + _zone_lines(it)
        + comment(";", "Or at once, without the file:")
        + "".join(f"; knotc {order}\n" for order in orders)
    )


def _zone_lines(it: Delegation) -> str:
    longest = max(len(owner) for owner, _, _ in it.records) + 1
    lines = [
        f"{owner + '.':<{longest}} IN {rtype:<4} {data}\n" for owner, rtype, data in it.records
    ]
    for server in it.external_nameservers:
        lines.append(comment(";", f"{server.name} needs address records where its own zone is."))
        lines += [
            f"; {name}. IN {rtype} {data}\n" for name, rtype, data in address_records([server])
        ]
    return "".join(lines)


def _to_go(it: Delegation) -> tuple[str, ...]:
    if not it.hostnames:
        return ()
    names = ", ".join(it.hostnames)
    return (f"Records that {it.parent} itself has for {names} have to go.",)
