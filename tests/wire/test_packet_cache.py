"""A response from the packet cache is the same, to the byte, as one that is worked out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.rate_limit import RateLimits, RateLimitState
from rrdns.shm.counters import Counters
from rrdns.shm.shared_rotation import SharedRotationCounters, shared_rate_buckets
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.answers.responder import Responder
from rrdns.wire.dns.edns_options import COOKIE
from tests.wire import sample_zones
from tests.wire.sample_zones import OneDatagram, counts, option, query, respond

INSIDE, OUTSIDE = bytes([192, 0, 2, 7]), bytes([198, 51, 100, 7])
NAMES = ("boot.pvs.example.test", "closed.test", "empty.pvs.example.test", "apex.test")
NOW = 1_700_000_000


def mixed(message: bytes, name: str) -> bytes:
    """Return a query with its name in mixed case."""
    at, length = 12, len(name) + 1
    letters = message[at : at + length]
    other = bytes(c - 32 if 97 <= c <= 122 and n % 3 else c for n, c in enumerate(letters))
    return message[:at] + other + message[at + length :]


def queries(cookie: bytes) -> Iterator[bytes]:
    """Give queries of all sorts that are cached."""
    for name in NAMES:
        for rtype in ("A", "AAAA", "NS", "ANY"):
            for options in ({}, {"use_edns": 0}, {"want_dnssec": True}):
                yield query(name, rtype, **options)
                yield mixed(query(name, rtype, **options), name)
            for shown in (cookie[:8], cookie, cookie[:8] + bytes(16)):
                message = query(name, rtype, options=[option(COOKIE, shown)])
                yield message
                yield mixed(message, name)


@pytest.mark.parametrize("address", [INSIDE, OUTSIDE])
def test_the_cache_changes_no_byte(address: bytes) -> None:
    """For all sorts of queries, from clients that the access list allows or does not."""
    warm, cold = sample_zones.documented(), sample_zones.documented()
    asks = query(options=[option(COOKIE, b"clientcc")])
    first = respond(asks, cold, address, NOW)
    assert first is not None
    assert respond(asks, warm, address, NOW) == first
    for _ in range(2):
        for message in queries(first[-24:]):
            cold.packet_cache.clear()
            assert respond(message, warm, address, NOW) == respond(message, cold, address, NOW)
    assert counts(warm) == counts(cold)


def test_an_entry_serves_clients_with_and_without_access() -> None:
    """In any case of the name, with and without a cookie: the address decides each time."""
    answers = sample_zones.documented()
    plain = query("closed.test")
    with_cookie = query("closed.test", options=[option(COOKIE, b"clientcc")])
    for _ in range(2):
        for message in (plain, mixed(plain, "closed.test"), with_cookie):
            for address, rcode in ((INSIDE, 0), (OUTSIDE, 5)):
                answer = respond(message, answers, address, NOW)
                assert answer is not None
                assert answer[3] & 15 == rcode
                assert answer[12 : 12 + 13] == message[12 : 12 + 13]  # the name as it was sent


@pytest.mark.parametrize("size", [8, 24])
def test_an_entry_for_cookies_is_none_for_a_query_without(size: int) -> None:
    """A query that breaks off before its cookie is malformed, however well its head is known."""
    answers = sample_zones.documented()
    message = query(options=[option(COOKIE, bytes(size))])
    assert respond(message, answers, INSIDE, NOW) is not None
    broken = respond(message[:-size], answers, INSIDE, NOW)
    assert broken is not None
    assert broken[3] & 15 == 1


def test_an_entry_without_cookie_is_none_for_a_query_with_one() -> None:
    """A question whose type and class look like the head of a cookie, and a cookie behind it."""
    answers = sample_zones.documented()
    message = query()[:-4] + b"\0\x0a\0\x18"
    for odd in (message, message[:-6] + b"\0\x1c\0\x0a\0\x18"):
        respond(odd, answers, INSIDE, NOW)
        longer = respond(odd + bytes(24), answers, INSIDE, NOW)
        assert longer is None or longer[3] & 15 == 1


@given(st.binary(max_size=80), st.booleans())
def test_what_follows_a_known_query_is_never_ignored(more: bytes, has_cookie: bool) -> None:
    """More bytes make another query."""
    answers = sample_zones.documented()
    options = [option(COOKIE, b"clientcc")] if has_cookie else []
    message = query(use_edns=0, options=options)
    respond(message, answers, INSIDE, NOW)
    longer, careful = message + more, sample_zones.documented()
    assert respond(longer, answers, INSIDE, NOW) == (
        respond(longer, careful, INSIDE, NOW)
        if more
        else respond(message, careful, INSIDE, NOW) and respond(message, careful, INSIDE, NOW)
    )


def test_a_defect_lets_the_turns_go() -> None:
    """Other workers would wait for them."""
    counters = Counters(rotation=SharedRotationCounters())
    answers = AnswerTable.build(sample_zones.snapshot(), counters)
    ours = Responder(CurrentTable(answers), slice(0, 4))
    batch = OneDatagram(query(), INSIDE)
    (row,) = batch.rows_of[1]
    batch.rows_of.append([row, ()])  # type: ignore[list-item]  # the second one is the defect
    with pytest.raises(ValueError, match="not enough values"):
        ours.respond(batch, 2, 1.0, NOW)
    assert counters.rotation.take(answers.snapshot.rrsets["boot"].counter_slot) == 1


def test_what_is_known_of_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random sources only empty it."""
    monkeypatch.setattr("rrdns.wire.answers.responder.MAX_CLIENTS", 10)
    limits = RateLimitState(RateLimits(exempt=("10.0.0.0/9",)), shared_rate_buckets())
    ours = Responder(CurrentTable(sample_zones.table()), slice(0, 4), limits)
    for number in range(50):
        assert not ours.respond(OneDatagram(query(), bytes([10, number * 5, 0, 1])), 1, 1.0, NOW)
        assert len(ours._places) <= 10


def test_a_limited_query_in_mixed_case_is_cut_off_in_that_case() -> None:
    """The question is repeated as it was sent; with a cookie, BADCOOKIE has the client's."""
    answers = sample_zones.documented()
    limits = RateLimitState(RateLimits(answers=100, slip=1, exempt=()), shared_rate_buckets())
    ours = Responder(CurrentTable(answers), slice(0, 4), limits)

    def ask(message: bytes) -> bytes:
        batch = OneDatagram(message, OUTSIDE)
        ours.respond(batch, 1, 1.0, NOW)
        return batch.buffer[64 : 64 + batch.sizes[0]]

    plain = mixed(query(), "boot.pvs.example.test")
    cookie = mixed(query(options=[option(COOKIE, b"clientcc")]), "boot.pvs.example.test")
    for _ in range(40):  # 0.4 s of the rate
        assert len(ask(plain)) > len(plain)
    for message, flags, rcode in ((plain, 2, 0), (plain, 2, 0), (cookie, 0, 7), (cookie, 0, 7)):
        got = ask(message)
        assert got[12:35] == message[12:35]
        assert (got[2] & 2, got[3] & 15) == (flags, rcode)
    assert b"clientcc" in got
