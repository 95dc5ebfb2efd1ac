"""Encode resource records with dnslib, when membership changes and never per query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from dnslib import AAAA, CLASS, NS, QTYPE, RR, SOA, A
from dnslib.label import DNSBuffer, DNSLabel

from rrdns.core.model import Zone
from rrdns.wire.dns.query import CLASS_CHAOS, EDNS_DO, TYPE_OPT, TYPE_TXT

MAX_UDP_PAYLOAD = 1232  # what we take over UDP, and the most we send (RFC 9715, section 3)
A_RECORD_BYTES = 16  # with a pointer for its owner
OWNER_IS_QNAME = b"\xc0\x0c"  # EDK2 refuses any other owner in an answer
_TYPE_AND_CLASS = b"\0\0\0\0"
_HINFO = 13
MAX_KEPT = 4096  # address records that need not be encoded again


def wire_name(name: str) -> bytes:
    """Return a domain name as it goes over the wire, in lower case and uncompressed."""
    labels = [label.encode("ascii") for label in name.lower().split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def address_records(addresses: Iterable[str], ttl: int) -> tuple[bytes, ...]:
    """Return an A or AAAA record for each address, owned by the name that is asked for."""
    return tuple(_address_record(address, ttl) for address in addresses)


@lru_cache(maxsize=MAX_KEPT)
def _address_record(address: str, ttl: int) -> bytes:
    # A change of a pool encodes all its records again, and nearly all are as they were.
    rtype, data = _address_data(address)
    return _owned_by_qname(RR(rtype=rtype, ttl=ttl, rdata=data))


def any_hinfo_record(ttl: int) -> bytes:
    """Return the HINFO record that answers ANY (RFC 8482, section 4.2)."""
    hinfo = b"\x07RFC8482\x00"
    head = OWNER_IS_QNAME + _HINFO.to_bytes(2, "big") + b"\0\1" + ttl.to_bytes(4, "big")
    return head + len(hinfo).to_bytes(2, "big") + hinfo


def chaos_record(text: str) -> bytes:
    """Return a TXT record of class CHAOS, which must not be cached (RFC 4892, section 3)."""
    data = text.encode()
    head = (TYPE_TXT, CLASS_CHAOS, 0, 0, 1 + len(data))
    fields = b"".join(number.to_bytes(2, "big") for number in head)
    return OWNER_IS_QNAME + fields + bytes([len(data)]) + data


def opt_record(wants_dnssec: bool, extended_rcode: int = 0, options: bytes = b"") -> bytes:
    """Return our OPT record: version 0, DO as it was asked (RFC 6891, section 6.1.4)."""
    flags = EDNS_DO if wants_dnssec else 0
    return b"\0" + b"".join(
        (
            TYPE_OPT.to_bytes(2, "big"),
            MAX_UDP_PAYLOAD.to_bytes(2, "big"),
            bytes([extended_rcode, 0]),
            flags.to_bytes(2, "big"),
            len(options).to_bytes(2, "big"),
            options,
        )
    )


def soa(zone: Zone, minimum: int, ttl: int) -> RR:
    """Return a zone's SOA record."""
    times = (zone.serial, zone.refresh, zone.retry, zone.expire, minimum)
    data = SOA(_label(zone.nameservers[0].name), _label(zone.hostmaster), times)
    return RR(_label(zone.name), QTYPE.SOA, CLASS.IN, ttl, data)


def nameservers(zone: Zone) -> list[RR]:
    """Return a zone's NS records."""
    owner = _label(zone.name)
    return [
        RR(owner, QTYPE.NS, CLASS.IN, zone.ttl, NS(_label(nameserver.name)))
        for nameserver in zone.nameservers
    ]


def glue(name: str, addresses: Iterable[str], ttl: int) -> list[RR]:
    """Return the address records of a nameserver."""
    owner = _label(name)
    return [RR(owner, rtype, CLASS.IN, ttl, data) for rtype, data in map(_address_data, addresses)]


def encode(records: Sequence[RR], zone: str, offset: int) -> bytes:
    """Return records as they stand right behind a question that ends in the zone's name.

    `offset` is where the zone's name begins in the message; names are compressed against it.
    """
    buffer = DNSBuffer()
    buffer.append(bytes(offset))
    buffer.encode_name(_label(zone))
    buffer.append(_TYPE_AND_CLASS)
    start = buffer.offset
    for record in records:
        record.pack(buffer)
    return bytes(buffer.data[start:])


def _owned_by_qname(record: RR) -> bytes:
    """Return a record of the root with the pointer to the question in place of its owner."""
    buffer = DNSBuffer()
    record.pack(buffer)
    return OWNER_IS_QNAME + bytes(buffer.data[1:])


def _address_data(address: str) -> tuple[int, A | AAAA]:
    return (QTYPE.AAAA, AAAA(address)) if ":" in address else (QTYPE.A, A(address))


def _label(name: str) -> DNSLabel:
    return DNSLabel([label.encode("ascii") for label in name.lower().split(".") if label])
