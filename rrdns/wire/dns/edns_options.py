"""Process the EDNS options of a query, and encode those of its response (RFC 6891, section 6.1.2).

Unknown options are ignored. A known option that is malformed makes the whole message malformed.
"""

from __future__ import annotations

from enum import Enum, auto
from struct import Struct
from typing import NamedTuple

from rrdns.wire.dns import cookies
from rrdns.wire.dns.server_info import ServerInfo

NSID = 3  # RFC 5001
CLIENT_SUBNET = 8  # RFC 7871
COOKIE = 10  # RFC 7873
KEEPALIVE = 11  # RFC 7828
PADDING = 12  # RFC 7830
EXTENDED_ERROR = 15  # RFC 8914
# Extended errors (RFC 8914, section 4)
OTHER = 0  # no other code fits; the text has the reason
NOT_READY = 14
PROHIBITED = 18
NOT_AUTHORITATIVE = 20

PADDING_BLOCK = 468  # of responses (RFC 8467, section 4.1)
_ADDRESS_BITS = {0: 0, 1: 32, 2: 128}  # by family; some clients send 0 for no address
_head = Struct("!HH").unpack_from
_subnet = Struct("!HBB").unpack_from  # FAMILY, SOURCE PREFIX-LENGTH, SCOPE PREFIX-LENGTH


class CookieStatus(Enum):
    """What a query shows of the server cookie that its client was given."""

    ABSENT = auto()
    NEW = auto()  # only a client cookie
    WRONG = auto()
    VALID = auto()  # the client has its real address


class OptionResult(NamedTuple):
    """What the options of a query result in."""

    options: bytes = b""  # of the response, without padding
    wants_padding: bool = False  # the response is padded, too
    cookie: CookieStatus = CookieStatus.ABSENT


NO_OPTIONS = OptionResult()


def process(
    options: bytes, server_info: ServerInfo, address: bytes, now: int, *, tcp: bool
) -> OptionResult | None:
    """Return what options ask for; None if one is malformed."""
    found = _by_code(options)
    response, cookie = [], CookieStatus.ABSENT
    if COOKIE in found and server_info.cookie_keys is not None:
        shown = found[COOKIE]
        if len(shown) not in cookies.SIZES:  # RFC 7873, section 5.2.2
            return None
        judged = server_info.cookie_keys.check(shown, address, now)
        cookie = _cookie(judged, shown)
        response.append(encode_option(COOKIE, judged.cookie))
    if NSID in found and server_info.nsid:
        response.append(encode_option(NSID, server_info.nsid))
    if CLIENT_SUBNET in found:
        if not _is_subnet(found[CLIENT_SUBNET]):  # RFC 7871, section 7.1.2
            return None
        response.append(_for_all_clients(found[CLIENT_SUBNET]))
    if tcp and KEEPALIVE in found:  # over UDP it is ignored (RFC 7828, section 3.2.2)
        if found[KEEPALIVE]:  # a client has no time-out to tell (section 3.2.1)
            return None
        response.append(encode_option(KEEPALIVE, _tenths(server_info.tcp_idle)))
    # RFC 7830, section 6 has padding behind encryption only. A query that pads over TCP comes
    # from behind some, such as a TLS proxy; over UDP padding would serve amplifiers alone.
    pads = tcp and PADDING in found
    return OptionResult(b"".join(response), pads, cookie)


def encode_option(code: int, data: bytes) -> bytes:
    """Return an option as it goes over the wire."""
    return code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def extended_error(code: int, text: str = "") -> bytes:
    """Return the option with the reason of an error (RFC 8914, section 2)."""
    return encode_option(EXTENDED_ERROR, code.to_bytes(2, "big") + text.encode())


def padding(length: int) -> bytes:
    """Return the option that pads a message of a length to whole blocks."""
    return encode_option(PADDING, bytes(-(length + 4) % PADDING_BLOCK))


def _cookie(judged: cookies.CookieCheck, shown: bytes) -> CookieStatus:
    if judged.is_valid:
        return CookieStatus.VALID
    return CookieStatus.NEW if len(shown) == cookies.CLIENT_BYTES else CookieStatus.WRONG


def _by_code(options: bytes) -> dict[int, bytes]:
    """Return the data of options; of two with one code the first counts (RFC 7873, section 5)."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(options):
        code, size = _head(options, at)
        found.setdefault(code, options[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def _is_subnet(data: bytes) -> bool:
    """Return whether a client subnet is well-formed: no bit too many (RFC 7871, section 6)."""
    if len(data) < 4:
        return False
    family, source, scope = _subnet(data)
    if scope or source > _ADDRESS_BITS.get(family, -1) or len(data) != 4 + (source + 7) // 8:
        return False
    unused = -source % 8
    return not unused or not data[-1] & ((1 << unused) - 1)


def _for_all_clients(subnet: bytes) -> bytes:
    """Return a subnet with scope 0: the response is the same for all (RFC 7871, section 7.2.1)."""
    return encode_option(CLIENT_SUBNET, subnet[:3] + b"\0" + subnet[4:])


def _tenths(seconds: float) -> bytes:
    """Return a time-out in units of 100 ms (RFC 7828, section 3.1)."""
    return min(int(seconds * 10), 0xFFFF).to_bytes(2, "big")
