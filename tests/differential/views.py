"""What an answer says, aspect by aspect, in words that can be compared and read."""

from __future__ import annotations

from functools import lru_cache

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

View = dict[str, str]
Difference = dict[str, tuple[str, str]]  # aspect: ours, theirs

RATIONED = "an error or silence"
SILENCE: View = {"kind": "silence"}
OPTIONS = (3, 8, 10, 11, 12, 15)  # NSID, ECS, COOKIE, keepalive, padding, extended error
SECTIONS = ("answer", "authority", "additional")
AUTHORITATIVE = ("answer", "NODATA", "NXDOMAIN")  # kinds that have AA
_FLAGS = {"AA": 0x400, "TC": 0x200, "RD": 0x100, "RA": 0x80, "Z": 0x40, "AD": 0x20, "CD": 0x10}
_AA = 0x400
_QR = 0x8000
_OPCODE = 0x7800


def view(answer: bytes | None) -> View:
    """Return what an answer says; neither its ID nor the order of records counts."""
    return SILENCE if answer is None else _read(answer[2:])


def difference(ours: View, theirs: View) -> Difference:
    """Return the aspects in which two answers differ.

    Answers of two kinds have other sections, and that says nothing more; what stands in
    every answer is compared whatever the kinds.
    """
    differs = {
        aspect: (ours[aspect], theirs[aspect])
        for aspect in ours.keys() & theirs.keys()
        if ours[aspect] != theirs[aspect]
    }
    if "kind" in differs:
        return {aspect: both for aspect, both in differs.items() if aspect not in SECTIONS}
    return differs


def rationed(seen: View) -> View:
    """Return what is left of an answer by a server that leaves out errors when there are many."""
    return {"kind": RATIONED} if seen["kind"] in ("FORMERR", "NOTIMP", "silence") else seen


@lru_cache(maxsize=65_536)
def _read(rest: bytes) -> View:
    flags, questions = int.from_bytes(rest[:2], "big"), int.from_bytes(rest[2:4], "big")
    # dnspython reads the body of an UPDATE otherwise, and answers to it are empty.
    plain = b"\0\0" + (flags & ~_OPCODE).to_bytes(2, "big") + rest[2:]
    try:
        message = dns.message.from_wire(plain, keyring=False)
    except dns.exception.DNSException as error:
        return {"kind": f"unreadable: {error!r}"}
    sections = {
        "answer": _section(message.answer),
        "authority": _section(message.authority),
        "additional": _section(message.additional),
    }
    sent = {int(option.otype) for option in message.options}
    kind = _kind(dns.rcode.to_text(message.rcode()), flags, sections)
    said = flags & ~_AA if kind in AUTHORITATIVE else flags
    return {
        "kind": kind,
        "opcode": str(flags >> 11 & 15),
        "flags": " ".join(name for name, bit in _FLAGS.items() if said & bit) or "-",
        "question": _question(plain, questions),
        **sections,
        "OPT": _opt(message),
        **{f"option {code}": "yes" if code in sent else "-" for code in OPTIONS},
        "signature": "-" if message.tsig is None else "TSIG",
    }


def _kind(rcode: str, flags: int, sections: View) -> str:
    """Return a word for an answer that is as all of its kind are, or else all that it says."""
    soa = " soa " in sections["authority"] and ";" not in sections["authority"]
    match (rcode, bool(flags & _AA), *(sections[name] != "-" for name in SECTIONS)):
        case _ if not flags & _QR:
            return "no response"
        case ("NOERROR", True, True, _, _):
            return "answer"
        case ("NOERROR", False, True, False, _):
            return "answer without AA"
        case ("NOERROR", True, False, True, False) if soa:
            return "NODATA"
        case ("NXDOMAIN", True, False, True, False) if soa:
            return "NXDOMAIN"
        case (_, _, False, False, False):
            return f"{rcode}, empty" if rcode in ("NOERROR", "NXDOMAIN") else rcode
    return f"{rcode}, AA {flags & _AA > 0}, {sections}"


def _question(answer: bytes, count: int) -> str:
    """Return the questions as they were sent, case included."""
    if not count:
        return "-"
    end = 12
    while answer[end]:
        end += answer[end] + 1
    return f"{count}: {answer[12 : end + 5].hex()}"


def _section(rrsets: list[dns.rrset.RRset]) -> str:
    records = [
        f"{rrset.name} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}".lower()
        for rrset in rrsets
        for rdata in rrset
    ]
    return "; ".join(sorted(records)) or "-"


def _opt(message: dns.message.Message) -> str:
    if message.opt is None:
        return "-"
    return (
        f"version {message.edns}, {message.payload} octets, flags {message.ednsflags & 0xFFFF:04x}"
    )
