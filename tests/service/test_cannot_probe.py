"""A probe that this host could not send says nothing of the member."""

from __future__ import annotations

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.service.control.probe_results import CANNOT_PROBE, ProbeResultHandler
from rrdns.web.metrics import ProbeMetrics
from tests.service.control_harness import Office

GOOD = ProbeResult(Verdict.OK, "fine", ProbeDepth.LIGHT, 0.01)
BLIND = ProbeResult(Verdict.LOCAL, "no buffer", ProbeDepth.LIGHT, 0.0)
SILENT = ProbeResult(Verdict.TIMEOUT, "silence", ProbeDepth.LIGHT, 1.0)


async def test_health_stays_and_one_alarm_tells_of_each_pool() -> None:
    """However often; it neither heals nor adds to a doubt, and ends with the first real probe."""
    office = Office()
    await office.open()
    probe_results = ProbeResultHandler(office.context, ProbeMetrics())

    def alarms() -> list[str]:
        return [one.sentence for one in office.recorder.alarms() if one.name == CANNOT_PROBE]

    for name in ("pvs-1", "pvs-2"):
        for _ in range(3):
            probe_results.handle("boot", name, GOOD)
    doubting = probe_results.handle("boot", "pvs-1", SILENT)
    assert doubting.contradicting_probes == 1
    for _ in range(5):
        assert probe_results.handle("boot", "pvs-1", BLIND) == doubting
    assert alarms() == [alarms()[0]]
    assert "1 of " in alarms()[0]
    assert "no buffer" in alarms()[0]
    probe_results.handle("boot", "pvs-2", BLIND)
    assert "2 of " in alarms()[0]
    assert office.states.state("boot", "pvs-1").last_probe == BLIND
    probe_results.handle("boot", "pvs-2", GOOD)
    probe_results.handle("boot", "pvs-1", SILENT)
    assert alarms() == []
    assert office.states.state("boot", "pvs-1").standing.contradicting_probes == 2


async def test_who_was_never_probed_stays_assumed() -> None:
    """With no memory nobody knows; the alarm says so."""
    office = Office()
    await office.open()
    probe_results = ProbeResultHandler(office.context, ProbeMetrics())
    before = office.states.state("boot", "pvs-1").standing
    assert probe_results.handle("boot", "pvs-1", BLIND) == before
    assert office.recorder.alarms()
