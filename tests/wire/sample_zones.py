"""The zones and pools that docs/answers.md describes, and messages to ask about them."""

from __future__ import annotations

import dns.edns
import dns.message

from rrdns.core.model import Nameserver, Zone
from rrdns.core.snapshot import PoolRRset, Snapshot
from rrdns.wire.answers.answer_table import AnswerTable
from rrdns.wire.answers.responder import respond
from rrdns.wire.dns.cookies import CookieKeys
from rrdns.wire.dns.server_info import ServerInfo

ZONE = "pvs.example.test"
NS1 = Nameserver(f"ns1.{ZONE}", ("192.0.2.53", "2001:db8::53"))
ZONES = (
    Zone(ZONE, (NS1, Nameserver("ns2.example.net")), "hostmaster.example.test"),
    Zone("apex.test", (NS1,), "hostmaster.example.test"),
)


def rrset(pool: str, hostname: str = "", members: int = 3, **others: object) -> PoolRRset:
    """Return an RRset of members 10.0.0.1, 10.0.0.2 ..."""
    values = {
        "pool": pool,
        "hostname": hostname or f"{pool}.{ZONE}",
        "ttl": 5,
        "answers": 4,
        "addresses": tuple(f"10.0.{n // 250}.{n % 250 + 1}" for n in range(members)),
        **others,
    }
    return PoolRRset(**values)  # type: ignore[arg-type]  # the keywords are PoolRRset's own


CLOSED = Zone("closed.test", (NS1,), "hostmaster.example.test", allow_query=("192.0.2.0/24",))


RRSETS = (
    rrset("boot", counter_slot=0),
    rrset("site", f"deep.site.{ZONE}", counter_slot=1),
    rrset("lone", members=1, counter_slot=2),
    rrset("empty", members=0, counter_slot=3),
    rrset("quiet", members=0, is_silent=True, counter_slot=4),
    rrset("apex", "apex.test", counter_slot=5),
)
DOCUMENTED = (*RRSETS, rrset("closed", "closed.test", counter_slot=6))


def snapshot(*rrsets: PoolRRset, zones: tuple[Zone, ...] = ZONES) -> Snapshot:
    """Return a snapshot of these RRsets; by default of the documented ones."""
    return Snapshot(serial=1, zones=zones, rrsets={one.pool: one for one in rrsets or RRSETS})


def table(*rrsets: PoolRRset) -> AnswerTable:
    """Return the answer table of these RRsets; by default of the documented ones."""
    return AnswerTable.build(snapshot(*rrsets))


def documented() -> AnswerTable:
    """Return the answer table of the server that docs/answers.md describes."""
    server_info = ServerInfo(nsid=b"one", chaos_id="one", cookie_keys=CookieKeys((bytes(16),)))
    whole = snapshot(*DOCUMENTED, zones=(*ZONES, CLOSED))
    return AnswerTable.build(whole, server_info=server_info)


def query(name: str = f"boot.{ZONE}", rtype: str = "A", **options: object) -> bytes:
    """Return a query as bytes; `options` are those of dnspython's make_query."""
    made = dns.message.make_query(name, rtype, **options)  # type: ignore[arg-type]
    return made.to_wire()


def option(code: int, data: bytes) -> dns.edns.Option:
    """Return an EDNS option of any kind."""
    return dns.edns.GenericOption(dns.edns.OptionType.make(code), data)


def ask(answers: AnswerTable, message: bytes, *, tcp: bool = False) -> dns.message.Message:
    """Return the answer, which must be there, as dnspython reads it."""
    answer = respond(message, answers, tcp=tcp)
    assert answer is not None
    return dns.message.from_wire(answer)


def first(message: dns.message.Message) -> str:
    """Return the first address in the answer section."""
    return str(message.answer[0][0])
