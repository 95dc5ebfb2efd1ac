"""Snippets: what they say and warn of, whatever server they are for."""

from __future__ import annotations

import re

import pytest

from rrdns.snippets.dhcp.boot_options import BootFiles
from rrdns.snippets.dhcp.formats import Format, snippet

NAME, ADDRESSES = "boot.pvs.example.test", ("10.0.0.12", "10.0.0.13")


def words(text: str) -> str:
    """Return a text without its comment marks and line ends."""
    return " ".join(re.sub(r"(?m)^(#|//) ", "", text).split())


@pytest.mark.parametrize("form", Format)
def test_each_snippet_warns_of_the_option_60_trap(form: Format) -> None:
    """The commonest way to make no target boot at all."""
    assert "Do not set option 60 (PXEClient) unless" in words(snippet(form, NAME, ADDRESSES))


@pytest.mark.parametrize("form", Format)
def test_each_snippet_tells_both_boot_files_by_architecture(form: Format) -> None:
    """BIOS is 0, UEFI on x64 is 7 by custom and 9 by the registry."""
    text = words(snippet(form, NAME, ADDRESSES))
    assert "ARDBP32.BIN" in text
    assert "pvsnbpx64.efi" in text
    assert re.search(r"option 93|Arch:0000[079]", text)


@pytest.mark.parametrize("form", [Format.WINDOWS, Format.OPTION66])
def test_a_list_in_option_66_is_never_promised(form: Format) -> None:
    """Only a test with a real target tells who understands it."""
    text = words(snippet(form, NAME, ADDRESSES))
    assert "most firmware does not. Test it with a real target." in text


def test_option_66_is_printed_in_all_three_forms() -> None:
    """The name, the first address, and the list in the order given."""
    text = snippet("option66", NAME, ADDRESSES)
    assert f"[a name]\n{NAME}\n" in text
    assert "[one address]\n10.0.0.12\n" in text
    assert "[a list]\n10.0.0.12;10.0.0.13\n" in text


def test_windows_gets_its_texts_in_quotes_that_hold() -> None:
    """A quote inside a file name is doubled; every string and comment is closed."""
    text = snippet(Format.WINDOWS, NAME, ADDRESSES, boot_files=BootFiles(uefi="it's.efi"))
    assert "-OptionId 67 -Value 'it''s.efi'" in text
    for line in text.splitlines():
        assert line.startswith("#") or line.count("'") % 2 == 0
    assert text.count("Set-DhcpServerv4OptionValue") == 4


def test_boot_files_are_found_among_those_that_are_probed() -> None:
    """By their ending; what is not probed has PVS's own name."""
    assert BootFiles.among(["a.bin", "B.EFI", "c.bin"]) == BootFiles("a.bin", "B.EFI")
    assert BootFiles.among(["x.efi"]) == BootFiles("ARDBP32.BIN", "x.efi")
    assert BootFiles.among([]) == BootFiles()


def test_with_nobody_handed_out_there_is_nothing_to_enter() -> None:
    """Neither an empty list nor an unknown format makes a snippet."""
    with pytest.raises(ValueError, match="is in rotation now"):
        snippet(Format.KEA, NAME, ())
    with pytest.raises(ValueError, match="nonsense"):
        snippet("nonsense", NAME, ADDRESSES)
