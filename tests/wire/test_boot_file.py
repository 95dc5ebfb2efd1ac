"""What the bytes of a boot file tell: markers, sizes, hashes."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.health.probe_result import Verdict
from rrdns.core.model import BootFile, Profile
from rrdns.wire.tftp.boot_file import LARGE_BYTES, BootFileInspection, marker_of, profile_of
from rrdns.wire.tftp.findings import TransferFinding, TransferRequest

MARKER = b"Provisioning Services bootstrap v7.15.0.11"


def inspect(
    file: BootFile, content: bytes, *, block: int = 512, announced: int | None = None
) -> TransferFinding | None:
    """Pass a whole file by in blocks, and return the finding."""
    inspection = BootFileInspection(TransferRequest("10.0.0.11", 69, file.name), file)
    finding = None if announced is None else inspection.announce_size(announced)
    start = 0
    while finding is None:
        payload = content[start : start + block]
        finding = inspection.add(payload, len(payload) < block)
        start += block
    return finding


@given(before=st.integers(0, 300), after=st.integers(0, 300), block=st.integers(8, 600))
def test_the_version_is_found_wherever_the_blocks_part_it(
    before: int, after: int, block: int
) -> None:
    """The marker may lie across any number of blocks, and at either end of the file."""
    content = b"x" * before + MARKER + b"y" * after
    finding = inspect(BootFile("ARDBP32.BIN"), content, block=block)
    assert finding is not None
    assert finding.seen is not None
    assert (finding.verdict, finding.seen.version) == (Verdict.OK, "7.15.0.11")
    assert finding.seen.sha256 == sha256(content).hexdigest()
    assert finding.seen.size == len(content)
    assert finding.warnings == ()


@pytest.mark.parametrize(
    ("name", "marker"),
    [
        ("ARDBP32.BIN", "version"),
        ("boot/ardbp32.bin", "version"),
        ("C:\\tftp\\Ardbp32.Bin", "version"),
        ("pvsnbpx64.efi", "MZ"),
        ("X.EFI", "MZ"),
        ("tsbbdm.bin", ""),
        ("ARDBP32.BIN.old", ""),
    ],
)
def test_the_name_tells_which_marker_is_due(name: str, marker: str) -> None:
    """PVS serves from Windows: neither case nor the kind of slash matters."""
    assert marker_of(name) == marker


@pytest.mark.parametrize("name", ["ARDBP32.BIN", "pvsnbpx64.efi"])
def test_a_missing_marker_is_a_warning(name: str) -> None:
    """It may be a bootstrap that we do not know yet: it stays in, and people are told."""
    finding = inspect(BootFile(name), b"nothing of the kind")
    assert finding is not None
    assert finding.verdict is Verdict.OK
    assert len(finding.warnings) == 1
    assert name in finding.warnings[0]


@pytest.mark.parametrize("name", ["ARDBP32.BIN", "pvsnbpx64.efi"])
def test_a_missing_marker_is_a_failure_where_it_is_required(name: str) -> None:
    """An admin who says require_marker means it."""
    finding = inspect(BootFile(name, require_marker=True), b"nothing of the kind")
    assert finding is not None
    assert finding.verdict is Verdict.WRONG_CONTENT


def test_a_file_that_carries_no_known_marker_needs_none() -> None:
    """What cannot be checked is not held against the server."""
    finding = inspect(BootFile("tsbbdm.bin", require_marker=True), b"anything")
    assert finding is not None
    assert (finding.verdict, finding.warnings) == (Verdict.OK, ())


@given(st.binary(min_size=1, max_size=40), st.integers(1, 8))
def test_a_uefi_program_begins_with_mz_however_it_is_cut(rest: bytes, block: int) -> None:
    """Even blocks of one byte show the first two."""
    finding = inspect(BootFile("a.efi", require_marker=True), b"MZ" + rest, block=block)
    assert finding is not None
    assert finding.verdict is Verdict.OK


@pytest.mark.parametrize(
    ("file", "content", "announced", "verdict", "words"),
    [
        (BootFile("a"), b"", None, Verdict.WRONG_SIZE, "empty"),
        (BootFile("a"), b"", 0, Verdict.WRONG_SIZE, "empty"),
        (BootFile("a"), b"abc", 0, Verdict.OK, "serves a"),
        (BootFile("a"), b"abc", 3, Verdict.OK, "3 bytes"),
        (BootFile("a"), b"abc", 4, Verdict.TRUNCATED, "announced 4 bytes"),
        (BootFile("a"), b"abc", 2, Verdict.WRONG_SIZE, "announced 2 bytes, but sends more"),
        (BootFile("a", size=4), b"abc", 3, Verdict.WRONG_SIZE, "announces 3 bytes"),
        (BootFile("a", size=4), b"abc", None, Verdict.WRONG_SIZE, "it has 3 bytes"),
        (BootFile("a", size=2), b"abc", None, Verdict.WRONG_SIZE, "sends more"),
        (BootFile("a", size=3), b"abc", 3, Verdict.OK, "serves a"),
        (BootFile("a", sha256="0" * 64), b"abc", 3, Verdict.WRONG_CONTENT, "SHA-256"),
        (BootFile("a", sha256=sha256(b"abc").hexdigest()), b"abc", 3, Verdict.OK, "serves"),
    ],
)
def test_sizes_and_hashes_are_enforced(
    file: BootFile, content: bytes, announced: int | None, verdict: Verdict, words: str
) -> None:
    """The config, the server's own announcement, and sense: each can be contradicted."""
    finding = inspect(file, content, announced=announced)
    assert finding is not None
    assert finding.verdict is verdict
    assert words in finding.sentence
    assert (finding.seen is not None) is (verdict is Verdict.OK)


def test_a_file_without_an_end_is_given_up() -> None:
    """With no size known at all there is still a bound."""
    inspection = BootFileInspection(TransferRequest("10.0.0.11", 69, "a"), BootFile("a"))
    block = b"x" * 65464
    added = 0
    while (finding := inspection.add(block, last=False)) is None:
        added += len(block)
        assert added <= LARGE_BYTES
    assert finding.verdict is Verdict.WRONG_SIZE
    assert "configure its size" in finding.sentence


@pytest.mark.parametrize(
    ("file", "announced", "large"),
    [
        (BootFile("a"), LARGE_BYTES, False),
        (BootFile("a"), LARGE_BYTES + 1, True),
        (BootFile("a", size=LARGE_BYTES + 1), LARGE_BYTES + 1, False),
        (BootFile("a", sha256="0" * 64), LARGE_BYTES + 1, False),
        (BootFile("a"), None, False),
    ],
)
def test_a_large_file_is_loaded_whole_only_when_something_is_known_of_it(
    file: BootFile, announced: int | None, large: bool
) -> None:
    """Otherwise the probe would be a load on the server that it watches."""
    inspection = BootFileInspection(TransferRequest("10.0.0.11", 69, "a"), file)
    assert announced is None or inspection.announce_size(announced) is None
    assert inspection.is_large is large
    assert bool(inspection.so_far().warnings) is large


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("ARDBP32.BIN", Profile.BIOS),
        ("boot\\PVSNBPX64.EFI", Profile.UEFI),
        ("ipxe.efi", Profile.UEFI),
        ("undionly.kpxe", Profile.BIOS),
        ("start.ipxe", Profile.IPXE),
        ("x", Profile.BIOS),
    ],
)
def test_a_files_name_tells_what_asks_for_it(name: str, profile: Profile) -> None:
    """Unless the config does."""
    assert profile_of(BootFile(name)) is profile
    assert profile_of(BootFile(name, profile=Profile.IPXE)) is Profile.IPXE
