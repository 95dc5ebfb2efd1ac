"""Waiting by the API's clock: never too early, and no longer than must be."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from rrdns.cli.api.server_clock import ServerClock
from rrdns.timeformat import rfc3339

HERE = 1_770_000_000.25


class Clocks:
    """Our clock and the API's, which is ahead of it."""

    def __init__(self, ahead: float) -> None:
        self.here = HERE
        self.ahead = ahead
        self.api = ServerClock(lambda: self.here)

    def answer(self, took: float = 0.0) -> None:
        """Let an answer come that took so long."""
        asked_at = self.here
        date = formatdate(int(self.here + self.ahead), usegmt=True)
        self.here += took
        self.api.note_date(date, asked_at)

    def order(self) -> None:
        """Let an order be answered that began just now."""
        since = rfc3339(self.here + self.ahead)
        self.api.note_order({"member": {"override": {"since": since}}, "changed": True})

    @property
    def late(self) -> float:
        """Return how much later it is there than is believed."""
        return self.here + self.ahead - self.api.at_least()


@pytest.mark.parametrize("ahead", [-3600.0, -0.4, 0.0, 0.4, 3600.0])
def test_it_is_never_believed_to_be_later_than_it_is(ahead: float) -> None:
    """With each answer it is known better, whenever in a second that came."""
    clocks = Clocks(ahead)
    before = 2.0
    for took in (0.9, 0.0, 0.25, 0.1):
        clocks.here += 7.3
        clocks.answer(took)
        assert -1e-6 <= clocks.late <= before
        before = max(clocks.late, 0.0) + 1e-6
    clocks.order()
    assert clocks.late == pytest.approx(0.0, abs=0.002)
    clocks.here += 60.0
    clocks.answer()
    assert clocks.late == pytest.approx(0.0, abs=0.002)


def test_a_clock_that_is_set_back_is_believed() -> None:
    """Else a wait would end before its time."""
    clocks = Clocks(0.0)
    clocks.answer()
    clocks.order()
    clocks.ahead = -120.0
    clocks.answer()
    assert 0.0 <= clocks.late < 1.0


def test_of_several_members_each_order_counts() -> None:
    """What is no order, or no moment, says nothing."""
    clocks = Clocks(5.0)
    since = rfc3339(HERE + 5.0)
    members = [{"member": {"override": None}}, {"member": {"override": {"since": since}}}]
    clocks.api.note_order({"members": [*members, {"member": {"override": {"since": "soon"}}}]})
    assert clocks.late == pytest.approx(0.0, abs=0.002)
    Clocks(0.0).api.note_order({})


@pytest.mark.parametrize("jump", [3600.0, -7200.0])
def test_our_own_clock_may_be_set_while_we_wait(jump: float) -> None:
    """What has passed since the last answer is counted on a clock that nobody can set."""
    wall, steady = HERE, 500.0
    api = ServerClock(lambda: wall, lambda: steady)
    api.note_date(formatdate(int(HERE), usegmt=True), steady)
    wall, steady = wall + jump, steady + 10.0
    assert HERE + 9.0 <= api.at_least() <= HERE + 10.0
