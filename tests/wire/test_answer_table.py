"""The answer table: whose turn it is, what fits, what a change does, and what is counted."""

from __future__ import annotations

from collections import Counter

import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.model import Nameserver, Zone
from rrdns.core.snapshot import Snapshot, SnapshotDelta
from rrdns.shm.counters import Counters
from rrdns.shm.rotation_counter import RotationCounters
from rrdns.shm.shared_rotation import SharedRotationCounters
from rrdns.wire.answers import answer_table as module
from rrdns.wire.answers.answer_table import AnswerTable
from rrdns.wire.answers.resolve import find_response
from rrdns.wire.answers.response import PartialBodies
from tests.wire import sample_zones
from tests.wire.sample_zones import ask, counts, first, query, respond, rrset, table


def test_three_members_stand_first_a_thousand_times_each() -> None:
    """Whatever else is asked in between (3,000 A queries among 12,000)."""
    answers = table()
    firsts: Counter[str] = Counter()
    others = [
        query(rtype="AAAA"),
        query(rtype="TXT"),
        query("nope.pvs.example.test"),
        query("deep.site.pvs.example.test"),
        b"junk",
    ]
    forms = [query(), query(use_edns=0), query("BOOT.pvs.example.test"), query(want_dnssec=True)]
    for turn in range(3000):
        respond(others[turn % 5], answers)
        respond(others[turn % 3], answers, tcp=True)
        firsts[first(ask(answers, forms[turn % 4], tcp=turn % 7 == 0))] += 1
    assert set(firsts.values()) == {1000}
    counted = counts(answers)
    assert counted.turns["boot"] == dict(firsts)
    assert counted.queries["a/noerror"] == 3000 + 600
    assert counted.dropped == 600
    assert sum(counted.queries.values()) + counted.dropped == 9000


@given(st.integers(1, 60), st.integers(1, 28), st.integers(2, 240))
def test_every_boot_answer_fits_512_bytes(members: int, most: int, length: int) -> None:
    """Names of any length, pools of any size, with OPT and without."""
    name = ".".join(["a" * 40] * 6)[-length:].strip(".") + ".t"
    zones = (Zone("t", (Nameserver("ns.t", ("192.0.2.1",)),), "h.t"),)
    one = rrset("boot", name, members=members, answers=most)
    answers = AnswerTable.build(sample_zones.snapshot(one, zones=zones))
    for options in ({}, {"use_edns": 0, "payload": 512}, {"want_dnssec": True}):
        asked = query(name, **options)
        answer = respond(asked, answers)
        assert answer is not None
        assert len(answer) <= min(512, 4 * len(asked))
        parsed = dns.message.from_wire(answer)
        assert not parsed.flags & dns.flags.TC
        fixed = len(asked)
        assert min(members, most, 14, 3 * fixed // 16) <= len(parsed.answer[0])
        full = ask(answers, asked, tcp=True)
        assert min(members, most, 14) <= len(full.answer[0]) <= min(members, most)


def test_a_change_of_members_turns_on_from_where_it_was() -> None:
    """A new set does not begin with its first member again, and nothing counted is lost."""
    before = table(rrset("boot", members=3))
    assert [first(ask(before, query())) for _ in range(4)][-1] == "10.0.0.1"
    after = before.with_delta(SnapshotDelta(2, (rrset("boot", members=2),)))
    assert after.snapshot.serial == 2
    # Four turns are taken; the fifth is the first member's, of two.
    assert [first(ask(after, query())) for _ in range(2)] == ["10.0.0.1", "10.0.0.2"]
    ask(before, query())  # a loop in the middle of a batch
    for _ in range(3):
        assert counts(after).turns == {"boot": {"10.0.0.1": 4, "10.0.0.2": 2}}
    assert counts(after).queries == {"a/noerror": 7}


def test_a_change_leaves_the_other_pools_as_they_are() -> None:
    """Their turns go on, and their answers are not encoded again."""
    before = table()
    ask(before, query())
    kept = before.tree.nodes[b"\4boot\3pvs\7example\4test\0"]
    after = before.with_delta(SnapshotDelta(2, (rrset("lone", members=2, counter_slot=2),)))
    assert after.tree.nodes[b"\4boot\3pvs\7example\4test\0"] is kept
    assert first(ask(after, query())) == "10.0.0.2"
    assert len(ask(after, query("lone.pvs.example.test")).answer[0]) == 2


def test_a_pool_that_is_emptied_and_filled_again_goes_on() -> None:
    """From addresses to SERVFAIL to silence and back."""
    answers = table()
    ask(answers, query())
    answers = answers.with_delta(SnapshotDelta(2, (rrset("boot", members=0),)))
    assert ask(answers, query()).rcode() == dns.rcode.SERVFAIL
    answers = answers.with_delta(SnapshotDelta(3, (rrset("boot", members=0, is_silent=True),)))
    assert respond(query(), answers) is None
    answers = answers.with_delta(SnapshotDelta(4, (rrset("boot", members=3),)))
    assert first(ask(answers, query())) == "10.0.0.2"
    assert counts(answers).queries == {"a/noerror": 2, "a/servfail": 1, "a/silent": 1}


@pytest.mark.parametrize(
    "change",
    [
        SnapshotDelta(2, removed=("boot",)),
        SnapshotDelta(2, (rrset("boot", "new.pvs.example.test"),)),
        SnapshotDelta(2, (rrset("boot", "elsewhere.example.org"),)),
    ],
    ids=["gone", "renamed", "in no zone"],
)
def test_a_name_that_is_left_does_not_exist_any_more(change: SnapshotDelta) -> None:
    """Its turns stay counted."""
    before = table()
    ask(before, query())
    after = before.with_delta(change)
    assert ask(after, query()).rcode() == dns.rcode.NXDOMAIN
    assert counts(after).queries["a/noerror"] == 1


def test_a_pool_outside_every_zone_is_not_answered() -> None:
    """It may change as it likes; without a zone there is no authority for it."""
    answers = table(rrset("boot"), rrset("lost", "boot.example.org"))
    answers = answers.with_delta(SnapshotDelta(2, (rrset("lost", "boot.example.org", members=1),)))
    assert ask(answers, query("boot.example.org")).rcode() == dns.rcode.REFUSED


def test_a_new_snapshot_keeps_the_counts_and_turns() -> None:
    """Zones may differ: a reload, or a control process that came back."""
    before = table()
    ask(before, query())
    after = AnswerTable.build(
        Snapshot(7, sample_zones.ZONES[:1], before.snapshot.rrsets), before=before
    )
    assert first(ask(after, query())) == "10.0.0.2"
    assert ask(after, query("apex.test")).rcode() == dns.rcode.REFUSED
    assert counts(after).turns["boot"] == {"10.0.0.1": 1, "10.0.0.2": 1, "10.0.0.3": 0}


def test_workers_that_share_turns_take_each_turn_once() -> None:
    """Two tables over the same counters: first places are even over both, and both count."""
    shared = SharedRotationCounters()
    workers = [
        AnswerTable.build(sample_zones.snapshot(), Counters(rotation=shared)) for _ in range(2)
    ]
    firsts = Counter(first(ask(workers[n % 2], query())) for n in range(300))
    assert set(firsts.values()) == {100}
    counted = [counts(worker).turns["boot"] for worker in workers]
    assert {name: counted[0][name] + counted[1][name] for name in firsts} == dict(firsts)


def test_the_soas_minimum_is_never_above_the_ttl_of_an_address() -> None:
    """RFC 2308, section 4: a cached "no" must not outlive an address."""
    answers = table(rrset("boot", ttl=2), rrset("slow", ttl=60))
    soa = ask(answers, query("nope.pvs.example.test")).authority[0]
    assert (soa.ttl, soa[0].minimum) == (2, 2)
    answers = answers.with_delta(SnapshotDelta(2, (rrset("boot", ttl=9),)))
    soa = ask(answers, query("nope.pvs.example.test")).authority[0]
    assert (soa.ttl, soa[0].minimum) == (5, 5)


def test_a_hostname_that_is_a_nameserver_too_is_the_pools() -> None:
    """A target must not be led to the nameserver's own address, IPv6 included."""
    answers = table(rrset("boot", "ns1.pvs.example.test"))
    assert first(ask(answers, query("ns1.pvs.example.test"))) == "10.0.0.1"
    assert not ask(answers, query("ns1.pvs.example.test", "AAAA")).answer
    assert not ask(answers, query("pvs.example.test", "NS")).additional


def test_the_parents_side_answers_for_the_signer_of_a_zone_below() -> None:
    """With both zones ours, DS is the parent's to deny (RFC 4035, section 3.1.4.1)."""
    parent = Zone("example.test", (sample_zones.NS1,), "h.example.test")
    answers = AnswerTable.build(Snapshot(1, (*sample_zones.ZONES, parent)))
    assert str(ask(answers, query("pvs.example.test", "DS")).authority[0].name) == "example.test."
    assert (
        str(ask(answers, query("pvs.example.test", "A")).authority[0].name) == "pvs.example.test."
    )
    # The child holds the nameserver, so it is no glue of the parent's.
    assert ask(answers, query("ns1.pvs.example.test")).answer
    assert not ask(answers, query("example.test", "NS")).additional


def test_a_root_zone_is_a_zone_too() -> None:
    """Nothing is above it, not even for DS."""
    answers = AnswerTable.build(Snapshot(1, (Zone("", (Nameserver("ns.test"),), "h.test"),)))
    assert ask(answers, query(".", "DS")).authority[0].name == dns.name.root
    assert ask(answers, query("a.b", "A")).rcode() == dns.rcode.NXDOMAIN


def test_an_answer_too_long_for_the_asker_is_cut_cleanly() -> None:
    """Additional records go first, unsaid; then all goes, with TC; TCP gets everything."""
    servers = tuple(
        Nameserver(f"{'n' * 50}{n}.{'m' * 50}{n}.pvs.example.test", ("192.0.2.1", "2001:db8::1"))
        for n in range(8)
    )
    zone = Zone("pvs.example.test", servers, "h.pvs.example.test")
    answers = AnswerTable.build(Snapshot(1, (zone,)))
    asked = query("pvs.example.test", "NS")
    cut = ask(answers, asked)
    assert cut.flags & dns.flags.TC
    assert not cut.answer
    whole = ask(answers, asked, tcp=True)
    assert len(whole.additional) == 16
    assert not whole.flags & dns.flags.TC
    padded = [sample_zones.option(65001, bytes(300))]  # a long query may have a long answer
    larger = query("pvs.example.test", "NS", use_edns=0, payload=4096, options=padded)
    middle = respond(larger, answers)
    assert middle is not None
    assert len(middle) <= 1232
    parsed = dns.message.from_wire(middle)
    assert (len(parsed.answer[0]), parsed.additional) == (8, [])
    assert not parsed.flags & dns.flags.TC


def test_the_packet_cache_keeps_what_may_come_again_and_nothing_else() -> None:
    """Random names and options would only drive out the rest; mixed case counts as lower."""
    answers = table()
    for message in (
        query("nope.pvs.example.test"),
        query("www.example.com"),
        query(use_edns=0, options=[sample_zones.option(10, b"12345678")]),
        query(use_edns=1),
    ):
        find_response(message, answers)
    assert not answers.packet_cache
    for message in (query(), query(rtype="AAAA"), query("pvs.example.test", "SOA", use_edns=0)):
        entry = find_response(message, answers)
        assert entry is not None
        kept = answers.packet_cache[message[2:]][-1]
        assert [kept.body(turn) for turn in range(3)] == [entry.body(turn) for turn in range(3)]
        assert kept.counter is entry.counter
    find_response(query("boot.pvs.example.test", "A"), answers, tcp=True)
    find_response(query("bOOt.pvs.example.test", "A"), answers)
    assert len(answers.packet_cache) == 3


def test_the_packet_cache_and_the_negative_answers_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What input can grow is emptied when it is full."""
    monkeypatch.setattr(module, "MAX_CACHE_ENTRIES", 8)
    answers = table()
    for number in range(30):
        find_response(query(rtype=f"TYPE{300 + number}"), answers)
        ask(answers, query(f"{'x' * (number + 1)}.pvs.example.test"))
        assert len(answers.packet_cache) <= 8
        assert len(answers._negatives) <= 8


def test_the_packet_cache_is_bounded_for_all_sorts_of_queries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Plain ones, those with a cookie, and those for which the client's address matters."""
    monkeypatch.setattr(module, "MAX_CACHE_ENTRIES", 8)
    answers = sample_zones.documented()
    for number in range(30):
        for name in ("boot.pvs.example.test", "closed.test"):
            find_response(query(name, rtype=f"TYPE{300 + number}"), answers)
            cookie = sample_zones.option(10, b"12345678")
            find_response(query(name, rtype=f"TYPE{300 + number}", options=[cookie]), answers)
            assert 0 < len(answers.packet_cache) <= 8


def test_the_packet_cache_does_not_multiply_a_large_pool() -> None:
    """Many turns of many bytes stay shared between all who ask."""
    answers = table(rrset("boot", members=1000, answers=28))
    for number in range(100):
        find_response(query(use_edns=0, payload=600 + number), answers)
    assert len(answers.packet_cache) == 100
    assert all(isinstance(bodies, PartialBodies) for bodies, *_ in answers.packet_cache.values())


def test_negative_answers_are_compressed_against_any_question() -> None:
    """The SOA's names point into the question, wherever the zone's name stands in it."""
    answers = table()
    for name in ("pvs.example.test", "a.pvs.example.test", "a.bcd.pvs.example.test", "x.apex.test"):
        message = ask(answers, query(name, "TXT"))
        zone = ".".join(name.split(".")[-2 if name.endswith("apex.test") else -3 :])
        assert message.authority[0].name.to_text() == f"{zone}."
        assert message.authority[0][0].mname.to_text() == "ns1.pvs.example.test."
        assert message.authority[0][0].rname.to_text() == "hostmaster.example.test."


@pytest.mark.parametrize("rotation", [RotationCounters(), SharedRotationCounters()])
def test_a_response_takes_one_turn_of_its_pool(rotation: RotationCounters) -> None:
    """Of a worker alone, or of all workers."""
    answers = AnswerTable.build(sample_zones.snapshot(), Counters(rotation=rotation))
    slot = answers.snapshot.rrsets["boot"].counter_slot
    before = rotation.peek(slot)
    for tcp in (False, True, True, False):
        ask(answers, query(), tcp=tcp)
    assert rotation.peek(slot) == before + 4


def test_a_worker_that_follows_another_goes_on_with_its_turns() -> None:
    """A restart is no reason to send the next targets to the first member again."""
    counters, firsts = Counters(), Counter[str]()
    for turns in (1, 1, 2, 2, 3):
        answers = AnswerTable.build(sample_zones.snapshot(), counters)
        firsts.update(first(ask(answers, query())) for _ in range(turns))
    assert sorted(firsts.values()) == [3, 3, 3]
    assert counts(answers).turns["boot"] == dict(firsts)
