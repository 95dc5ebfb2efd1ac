"""The probe plays each firmware to servers that are odd in one way each (tests/tftp_cases.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrdns.core.health.probe_result import ProbeDepth
from rrdns.core.model import BootFile, ProbeSpec, Profile
from rrdns.net.tftp_prober import probe
from tests.tftp_cases import CASES, FILE_OF, Case, ScriptedServer

PAGE = Path(__file__).parents[2] / "docs" / "tried.md"
ADDRESS, ELSEWHERE = "127.0.0.33", "127.0.0.34"
SERVERS = [
    pytest.param(case, id=case.name, marks=[pytest.mark.long] if case.long else [])
    for case in CASES
]


def spec(case: Case, profile: Profile, port: int) -> ProbeSpec:
    """Return what to ask of a scripted server."""
    file = BootFile(FILE_OF[profile], size=case.script.size or None, profile=profile)
    return ProbeSpec((file,), port=port, timeout=case.timeout)


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("case", SERVERS)
async def test_a_whole_download_tells_whether_the_firmware_loads(
    case: Case, profile: Profile
) -> None:
    """The verdict, and what it says to an admin."""
    expected = case.expected(profile)
    async with ScriptedServer(case.script, ADDRESS, ELSEWHERE) as server:
        result = await probe(ADDRESS, spec(case, profile, server.port), ProbeDepth.FULL)
    assert result.verdict is expected.verdict, result.sentence
    assert result.passed is case.loads(profile)
    told = "; ".join([result.sentence, *result.warnings])
    assert expected.words.format(ADDRESS) in told
    assert bool(result.warnings) is (result.passed and bool(expected.words))
    assert [seen.name for seen in result.seen] == ([FILE_OF[profile]] if result.passed else [])


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("case", SERVERS)
async def test_a_light_probe_fails_nowhere_where_the_firmware_loads(
    case: Case, profile: Profile
) -> None:
    """It sees less, so it may pass where a whole download does not; never the other way round."""
    async with ScriptedServer(case.script, ADDRESS, ELSEWHERE) as server:
        result = await probe(ADDRESS, spec(case, profile, server.port), ProbeDepth.LIGHT)
    assert result.passed or not case.loads(profile), result.sentence


def test_the_page_of_what_was_tried_tells_of_each_server() -> None:
    """It has the table, in its order, and no other rows."""
    section = PAGE.read_text().split("## Odd TFTP servers")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    assert rows[2:] == [case.row for case in CASES]
