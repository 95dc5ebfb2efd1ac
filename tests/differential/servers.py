"""The same zones on rrdns, Knot DNS and NSD, and a way to ask that knows silence for sure."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from rrdns.core.model import Nameserver, Zone
from rrdns.core.snapshot import PoolRRset, Snapshot
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.dns.cookies import CookieKeys
from rrdns.wire.dns.server_info import ServerInfo
from tests.differential.questions import ZONE
from tests.net.serving import udp_service
from tests.peers import free_port, peer, running

NS1 = Nameserver(f"ns1.{ZONE}", ("192.0.2.53", "2001:db8::53"))
NS2 = Nameserver("ns2.example.net")
ZONES = (
    Zone(ZONE, (NS1, NS2), "hostmaster.example.test"),
    Zone("apex.test", (NS1,), "hostmaster.example.test"),
)
POOLS = {
    f"boot.{ZONE}": 3,
    f"deep.site.{ZONE}": 3,
    f"lone.{ZONE}": 1,
    f"large.{ZONE}": 26,
    "apex.test": 3,
}
TTL = 5
MANNERS = ServerInfo(nsid=b"one", cookie_keys=CookieKeys((bytes(16),)))
HASTE = 0.002  # seconds after which silence is suspected
TRIES = 2000
MARK = b"\0\0\0\1\0\0\0\0\0\0\4mark\0\0\1\0\1"


def addresses(members: int) -> tuple[str, ...]:
    """Return the addresses of a pool."""
    return tuple(f"10.0.0.{number}" for number in range(1, members + 1))


def table() -> AnswerTable:
    """Return what rrdns answers from."""
    rrsets = [
        PoolRRset(
            pool=name,
            hostname=name,
            ttl=TTL,
            answers=28,
            addresses=addresses(members),
        )
        for name, members in POOLS.items()
    ]
    return AnswerTable.build(
        Snapshot(1, ZONES, {rrset.pool: rrset for rrset in rrsets}), server_info=MANNERS
    )


def write_zones(directory: Path) -> list[tuple[str, Path]]:
    """Write the zones as master files."""
    written = []
    for zone in ZONES:
        path = directory / f"{zone.name}.zone"
        path.write_text("\n".join(_records(zone)) + "\n")
        written.append((zone.name, path))
    return written


def _records(zone: Zone) -> Iterator[str]:
    times = f"{zone.serial} {zone.refresh} {zone.retry} {zone.expire} {TTL}"
    first = zone.nameservers[0].name
    yield f"{zone.name}. {zone.ttl} IN SOA {first}. {zone.hostmaster}. {times}"
    for server in zone.nameservers:
        yield f"{zone.name}. {zone.ttl} IN NS {server.name}."
        if server.name.endswith(f".{zone.name}"):
            for address in server.addresses:
                yield f"{server.name}. {zone.ttl} IN {'AAAA' if ':' in address else 'A'} {address}"
    for name, members in POOLS.items():
        if name == zone.name or name.endswith(f".{zone.name}"):
            for address in addresses(members):
                yield f"{name}. {TTL} IN A {address}"


@contextmanager
def rrdns(_directory: Path) -> Iterator[int]:
    """Run rrdns's UDP loop; give its port."""
    with udp_service(CurrentTable(table())) as (_, port, defects):
        yield port
        assert not defects


@contextmanager
def knot(directory: Path) -> Iterator[int]:
    """Run Knot DNS with one worker, so that answers come in order."""
    port = free_port()
    zones = "".join(
        f"  - domain: {name}\n    file: {path}\n" for name, path in write_zones(directory)
    )
    path = directory / "knot.conf"
    path.write_text(
        f"server:\n  rundir: {directory}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n"
        f"  tcp-workers: 1\n  background-workers: 1\n  nsid: one\n"
        f"database:\n  storage: {directory}\nlog:\n  - target: stderr\n    any: warning\n"
        "template:\n  - id: default\n    zonefile-sync: -1\n    journal-content: none\n"
        f"zone:\n{zones}"
    )
    with _answering([peer("knotd"), "-c", str(path)], port, directory / "log"):
        yield port


@contextmanager
def nsd(directory: Path) -> Iterator[int]:
    """Run NSD with one server process, so that answers come in order."""
    port = free_port()
    zones = "".join(
        f"zone:\n  name: {name}\n  zonefile: {path}\n" for name, path in write_zones(directory)
    )
    path = directory / "nsd.conf"
    path.write_text(
        f'server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: ""\n'
        f'  database: ""\n  pidfile: {directory}/nsd.pid\n  zonesdir: {directory}\n'
        f"  xfrdfile: {directory}/xfrd.state\n  zonelistfile: {directory}/zone.list\n"
        f"  xfrdir: {directory}\n  minimal-responses: yes\n  rrl-ratelimit: 0\n"
        f"  answer-cookie: yes\n  nsid: ascii_one\n"
        f"  verbosity: 0\nremote-control:\n  control-enable: no\n{zones}"
    )
    with _answering([peer("nsd"), "-d", "-c", str(path)], port, directory / "log"):
        yield port


SERVERS: dict[str, Callable[[Path], AbstractContextManager[int]]] = {
    "rrdns": rrdns,
    "knot": knot,
    "nsd": nsd,
}


@contextmanager
def _answering(args: list[str], port: int, log: Path) -> Iterator[None]:
    query = b"\0\1\0\0\0\1\0\0\0\0\0\0\4apex\4test\0\0\6\0\1"

    def ready() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            sock.connect(("127.0.0.1", port))
            try:
                sock.send(query)
                return sock.recv(4096)[3] & 15 == 0
            except OSError:
                return False

    with running(args, ready=ready, log=log):
        yield


def ask(port: int, messages: Sequence[bytes]) -> list[bytes | None]:
    """Return the answer to each message, which goes without its ID; None for silence.

    One at a time: NSD 4.6 mixes up what it fetched together with a message that it drops.
    All three answer in the order in which they are asked, so the answer to a mark says that
    none is to come to the message before it.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(HASTE)
        sock.connect(("127.0.0.1", port))
        return [_ask(sock, number, message) for number, message in enumerate(messages)]


def _ask(sock: socket.socket, number: int, message: bytes) -> bytes | None:
    ident, mark = number.to_bytes(2, "big"), (number | 0x8000).to_bytes(2, "big")
    sock.send(ident + message)
    for _ in range(TRIES):
        with suppress(TimeoutError):
            while True:
                answer = sock.recv(65_535)
                if answer[:2] == ident:
                    return answer
                if answer[:2] == mark:
                    return None
        sock.send(mark + MARK)
    raise AssertionError(f"the server has fallen silent after {message.hex()}")
