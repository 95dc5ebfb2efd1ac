"""Ask a DNS question and read the answer, for people who look at what a server says.

The other side of `wire.responder`: encoded and decoded with dnslib, since a person waits
for it and no load does.
"""

from __future__ import annotations

from dnslib import CLASS, EDNS0, QTYPE, RCODE, RR, DNSError, DNSHeader, DNSQuestion, DNSRecord
from dnslib.label import DNSLabel

from rrdns.core.dns_message import ExtendedError, ResourceRecord, Response
from rrdns.wire.dns.edns_options import EXTENDED_ERROR
from rrdns.wire.dns.names import MAX_LABEL_BYTES, MAX_NAME_BYTES
from rrdns.wire.dns.query import end_of_question

TYPES = ("A", "AAAA", "ANY", "CNAME", "DS", "HTTPS", "MX", "NS", "PTR", "SOA", "SRV", "TXT")
PAYLOAD = 1232  # what is taken over UDP where EDNS is used (RFC 9715, section 3)

# IANA: Domain Name System (DNS) Parameters, Extended DNS Error Codes; the place is the code.
EXTENDED_ERRORS = (
    "Other Error",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDomain Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
    "Signature Expired before Valid",
    "Too Early",
    "Unsupported NSEC3 Iterations Value",
    "Unable to conform to policy",
    "Synthesized",
    "Invalid Query Type",
    "Rate Limited",
    "Over Quota",
)


def encode_query(
    name: str,
    rtype: str,
    ident: int,
    *,
    recurse: bool = True,
    checking_disabled: bool = False,
    edns: bool = False,
) -> bytes:
    """Return a query; by default as boot firmware sends it: RD set, no EDNS.

    Raises:
        ValueError: it is no domain name, or an unknown type.
    """
    if rtype not in TYPES:
        raise ValueError(f"{rtype!r} is no type that can be asked for: {', '.join(TYPES)}")
    question = DNSQuestion(_label(name), int(getattr(QTYPE, rtype)), CLASS.IN)
    header = DNSHeader(id=ident, rd=int(recurse), cd=int(checking_disabled))
    options = [EDNS0(udp_len=PAYLOAD)] if edns else []
    return bytes(DNSRecord(header, q=question, ar=options).pack())


def is_response_to(query: bytes, datagram: bytes) -> bool:
    """Tell whether a datagram is a response to this query, by its ID and question."""
    end = end_of_question(query)
    return (
        len(datagram) >= 12
        and datagram[:2] == query[:2]
        and bool(datagram[2] & 0x80)
        and (datagram[4:6] == b"\0\0" or datagram[12:end].lower() == query[12:end].lower())
    )


def decode_response(datagram: bytes) -> Response:
    """Return what a response says.

    Raises:
        ValueError: it is malformed.
    """
    try:
        message = DNSRecord.parse(datagram)
        header = message.header
        return Response(
            rcode=str(RCODE.get(header.rcode)),
            flags=tuple(flag for flag in ("aa", "tc", "rd", "ra") if getattr(header, flag)),
            answer=_records(message.rr),
            authority=_records(message.auth),
            additional=_records(message.ar),
            payload_bytes=len(datagram),
            extended_errors=_extended_errors(message.ar),
        )
    except (DNSError, ValueError, LookupError) as error:
        raise ValueError(f"the answer is malformed: {error}") from error


def _records(records: list[RR]) -> tuple[ResourceRecord, ...]:
    return tuple(
        ResourceRecord(str(rr.rname), rr.ttl, str(QTYPE.get(rr.rtype)), str(rr.rdata))
        for rr in records
        if rr.rtype != QTYPE.OPT
    )


def _extended_errors(records: list[RR]) -> tuple[ExtendedError, ...]:
    options = (option for rr in records if rr.rtype == QTYPE.OPT for option in rr.rdata)
    return tuple(
        _extended_error(bytes(option.data))
        for option in options
        if option.code == EXTENDED_ERROR and len(option.data) >= 2
    )


def _extended_error(data: bytes) -> ExtendedError:
    code = int.from_bytes(data[:2], "big")
    name = EXTENDED_ERRORS[code] if code < len(EXTENDED_ERRORS) else "not known here"
    # Its text may end with a NUL that does not belong to it (RFC 8914, section 2).
    return ExtendedError(code, name, data[2:].removesuffix(b"\0").decode(errors="replace"))


def _label(name: str) -> DNSLabel:
    labels = [] if name == "." else name.removesuffix(".").split(".")
    sound = all(label.isascii() and 0 < len(label) <= MAX_LABEL_BYTES for label in labels)
    if not sound or sum(len(label) + 1 for label in labels) >= MAX_NAME_BYTES:
        raise ValueError(f"{name!r} is no domain name")
    return DNSLabel([label.encode() for label in labels])
