"""The zones and pools that docs/answers.md describes, and messages to ask about them."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from functools import lru_cache

import dns.edns
import dns.message

from rrdns.core.model import Nameserver, Zone
from rrdns.core.snapshot import PoolRRset, Snapshot
from rrdns.shm.counters import FIRST_SLOT, CounterReader
from rrdns.wire.answers import responder
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.answers.responder import Responder
from rrdns.wire.dns.cookies import CookieKeys
from rrdns.wire.dns.server_info import ServerInfo

ZONE = "pvs.example.test"
NS1 = Nameserver(f"ns1.{ZONE}", ("192.0.2.53", "2001:db8::53"))
ZONES = (
    Zone(ZONE, (NS1, Nameserver("ns2.example.net")), "hostmaster.example.test"),
    Zone("apex.test", (NS1,), "hostmaster.example.test"),
)


POOL_NUMBERS: dict[str, int] = {}
MAX_MEMBERS = 2000


def first_slot(pool: str) -> int:
    """Return the slot of a pool; those of its members follow it."""
    return FIRST_SLOT + MAX_MEMBERS * POOL_NUMBERS.setdefault(pool, len(POOL_NUMBERS))


def rrset(pool: str, hostname: str = "", members: int = 3, **others: object) -> PoolRRset:
    """Return an RRset of members 10.0.0.1, 10.0.0.2 ..."""
    values = {
        "counter_slot": first_slot(pool),
        "member_slots": tuple(first_slot(pool) + 1 + n for n in range(members)),
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
    rrset("boot"),
    rrset("site", f"deep.site.{ZONE}"),
    rrset("lone", members=1),
    rrset("empty", members=0),
    rrset("quiet", members=0, is_silent=True),
    rrset("apex", "apex.test"),
)
DOCUMENTED = (*RRSETS, rrset("closed", "closed.test"))


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


@dataclass(frozen=True)
class Counts:
    """What was counted with a table."""

    queries: dict[str, int]  # by "kind/rcode"
    turns: dict[str, dict[str, int]]  # pool -> address -> responses that it was first in
    dropped: int


def counts(answers: AnswerTable) -> Counts:
    """Return what was counted with a table, for the pools that it has."""
    reader = CounterReader([answers.counters.segment])
    end = FIRST_SLOT + MAX_MEMBERS * len(POOL_NUMBERS)
    queries = {"/".join(labels): count for labels, count in reader.queries(end).items()}
    turns = {
        one.pool: {
            address: reader.count(slot)
            for address, slot in zip(one.addresses, one.member_slots, strict=True)
        }
        for one in answers.snapshot.rrsets.values()
        if one.addresses
    }
    return Counts(queries, turns, reader.unanswered())


class OneDatagram:
    """A batch of one datagram, as the responder takes it."""

    def __init__(self, message: bytes, address: bytes) -> None:
        self.buffer = mmap.mmap(-1, 1 << 17)
        self.buffer[64 : 64 + len(message)] = message
        self.lengths, self.sizes, self.addresses = [len(message)], [0], [address]
        tails = [slice(66, 64 + max(2, end)) for end in range(513)]
        source = slice(64 - len(address), 66)
        self.buffer[64 - len(address) : 64] = address
        self.rows_of = [[], [(tails, 0, 0, 64, 0, source)]]


@lru_cache(maxsize=8)
def _responder(answers: AnswerTable, address_bytes: int) -> Responder:
    def fail(error: BaseException, _: bytes) -> None:
        raise error

    made = Responder(CurrentTable(answers), slice(0, address_bytes), on_defect=fail)
    made.retransmits.busy_until = 1e18
    return made


def respond(
    message: bytes,
    answers: AnswerTable,
    address: bytes = bytes(4),
    now: float = 0,
    *,
    tcp: bool = False,
) -> bytes | None:
    """Return the response as over UDP, with all caches, or as over TCP; a defect is raised."""
    if tcp:
        return responder.respond(message, answers, address, now)
    batch = OneDatagram(message, address)
    _responder(answers, len(address)).respond(batch, 1, 1.0, now)
    return batch.buffer[64 : 64 + batch.sizes[0]] if batch.sizes[0] else None


def ask(answers: AnswerTable, message: bytes, *, tcp: bool = False) -> dns.message.Message:
    """Return the answer, which must be there, as dnspython reads it."""
    answer = respond(message, answers, tcp=tcp)
    assert answer is not None
    return dns.message.from_wire(answer)


def first(message: dns.message.Message) -> str:
    """Return the first address in the answer section."""
    return str(message.answer[0][0])
