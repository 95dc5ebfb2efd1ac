"""Write the configuration of each server for the same zone, and name the configurations.

A server either runs as shipped on all cores, or on one core that the client does not use. No
server logs queries or signs its zone. Responses hold only the records that were asked for, and
their order rotates where the server supports it. DNS cookies are on, except in Knot DNS and
PowerDNS: with cookies these answer a new client with BADCOOKIE instead of the records.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

MEMBERS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
CHECK_PORT = 5390  # TCP and UDP, on each member's address: where health checks connect to
BOOT_FILE = "ARDBP32.BIN"
TOKEN = "bench"  # of a server on 127.0.0.1 that runs for a minute
TOKEN_SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()

ZONE_HEAD = """$ORIGIN pvs.example.test.
$TTL 3600
@    IN SOA ns1.pvs.example.test. hostmaster.example.test. 1 3600 600 86400 5
@    IN NS  ns1.pvs.example.test.
ns1  IN A   127.0.0.1
"""
STATIC_SET = "".join(f"boot 5 IN A {address}\n" for address in MEMBERS)
# The rate limit of the default configuration drops what dnsperf sends, and does not count
# queries from 127.0.0.0/8. So that it does its work for every query and drops none:
COUNTING = "answers = 1_000_000, negatives = 1_000_000, errors = 1_000_000, exempt = []"

# Writes files into an empty directory, and returns the command that serves on 127.0.0.1.
Configure = Callable[[Path, int], list[str]]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """A named configuration."""

    title: str
    configure: Configure
    all_cores: bool = False


def rrdns(directory: Path, port: int, *, workers: int = 0, rate_limit: str = COUNTING) -> list[str]:
    """Configure rrdns with one pool that is probed over TFTP each second."""
    pool = pool_table("boot", "boot.pvs.example.test", MEMBERS)
    return serve(directory, port, pool, workers=workers, rate_limit=rate_limit)


def serve(
    directory: Path,
    port: int,
    pools: str,
    *,
    workers: int = 1,
    rate_limit: str = COUNTING,
    tcp: str = "",
) -> list[str]:
    """Write a configuration of rrdns with these pools; return the command."""
    path = write(
        directory / "rrdns.toml",
        f'[dns]\nlisten = ["127.0.0.1:{port}"]\nworkers = {workers}\n'
        f"rate_limit = {{ {rate_limit} }}\ntcp = {{ {tcp} }}\n"
        f'[[zones]]\nname = "pvs.example.test"\nhostmaster = "hostmaster.example.test"\n'
        f'nameservers = [{{ name = "ns1.pvs.example.test", address = "127.0.0.1" }}]\n'
        f'[api]\nlisten = "127.0.0.1:{port + 1}"\n'
        f'[[api.tokens]]\nname = "bench"\nrole = "admin"\nsha256 = "{TOKEN_SHA256}"\n'
        f'[store]\nbackend = "sqlite"\npath = "{directory}/rrdns.db"\n{pools}',
    )
    program = Path(sys.executable).with_name("rrdns")
    return [str(program), "serve", "--config", str(path)]


def pool_table(
    name: str,
    hostname: str,
    members: tuple[str, ...],
    *,
    interval: float = 1.0,
    full_every: float = 30.0,
    port: int = CHECK_PORT,
) -> str:
    """Return one pool as TOML; its members are numbered."""
    table = (
        f'[[pools]]\nname = "{name}"\nhostname = "{hostname}"\nttl = 5\n'
        f'[pools.probe]\nfiles = ["{BOOT_FILE}"]\nport = {port}\n'
        f"interval = {interval}\nfull_every = {full_every}\n"
    )
    return table + "".join(
        f'[[pools.members]]\nname = "{name}-{number}"\naddress = "{address}"\n'
        for number, address in enumerate(members, 1)
    )


ONE_THREAD = "udp_threads => 1 tcp_threads => 1"
MULTIFO_SET = "boot 5 IN DYNA multifo!boot\n"
MULTIFO_CHECKS = (
    f"service_types => {{ boot => {{ plugin => tcp_connect port => {CHECK_PORT} "
    "interval => 5 timeout => 2 } }\n"
    "plugins => { multifo => { boot => { service_types => boot "
    + " ".join(f"m{n} => {address}" for n, address in enumerate(MEMBERS, 1))
    + " } } }\n"
)


def gdnsd(
    directory: Path,
    port: int,
    *,
    threads: str = ONE_THREAD,
    records: str = STATIC_SET,
    checks: str = "",
) -> list[str]:
    """Configure gdnsd with the set in its zone file."""
    for name in ("run", "state", "etc/zones"):
        (directory / name).mkdir(parents=True)
    write(directory / "etc/zones/pvs.example.test", ZONE_HEAD + records)
    write(
        directory / "etc/config",
        f"options => {{ listen => 127.0.0.1:{port} {threads}\n"
        f"run_dir => {directory}/run state_dir => {directory}/state }}\n{checks}",
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
        "  round-robin: yes\n  minimal-responses: yes\n  rrl-ratelimit: 0\n  answer-cookie: yes\n"
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
        "recursion no; dnssec-validation no; minimal-responses yes;\n"
        "querylog no; notify no; rrset-order { order cyclic; }; };\n"
        "controls { };\nlogging { category default { null; }; };\n"
        f'zone "pvs.example.test" {{ type primary; file "{zone}"; }};\n',
    )
    return ["named", "-4", "-f", "-n", "1", "-U", "1", "-c", str(path)]


LUA_CHECK = f"ifportup({CHECK_PORT}, {{{', '.join(map(repr, MEMBERS))}}}, {{selector='all'}})"
LUA_SET = f'boot 5 IN LUA A "{LUA_CHECK}"\n'


def pdns(directory: Path, port: int, *, records: str = STATIC_SET, more: str = "") -> list[str]:
    """Configure PowerDNS with the set in its zone file and the packet cache on."""
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


SERVERS: dict[str, ServerConfig] = {
    "rrdns-default": ServerConfig("rrdns as shipped, a worker per core", rrdns, all_cores=True),
    "gdnsd-default": ServerConfig(
        "gdnsd as shipped, 2 threads", partial(gdnsd, threads=""), all_cores=True
    ),
    "rrdns-1-worker": ServerConfig("rrdns, default with 1 worker", partial(rrdns, workers=1)),
    "rrdns-2-workers": ServerConfig(
        "rrdns, default with 2 workers on one core", partial(rrdns, workers=2)
    ),
    "rrdns-no-limits": ServerConfig(
        "rrdns, 1 worker, rate limit off", partial(rrdns, workers=1, rate_limit="enabled = false")
    ),
    "gdnsd": ServerConfig("gdnsd, 1 thread", gdnsd),
    "gdnsd-multifo": ServerConfig(
        "gdnsd with TCP checks, 1 thread",
        partial(gdnsd, records=MULTIFO_SET, checks=MULTIFO_CHECKS),
    ),
    "knot": ServerConfig("Knot DNS, 1 worker", knot),
    "nsd": ServerConfig("NSD, 1 process", nsd),
    "bind9": ServerConfig("BIND 9, 1 thread", bind9),
    "pdns": ServerConfig("PowerDNS, packet cache, 1 thread", pdns),
    "pdns-lua": ServerConfig(
        "PowerDNS with LUA records and TCP checks, 1 thread",
        partial(pdns, records=LUA_SET, more="enable-lua-records=yes\n"),
    ),
}
