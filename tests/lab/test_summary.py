"""What is said of a storm: counts, shares, times, reasons, and the chart."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from rrdns.core.health.probe_result import Verdict
from rrdns.lab.bootstorm.chart import draw
from rrdns.lab.bootstorm.firmware import IPXE
from rrdns.lab.bootstorm.storm import StormRun
from rrdns.lab.bootstorm.summary import Bin, Reason, Share, Times, histogram, summarize, unevenness
from rrdns.lab.bootstorm.target import Boot, ByRoundRobin, Target

TARGET = Target(0, IPXE, 0.0, seed=1)


def ok(server: str, seconds: float = 0.02) -> Boot:
    """Return a target that booted."""
    return Boot(TARGET, 0.5, seconds, server, 0.001, Verdict.OK)


def lost(server: str, reason: str = "no reply", verdict: Verdict = Verdict.TIMEOUT) -> Boot:
    """Return a target that asked a dead server."""
    return Boot(TARGET, 0.5, 16.0, server, 0.001, verdict, reason)


def nowhere(reason: str) -> Boot:
    """Return a target that never had an address."""
    return Boot(TARGET, 0.5, 16.0, reason=reason)


def test_each_server_has_those_who_asked_it_and_those_it_booted() -> None:
    """In the order of their numbers; who had no address asked nobody."""
    boots = [ok("10.0.0.12"), ok("10.0.0.9"), lost("10.0.0.9"), lost("10.0.0.100"), nowhere("x")]
    summary = summarize(boots)
    assert (summary.targets, summary.booted, summary.failed) == (5, 2, 3)
    assert summary.shares == (
        Share("10.0.0.9", 2, 1),
        Share("10.0.0.12", 1, 1),
        Share("10.0.0.100", 1, 0),
    )
    assert [share.failed for share in summary.shares] == [1, 0, 1]


@pytest.mark.parametrize(
    ("served", "uneven"),
    [({}, None), ({"a": 7}, 0.0), ({"a": 50, "b": 50}, 0.0), ({"a": 105, "b": 95}, 0.05)],
)
def test_unevenness_is_the_farthest_from_an_even_share(
    served: dict[str, int], uneven: float | None
) -> None:
    """Of those that served anybody."""
    assert unevenness(Counter(served)) == (None if uneven is None else pytest.approx(uneven))


def test_times_are_of_those_that_booted() -> None:
    """A failed boot is no slow one."""
    boots = [ok("a", n / 100) for n in range(1, 101)] + [lost("b")]
    assert summarize(boots).times == Times(0.01, 0.51, 0.96, 1.0)
    assert summarize([lost("b")]).times is None


def test_reasons_are_grouped_by_server_and_kind() -> None:
    """The most frequent first, in the words of the first of its kind."""
    boots = [
        lost("a", "a fell silent after 1 byte"),
        lost("a", "a fell silent after 2 bytes"),
        lost("a", "a has no file", Verdict.TFTP_ERROR),
        nowhere("SERVFAIL"),
        nowhere("SERVFAIL"),
        nowhere("SERVFAIL"),
    ]
    assert summarize(boots).reasons == (
        Reason(3, "SERVFAIL"),
        Reason(2, "a fell silent after 1 byte"),
        Reason(1, "a has no file"),
    )


def test_a_histogram_has_steps_of_one_two_and_five() -> None:
    """Its empty ends are left out, a gap is not."""
    assert histogram([0.012, 0.02, 0.06]) == (
        Bin(0.01, 0.02, 2),
        Bin(0.02, 0.05, 0),
        Bin(0.05, 0.1, 1),
    )
    assert histogram([]) == ()


def test_the_chart_is_an_svg_with_every_boot_in_it() -> None:
    """A dot for each that booted, a cross for each that did not, and the servers' shares."""
    course = StormRun(ByRoundRobin(["10.0.0.11", "10.0.0.12"]), 4)
    course.boots = [ok("10.0.0.11"), ok("10.0.0.11"), lost("10.0.0.12"), nowhere("x")]
    empty = StormRun(ByRoundRobin(["10.0.0.13"]), 4)
    drawn = draw([course, empty], "4 <targets>")
    root = ET.fromstring(drawn)
    kinds = Counter(element.tag.rpartition("}")[2] for element in root)
    assert kinds["circle"] == 2
    assert drawn.count("#c22f2f") == 5  # two crosses, both servers' bars, and the count
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "4 <targets>" in texts
    assert "2 booted, 2 failed" in texts
    assert {"10.0.0.11", "10.0.0.12", "2", "1 failed"} <= set(texts)
    assert "0 booted, 0 failed" in texts
