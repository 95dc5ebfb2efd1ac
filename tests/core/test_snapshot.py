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
    OrderKind,
    Override,
    Pool,
    ProbeSpec,
    Zone,
)
from rrdns.core.rotation import rotated
from rrdns.core.snapshot import PoolRRset, Snapshot, SnapshotDelta, apply, diff, rrset_of
from rrdns.wire import worker_protocol

ZONE = Zone("example", (Nameserver("ns1.example", ("10.0.0.53", "fd00::53")),), "host.example")
rrsets = st.builds(
    PoolRRset,
    pool=st.sampled_from(["a", "b", "c"]),
    hostname=st.just("boot.example"),
    ttl=st.integers(0, 60),
    answers=st.integers(1, 28),
    addresses=st.lists(st.ip_addresses(v=4).map(str), max_size=5).map(tuple),
    is_silent=st.booleans(),
    counter_slot=st.integers(0, 100),
)
snapshots = st.builds(
    Snapshot,
    serial=st.integers(0, 2**40),
    zones=st.just((ZONE,)),
    rrsets=st.lists(rrsets, max_size=3).map(lambda items: {rrset.pool: rrset for rrset in items}),
)


@given(snapshots, st.lists(rrsets, max_size=3, unique_by=lambda rrset: rrset.pool))
def test_applying_a_difference_leads_to_what_was_wanted(
    before: Snapshot, wanted: list[PoolRRset]
) -> None:
    """A change holds what differs and nothing else."""
    after = {rrset.pool: rrset for rrset in wanted}
    gone = [name for name in before.rrsets if name not in after]
    change = diff(before, wanted, gone)
    if change is None:
        assert before.rrsets == after
        return
    assert apply(before, change).rrsets == after
    assert apply(before, change).serial == before.serial + 1
    assert all(before.rrsets.get(rrset.pool) != rrset for rrset in change.rrsets)
    assert diff(apply(before, change), wanted, gone) is None


@given(st.integers(1, 40), st.integers(1, 28), st.integers(0, 10**9))
def test_over_a_full_round_each_member_stands_first_exactly_once(
    size: int, most: int, start: int
) -> None:
    """Any `size` turns in a row are fair, wherever they begin."""
    members = list(range(size))
    orders = [rotated(members, turn, most) for turn in range(start, start + size)]
    assert Counter(order[0] for order in orders) == Counter(members)
    assert all(len(set(order)) == min(most, size) for order in orders)


def test_nobody_in_rotation_is_an_empty_order() -> None:
    """An empty pool has no first member."""
    assert rotated((), 7, 4) == ()


def test_a_rota_holds_the_addresses_of_the_selection() -> None:
    """What a responder learns is addresses, never names or reasons."""
    members = tuple(Member(f"pvs-{n}", f"10.0.0.{n}") for n in (1, 2, 3))
    spec = ProbeSpec((BootFile("ARDBP32.BIN"),))
    pool = Pool("boot", "boot.example", members, spec, on_empty=OnEmpty.SILENT)
    drain = {"pvs-2": Override("boot", "pvs-2", OrderKind.DRAIN, "anna", 0.0)}
    rrset = rrset_of(pool, select(pool, {}, drain), {"": 7, "10.0.0.1": 8})
    assert rrset == PoolRRset(
        "boot", "boot.example", 5, 4, ("10.0.0.1", "10.0.0.3"), True, 7, (8, 0)
    )
    assert pool.member("pvs-3") is members[2]
    assert pool.member("pvs-9") is None


def test_an_order_with_an_end_is_in_force_until_then() -> None:
    """`until` itself is the first moment without it."""
    order = Override("boot", "pvs-1", OrderKind.DRAIN, "anna", since=0.0, until=10.0)
    assert order.is_active(9.99)
    assert not order.is_active(10.0)
    assert replace(order, until=None).is_active(1e12)


def test_an_endpoint_is_written_as_people_write_it() -> None:
    """IPv6 addresses stand in brackets."""
    assert str(Endpoint("127.0.0.1", 53)) == "127.0.0.1:53"
    assert str(Endpoint("::1", 53)) == "[::1]:53"


MESSAGES = st.one_of(
    snapshots,
    st.builds(
        SnapshotDelta,
        serial=st.integers(1, 2**40),
        rrsets=st.lists(rrsets, max_size=2).map(tuple),
        removed=st.lists(st.text(max_size=5), max_size=2).map(tuple),
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
