"""Snapshots, the difference between two, and the order of a rotation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.health.eligibility import select
from rrdns.core.model import (
    BootFile,
    Endpoint,
    Member,
    Nameserver,
    OnEmpty,
    Order,
    Override,
    Pool,
    ProbeSpec,
    Zone,
)
from rrdns.core.rotation import at_turn
from rrdns.core.snapshot import Change, Rota, Snapshot, apply, difference, rota_of
from rrdns.wire import worker_protocol

ZONE = Zone("example", (Nameserver("ns1.example", ("10.0.0.53", "fd00::53")),), "host.example")
rotas = st.builds(
    Rota,
    pool=st.sampled_from(["a", "b", "c"]),
    hostname=st.just("boot.example"),
    ttl=st.integers(0, 60),
    answers=st.integers(1, 28),
    addresses=st.lists(st.ip_addresses(v=4).map(str), max_size=5).map(tuple),
    silent=st.booleans(),
    slot=st.integers(0, 100),
)
snapshots = st.builds(
    Snapshot,
    serial=st.integers(0, 2**40),
    zones=st.just((ZONE,)),
    rotas=st.lists(rotas, max_size=3).map(lambda items: {rota.pool: rota for rota in items}),
)


@given(snapshots, st.lists(rotas, max_size=3, unique_by=lambda rota: rota.pool))
def test_applying_a_difference_leads_to_what_was_wanted(
    before: Snapshot, wanted: list[Rota]
) -> None:
    """A change holds what differs and nothing else."""
    after = {rota.pool: rota for rota in wanted}
    gone = [name for name in before.rotas if name not in after]
    change = difference(before, wanted, gone)
    if change is None:
        assert before.rotas == after
        return
    assert apply(before, change).rotas == after
    assert apply(before, change).serial == before.serial + 1
    assert all(before.rotas.get(rota.pool) != rota for rota in change.rotas)
    assert difference(apply(before, change), wanted, gone) is None


@given(st.integers(1, 40), st.integers(1, 28), st.integers(0, 10**9))
def test_over_a_full_round_each_member_stands_first_exactly_once(
    size: int, most: int, start: int
) -> None:
    """Any `size` turns in a row are fair, wherever they begin."""
    members = list(range(size))
    orders = [at_turn(members, turn, most) for turn in range(start, start + size)]
    assert Counter(order[0] for order in orders) == Counter(members)
    assert all(len(set(order)) == min(most, size) for order in orders)


def test_nobody_in_rotation_is_an_empty_order() -> None:
    """An empty pool has no first member."""
    assert at_turn((), 7, 4) == ()


def test_a_rota_holds_the_addresses_of_the_selection() -> None:
    """What a responder learns is addresses, never names or reasons."""
    members = tuple(Member(f"pvs-{n}", f"10.0.0.{n}") for n in (1, 2, 3))
    spec = ProbeSpec((BootFile("ARDBP32.BIN"),))
    pool = Pool("boot", "boot.example", members, spec, on_empty=OnEmpty.SILENT)
    drain = {"pvs-2": Override("boot", "pvs-2", Order.DRAIN, "anna", 0.0)}
    rota = rota_of(pool, select(pool, {}, drain), slot=3)
    assert rota == Rota("boot", "boot.example", 5, 4, ("10.0.0.1", "10.0.0.3"), True, 3)
    assert pool.member("pvs-3") is members[2]
    assert pool.member("pvs-9") is None


def test_an_order_with_an_end_is_in_force_until_then() -> None:
    """`until` itself is the first moment without it."""
    order = Override("boot", "pvs-1", Order.DRAIN, "anna", since=0.0, until=10.0)
    assert order.in_force(9.99)
    assert not order.in_force(10.0)
    assert replace(order, until=None).in_force(1e12)


def test_an_endpoint_is_written_as_people_write_it() -> None:
    """IPv6 addresses stand in brackets."""
    assert str(Endpoint("127.0.0.1", 53)) == "127.0.0.1:53"
    assert str(Endpoint("::1", 53)) == "[::1]:53"


MESSAGES = st.one_of(
    snapshots,
    st.builds(
        Change,
        serial=st.integers(1, 2**40),
        rotas=st.lists(rotas, max_size=2).map(tuple),
        gone=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    ),
    st.builds(
        worker_protocol.Hello, worker=st.integers(0, 64), serial=st.integers(0), pid=st.integers(1)
    ),
    st.builds(worker_protocol.Applied, serial=st.integers(0)),
)


@given(MESSAGES)
def test_every_message_of_the_feed_comes_out_as_it_went_in(
    message: worker_protocol.Message,
) -> None:
    """The length stands before the body, and the body is the message."""
    data = worker_protocol.encode(message)
    body = data[worker_protocol.LENGTH_BYTES :]
    assert int.from_bytes(data[: worker_protocol.LENGTH_BYTES], "big") == len(body)
    assert worker_protocol.decode(body) == message


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"{}", b'{"is":"new"}', b'{"is":"hello"}', b'{"is":"full"}'],
)
def test_what_is_no_message_is_a_value_error(body: bytes) -> None:
    """Nothing but ValueError leaves the decoder."""
    with pytest.raises(ValueError):
        worker_protocol.decode(body)
