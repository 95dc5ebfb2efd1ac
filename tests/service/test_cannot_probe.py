"""A probe that this host could not send says nothing of the member."""

from __future__ import annotations

from rrdns.core.health.probe_result import Depth, ProbeResult, Verdict
from rrdns.service.control.probe_results import CANNOT_PROBE, Witness
from rrdns.web.metrics import Stats
from tests.service.control_harness import Office

GOOD = ProbeResult(Verdict.OK, "fine", Depth.LIGHT, 0.01)
BLIND = ProbeResult(Verdict.LOCAL, "no buffer", Depth.LIGHT, 0.0)
SILENT = ProbeResult(Verdict.TIMEOUT, "silence", Depth.LIGHT, 1.0)


async def test_health_stays_and_one_alarm_tells_of_each_pool() -> None:
    """However often; it neither heals nor adds to a doubt, and ends with the first real probe."""
    office = Office()
    await office.open()
    witness = Witness(office.roster, office.publication, office.herald, office.clock, Stats())

    def alarms() -> list[str]:
        return [one.sentence for one in office.herald.alarms() if one.name == CANNOT_PROBE]

    for name in ("pvs-1", "pvs-2"):
        for _ in range(3):
            witness.told("boot", name, GOOD)
    doubting = witness.told("boot", "pvs-1", SILENT)
    assert doubting.doubts == 1
    for _ in range(5):
        assert witness.told("boot", "pvs-1", BLIND) == doubting
    assert alarms() == [alarms()[0]]
    assert "1 of " in alarms()[0]
    assert "no buffer" in alarms()[0]
    witness.told("boot", "pvs-2", BLIND)
    assert "2 of " in alarms()[0]
    assert office.roster.track("boot", "pvs-1").last_probe == BLIND
    witness.told("boot", "pvs-2", GOOD)
    witness.told("boot", "pvs-1", SILENT)
    assert alarms() == []
    assert office.roster.track("boot", "pvs-1").standing.doubts == 2


async def test_who_was_never_probed_stays_assumed() -> None:
    """With no memory nobody knows; the alarm says so."""
    office = Office()
    await office.open()
    witness = Witness(office.roster, office.publication, office.herald, office.clock, Stats())
    before = office.roster.track("boot", "pvs-1").standing
    assert witness.told("boot", "pvs-1", BLIND) == before
    assert office.herald.alarms()
