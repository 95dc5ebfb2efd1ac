"""A whole farm for a test: TFTP servers, rrdns as a process of its own, and clients."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rdatatype

from tests import sample_config
from tests.peers import free_port, need_root, peer, running, wait_until

BOOT_FILE = b"\x7fboot" + b"Provisioning Services bootstrap v7.15.0.11" + bytes(20_000)


@dataclass
class Tftpd:
    """A tftpd-hpa that plays a PVS server."""

    name: str
    address: str
    port: int
    root: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve the boot file."""
        need_root("tftpd-hpa")  # it sets its rights anew for each transfer
        listening = f"{self.address}:{self.port}"
        options = ["--user", "root", "--secure", str(self.root)]
        self.process = subprocess.Popen(
            [peer("in.tftpd"), "--listen", "--foreground", "--address", listening, *options],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def signal(self, number: int) -> None:
        """Send a signal to the server."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """End the server, as a stopped service ends: its port refuses."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(5)


@dataclass
class Rrdns:
    """rrdns, started from a config file."""

    folder: Path
    workers: int = 1
    ttl: int = 5
    dns_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    tftp_port: int = field(default_factory=free_port)
    members: Sequence[tuple[str, str]] = ()
    token: str = ""  # which the calls to the API send
    clock: Path | None = None  # a library that sets its clock
    output: int | None = None  # a descriptor that it prints to, in place of the log file
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """Return the config file."""
        return self.folder / "rrdns.toml"

    @property
    def log(self) -> Path:
        """Return the file with all that rrdns printed."""
        return self.folder / "rrdns.log"

    def write_config(self, **changes: Any) -> None:
        """Write the config file; `changes` are arguments of `sample_config.farm`."""
        settings = {
            "members": self.members,
            "nameserver": "127.0.0.1",
            "pool_settings": {"ttl": self.ttl},
            "probe": {"port": self.tftp_port},
            "dns": {"listen": [f"127.0.0.1:{self.dns_port}"], "workers": self.workers},
            "api": {"listen": f"127.0.0.1:{self.api_port}"},
            "store": {"path": self.folder / "rrdns.db"},
        }
        new = self.config.with_suffix(".new")
        new.write_text(sample_config.farm(**{**settings, **changes}))
        new.replace(self.config)

    def start(self) -> None:
        """Start rrdns and wait until it answers."""
        self.launch()
        wait_until(self._answers, 30, what=f"answering: {self.log}")

    def launch(self) -> None:
        """Start rrdns, and wait for nothing."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rrdns", "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=self.output if self.output is not None else log,
                stderr=self.output if self.output is not None else log,
                start_new_session=True,
                env={**os.environ, "LD_PRELOAD": str(self.clock)} if self.clock else None,
            )

    def stop(self) -> None:
        """Stop rrdns as a service manager does."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(5)

    def kill_everything(self) -> None:
        """Kill every process of rrdns at once, as a power cut would."""
        assert self.process is not None
        pids = self._children()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)
        # The sockets are free for the next start once the last of them is gone.
        wait_until(lambda: not any(map(_runs, pids)), what="dead")

    def pids(self) -> dict[str, int]:
        """Return the supervisor's children by name; control serves the API, workers do not."""
        names = [f"worker-{number}" for number in range(self.workers)] + ["control"]
        return dict(zip(names, self._children(), strict=True))

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any] | str]:
        """Call the API; return the status and the JSON (or text) of the reply."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=10)
        try:
            data = None if body is None else json.dumps(body)
            headers = {"Content-Type": "application/json"} if data is not None else {}
            if self.token:
                headers["Authorization"] = f"Bearer {self.token}"
            connection.request(method, path, data, headers)
            reply = connection.getresponse()
            text = reply.read().decode()
            kind = (reply.getheader("Content-Type") or "").partition(";")[0]
            is_json = kind.endswith("json")
            return reply.status, json.loads(text) if is_json else text
        finally:
            connection.close()

    def json(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Call the API where success is expected; return the reply."""
        status, reply = self.call(method, path, body)
        assert status == 200, reply
        assert isinstance(reply, dict)
        return reply

    def metric(self, name: str) -> float:
        """Return a metric, 0 where there is none; `name` has its labels, as it is printed."""
        _, text = self.call("GET", "/metrics")
        lines = [line.rpartition(" ") for line in str(text).splitlines()]
        return sum(float(value) for found, _, value in lines if found == name)

    def member(self, name: str) -> dict[str, Any]:
        """Return what the API says of a member."""
        return self.json("GET", f"/v1/pools/boot/members/{name}")

    def addresses(
        self, hostname: str = "boot.pvs.example.test", *, timeout: float = 2.0
    ) -> list[str]:
        """Ask for a boot hostname; return the addresses in the order of the answer."""
        query = dns.message.make_query(hostname, "A", use_edns=False)
        reply = dns.query.udp(query, "127.0.0.1", port=self.dns_port, timeout=timeout)
        return [rdata.address for rrset in reply.answer for rdata in rrset]

    def addresses_at_last(self) -> list[str]:
        """Ask as clients do, who ask again when no answer comes."""
        try:
            return self.addresses()
        except dns.exception.Timeout:
            return self.addresses()

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the log so far."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _children(self) -> list[int]:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return sorted(int(pid) for pid in children.split())

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.addresses(timeout=0.2)) and self.call("GET", "/healthz")[0] == 200
        except (OSError, dns.exception.DNSException):
            return False


@contextmanager
def a_farm(
    folder: Path,
    *,
    workers: int = 1,
    ttl: int = 5,
    first_host: int = 21,
    size: int = 3,
    clock: Path | None = None,
    output: int | None = None,
) -> Iterator[tuple[Rrdns, dict[str, Tftpd]]]:
    """Run `size` tftpd-hpa on 127.0.0.x and rrdns before them, until the block ends."""
    root = folder / "tftp"
    root.mkdir(mode=0o755)
    (root / "ARDBP32.BIN").write_bytes(BOOT_FILE)
    rrdns = Rrdns(folder, workers, ttl, clock=clock, output=output)
    servers = {
        f"pvs-{n + 1}": Tftpd(f"pvs-{n + 1}", f"127.0.0.{first_host + n}", rrdns.tftp_port, root)
        for n in range(size)
    }
    with in_service(rrdns, servers):
        yield rrdns, servers


@contextmanager
def in_service(rrdns: Rrdns, servers: Mapping[str, Tftpd]) -> Iterator[None]:
    """Run TFTP servers and rrdns before them, all probed, until the block ends."""
    rrdns.members = [(server.name, server.address) for server in servers.values()]
    rrdns.write_config()
    with ExitStack() as stack:
        for server in servers.values():
            server.start()
            stack.callback(server.stop)
        stack.callback(rrdns.stop)
        rrdns.start()
        wait_until(lambda: all_settled(rrdns), what="probed")
        yield


def _runs(pid: int) -> bool:
    """Tell whether a process is there and is no zombie, which holds nothing any more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def all_settled(rrdns: Rrdns) -> bool:
    """Tell whether every member was probed."""
    pool = rrdns.json("GET", "/v1/pools/boot")
    return all(member["standing"]["probed"] for member in pool["members"])


def seconds_until(happened: Any, limit: float) -> float:
    """Return how long it takes until something holds; fail after `limit`."""
    began = time.monotonic()
    wait_until(happened, limit)
    return time.monotonic() - began


__all__ = ["BOOT_FILE", "Rrdns", "Tftpd", "a_farm", "all_settled", "running", "seconds_until"]
