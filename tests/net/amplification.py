"""What each kind of answer over UDP is worth to an amplifier: bytes out for bytes in.

`python -m tests.net.amplification` writes the table in docs/security.md anew.
"""

from __future__ import annotations

from collections.abc import Iterator

from rrdns.core.model import Zone
from rrdns.wire.answers.answer_table import AnswerTable
from rrdns.wire.dns.cookies import CookieKeys
from rrdns.wire.dns.server_info import MAX_NSID_BYTES, ServerInfo
from tests.net.documented import Row, message
from tests.peers import ROOT
from tests.wire import sample_zones
from tests.wire.sample_zones import respond

PAGE = ROOT / "docs" / "security.md"
HEADS = ("answer", "query", "answer to it", "factor", "query with EDNS", "answer to it", "factor")
ADDRESS = bytes([10, 0, 0, 1])  # outside of what `closed.test` allows
LARGEST = "x" * MAX_NSID_BYTES  # what a server may be told to say of itself
KINDS = {
    "boot name, three members": "boot.pvs.example.test A",
    "boot name, 28 members and `answers = 28`": "many.pvs.example.test A",
    "boot name at the top of a short zone, 28 members": "m.test A",
    "boot name, nobody (SERVFAIL)": "empty.pvs.example.test A",
    "no such record (NODATA)": "boot.pvs.example.test AAAA",
    "no such name (NXDOMAIN)": "nope.pvs.example.test A",
    "start of authority (SOA)": "pvs.example.test SOA",
    "nameservers with glue (NS)": "pvs.example.test NS",
    "nameserver's address": "ns1.pvs.example.test AAAA",
    "ANY": "boot.pvs.example.test ANY",
    "`id.server`, 64 bytes": "-c CH id.server TXT",
    "not our zone (REFUSED)": "www.example.com A",
    "the root (REFUSED)": ". NS",
    "not for you (REFUSED, Prohibited)": "closed.test A",
    "opcode not known (NOTIMP)": "pvs.example.test A +opcode=STATUS",
    "no question (FORMERR)": "+header-only",
}
# What only a query with EDNS can ask for, or get.
EDNS_KINDS = {
    "DO set": "boot.pvs.example.test A +dnssec",
    "client cookie": "boot.pvs.example.test A +ednsopt=10:2464c4abcf10c957",
    "client cookie, 28 members": "many.pvs.example.test A +ednsopt=10:2464c4abcf10c957",
    "only a cookie": "+header-only +ednsopt=10:2464c4abcf10c957",
    "NSID, 64 bytes": "boot.pvs.example.test A +ednsopt=3:",
    "NSID of the root, 64 bytes": ". NS +ednsopt=3:",
    "client subnet": "boot.pvs.example.test A +ednsopt=8:00011800c63364",
    "padding, which UDP does not answer": "boot.pvs.example.test A +ednsopt=12:0000",
    "version 1 (BADVERS)": "boot.pvs.example.test A +edns=1",
}


def table() -> AnswerTable:
    """Return the documented answers, with the most of everything that a config allows."""
    rrsets = (
        *sample_zones.DOCUMENTED,
        sample_zones.rrset("many", members=28, answers=28),
        sample_zones.rrset("m", "m.test", members=28, answers=28),
    )
    zones = (
        *sample_zones.ZONES,
        sample_zones.CLOSED,
        Zone("m.test", (sample_zones.NS1,), "h.test"),
    )
    server_info = ServerInfo(LARGEST.encode(), LARGEST, LARGEST, CookieKeys((bytes(16),)))
    return AnswerTable.build(sample_zones.snapshot(*rrsets, zones=zones), server_info=server_info)


def sizes(answers: AnswerTable, asked: str) -> tuple[int, int]:
    """Return the bytes of a query in dig's notation, and of its answer."""
    sent = message(Row({"query": f"`{asked}`"}))
    answer = respond(sent, answers, ADDRESS)
    return len(sent), len(answer or b"")


def lines() -> Iterator[str]:
    """Return the rows of the table."""
    answers = table()
    for kind, asked in KINDS.items():
        cells = [*sizes(answers, asked), *sizes(answers, f"{asked} +bufsize=4096")]
        yield _line(kind, cells)
    for kind, asked in EDNS_KINDS.items():
        yield _line(kind, [0, 0, *sizes(answers, asked)])


def _line(kind: str, cells: list[int]) -> str:
    shown = [kind]
    for query, answer in (cells[:2], cells[2:]):
        shown += [str(query), str(answer), f"{answer / query:.1f}"] if query else ["-"] * 3
    return f"| {' | '.join(shown)} |"


def written() -> list[str]:
    """Return the rows of the table as the page has them."""
    text = PAGE.read_text().splitlines()
    begin = text.index(f"| {' | '.join(HEADS)} |") + 2
    end = next(at for at in range(begin, len(text)) if not text[at].startswith("|"))
    return text[begin:end]


def write() -> None:
    """Put the measured rows in the place of those of the page."""
    before, after = "\n".join(written()), "\n".join(lines())
    PAGE.write_text(PAGE.read_text().replace(before, after))


if __name__ == "__main__":
    write()
