"""`rrdns dhcp`: snippets for the members that are handed out, or that are configured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rrdns.cli.tools.dhcp import FORMATS
from rrdns.snippets.dhcp.formats import Format
from tests.cli.conftest import Api, Run

EXAMPLE = Path(__file__).resolve().parents[2] / "conf" / "rrdns.toml"


def test_the_formats_are_those_that_can_be_written() -> None:
    """They stand twice, so that `rrdns --help` need not load the writers."""
    assert set(FORMATS) == {form.value for form in Format}


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_names_a_member_that_is_handed_out(rrdns: Run, api: Api, form: str) -> None:
    """From the running service; who is down is left out."""
    api.farm.fall("boot", "pvs-2")
    pool = api.farm.pool("boot")
    result = rrdns("dhcp", "--format", form, "--pool", "boot", "--url", api.url)
    assert result.exit_code == 0, result.output
    addresses = {one.member.name: one.member.address for one in pool.members}
    assert addresses["pvs-1"] in result.stdout or pool.pool.hostname in result.stdout
    assert addresses["pvs-2"] not in result.stdout


def test_a_config_is_enough(rrdns: Run) -> None:
    """Nobody is asked then; backups are left out."""
    result = rrdns("dhcp", "--format", "kea", "--config", str(EXAMPLE))
    assert result.exit_code == 0, result.output
    assert "10.0.0.11" in result.stdout


def test_a_script_gets_the_text_and_what_it_was_made_from(rrdns: Run, api: Api) -> None:
    """The same text as without."""
    args = ("dhcp", "--format", "kea", "--url", api.url)
    told = json.loads(rrdns(*args, "--json").stdout)
    assert f"{told['text']}\n" == rrdns(*args).stdout
    assert (told["pool"], told["addresses"][0]) == ("boot", "10.0.0.11")


def test_a_wrong_format_or_pool_is_a_wrong_usage(rrdns: Run, api: Api) -> None:
    """Exit status 2, and what there is."""
    wrong = rrdns("dhcp", "--format", "fax", "--url", api.url)
    assert wrong.exit_code == 2
    assert "windows, kea" in wrong.stderr
    unknown = rrdns("dhcp", "--format", "kea", "--pool", "nope", "--url", api.url)
    assert unknown.exit_code == 2
    assert "boot" in unknown.stderr
