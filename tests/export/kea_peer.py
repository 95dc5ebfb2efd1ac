"""A real Kea DHCPv4 server on the loopback device, and its control agent, for a test."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.network import PORT, Host
from tests.peers import free_port, peer, running

COMMENT = 'Zürich, "Halle 7" \\ 100 %'

HOOKS = next(iter(Path("/usr/lib").glob("*/kea/hooks")), Path("/usr/lib/kea/hooks"))

# What an admin's own config may look like: much of it none of our business.
CONFIG: dict[str, Any] = {
    "valid-lifetime": 3600,
    "option-def": [{"name": "site", "code": 222, "type": "string", "space": "dhcp4"}],
    "option-data": [
        {"name": "domain-name-servers", "data": "192.0.2.1, 192.0.2.2"},
        {"name": "tftp-server-name", "data": "global.example.test"},
    ],
    "hooks-libraries": [
        {"library": str(HOOKS / "libdhcp_lease_cmds.so")},
        {
            "library": str(HOOKS / "libdhcp_flex_option.so"),
            "parameters": {"options": [{"code": 222, "add": "concat('a', 'b')"}]},
        },
    ],
    "client-classes": [
        {
            "name": "pvs-uefi",
            "test": "option[93].hex == 0x0007",
            "boot-file-name": "pvsnbpx64.efi",
            "user-context": {"comment": COMMENT, "owner": {"teams": ["a", 2.5, None, True]}},
        },
        {"name": "phones", "test": "option[60].text == 'phone'", "next-server": "192.0.2.9"},
    ],
    "shared-networks": [
        {
            "name": "floor-1",
            "comment": "two subnets",
            "subnet4": [
                {"id": 101, "subnet": "10.1.0.0/24"},
                {"id": 102, "subnet": "10.2.0.0/24", "next-server": "192.0.2.7"},
            ],
        },
        {"name": "floor-2", "subnet4": [{"id": 103, "subnet": "10.3.0.0/24"}]},
    ],
    "subnet4": [
        {
            "id": 1,
            "subnet": "127.0.0.0/8",
            "pools": [{"pool": "127.9.0.1 - 127.9.0.99"}],
            "option-data": [
                {"name": "routers", "data": "127.0.0.254"},
                {"name": "tftp-server-name", "data": "old.example.test", "always-send": True},
            ],
            "reservations": [
                {
                    "hw-address": "02:00:00:00:00:01",
                    "ip-address": "127.9.0.200",
                    "hostname": "reserved",
                    "next-server": "192.0.2.8",
                    "user-context": {"comment": "hands off"},
                }
            ],
            "user-context": {"unknown": {"keep": [1, 2, {"x": "y"}]}, "comment": COMMENT},
        },
        *(
            {
                "id": 1000 + number,
                "subnet": f"172.{16 + number // 256}.{number % 256}.0/24",
                "pools": [{"pool": f"172.{16 + number // 256}.{number % 256}.10-"
                           f"172.{16 + number // 256}.{number % 256}.200"}],
                "comment": f"subnet {number}",
            }
            for number in range(300)
        ),
    ],
}  # fmt: skip


@dataclass
class Kea:
    """A running server."""

    socket: Path
    folder: Path
    dhcp_port: int
    reply_port: int
    host: Host | None = None  # None: on loopback
    process: subprocess.Popen[bytes] | None = None

    def ask(self, command: str, **arguments: Any) -> Any:
        """Give a command over the control socket, in the plainest way."""
        request: dict[str, Any] = {"command": command}
        if arguments:
            request["arguments"] = arguments
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(str(self.socket))
            control.sendall(json.dumps(request).encode())
            said = b""
            while chunk := control.recv(65536):
                said += chunk
        return json.loads(said)

    def config(self) -> dict[str, Any]:
        """Return the running config."""
        config: dict[str, Any] = self.ask("config-get")["arguments"]
        return config


def differences(before: Any, after: Any, place: str = "") -> dict[str, Any]:
    """Return every place in which two JSON values differ, with the new value."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[str, Any] = {}
        for key in before.keys() | after.keys():
            found |= differences(before.get(key), after.get(key), f"{place}/{key}")
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        found = {}
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            found |= differences(old, new, f"{place}/{number}")
        return found
    return {} if before == after and type(before) is type(after) else {place: after}


@contextmanager
def kea(
    config: dict[str, Any] | None = None, folder: Path | None = None, host: Host | None = None
) -> Iterator[Kea]:
    """Run a Kea server for the length of the block, on a host of its own or on loopback."""
    with tempfile.TemporaryDirectory(prefix="kea-") as temporary:  # a socket's path is short
        here = folder or Path(temporary)
        ports = (67, 68) if host else (free_port(), free_port())
        it = Kea(here / "kea.sock", here, *ports, host)
        interfaces = (
            {"interfaces": [PORT]}
            if host
            else {"interfaces": ["lo/127.0.0.1"], "dhcp-socket-type": "udp"}
        )
        whole = {
            "interfaces-config": interfaces,
            "control-socket": {"socket-type": "unix", "socket-name": str(it.socket)},
            "lease-database": {"type": "memfile", "persist": False},
            **(CONFIG if config is None else config),
        }
        file = here / "kea.conf"
        file.write_text("// an admin's comment\n" + json.dumps({"Dhcp4": whole}))
        command: list[str | Path] = [
            peer("kea-dhcp4"), "-c", file, "-p", str(it.dhcp_port), "-P", str(it.reply_port)
        ]  # fmt: skip
        if host:
            command = [*host.command(*command)]
        env = {"KEA_PIDFILE_DIR": str(here), "KEA_LOCKFILE_DIR": str(here)}

        def answers() -> bool:
            try:
                return bool(it.ask("config-get")["result"] == 0)
            except (OSError, ValueError):
                return False

        with running(command, ready=answers, log=here / "kea.log", env=env) as it.process:
            yield it


@contextmanager
def control_agent(server: Kea) -> Iterator[str]:
    """Run Kea's control agent before a server; yields its URL. User and password: rrdns, s3cret."""
    host = server.host
    port = 8000 if host else free_port(socket.SOCK_STREAM)
    agent = {
        "http-host": host.address if host else "127.0.0.1",
        "http-port": port,
        "authentication": {
            "type": "basic",
            "realm": "kea",
            "clients": [{"user": "rrdns", "password": "s3cret"}],
        },
        "control-sockets": {"dhcp4": {"socket-type": "unix", "socket-name": str(server.socket)}},
    }
    file = server.folder / "agent.conf"
    file.write_text(json.dumps({"Control-agent": agent}))
    env = {"KEA_PIDFILE_DIR": str(server.folder), "KEA_LOCKFILE_DIR": str(server.folder)}

    log = server.folder / "agent.log"

    def listens() -> bool:
        return "CTRL_AGENT_STARTED" in log.read_text()

    command: list[str | Path] = [peer("kea-ctrl-agent"), "-c", file]
    if host:
        command = [*host.command(*command)]
    with running(command, log=log, ready=listens, env=env):
        yield f"http://{agent['http-host']}:{port}/"
