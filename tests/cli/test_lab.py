"""`rrdns lab tftpd`: servers to try things on, whose faults change while they run."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.peers import free_port

FIRST, SECOND = "127.0.0.81", "127.0.0.82"


@contextmanager
def playing(*args: object) -> Iterator[subprocess.Popen[str]]:
    """Run the verb until the block ends, and end it as Ctrl-C does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rrdns", "lab", "tftpd", *(str(arg) for arg in args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


def said(process: subprocess.Popen[str], count: int = 1) -> list[str]:
    """Return the next lines that it prints."""
    assert process.stdout is not None
    return [process.stdout.readline().rstrip() for _ in range(count)]


def order(process: subprocess.Popen[str], *lines: str) -> None:
    """Write lines to its standard input, at once."""
    assert process.stdin is not None
    process.stdin.write("".join(f"{line}\n" for line in lines))
    process.stdin.flush()


def boots(rrdns: Run, addresses: Sequence[str], port: int) -> list[bool]:
    """Tell for each address whether a target would boot from it."""
    args = ("--port", port, "--timeout", 0.3)
    return [rrdns("probe", address, *args).exit_code == 0 for address in addresses]


def test_servers_fail_and_recover_on_demand(rrdns: Run) -> None:
    """All, or the one that a line names; a line that is wrong changes nothing."""
    port, both = free_port(), (FIRST, SECOND)
    with playing(*both, "--port", port) as process:
        assert said(process, 2) == [
            f"{address}:{port} serves ARDBP32.BIN, pvsnbpx64.efi" for address in both
        ]
        assert boots(rrdns, both, port) == [True, True]
        order(process, f"{SECOND} silent")
        assert said(process) == [f"{SECOND}: silent"]
        assert boots(rrdns, both, port) == [True, False]
        order(process, "bogus", "", "reply-from=192.0.2.1", "error-at=request error-code=2")
        assert said(process)[0].startswith("unknown fault 'bogus'; there are: silent")
        assert said(process) == ["reply-from: 192.0.2.1 is not an IPv4 address of this host"]
        assert said(process, 2) == [f"{one}: error-at=request error-code=2" for one in both]
        assert boots(rrdns, both, port) == [False, False]
        order(process, "none")
        assert said(process, 2) == [f"{address}: none" for address in both]
        assert boots(rrdns, both, port) == [True, True]
        process.send_signal(signal.SIGINT)
        first, second = said(process, 2)
        assert first.startswith(f"{FIRST}: 4 requests, 3 loaded whole, ")
        # One of them is the repeat of the request that got no answer.
        assert second.startswith(f"{SECOND}: 5 requests, 2 loaded whole, ")
        assert process.wait(5) == 0


def test_a_folder_is_served_with_faults_from_the_start(rrdns: Run, tmp_path: Path) -> None:
    """It goes on when its standard input ends."""
    (tmp_path / "ARDBP32.BIN").write_bytes(b"x" * 3000)
    (tmp_path / "sub").mkdir()
    port = free_port()
    args = (FIRST, "--port", port, "--root", tmp_path, "--fault", "ends-after=1000")
    with playing(*args) as process:
        assert said(process) == [f"{FIRST}:{port} serves ARDBP32.BIN"]
        assert process.stdin is not None
        process.stdin.close()
        result = rrdns("probe", FIRST, "--port", port)
        assert "announced 3,000 bytes for ARDBP32.BIN, but ended it after 1,000" in result.stdout


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        ([], 2, "ADDRESS"),
        (["::1"], 2, "must be an IPv4 address"),
        ([FIRST, "--fault", "bogus"], 2, "unknown fault 'bogus'"),
        ([FIRST, "--root", "/nowhere"], 1, "/nowhere: no such file or directory"),
        (["192.0.2.1", "--port", "6969"], 1, "cannot listen for TFTP on 192.0.2.1:6969"),
    ],
)
def test_what_cannot_be_played_is_said(rrdns: Run, args: list[str], status: int, said: str) -> None:
    """Wrong use, or what this host cannot do."""
    result = rrdns("lab", "tftpd", *args)
    assert result.exit_code == status
    assert said in result.stderr


def test_an_empty_folder_is_wrong_use(rrdns: Run, tmp_path: Path) -> None:
    """There would be nothing to serve."""
    result = rrdns("lab", "tftpd", FIRST, "--root", tmp_path)
    assert result.exit_code == 2
    assert f"there is no file in {tmp_path}" in result.stderr
