"""Slots stay with their members, and are given again only when no worker counts in them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.model import BootFile, Member, Pool, ProbeSpec
from rrdns.core.snapshot import PoolRRset, Snapshot
from rrdns.shm import slots as module
from rrdns.shm.counters import FIRST_SLOT, SPARE_SLOT, CounterReader
from rrdns.shm.segment import CELLS, CounterSegment
from rrdns.shm.slots import CounterSlots


def pool(name: str, *hosts: int) -> Pool:
    """Return a pool with members at these addresses."""
    members = tuple(Member(f"m{host}", f"10.0.0.{host}") for host in hosts)
    return Pool(name, f"{name}.example", members, ProbeSpec((BootFile("ARDBP32.BIN"),)))


class Control:
    """What a control process has, over its restarts."""

    def __init__(self) -> None:
        self.segments = (CounterSegment(), CounterSegment())
        self.text = ""
        self.start()

    def start(self) -> None:
        """Begin, or begin again, with what was kept."""
        self.slots = CounterSlots(CounterReader(self.segments), self.text, self.keep)

    def keep(self, text: str) -> None:
        """Keep the text of the slots."""
        self.text = text

    def count(self, pool: str, address: str, times: int = 1) -> None:
        """Count as a worker does."""
        self.segments[0].cells[self.slot(pool, address)] += times

    def slot(self, pool: str, address: str = "") -> int:
        """Return the slot of a pool or a member."""
        return self.slots.of(pool).get(address, SPARE_SLOT)

    def total(self) -> int:
        """Return how many responses to A were counted."""
        queries = CounterReader(self.segments).queries(self.slots.end, self.slots.retired)
        return queries.get(("a", "noerror"), 0)


def test_each_pool_and_member_has_a_slot_of_its_own() -> None:
    """Also two members with one address, in different pools."""
    control = Control()
    control.slots.assign([pool("boot", 1, 2), pool("lab", 1)], serial=1, applied=0)
    keys = [("boot", ""), ("boot", "10.0.0.1"), ("boot", "10.0.0.2"), ("lab", "")]
    found = {control.slot(*key) for key in [*keys, ("lab", "10.0.0.1")]}
    assert found == set(range(FIRST_SLOT, FIRST_SLOT + 5))
    assert control.slots.of("boot").keys() == {"", "10.0.0.1", "10.0.0.2"}
    assert control.slot("other") == control.slot("boot", "10.0.0.9") == SPARE_SLOT


def test_slots_stay_over_reloads_and_restarts() -> None:
    """In any order of the pools."""
    control = Control()
    control.slots.assign([pool("boot", 1, 2), pool("lab", 1)], serial=1, applied=0)
    before = control.slots.of("boot"), control.slots.of("lab")
    control.start()
    control.slots.assign([pool("new", 7), pool("lab", 1), pool("boot", 2, 1)], 2, 1)
    assert (control.slots.of("boot"), control.slots.of("lab")) == before


def test_a_slot_is_used_again_when_every_worker_is_without_it() -> None:
    """Not sooner: a worker may still count there. What was counted stays in the sum."""
    control = Control()
    control.slots.assign([pool("boot", 1, 2)], serial=1, applied=0)
    left = control.slot("boot", "10.0.0.2")
    control.count("boot", "10.0.0.2", 5)
    control.slots.assign([pool("boot", 1)], serial=2, applied=1)
    control.segments[1].cells[left] += 1  # by a worker that has not heard of it yet
    control.slots.assign([pool("boot", 1, 3)], serial=3, applied=1)
    assert control.slot("boot", "10.0.0.3") != left
    control.slots.assign([pool("boot", 1, 3, 4)], serial=4, applied=3)
    assert control.slot("boot", "10.0.0.4") == left
    assert CounterReader(control.segments).count(left) == 0
    assert control.total() == 6


def test_a_member_that_returns_soon_goes_on_with_its_count() -> None:
    """As after a reload with a mistake that is corrected."""
    control = Control()
    control.slots.assign([pool("boot", 1, 2)], serial=1, applied=0)
    control.count("boot", "10.0.0.2", 5)
    slot = control.slot("boot", "10.0.0.2")
    control.slots.assign([pool("boot", 1)], serial=2, applied=1)
    control.start()
    control.slots.assign([pool("boot", 1, 2)], serial=3, applied=2)
    assert control.slot("boot", "10.0.0.2") == slot
    assert CounterReader(control.segments).count(slot) == 5


def test_a_crash_while_slots_are_set_back_counts_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next control process ends what the one before began."""
    control = Control()
    control.slots.assign([pool("boot", 1, 2, 3)], serial=1, applied=0)
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        control.count("boot", address, 5)
    control.slots.assign([pool("boot", 1)], serial=2, applied=1)
    cleared = CounterReader.clear
    with monkeypatch.context() as patch:

        def crash(reader: CounterReader, slot: int) -> None:
            cleared(reader, slot)
            raise KeyboardInterrupt

        patch.setattr(CounterReader, "clear", crash)
        with pytest.raises(KeyboardInterrupt):
            control.slots.assign([pool("boot", 1)], serial=3, applied=2)
    control.start()
    control.slots.assign([pool("boot", 1)], serial=3, applied=2)
    assert control.total() == 15
    assert control.slots.retired == 10


def test_the_slots_of_a_snapshot_on_disk_are_kept() -> None:
    """After a reboot workers respond from it before control is there."""
    control = Control()
    rrset = PoolRRset(
        "boot", "boot.example", 5, 4, ("10.0.0.2",), counter_slot=500, member_slots=(502,)
    )
    control.slots.adopt(Snapshot(7, (), {"boot": rrset}))
    control.slots.assign([pool("lab", 9), pool("boot", 1, 2)], serial=8, applied=0)
    assert (control.slot("boot"), control.slot("boot", "10.0.0.2")) == (500, 502)
    others = set(control.slots.of("lab").values())
    assert not others & {500, 502, SPARE_SLOT}
    control.slots.adopt(Snapshot(8, (), {"lab": rrset}))  # they are known better by now
    assert control.slot("lab") != 500


@pytest.mark.parametrize("slots", [(0,), (FIRST_SLOT - 1, 500), (500, CELLS)])
def test_a_snapshot_without_slots_gives_none(slots: tuple[int, ...]) -> None:
    """As at the very first start, or from another version."""
    control = Control()
    rrset = PoolRRset("boot", "boot.example", 5, 4, ("10.0.0.1",), False, slots[0], slots[1:])
    control.slots.adopt(Snapshot())
    control.slots.adopt(Snapshot(7, (), {"boot": rrset}))
    control.slots.assign([pool("boot", 1)], serial=1, applied=0)
    assert control.slot("boot") == FIRST_SLOT


def test_without_a_free_slot_members_share_the_spare_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are responded for all the same; a slot that becomes free is given."""
    monkeypatch.setattr(module, "CELLS", FIRST_SLOT + 2)
    control = Control()
    control.slots.assign([pool("boot", 1, 2)], serial=1, applied=0)
    assert control.slot("boot", "10.0.0.2") == SPARE_SLOT
    control.slots.assign([pool("boot", 2)], serial=2, applied=1)
    control.slots.assign([pool("boot", 2)], serial=3, applied=2)
    assert control.slot("boot", "10.0.0.2") == FIRST_SLOT + 1
    assert json.loads(control.text)["end"] == FIRST_SLOT + 2
    control.slots.assign([pool("boot", 2, 3)], serial=4, applied=3)
    control.slots.assign([pool("boot", 2)], serial=5, applied=4)  # the spare one is not cleared
    assert json.loads(control.text)["leaving"] == []


@given(
    st.lists(
        st.tuples(
            st.dictionaries(
                st.sampled_from(["boot", "lab", "x"]),
                st.sets(st.integers(1, 4), max_size=4),
            ),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_reloads_and_restarts_lose_no_count(steps: list[tuple[dict[str, set[int]], bool]]) -> None:
    """Nor do two members ever share a slot."""
    control, counted = Control(), 0
    for serial, (config, restarts) in enumerate(steps, 1):
        if restarts:
            control.start()
        pools = [pool(name, *hosts) for name, hosts in config.items()]
        control.slots.assign(pools, serial, applied=serial - 1)
        used = []
        for one in pools:
            for address in ("", *(member.address for member in one.members)):
                used.append(control.slot(one.name, address))
                control.count(one.name, address)
                counted += 1
        assert len(set(used)) == len(used)
        assert SPARE_SLOT not in used
        assert control.total() == counted
