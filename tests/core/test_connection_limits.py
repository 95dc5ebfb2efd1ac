"""Who may stay connected, and who goes first: held against a plain count of everybody."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rrdns.core.connection_limits import ConnectionTable, TcpLimits, TrackedConnection

A, B, C = b"\1\1\1\1", b"\2\2\2\2", b"\3\3\3\3"


def arrivals(
    admission: ConnectionTable[TrackedConnection], sources: list[bytes]
) -> list[TrackedConnection]:
    """Let one guest in a second in, from the second 0 on; nobody has to go."""
    guests = []
    for second, source in enumerate(sources):
        assert admission.eviction_candidate(source) is None
        guests.append(TrackedConnection(source, second, second))
        admission.add(guests[-1])
    return guests


def test_an_address_at_its_limit_gives_up_its_longest_idle() -> None:
    """What others have does not matter."""
    admission: ConnectionTable[TrackedConnection] = ConnectionTable(
        TcpLimits(connections=10, per_address=2)
    )
    first, _, second = arrivals(admission, [A, B, A])
    assert admission.eviction_candidate(A) is first
    admission.touch(first, 3.0)
    assert admission.eviction_candidate(A) is second
    assert admission.eviction_candidate(B) is None


def test_where_all_is_full_the_address_with_most_gives_one_up() -> None:
    """Whoever floods loses his own; who has one keeps it, however idle it is."""
    admission: ConnectionTable[TrackedConnection] = ConnectionTable(
        TcpLimits(connections=4, per_address=4)
    )
    _, crowd, other, last = arrivals(admission, [A, B, B, B])
    assert admission.eviction_candidate(C) is crowd
    admission.remove(crowd)
    admission.remove(other)
    admission.remove(last)
    assert len(admission) == 1
    assert admission.eviction_candidate(C) is None


def test_among_addresses_with_as_many_the_longest_idle_gives_one_up() -> None:
    """Who has asked last is the last to go, even if it came first."""
    admission: ConnectionTable[TrackedConnection] = ConnectionTable(TcpLimits(connections=3))
    first, second, third = arrivals(admission, [A, B, C])
    admission.touch(first, 5.0)
    assert admission.eviction_candidate(b"\4\4\4\4") is second
    admission.touch(second, 6.0)
    assert admission.eviction_candidate(b"\4\4\4\4") is third


def test_time_is_up_for_the_idle_and_for_the_old() -> None:
    """A query gives more time to be idle, and none to live."""
    admission: ConnectionTable[TrackedConnection] = ConnectionTable(TcpLimits(idle=10, lifetime=30))
    idle, busy = arrivals(admission, [A, B])
    assert admission.expired(9.9) == []
    admission.touch(busy, 9.9)
    assert admission.expired(10.0) == [idle]
    admission.remove(idle)
    for second in range(11, 31):
        admission.touch(busy, second)
    assert admission.expired(30.9) == []
    assert admission.expired(31.0) == [busy]


class Crowd(RuleBasedStateMachine):
    """Connections of few addresses that come, ask and go, at any times."""

    @initialize(connections=st.integers(1, 8), per_address=st.integers(1, 4))
    def begin(self, connections: int, per_address: int) -> None:
        """Choose the limits."""
        self.limits = TcpLimits(connections, per_address, idle=10, lifetime=30)
        self.admission: ConnectionTable[TrackedConnection] = ConnectionTable(self.limits)
        self.open: list[TrackedConnection] = []
        self.now = 0.0

    @rule(source=st.sampled_from([A, B, C]))
    def come(self, source: bytes) -> None:
        """Let one in; who goes for it is the longest idle of whoever has to give one up."""
        counts = Counter(connection.client_key for connection in self.open)
        goes = self.admission.eviction_candidate(source)
        if counts[source] >= self.limits.per_address:
            assert goes is min((one for one in self.open if one.client_key == source), key=rest)
        elif len(self.open) >= self.limits.connections:
            assert goes is not None
            assert counts[goes.client_key] == max(counts.values())
            assert goes is min(
                (one for one in self.open if one.client_key == goes.client_key), key=rest
            )
        else:
            assert goes is None
        if goes is not None:
            self.admission.remove(goes)
            self.open.remove(goes)
        self.now += 1
        connection = TrackedConnection(source, self.now, self.now)
        self.admission.add(connection)
        self.open.append(connection)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 7))
    def ask(self, which: int) -> None:
        """One asks something."""
        self.now += 1
        self.admission.touch(self.open[which % len(self.open)], self.now)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 7))
    def leave(self, which: int) -> None:
        """One goes."""
        self.admission.remove(self.open.pop(which % len(self.open)))

    @rule(seconds=st.integers(0, 12))
    def pass_time(self, seconds: int) -> None:
        """Nothing happens."""
        self.now += seconds

    @invariant()
    def all_is_known(self) -> None:
        """Who is in, and whose time is up."""
        assert list(self.admission) == self.open
        assert len(self.admission) == len(self.open)
        overdue = self.admission.expired(self.now)
        assert set(overdue) == {
            one
            for one in self.open
            if self.now - one.last_query_at >= 10 or self.now - one.opened_at >= 30
        }
        for connection in set(overdue):
            self.admission.remove(connection)
            self.open.remove(connection)


def rest(connection: TrackedConnection) -> float:
    """Return since when a guest rests: no two do something in the same second."""
    return connection.last_query_at


TestCrowd = Crowd.TestCase
TestCrowd.settings = settings(max_examples=60, stateful_step_count=60)
