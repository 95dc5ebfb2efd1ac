"""Every line of PowerShell that is printed or shipped can be parsed."""

from __future__ import annotations

import re

import pytest

from rrdns.core.model import Nameserver
from rrdns.snippets.delegation.formats import delegation_text
from rrdns.snippets.delegation.records import Delegation
from rrdns.snippets.dhcp.boot_options import BootFiles
from rrdns.snippets.dhcp.formats import snippet
from tests.peers import ROOT
from tests.powershell import commands

TWO = Delegation(
    "pvs.corp.example",
    "corp.example",
    (
        Nameserver("ns1.pvs.corp.example", ("10.0.0.53", "2001:db8::53")),
        Nameserver("ns2.pvs.corp.example", ("10.0.1.53",)),
    ),
    ("boot.pvs.corp.example",),
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_parser_finds_what_is_wrong() -> None:
    """Else the other tests here would show nothing."""
    for broken in ("Get-Item 'x", "Get-Item (1", "if ($a) {"):
        with pytest.raises(AssertionError, match="no PowerShell"):
            commands(broken)


def test_the_delegation_on_windows_dns_can_be_parsed() -> None:
    """As it is printed, and with the commands in its comments."""
    text = delegation_text("windows", TWO)
    assert commands(text) == [
        "Add-DnsServerZoneDelegation",
        "Add-DnsServerZoneDelegation",
        "Get-DnsServerZoneDelegation",
        "Resolve-DnsName",
    ]
    commented = re.sub(r"(?m)^# (?=Add-|dnscmd)", "", text)
    assert commands(commented)[4:] == ["Add-DnsServerConditionalForwarderZone", "dnscmd"]


def test_the_options_of_windows_dhcp_can_be_parsed() -> None:
    """With names that need care."""
    text = snippet("windows", "boot.pvs.example.test", ["10.0.0.11"])
    assert commands(text).count("Set-DhcpServerv4OptionValue") == 4
    hard = BootFiles(bios='a "b" $c.bin', uefi="it's.efi")
    commands(snippet("windows", "boot.pvs.example.test", ["10.0.0.11"], boot_files=hard))


def test_the_script_for_windows_dhcp_can_be_parsed() -> None:
    """conf/examples has it for the command exporter."""
    assert commands((ROOT / "conf/examples/Set-PvsDhcpOption.ps1").read_text(encoding="utf-8-sig"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_powershell_in_the_pages_can_be_parsed(page: object) -> None:
    """Each block that says it is PowerShell."""
    assert isinstance(page, type(ROOT))
    for block in re.findall(r"(?ms)^```powershell\n(.*?)^```$", page.read_text()):
        assert commands(block)
