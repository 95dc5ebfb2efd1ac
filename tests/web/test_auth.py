"""The gate: who is calling, and what guessing costs."""

from __future__ import annotations

import hashlib

import pytest

from rrdns.core.roles import Role, Token
from rrdns.web.api.auth import (
    FORGET_AFTER,
    LOCAL,
    MAX_DELAY,
    MAX_SOURCES,
    Caller,
    TokenAuthenticator,
    is_loopback,
    names_this_host,
)


def token(name: str, role: Role, secret: str) -> Token:
    """Return a token as the config knows it."""
    return Token(name, role, hashlib.sha256(secret.encode()).hexdigest())


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_the_ones_before_it_may(role: Role) -> None:
    """The order is viewer, operator, admin."""
    order = [Role.VIEWER, Role.OPERATOR, Role.ADMIN]
    allowed = [needed for needed in order if role.rank >= needed.rank]
    assert allowed == order[: order.index(role) + 1]


def test_a_token_names_its_holder() -> None:
    """Each of several; nothing else does."""
    authenticator = TokenAuthenticator(
        [token("ops", Role.OPERATOR, "one"), token("dash", Role.VIEWER, "two")]
    )
    assert authenticator.authenticate("one", "192.0.2.1") == Caller("ops", Role.OPERATOR)
    assert authenticator.authenticate("two", "192.0.2.1") == Caller("dash", Role.VIEWER)
    for wrong in ("three", "", "One", "one ", None, "\udcff", "é"):
        assert authenticator.authenticate(wrong, "127.0.0.1") is None


def test_without_tokens_this_host_may_do_everything_and_others_nothing() -> None:
    """A token that is sent all the same does no harm."""
    authenticator = TokenAuthenticator()
    assert (
        authenticator.authenticate(None, "127.0.0.1")
        == authenticator.authenticate("any", "::1")
        == LOCAL
    )
    assert authenticator.authenticate(None, "::ffff:127.0.0.1") == LOCAL
    assert authenticator.authenticate(None, "192.0.2.1") is None
    assert authenticator.authenticate(None, "") is None
    assert Caller("local", Role.ADMIN) == LOCAL


def test_new_tokens_take_the_place_of_the_old() -> None:
    """As on a reload of the config."""
    authenticator = TokenAuthenticator([token("ops", Role.OPERATOR, "one")])
    authenticator.replace_tokens([token("ops", Role.OPERATOR, "two")])
    assert authenticator.authenticate("one", "127.0.0.1") is None
    assert authenticator.authenticate("two", "127.0.0.1") is not None


def test_each_wrong_token_of_an_address_costs_more_up_to_a_limit() -> None:
    """The first is a slip and costs nothing; another address begins anew."""
    authenticator = TokenAuthenticator([token("ops", Role.OPERATOR, "one")], clock=lambda: 0.0)
    delays = [authenticator.failure_delay("192.0.2.1") for _ in range(10)]
    assert delays[:4] == [0.0, 0.1, 0.2, 0.4]
    assert delays == sorted(delays)
    assert delays[-1] == MAX_DELAY
    assert authenticator.failure_delay("192.0.2.2") == 0.0


def test_wrong_tokens_are_forgotten_after_a_while() -> None:
    """Yesterday's slips do not count today."""
    now = 0.0
    authenticator = TokenAuthenticator([token("ops", Role.OPERATOR, "one")], clock=lambda: now)
    assert [authenticator.failure_delay("192.0.2.1"), authenticator.failure_delay("192.0.2.1")] == [
        0.0,
        0.1,
    ]
    now = FORGET_AFTER + 1
    assert authenticator.failure_delay("192.0.2.1") == 0.0


def test_the_table_of_guessers_is_bounded() -> None:
    """The address that was silent longest is forgotten first."""
    authenticator = TokenAuthenticator([token("ops", Role.OPERATOR, "one")], clock=lambda: 0.0)
    for number in range(MAX_SOURCES + 1):
        authenticator.failure_delay(f"2001:db8:0:{number:x}::1")
    assert len(authenticator._failures) == MAX_SOURCES
    assert authenticator.failure_delay("2001:db8:0:0::1") == 0.0  # forgotten
    # Not forgotten; a host has a whole /64 to guess from, which counts as one address.
    assert authenticator.failure_delay(f"2001:db8:0:{MAX_SOURCES:x}::2") > 0.0


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8053",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:8053",
        "[::1]:8053",
        "[::1]",
        "::1",
        "192.0.2.1:80",
    ],
)
def test_an_address_or_localhost_names_this_host(host: str) -> None:
    """No other site can be behind these."""
    assert names_this_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8053",
        "localhost.evil.example",
        "127.0.0.1.evil",
        "1:2:3",
        "localhost:x",
        "[evil]:80",
    ],
)
def test_a_name_of_somebody_else_does_not_name_this_host(host: str) -> None:
    """DNS rebinding needs a name."""
    assert not names_this_host(host)
    assert not TokenAuthenticator().is_allowed_host(host)
    assert TokenAuthenticator([token("ops", Role.OPERATOR, "one")]).is_allowed_host(host)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("nonsense", False),
    ],
)
def test_loopback_is_told_from_the_rest(source: str, expected: bool) -> None:
    """Mapped addresses as well."""
    assert is_loopback(source) is expected
