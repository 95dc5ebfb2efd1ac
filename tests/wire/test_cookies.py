"""Server cookies: those of RFC 9018, and who may have one for how long."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.wire.dns import cookies
from rrdns.wire.dns.cookies import CookieKeys

OURS = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
OLD = bytes.fromhex("dd3bdf9344b678b185a6f5cb60fca715")
NEW = bytes.fromhex("445536bcd2513298075a5d379663c962")
CLIENT = bytes.fromhex("2464c4abcf10c957")
ADDRESS = bytes([198, 51, 100, 100])
NOW = 1_559_731_985


def packed(address: str) -> bytes:
    """Return an address as it stands in a packet."""
    return ipaddress.ip_address(address).packed


def test_a_first_cookie_is_that_of_the_rfc() -> None:
    """RFC 9018, appendix A.1."""
    judged = CookieKeys((OURS,)).check(CLIENT, ADDRESS, NOW)
    assert not judged.is_valid
    assert judged.cookie == CLIENT + bytes.fromhex("010000005cf79f111f8130c3eee29480")


def test_a_cookie_that_is_fresh_comes_back_as_it_was() -> None:
    """For half an hour (RFC 9018, section 4.3)."""
    cookie_keys = CookieKeys((OURS,))
    cookie = cookie_keys.make(CLIENT, ADDRESS, NOW)
    for later in (0, 1, 1800, 1, 0):
        assert cookie_keys.check(cookie, ADDRESS, NOW + later) == (True, cookie)


def test_an_older_cookie_is_renewed_as_in_the_rfc() -> None:
    """RFC 9018, appendix A.2: after 40 minutes."""
    shown = CLIENT + bytes.fromhex("010000005cf79f111f8130c3eee29480")
    judged = CookieKeys((OURS,)).check(shown, ADDRESS, NOW + 2400)
    assert judged == (True, CLIENT + bytes.fromhex("010000005cf7a871d4a564a1442aca77"))


def test_reserved_bits_are_hashed_as_they_came() -> None:
    """RFC 9018, appendix A.3: this one's are not zero; ours are."""
    client, address = bytes.fromhex("fc93fc62807ddb86"), packed("203.0.113.203")
    shown = client + bytes.fromhex("01abcdef5cf78f71a314227b6679ebf5")
    assert CookieKeys((OURS,)).check(shown, address, 1_559_728_000) == (True, shown)
    judged = CookieKeys((OURS,)).check(shown, address, 1_559_731_500)  # 3,547 seconds old
    assert judged.is_valid
    assert judged.cookie[8:16] == bytes.fromhex("010000005cf79d2c")


def test_a_new_secret_takes_over_as_in_the_rfc() -> None:
    """RFC 9018, appendix A.4: what the old secret made is accepted, and answered with the new."""
    client, address = (
        bytes.fromhex("22681ab97d52c298"),
        packed("2001:db8:220:1:59de:d0f4:8769:82b8"),
    )
    shown = client + bytes.fromhex("010000005cf7c57926556bd0934c72f8")
    assert CookieKeys((OLD,)).make(client, address, 1_559_741_817) == shown
    cookie_keys = CookieKeys((NEW, OLD))
    assert cookie_keys.check(shown, address, 1_559_741_961).is_valid
    made = cookie_keys.make(client, address, 1_559_741_961)
    assert made == client + bytes.fromhex("010000005cf7c609a6bb79d16625507a")
    assert not CookieKeys((NEW,)).check(shown, address, 1_559_741_961).is_valid


@pytest.mark.parametrize(
    ("later", "is_valid", "is_renewed"),
    [
        (-301, False, True),
        (-300, True, False),
        (0, True, False),
        (1800, True, False),
        (1801, True, True),
        (3600, True, True),
        (3601, False, True),
        (2**31, False, True),
    ],
)
def test_a_cookie_is_valid_for_an_hour(later: int, is_valid: bool, is_renewed: bool) -> None:
    """And renewed after half of it; a clock may be five minutes ahead (RFC 9018, section 4.3)."""
    cookie_keys = CookieKeys((OURS,))
    cookie = cookie_keys.make(CLIENT, ADDRESS, NOW)
    judged = cookie_keys.check(cookie, ADDRESS, NOW + later)
    assert judged.is_valid is is_valid
    assert (judged.cookie != cookie) is is_renewed
    assert cookie_keys.check(judged.cookie, ADDRESS, NOW + later).is_valid


def test_time_may_run_over_32_bits() -> None:
    """In 2106, by serial number arithmetic (RFC 1982)."""
    cookie_keys = CookieKeys((OURS,))
    cookie = cookie_keys.make(CLIENT, ADDRESS, 2**32 - 10)
    assert cookie_keys.check(cookie, ADDRESS, 2**32 + 10).is_valid


@given(st.integers(0, 23), st.integers(1, 255))
def test_a_cookie_with_any_other_byte_is_worth_nothing(at: int, change: int) -> None:
    """Nor is one at another address, nor of another length."""
    cookie_keys = CookieKeys((OURS,))
    cookie = cookie_keys.make(CLIENT, ADDRESS, NOW)
    assert cookie_keys.check(cookie, ADDRESS, NOW).is_valid
    other = bytearray(cookie)
    other[at] ^= change
    assert not cookie_keys.check(bytes(other), ADDRESS, NOW).is_valid
    assert not cookie_keys.check(cookie, bytes([198, 51, 100, 101]), NOW).is_valid
    assert not cookie_keys.check(cookie + b"\0", ADDRESS, NOW).is_valid


def test_only_valid_cookies_are_known_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's cookies take no memory."""
    monkeypatch.setattr(cookies, "MAX_COOKIES", 10)
    monkeypatch.setattr(cookies, "MAX_CLIENTS", 4)
    cookie_keys = CookieKeys((OURS,))
    for number in range(100):
        client = number.to_bytes(8, "big")
        cookie_keys.check(client + b"\1\0\0\0" + NOW.to_bytes(4, "big") + bytes(8), ADDRESS, NOW)
    assert not cookie_keys._verified
    for last in range(6):
        address = ADDRESS[:3] + bytes([last])
        for number in range(25):
            cookie = cookie_keys.make(number.to_bytes(8, "big"), address, NOW)
            assert cookie_keys.check(cookie, address, NOW).is_valid
            assert cookie_keys.is_fresh(cookie, address, NOW)
            assert len(cookie_keys._verified) <= 4
            assert all(len(known) <= 10 for known in cookie_keys._verified.values())
