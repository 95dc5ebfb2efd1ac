"""`rrdns demo`: three TFTP servers of the lab, and rrdns with a pool of them.

rrdns runs as usual, as separate processes. This process runs the TFTP servers. With `script`
the demo runs its steps itself and checks each.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
from rich.console import Console

from rrdns.core.model import Endpoint
from rrdns.errors import ListenFailed, RrdnsError
from rrdns.lab.tftpd.boot_files import boot_files
from rrdns.lab.tftpd.server import TftpServer
from rrdns.service.runtime.heartbeat import die_with_parent
from rrdns.wire.dns import client

NAME = "boot.pvs.example.test"
DNS = Endpoint("127.0.0.1", 5353)
API = Endpoint("127.0.0.1", 8053)
TFTP_PORT = 6969
MEMBERS = {"pvs-1": "127.0.0.11", "pvs-2": "127.0.0.12", "pvs-3": "127.0.0.13"}
START_TIMEOUT = 20.0
TTL = 2

CONFIG = f"""
[dns]
listen  = ["{DNS}"]
workers = 1

[[zones]]
name        = "pvs.example.test"
nameservers = [{{ name = "ns1.pvs.example.test", address = "127.0.0.1" }}]
hostmaster  = "hostmaster.example.test"

[[pools]]
name     = "boot"
hostname = "{NAME}"
ttl      = {TTL}

[pools.probe]
files = ["ARDBP32.BIN", "pvsnbpx64.efi"]
port  = {TFTP_PORT}

{{members}}
[api]
listen = "{API}"

[store]
path = "{{folder}}/rrdns.db"

[log]
format = "console"
"""


class DemoFailed(RrdnsError):
    """A step of the demo had another result than expected."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class DemoFarm:
    """The running servers of the demo, and a session for the API."""

    servers: dict[str, TftpServer]
    session: aiohttp.ClientSession

    async def addresses(self) -> tuple[str, ...]:
        """Query rrdns as a target's firmware does; return the addresses in their order."""
        query = client.encode_query(NAME, "A", secrets.randbelow(65536))
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect((DNS.host, DNS.port))
            await loop.sock_sendall(sock, query)
            datagram = await asyncio.wait_for(loop.sock_recv(sock, 4096), 2.0)
        return client.decode_response(datagram).data("A")

    async def order(self, verb: str, member: str, **body: object) -> dict[str, object]:
        """Give an order over the API; return the reply."""
        url = f"http://{API}/v1/pools/boot/members/{member}/{verb}"
        async with self.session.post(url, json=body) as reply:
            answer: dict[str, object] = await reply.json()
            if reply.status != 200:
                raise DemoFailed(f"200 for {verb} {member}", f"{reply.status}: {answer}")
            return answer

    async def until(self, holds: Callable[[set[str]], bool], limit: float, what: str) -> float:
        """Query repeatedly until the addresses are as expected; return the seconds.

        Raises:
            DemoFailed: that took longer than the limit.
        """
        began = time.monotonic()
        while not holds(found := set(await self.addresses())):
            if time.monotonic() - began > limit:
                raise DemoFailed(f"{what} within {limit} s", ", ".join(sorted(found)) or "nothing")
            await asyncio.sleep(0.05)
        return time.monotonic() - began


def run(script: bool) -> int:
    """Run the demo; return the exit status."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        return asyncio.run(_run(console, script))
    except asyncio.CancelledError:
        return _INTERRUPTED if script else 0
    except (RrdnsError, OSError, TimeoutError, aiohttp.ClientError) as error:
        console.print(f"[bold red]The demo failed:[/] {error}")
        return 1


_INTERRUPTED = 130  # a signal stopped the steps


async def _run(console: Console, script: bool) -> int:
    _stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="rrdns-demo-") as folder:
        async with _start_farm(console, Path(folder), quiet=script) as farm:
            if script:
                await _run_steps(console, farm)
            else:
                _print_suggestions(console)
                await asyncio.Event().wait()  # until a signal
    return 0


def _stop_on_signals() -> None:
    """Stop everything that was started on a signal, also on that of a closed terminal."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has one
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


@asynccontextmanager
async def _start_farm(console: Console, folder: Path, *, quiet: bool) -> AsyncIterator[DemoFarm]:
    """Start the servers and rrdns; stop them all at the end of the block."""
    for endpoint in (DNS, API):
        check_ports_free(endpoint)
    servers = {name: TftpServer(host, TFTP_PORT, boot_files()) for name, host in MEMBERS.items()}
    config = folder / "rrdns.toml"
    config.write_text(
        CONFIG.replace("{members}", _member_tables()).replace("{folder}", str(folder))
    )
    try:
        for name, server in servers.items():
            await server.start()
            console.print(f"  {name}: a TFTP server on {server.address}:{server.port}")
        async with _service(config, quiet=quiet) as process, aiohttp.ClientSession() as session:
            await _wait_ready(session, process)
            console.print(f"  rrdns: DNS on {DNS}, API on http://{API}\n")
            yield DemoFarm(servers, session)
    finally:
        for server in servers.values():
            await server.stop()


def check_ports_free(endpoint: Endpoint) -> None:
    """Refuse to start if another rrdns has the port: the steps would check that one.

    Raises:
        ListenFailed: another process has the port.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((endpoint.host, endpoint.port))
        except OSError as error:
            raise ListenFailed("the demo", str(endpoint), error.strerror or "") from error


@asynccontextmanager
async def _service(config: Path, *, quiet: bool) -> AsyncIterator[asyncio.subprocess.Process]:
    log = config.with_name("log")
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rrdns", "serve", "--config", str(config)),
            stdout=out if quiet else None,
            stderr=out if quiet else None,
            start_new_session=True,  # Ctrl-C signals only this process, which stops rrdns
            preexec_fn=partial(die_with_parent, os.getpid()),  # also if this process is killed
        )
    try:
        yield process
    except Exception:
        if quiet:
            sys.stderr.write(log.read_text(errors="replace"))  # it has the reason
        raise
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _wait_ready(session: aiohttp.ClientSession, process: asyncio.subprocess.Process) -> None:
    """Wait until rrdns answers and has probed every member."""
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        if process.returncode is not None:
            raise DemoFailed("rrdns to start", f"exit status {process.returncode}")
        with suppress(aiohttp.ClientError):
            async with session.get(f"http://{API}/v1/pools/boot") as reply:
                pool = json.loads(await reply.text())
                if all(member["standing"]["probed"] for member in pool["members"]):
                    return
        await asyncio.sleep(0.05)
    raise DemoFailed(f"rrdns to be ready within {START_TIMEOUT} s", "no complete set of probes")


async def _run_steps(console: Console, farm: DemoFarm) -> None:
    """Run every step and check it."""
    everyone = set(MEMBERS.values())
    for number, step in enumerate((_rotation, _kill, _back, _drain, _resume), 1):
        result = await step(farm, everyone)
        console.print(f"[bold green]ok[/] {number}. {result}")
    console.print("\nAll steps passed.")


async def _rotation(farm: DemoFarm, everyone: set[str]) -> str:
    orders = [await farm.addresses() for _ in range(30)]
    firsts = Counter(order[0] for order in orders)
    _check(all(set(order) == everyone for order in orders), "all three in each answer", orders[0])
    _check(set(firsts.values()) == {10}, "each of three first in 10 of 30 answers", firsts.items())
    return "30 queries: three addresses in each answer, each first ten times"


async def _kill(farm: DemoFarm, _everyone: set[str]) -> str:
    await farm.servers["pvs-2"].stop()
    took = await farm.until(lambda now: MEMBERS["pvs-2"] not in now, 4.5, "pvs-2 gone")
    return f"pvs-2 stopped serving: out of the answers after {took:.1f} s"


async def _back(farm: DemoFarm, everyone: set[str]) -> str:
    await farm.servers["pvs-2"].start()
    took = await farm.until(lambda now: now == everyone, 6.0, "pvs-2 back")
    return f"pvs-2 serves again: back in the answers after {took:.1f} s"


async def _drain(farm: DemoFarm, _everyone: set[str]) -> str:
    reply = await farm.order("drain", "pvs-3", reason="patch night")
    now = await farm.addresses()
    _check(MEMBERS["pvs-3"] not in now, "pvs-3 out of the next answer", now)
    return f"pvs-3 drained: out of the next answer, safe to patch after {reply['safe_after']}"


async def _resume(farm: DemoFarm, everyone: set[str]) -> str:
    await farm.order("resume", "pvs-3")
    now = await farm.addresses()
    _check(set(now) == everyone, "pvs-3 back in the next answer", now)
    return "pvs-3 resumed: back in the next answer"


def _check(holds: bool, expected: str, found: Iterable[object]) -> None:
    if not holds:
        raise DemoFailed(expected, ", ".join(str(item) for item in found))


def _print_suggestions(console: Console) -> None:
    console.print("[bold]Try, in another terminal:[/]")
    for line in _SUGGESTIONS:
        console.print(f"  {re.sub('^rrdns ', f'{_program()} ', line)}")
    console.print("\nCtrl-C stops the demo. The log of rrdns follows.\n")


def _program() -> str:
    """Return the command for rrdns: `make demo` runs one that is not on the PATH."""
    called = sys.argv[0]
    return called if shutil.which("rrdns") is None and Path(called).name == "rrdns" else "rrdns"


_SUGGESTIONS: Sequence[str] = (
    f"rrdns status                                   # API on http://{API}",
    f"rrdns query {NAME} --server {DNS} --count 30",
    f"rrdns boot {NAME} --via {DNS} --port {TFTP_PORT} --clients 60    # a boot storm",
    f"dig +short @{DNS.host} -p {DNS.port} {NAME}",
    "rrdns drain pvs-2 --reason 'patch night' --for 5m",
    "rrdns resume pvs-2",
    f"rrdns probe {MEMBERS['pvs-1']} --port {TFTP_PORT} --file ARDBP32.BIN",
    f"the page: http://{API}/",
)


def _member_tables() -> str:
    return "".join(
        f'[[pools.members]]\nname    = "{name}"\naddress = "{address}"\n\n'
        for name, address in MEMBERS.items()
    )
