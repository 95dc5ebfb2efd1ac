"""The same zone for every server, each in its own words, with comparable settings.

One thread or process that answers, no log of queries, no rate limit, no DNSSEC, no cookies,
answers without anything beyond the set that was asked for, and the set rotated where the
server knows how. Each function writes its files into an empty directory and returns the
command that serves them on 127.0.0.1.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

MEMBERS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
CHECK_PORT = 5390  # TCP and UDP, on each member's address: what health checks ask
BOOT_FILE = "ARDBP32.BIN"

ZONE_HEAD = """$ORIGIN pvs.example.test.
$TTL 3600
@    IN SOA ns1.pvs.example.test. hostmaster.example.test. 1 3600 600 86400 5
@    IN NS  ns1.pvs.example.test.
ns1  IN A   127.0.0.1
"""
STATIC_SET = "".join(f"boot 5 IN A {address}\n" for address in MEMBERS)

Configure = Callable[[Path, int], list[str]]


def rrdns(directory: Path, port: int) -> list[str]:
    """Configure rrdns with one worker, probing its members over TFTP each second."""
    return serve(directory, port, pool_table("boot", "boot.pvs.example.test", MEMBERS))


def rrdns_limited(directory: Path, port: int) -> list[str]:
    """Configure rrdns the same, with an account for each network and none exempt from it."""
    rates = "answers = 1_000_000, negatives = 1_000_000, errors = 1_000_000, exempt = []"
    pool = pool_table("boot", "boot.pvs.example.test", MEMBERS)
    return serve(directory, port, pool, rate_limit=rates)


def serve(
    directory: Path,
    port: int,
    pools: str,
    *,
    workers: int = 1,
    api_port: int | None = None,
    cookies: bool = False,
    rate_limit: str = "enabled = false",
    tcp: str = "",
) -> list[str]:
    """Write a config of rrdns with these pools; return the command."""
    tokens = '[[api.tokens]]\nname = "bench"\nrole = "admin"\n' + f'sha256 = "{TOKEN_SHA256}"\n'
    path = write(
        directory / "rrdns.toml",
        f'[dns]\nlisten = ["127.0.0.1:{port}"]\nworkers = {workers}\n'
        f"cookies = {str(cookies).lower()}\nrate_limit = {{ {rate_limit} }}\n"
        f"tcp = {{ {tcp} }}\n"
        f'[[zones]]\nname = "pvs.example.test"\nhostmaster = "hostmaster.example.test"\n'
        f'nameservers = [{{ name = "ns1.pvs.example.test", address = "127.0.0.1" }}]\n'
        f'[api]\nlisten = "127.0.0.1:{api_port or port + 1}"\n{tokens}'
        f'[store]\nbackend = "sqlite"\npath = "{directory}/rrdns.db"\n{pools}',
    )
    program = Path(sys.executable).with_name("rrdns")
    return [str(program), "serve", "--config", str(path)]


TOKEN = "bench"  # of a server on 127.0.0.1 that lives for a minute
TOKEN_SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()


def pool_table(
    name: str,
    hostname: str,
    members: tuple[str, ...],
    *,
    interval: float = 1.0,
    full_every: float = 30.0,
    port: int = CHECK_PORT,
) -> str:
    """Return one pool as TOML; its members are called after their places."""
    table = (
        f'[[pools]]\nname = "{name}"\nhostname = "{hostname}"\nttl = 5\n'
        f'[pools.probe]\nfiles = ["{BOOT_FILE}"]\nport = {port}\n'
        f"interval = {interval}\nfull_every = {full_every}\n"
    )
    return table + "".join(
        f'[[pools.members]]\nname = "{name}-{place}"\naddress = "{address}"\n'
        for place, address in enumerate(members, 1)
    )


def gdnsd(directory: Path, port: int) -> list[str]:
    """Configure gdnsd with the set in its zone file."""
    return _gdnsd(directory, port, STATIC_SET, "")


def gdnsd_multifo(directory: Path, port: int) -> list[str]:
    """Configure gdnsd with the set of those members that accept a TCP connection."""
    members = " ".join(f"m{n} => {address}" for n, address in enumerate(MEMBERS, 1))
    checks = (
        f"service_types => {{ boot => {{ plugin => tcp_connect port => {CHECK_PORT} "
        "interval => 5 timeout => 2 } }\n"
        f"plugins => {{ multifo => {{ boot => {{ service_types => boot {members} }} }} }}\n"
    )
    return _gdnsd(directory, port, "boot 5 IN DYNA multifo!boot\n", checks)


def _gdnsd(directory: Path, port: int, records: str, more: str) -> list[str]:
    for name in ("run", "state", "etc/zones"):
        (directory / name).mkdir(parents=True)
    write(directory / "etc/zones/pvs.example.test", ZONE_HEAD + records)
    write(
        directory / "etc/config",
        f"options => {{ listen => 127.0.0.1:{port} udp_threads => 1 tcp_threads => 1\n"
        f"disable_cookies => true run_dir => {directory}/run state_dir => {directory}/state }}\n"
        + more,
    )
    return ["gdnsd", "-c", str(directory / "etc"), "start"]


def knot(directory: Path, port: int) -> list[str]:
    """Configure Knot DNS with one worker."""
    zone = write(directory / "zone", ZONE_HEAD + STATIC_SET)
    path = write(
        directory / "knot.conf",
        f"server:\n  rundir: {directory}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n"
        "  tcp-workers: 1\n  background-workers: 1\n  answer-rotation: on\n"
        f"database:\n  storage: {directory}\n"
        "log:\n  - target: stderr\n    any: error\n"
        "template:\n  - id: default\n    zonefile-sync: -1\n    journal-content: none\n"
        f"zone:\n  - domain: pvs.example.test\n    file: {zone}\n",
    )
    return ["knotd", "-c", str(path)]


def nsd(directory: Path, port: int) -> list[str]:
    """Configure NSD with one server process."""
    zone = write(directory / "zone", ZONE_HEAD + STATIC_SET)
    path = write(
        directory / "nsd.conf",
        f'server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: ""\n'
        f'  database: ""\n  pidfile: {directory}/nsd.pid\n  zonesdir: {directory}\n'
        f"  xfrdfile: {directory}/xfrd.state\n  zonelistfile: {directory}/zone.list\n"
        f"  xfrdir: {directory}\n"
        "  round-robin: yes\n  minimal-responses: yes\n  rrl-ratelimit: 0\n  answer-cookie: no\n"
        "  tcp-query-count: 0\n  verbosity: 0\nremote-control:\n  control-enable: no\n"
        f"zone:\n  name: pvs.example.test\n  zonefile: {zone}\n",
    )
    return ["nsd", "-d", "-c", str(path)]


def bind9(directory: Path, port: int) -> list[str]:
    """Configure BIND with one thread."""
    zone = write(directory / "zone", ZONE_HEAD + STATIC_SET)
    path = write(
        directory / "named.conf",
        f'options {{ directory "{directory}"; listen-on port {port} {{ 127.0.0.1; }};\n'
        f"listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; lock-file none;\n"
        "recursion no; dnssec-validation no; minimal-responses yes; answer-cookie no;\n"
        "querylog no; notify no; rrset-order { order cyclic; }; };\n"
        "controls { };\nlogging { category default { null; }; };\n"
        f'zone "pvs.example.test" {{ type primary; file "{zone}"; }};\n',
    )
    return ["named", "-4", "-f", "-n", "1", "-U", "1", "-c", str(path)]


def pdns(directory: Path, port: int) -> list[str]:
    """Configure PowerDNS with the set in its zone file and the packet cache on."""
    return _pdns(directory, port, STATIC_SET)


def pdns_lua(directory: Path, port: int) -> list[str]:
    """Configure PowerDNS with a LUA record: the members that accept a TCP connection."""
    addresses = ", ".join(f"'{address}'" for address in MEMBERS)
    check = f"ifportup({CHECK_PORT}, {{{addresses}}}, {{selector='all'}})"
    return _pdns(directory, port, f'boot 5 IN LUA A "{check}"\n', "enable-lua-records=yes\n")


def _pdns(directory: Path, port: int, records: str, more: str = "") -> list[str]:
    zone = write(directory / "zone", ZONE_HEAD + records)
    backend = write(
        directory / "bind.conf",
        f'zone "pvs.example.test" {{ type native; file "{zone}"; }};\n',
    )
    write(
        directory / "pdns.conf",
        f"launch=bind\nbind-config={backend}\nlocal-address=127.0.0.1\nlocal-port={port}\n"
        f"socket-dir={directory}\nreceiver-threads=1\ndistributor-threads=1\n"
        "cache-ttl=60\nquery-cache-ttl=60\nnegquery-cache-ttl=60\nzone-cache-refresh-interval=0\n"
        "log-dns-queries=no\nloglevel=3\nsecurity-poll-suffix=\n" + more,
    )
    return ["pdns_server", f"--config-dir={directory}", "--daemon=no", "--guardian=no"]


def write(path: Path, text: str) -> Path:
    """Write a file and return its path."""
    path.write_text(text)
    return path


SERVERS: dict[str, Configure] = {
    "rrdns": rrdns,
    "rrdns-limited": rrdns_limited,
    "gdnsd": gdnsd,
    "gdnsd-multifo": gdnsd_multifo,
    "knot": knot,
    "nsd": nsd,
    "bind9": bind9,
    "pdns": pdns,
    "pdns-lua": pdns_lua,
}
