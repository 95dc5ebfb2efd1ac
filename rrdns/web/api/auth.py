"""Authenticate callers by their tokens, and delay responses to wrong tokens.

A valid token is accepted at once, even if its address has sent many wrong ones. Behind a proxy all
admins share an address. Locking them out on patch night would do more harm than guesses at
256 random bits (`rrdns token`) can.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rrdns.core.acl import client_key_of
from rrdns.core.roles import Role, Token

FIRST_DELAY = 0.1  # seconds, after the second wrong token in a row; doubles with each
MAX_DELAY = 5.0
FORGET_AFTER = 900.0  # seconds without a wrong token
MAX_SOURCES = 1024  # addresses remembered; rrdns forgets the oldest first


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller, with the name for the audit trail."""

    name: str
    role: Role


LOCAL = Caller("local", Role.ADMIN)  # every caller on this host, if no tokens are configured


class TokenAuthenticator:
    """The tokens of the config, and the addresses that sent wrong ones."""

    def __init__(
        self, tokens: Sequence[Token] = (), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokens = tuple(tokens)
        self._clock = clock
        self._failures: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    @property
    def allows_local(self) -> bool:
        """Return whether this host may do everything, because no tokens are configured."""
        return not self._tokens

    def replace_tokens(self, tokens: Sequence[Token]) -> None:
        """Use the tokens of a new config; the addresses that sent wrong tokens stay known."""
        self._tokens = tuple(tokens)

    def authenticate(self, bearer: str | None, source: str) -> Caller | None:
        """Return the caller, or None if the token is missing or wrong."""
        if not self._tokens:
            return LOCAL if is_loopback(source) else None
        return None if bearer is None else self._holder(bearer)

    def failure_delay(self, source: str) -> float:
        """Count a wrong token from an address; return the delay of its response in seconds."""
        now = self._clock()
        key = client_key_of(source)  # an IPv6 host has a whole /64 to guess from
        count, last = self._failures.pop(key, (0, now))
        count = 1 if now - last > FORGET_AFTER else count + 1
        self._failures[key] = (count, now)
        if len(self._failures) > MAX_SOURCES:
            self._failures.popitem(last=False)
        return 0.0 if count == 1 else min(FIRST_DELAY * 2.0 ** min(count - 2, 16), MAX_DELAY)

    def is_allowed_host(self, host: str) -> bool:
        """Return whether a request's Host is served.

        Without tokens, a web page could make an admin's browser call this host under the page's
        own name (DNS rebinding). So rrdns then refuses names other than localhost.
        """
        return bool(self._tokens) or names_this_host(host)

    def _holder(self, bearer: str) -> Caller | None:
        given = hashlib.sha256(bearer.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        # All tokens are compared, each in constant time, so that the time leaks nothing.
        for token in self._tokens:
            if hmac.compare_digest(given, token.sha256):
                found = Caller(token.name, token.role)
        return found


def is_loopback(source: str) -> bool:
    """Return whether an address is a loopback address."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def names_this_host(host: str) -> bool:
    """Return whether a Host header is an address or localhost, with or without a port."""
    name = host.rsplit(":", 1)[0] if _has_port(host) else host
    if name.lower().rstrip(".") == "localhost":
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _has_port(host: str) -> bool:
    name, colon, port = host.rpartition(":")
    return bool(colon) and port.isdigit() and (":" not in name or name.endswith("]"))
