"""The lab's boot files look like those of PVS, and are the same at every call."""

from __future__ import annotations

from rrdns.lab.tftpd.boot_files import (
    BIOS_FILE,
    UEFI_FILE,
    VERSION,
    boot_files,
    bootstrap,
    uefi_bootstrap,
)


def test_the_bios_bootstrap_carries_its_version() -> None:
    """In plain text, across a border of 512-byte blocks."""
    content = bootstrap()
    at = content.index(f"Provisioning Services bootstrap v{VERSION}".encode())
    assert at // 512 != (at + 40) // 512
    assert b"v7.6.0.1\0" in bootstrap("7.6.0.1")


def test_the_uefi_bootstrap_begins_as_a_program() -> None:
    """A PE file starts with MZ."""
    assert uefi_bootstrap().startswith(b"MZ")


def test_sizes_are_as_asked_and_content_does_not_change() -> None:
    """Three servers of one lab serve one content: no drift."""
    assert len(bootstrap(size=5000)) == 5000
    assert len(uefi_bootstrap(size=5000)) == 5000
    assert boot_files() == boot_files()
    assert set(boot_files()) == {BIOS_FILE, UEFI_FILE}
