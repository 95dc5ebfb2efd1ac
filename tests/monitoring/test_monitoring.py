"""Alerts, dashboard and documentation name what /metrics has, and promtool accepts all of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.status import Alarm
from rrdns.web.metrics import ProbeMetrics
from tests.e2e.farm import a_farm
from tests.peers import peer
from tests.web.serving import MEMBER, serving

ROOT = Path(__file__).parents[2]
RULES = ROOT / "conf" / "prometheus-rules.yml"
BOARD = ROOT / "conf" / "grafana-dashboard.json"
CASES = sorted(Path(__file__).parent.glob("*.test.yml"))
PAGE = ROOT / "docs" / "monitoring.md"
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "info": ("_info",)}


def promtool(*arguments: str, stdin: str = "", cwd: Path | None = None) -> str:
    """Run promtool; return what it says."""
    done = subprocess.run(
        [peer("promtool"), *arguments],
        check=False,
        input=stdin,
        capture_output=True,
        text=True,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def names_of(families: list[Metric]) -> set[str]:
    """Return every name that a query may use."""
    return {
        family.name + suffix for family in families for suffix in _SUFFIXES.get(family.type, ("",))
    } | {"up"}


def expressions(board: dict[str, Any]) -> Iterator[str]:
    """Return what the dashboard asks for, with its variables filled in."""
    for panel in board["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "1m")
            yield re.sub(r"\$(instance|pool)", ".*", text)


def rules() -> list[tuple[str, str]]:
    """Return each alert's name and expression; no YAML reader is needed for this file."""
    text = RULES.read_text()
    parts = re.split(r"^ +- alert: ", text, flags=re.MULTILINE)[1:]
    found = []
    for part in parts:
        name, rest = part.split("\n", 1)
        expression = re.search(r"expr: (.*?)\n +(?:for|labels):", rest, re.DOTALL)
        assert expression is not None, name
        found.append((name, expression[1]))
    return found


async def shown() -> list[Metric]:
    """Return all metrics there are, each with samples that show its labels."""
    stats = ProbeMetrics()
    stats.publications.observe(0.01)
    stats.observe("boot", "pvs-2", ProbeResult(Verdict.TIMEOUT, "silence", ProbeDepth.LIGHT, 0.2))
    async with serving(stats=stats) as client:
        client.admin_service.fall("boot", "pvs-1", "pvs-2", "pvs-3")
        client.admin_service.alarms = (Alarm("everything-down", "nobody is healthy", 0.0, "boot"),)
        await client.post(f"{MEMBER}/drain")
        text = (await client.get("/metrics")).text
    return list(text_string_to_metric_families(text))


def row(family: Metric) -> str:
    """Return a metric's line in the documentation."""
    name = min(names_of([family]) - {"up"})
    if family.type == "histogram":
        name = family.name
    labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
    kind = "info" if name.endswith("_info") else family.type
    shown_labels = " ".join(f"`{label}`" for label in labels)
    return f"| `{name}` | {kind} | {shown_labels} | {family.documentation} |"


async def test_the_documentation_lists_every_metric() -> None:
    """With its type, its labels and its own words."""
    families = [family for family in await shown() if family.name.startswith("rrdns_")]
    table = "\n".join(row(family) for family in families)
    written = PAGE.read_text().partition("| metric | type | labels | says |\n|---|---|---|---|\n")
    assert written[2].strip() == table, f"write this into {PAGE}:\n{table}"


async def test_alerts_and_dashboard_name_only_metrics_that_there_are() -> None:
    """A typing error in a query is silence for ever."""
    there = names_of(await shown())
    board = json.loads(BOARD.read_text())
    queries = [expression for _, expression in rules()] + list(expressions(board))
    queries += [variable.get("definition", "") for variable in board["templating"]["list"]]
    assert len(queries) > 40
    named = {name for query in queries for name in re.findall(r"\brrdns_\w+", query)}
    assert named <= there, named - there


def test_every_alert_is_documented_and_tried() -> None:
    """What fires at night has a line that says what to do, and a case that makes it fire."""
    names = {name for name, _ in rules()}
    documented = set(re.findall(r"`(Rrdns\w+)`", PAGE.read_text()))
    tried = set(re.findall(r'alertname="(\w+)"', "".join(path.read_text() for path in CASES)))
    assert documented == tried == names
    assert len(names) == 19


@pytest.mark.peers
def test_promtool_accepts_the_rules_and_they_fire_when_they_should() -> None:
    """Each for what it says, and not before."""
    assert "SUCCESS: 19 rules found" in promtool("check", "rules", str(RULES))
    assert "SUCCESS" in promtool("test", "rules", *map(str, CASES))


@pytest.mark.peers
def test_promtool_accepts_the_documented_scrape_config(tmp_path: Path) -> None:
    """Together with the rules."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "prometheus.yml").write_text(text)
    shutil.copy(RULES, tmp_path)
    said = promtool("check", "config", "prometheus.yml", cwd=tmp_path)
    assert "1 rule files found" in said


@pytest.mark.peers
def test_promtool_accepts_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """Each as a rule of its own."""
    queries = list(expressions(json.loads(BOARD.read_text())))
    lines = [
        f"      - record: panel:query{number}\n        expr: {json.dumps(query)}"
        for number, query in enumerate(queries)
    ]
    path = tmp_path / "queries.yml"
    path.write_text("groups:\n  - name: panels\n    rules:\n" + "\n".join(lines) + "\n")
    assert f"SUCCESS: {len(queries)} rules found" in promtool("check", "rules", str(path))


def test_the_panels_lie_beside_one_another() -> None:
    """None covers another, and none has an id twice."""
    panels = json.loads(BOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.peers
def test_promtool_accepts_what_a_running_service_shows(tmp_path: Path) -> None:
    """After queries, a drain and a reload that was refused."""
    with a_farm(tmp_path, first_host=191) as (rrdns, _):
        rrdns.addresses()
        rrdns.json("POST", "/v1/pools/boot/members/pvs-1/drain", {})
        _, text = rrdns.call("GET", "/metrics")
        assert isinstance(text, str)
    assert promtool("check", "metrics", stdin=text).strip() == ""
    live = names_of(list(text_string_to_metric_families(text)))
    wanted = {name for _, query in rules() for name in re.findall(r"\brrdns_\w+", query)}
    assert wanted <= live
