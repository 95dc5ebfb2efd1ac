"""Checks of single config values, and the message for each value that is wrong.

Each check takes a value of the right TOML type and returns its normal form. Its ValueError shows
what is wrong and what would be right.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from rrdns.core.model import Endpoint

MAX_NAME = 253  # characters of a domain name whose wire form has 255 bytes (RFC 1035, 2.3.4)
MAX_LABEL = 63
MAX_SECONDS = 2**31 - 1  # of a TTL (RFC 2181, section 8)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]+(?<!-)\Z")
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_COOKIE_SECRET = re.compile(r"[0-9a-f]{32}\Z")
MAX_SHORT_TEXT = 64
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
EnumValue = TypeVar("EnumValue", bound=StrEnum)


def domain(text: str) -> str:
    """Return a domain name in lower case, without the final dot."""
    name = text.lower().removesuffix(".")
    if not name:
        raise ValueError(
            f'is {quoted(text)}; must be a domain name, such as "boot.pvs.example.test"'
        )
    for label in name.split("."):
        _check_label(label, text)
    if len(name) > MAX_NAME:
        raise ValueError(f"has {len(name)} characters; a domain name has {MAX_NAME} at most")
    return name


def _check_label(label: str, text: str) -> None:
    if not label:
        raise ValueError(
            f"is {quoted(text)}; a domain name cannot begin with a dot or have two in a row"
        )
    if len(label) > MAX_LABEL:
        raise ValueError(
            f"has a part of {len(label)} characters, {label[:12]}...; "
            f"a part between two dots has {MAX_LABEL} at most"
        )
    if not label.isascii():
        raise ValueError(f"is {quoted(text)}; write it in its ASCII form, which begins with xn--")
    if not _LABEL.match(label):
        raise ValueError(
            f"is {quoted(text)}; the parts of a domain name consist of letters, digits, hyphens "
            "and underscores, with no hyphen at either end"
        )


def hostmaster(text: str) -> str:
    """Return a mailbox as a domain name (RFC 1035, section 8), also if it is written with an @."""
    local, at, rest = text.partition("@")
    if at and "." in local:
        raise ValueError(
            f"is {quoted(text)}; the part before the @ cannot have a dot; write it like "
            '"hostmaster@example.test"'
        )
    return domain(f"{local}.{rest}" if at else text)


def identifier(text: str) -> str:
    """Return a name for the API and the command line."""
    if not _IDENTIFIER.match(text) or len(text) > MAX_LABEL:
        raise ValueError(
            f"is {quoted(text)}; must be 1 to {MAX_LABEL} letters, digits, dots, hyphens and "
            "underscores, beginning with a letter or digit"
        )
    return text


def plain_text(text: str) -> str:
    """Return a text that is not empty and can be printed on one line."""
    if not text.strip() or not text.isprintable():
        raise ValueError(f"is {quoted(text)}; must be a text of printable characters")
    return text


def path(value: object) -> object:
    """Return the path that a text names; other types are left to pydantic."""
    return Path(plain_text(value)) if isinstance(value, str) else value


def absolute_path(value: object) -> object:
    """Return the absolute path that a text names; other types are left to pydantic."""
    if isinstance(found := path(value), Path) and not found.is_absolute():
        raise ValueError(f'is "{found}"; must be an absolute path')
    return found


def url(text: str) -> str:
    """Return a URL of HTTP with a host; no message shows it, because it may have a key."""
    if not text.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    try:
        host = urlsplit(text).hostname
    except ValueError:  # brackets of an IPv6 address that do not close
        host = None
    if not host:
        raise ValueError("has no host; write it like https://HOST/PATH")
    return plain_text(text)


def short_text(text: str) -> str:
    """Return a text that is short enough for every DNS response."""
    if len(plain_text(text).encode()) > MAX_SHORT_TEXT:
        raise ValueError(f"has {len(text.encode())} bytes; {MAX_SHORT_TEXT} at most")
    return text


def cookie_secret(text: str) -> str:
    """Return a secret of DNS cookies in hex (RFC 9018, section 4.4); no message shows it."""
    if not _COOKIE_SECRET.match(text.lower()):
        raise ValueError(
            f"has {len(text)} characters; must be 32 hex digits, as `openssl rand -hex 16` makes"
        )
    return text.lower()


def file_name(text: str) -> str:
    """Return a TFTP file name (RFC 1350, section 5: netascii that a zero byte ends)."""
    if not text or not text.isascii() or not text.isprintable() or len(text) > 255:
        raise ValueError(
            f"is {quoted(text)}; must be a file name of 1 to 255 ASCII characters, "
            'such as "ARDBP32.BIN"'
        )
    return text


def ipv4(text: str) -> str:
    """Return a member's address, which must be IPv4 for A records."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(
            f'is {quoted(text)}; must be an IPv4 address, such as "10.0.0.11"'
        ) from None
    if address.version != 4:
        raise ValueError(
            f"is {quoted(text)}; must be an IPv4 address, because targets query A records"
        )
    if address.is_unspecified or address.is_multicast or text == "255.255.255.255":
        raise ValueError(f"is {quoted(text)}, which is not the address of a single server")
    return str(address)


def any_address(text: str) -> str:
    """Return the address of a nameserver, IPv4 or IPv6."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(
            f'is {quoted(text)}; must be an IP address, such as "192.0.2.53" or "2001:db8::53"'
        ) from None
    if "%" in text or address.is_unspecified or address.is_multicast:
        raise ValueError(f"is {quoted(text)}, which is not the address of a single server")
    return str(address)


def network(text: str) -> str:
    """Return an IPv4 or IPv6 network with its prefix length; an address is a network of one."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        pass
    try:
        meant = f"; did you mean {quoted(str(ipaddress.ip_network(text, strict=False)))}?"
    except ValueError:
        meant = '; must be a network, such as "10.0.0.0/8" or "2001:db8::/32"'
    raise ValueError(f"is {quoted(text)}{meant}")


def subnet(value: object) -> int | str | None:
    """Return the id or prefix of a subnet of Kea; None marks one that was removed."""
    if value is None or (isinstance(value, int | str) and not isinstance(value, bool)):
        return value
    raise ValueError(f"is {toml_type(value)}; must be the id of a subnet, or a prefix in quotes")


@dataclass(frozen=True, slots=True)
class PrefixLength:
    """A check that a prefix length is in a range, and a multiple of 8."""

    least: int
    most: int

    def __call__(self, value: int) -> int:
        """Return the prefix length."""
        if not self.least <= value <= self.most or value % 8:
            raise ValueError(f"is {value}; must be {self}")
        return value

    def __str__(self) -> str:
        return f"{self.least} to {self.most}, a multiple of 8"


def endpoint(text: object) -> Endpoint | None:
    """Return an address and port to listen on; None marks one that was removed."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"is {toml_type(text)}; {_ENDPOINT}")  # noqa: TRY004 - pydantic collects these
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.startswith("[")):
        raise ValueError(f"is {quoted(text)}, which has no port; {_ENDPOINT}")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        raise ValueError(
            f"is {quoted(text)}, and {quoted(host)} is not an IP address; {_ENDPOINT}"
        ) from None
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"is {quoted(text)}; the port must be 1 to 65535")
    if why := _why_no_listener(address, port):
        raise ValueError(f"is {quoted(text)}, {why}")
    return Endpoint(address, int(port))


def _why_no_listener(address: str, port: str) -> str:
    """Return why rrdns cannot listen on an address, and what to write; empty if it can."""
    found = ipaddress.ip_address(address)
    if found.is_multicast:
        return "a multicast address; write an address of this host"
    if address == "255.255.255.255":
        return "the broadcast address; write an address of this host"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return f'an IPv4 address written as IPv6; write "{found.ipv4_mapped}:{port}"'
        if found.is_link_local and not found.scope_id:
            return f'which is link-local: add its interface, such as "[{address}%eth0]:{port}"'
    return ""


_ENDPOINT = 'must be an address and a port, such as "0.0.0.0:53" or "[::]:53"'


def sha256(text: str) -> str:
    """Return a SHA-256 hash in lower-case hex."""
    if not _SHA256.match(text.lower()):
        raise ValueError(
            f"is {quoted(text[:12])}{'...' if len(text) > 12 else ''}, {len(text)} characters; "
            "must be a SHA-256 hash: 64 hex digits"
        )
    return text.lower()


@dataclass(frozen=True, slots=True)
class InRange:
    """A check that a number is in a range; `above` excludes `least` itself."""

    least: float
    most: float
    unit: str = ""
    above: bool = False

    def __call__(self, value: float) -> float:
        """Return the number."""
        # TOML has nan, and this condition refuses it, too.
        if not (self.least <= value <= self.most) or (self.above and value == self.least):
            unit = f" {self.unit}" if self.unit else ""
            raise ValueError(f"is {value:,}; must be {self}{unit}")
        return value

    def __str__(self) -> str:
        if self.above:
            return f"above {self.least:,} and up to {self.most:,}"
        return f"{self.least:,} to {self.most:,}"


def one_of(words: type[EnumValue]) -> Callable[[object], EnumValue]:
    """Return a check that a text is one of an enumeration's words."""
    known = [word.value for word in words]

    def check(value: object) -> EnumValue:
        if isinstance(value, str) and value in known:
            return words(value)
        raise ValueError(
            f"is {_shown(value)}; must be {listing(known)}{did_you_mean(value, known)}"
        )

    return check


def item_of(words: type[EnumValue]) -> Callable[[object], EnumValue | None]:
    """Return the same check for an item of a list; None marks one that was removed."""
    check = one_of(words)
    return lambda value: None if value is None else check(value)


def did_you_mean(value: object, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" with the most similar known word; empty if none is similar."""
    if not isinstance(value, str):
        return ""
    near = difflib.get_close_matches(value.lower(), list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def quoted(text: str) -> str:
    """Return a text in quotes, as TOML writes it."""
    return json.dumps(text, ensure_ascii=False)


def listing(words: Iterable[str]) -> str:
    """Return words as a sentence lists them: "a", "b" or "c"."""
    shown = [quoted(word) for word in words]
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def toml_type(value: object) -> str:
    """Return TOML's name for the type of a value, with its article."""
    for type_, words in _KINDS:
        if isinstance(value, type_):
            return words
    return "a date or time"


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (str, "a text"),
    (int, "a whole number"),
    (float, "a number with a decimal point"),
    (list, "a list"),
    (dict, "a table"),
)


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else toml_type(value)
