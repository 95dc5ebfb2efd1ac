"""`rrdns delegation`: what is printed from a config."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rrdns.cli.tools.delegation import FORMATS
from rrdns.snippets.delegation.formats import Format
from tests import sample_config
from tests.cli.conftest import Run
from tests.peers import ROOT

EXAMPLE = ROOT / "conf" / "rrdns.toml"
TWO_ZONES = sample_config.farm(pool_settings={"hostname": "boot.site.example.net"}) + (
    sample_config.zone(name="boot.site.example.net", nameservers=[{"name": "rrdns1.example.net"}])
)


@pytest.fixture
def two_zones(tmp_path: Path) -> Path:
    """Return a config with two zones."""
    path = tmp_path / "rrdns.toml"
    path.write_text(TWO_ZONES)
    return path


def test_the_formats_are_those_that_can_be_written() -> None:
    """They stand twice, so that `rrdns --help` need not load the writers."""
    assert tuple(form.value for form in Format) == FORMATS


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_tells_the_zone_and_the_address(rrdns: Run, form: str) -> None:
    """From the config alone; nobody is asked."""
    result = rrdns("delegation", "--format", form, "--config", EXAMPLE)
    assert result.exit_code == 0, result.output
    assert "pvs" in result.stdout
    assert "192.0.2.53" in result.stdout
    assert not result.stdout.startswith("[")


def test_without_a_format_all_are_printed_behind_headings(rrdns: Run) -> None:
    """In the order in which --format lists them."""
    result = rrdns("delegation", "--config", EXAMPLE)
    assert result.exit_code == 0, result.output
    headings = re.findall(r"(?m)^\[(\w+).*\]$", result.stdout)
    assert headings == ["Windows", "BIND", "BIND", "Knot", "Unbound", "dnsmasq"]
    one = rrdns("delegation", "--format", "unbound", "--config", EXAMPLE).stdout
    assert one in result.stdout


def test_a_script_gets_the_texts_as_json(rrdns: Run) -> None:
    """All of them, or the one that is asked for."""
    told = json.loads(rrdns("delegation", "--json", "--config", EXAMPLE).stdout)
    assert (told["zone"], told["parent"]) == ("pvs.example.test", "example.test")
    assert tuple(told["formats"]) == FORMATS
    told = json.loads(rrdns("delegation", "--json", "--format", "knot", "--config", EXAMPLE).stdout)
    assert list(told["formats"]) == ["knot"]


def test_with_several_zones_one_is_chosen(rrdns: Run, two_zones: Path) -> None:
    """By its name, in any case; without one the names are told."""
    result = rrdns("delegation", "--config", two_zones)
    assert result.exit_code == 2
    assert "--zone: pvs.example.test, boot.site.example.net" in result.stderr
    result = rrdns("delegation", "--config", two_zones, "--zone", "nope.test")
    assert result.exit_code == 2
    assert "no zone is called 'nope.test'" in result.stderr
    result = rrdns(
        "delegation", "--config", two_zones, "--zone", "PVS.example.test.", "--format", "bind"
    )
    assert result.exit_code == 0, result.output
    assert "ns1.pvs.example.test. IN A    192.0.2.53" in result.stdout


def test_the_parent_may_be_further_up(rrdns: Run, two_zones: Path) -> None:
    """Then the child's name has several labels; above the zone it must be."""
    args = ("delegation", "--config", two_zones, "--zone", "boot.site.example.net")
    told = json.loads(rrdns(*args, "--json").stdout)
    assert told["parent"] == "site.example.net"
    told = json.loads(rrdns(*args, "--json", "--parent-zone", "Example.net.").stdout)
    assert told["parent"] == "example.net"
    for wrong in ("example.org", "boot.site.example.net", "."):
        result = rrdns(*args, "--parent-zone", wrong)
        assert result.exit_code == 2, wrong
        assert "is not below" in result.stderr


def test_an_address_that_is_missing_is_asked_for(rrdns: Run, two_zones: Path) -> None:
    """For one format that is refused; among all of them a comment says it."""
    args = ("delegation", "--config", two_zones, "--zone", "boot.site.example.net")
    result = rrdns(*args, "--format", "windows")
    assert result.exit_code == 1
    assert 'add address = "..." to that name' in result.stderr
    result = rrdns(*args)
    assert result.exit_code == 0
    assert "# the config has no address of rrdns1.example.net" in result.stdout
    assert 'stub-host: "rrdns1.example.net"' in result.stdout


def test_a_wrong_format_or_config_is_a_wrong_usage(rrdns: Run, tmp_path: Path) -> None:
    """Exit status 2, and what there is."""
    wrong = rrdns("delegation", "--format", "fax", "--config", EXAMPLE)
    assert wrong.exit_code == 2
    assert "windows, bind, bind-resolver" in wrong.stderr
    (tmp_path / "broken.toml").write_text("zones = 3")
    assert rrdns("delegation", "--config", tmp_path / "broken.toml").exit_code == 2
