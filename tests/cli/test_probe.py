"""`rrdns probe` against the lab's TFTP server, on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from rrdns.core.health.probe_result import ProbeDepth, ProbeResult, Verdict
from rrdns.core.model import ProbeSpec
from rrdns.lab.tftpd.server import TftpServer
from rrdns.net import tftp_prober
from tests.cli.conftest import Run, in_a_thread

BOOT_FILE = b"\x7f" + b"Provisioning Services bootstrap v7.41.0.0" + bytes(3000)
EFI = b"MZ" + bytes(100)


@pytest.fixture
def port() -> Iterator[int]:
    """Serve two boot files on a free port of 127.0.0.1."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        files = {"ARDBP32.BIN": BOOT_FILE, "pvsnbpx64.efi": EFI, "odd.efi": b"??" + bytes(10)}
        server = TftpServer("127.0.0.1", 0, files)
        await server.start()
        yield server.port
        await server.stop()

    with in_a_thread(serve) as url:
        yield int(url.rpartition(":")[2])


def test_a_server_with_the_boot_file_would_boot_a_target(rrdns: Run, port: int) -> None:
    """The verdict first, then what it rests on."""
    result = rrdns("probe", "127.0.0.1", "--port", port)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("YES: a target would boot from 127.0.0.1.\n")
    assert f"ARDBP32.BIN: {len(BOOT_FILE):,} bytes, version 7.41.0.0" in result.stdout
    assert hashlib.sha256(BOOT_FILE).hexdigest() in result.stdout
    assert "Loaded the whole file in " in result.stdout


def test_all_files_must_load(rrdns: Run, port: int) -> None:
    """Two that do; then one that does not."""
    both = ("probe", "127.0.0.1", "--port", port, "--file", "ARDBP32.BIN", "--file")
    good = rrdns(*both, "pvsnbpx64.efi")
    assert good.exit_code == 0
    assert "pvsnbpx64.efi: 102 bytes" in good.stdout
    bad = rrdns(*both, "none.efi")
    assert bad.exit_code == 1
    assert bad.stdout.startswith("NO: a target would not boot from 127.0.0.1.\n")
    assert "none.efi" in bad.stdout


def test_a_light_probe_only_begins_to_load(rrdns: Run, port: int) -> None:
    """As most probes of the service do."""
    result = rrdns("probe", "127.0.0.1", "--port", port, "--light")
    assert result.exit_code == 0
    assert "Loaded the beginning in " in result.stdout
    assert "SHA-256" not in result.stdout


def test_an_odd_file_is_a_warning(rrdns: Run, port: int) -> None:
    """An .efi file that does not start with MZ boots nothing, and is loaded all the same."""
    result = rrdns("probe", "127.0.0.1", "--port", port, "--file", "odd.efi")
    assert result.exit_code == 0
    assert "Warning: " in result.stdout


def test_a_closed_port_is_a_no(rrdns: Run) -> None:
    """ICMP tells at once."""
    result = rrdns("probe", "127.0.0.1", "--port", 1)
    assert result.exit_code == 1
    assert result.stdout.startswith("NO: ")


def test_a_script_gets_the_result_as_json(rrdns: Run, port: int) -> None:
    """Verdict, depth, files."""
    result = rrdns("probe", "127.0.0.1", "--port", port, "--json")
    told = json.loads(result.stdout)
    assert told["passed"] is True
    assert (told["address"], told["port"]) == ("127.0.0.1", port)
    assert (told["verdict"], told["depth"]) == ("ok", "full")
    assert told["seen"][0]["version"] == "7.41.0.0"
    refused = rrdns("probe", "127.0.0.1", "--port", 1, "--json")
    assert json.loads(refused.stdout)["verdict"] == "refused"
    assert refused.exit_code == 1


@pytest.mark.parametrize(
    "args",
    [["pvs1.example.test"], ["::1"], ["127.0.0.1", "--file", ""], ["127.0.0.1", "--port", 0]],
)
def test_what_cannot_be_probed_is_wrong_use(rrdns: Run, args: list[object]) -> None:
    """Members are IPv4 addresses."""
    result = rrdns("probe", *args)
    assert result.exit_code == 2
    assert result.stderr


def test_what_this_host_cannot_send_is_no_verdict_on_the_server(
    rrdns: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither yes nor no, and no success."""

    async def probe(address: str, spec: ProbeSpec, depth: ProbeDepth) -> ProbeResult:
        return ProbeResult(Verdict.LOCAL, "no buffer space", depth, 0.0)

    monkeypatch.setattr(tftp_prober, "probe", probe)
    result = rrdns("probe", "127.0.0.1")
    assert result.exit_code == 1
    assert result.stdout.startswith("UNKNOWN: this host could not probe 127.0.0.1.\n")


def test_a_profile_may_be_told(rrdns: Run, port: int) -> None:
    """A file whose name does not tell what asks for it."""
    both = ("probe", "127.0.0.1", "--port", port, "--file", "odd.efi", "--profile")
    assert rrdns(*both, "bios").exit_code == 0
    uefi = rrdns(*both, "uefi", "--json")
    assert json.loads(uefi.stdout)["passed"]
    wrong = rrdns(*both, "amiga")
    assert (wrong.exit_code, "amiga" in wrong.stderr) == (2, True)


def test_a_file_name_that_is_none_is_blamed_itself(rrdns: Run) -> None:
    """And not the address."""
    result = rrdns("probe", "10.0.0.11", "--file", "Böot")
    assert result.exit_code == 2
    assert "--file is" in result.stderr
    assert "10.0.0.11:" not in result.stderr
