"""The name servers of a site: a parent zone on Knot DNS, a resolver, and rrdns below the parent.

Each function writes a config into a folder and returns the command that runs the server.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests import sample_config
from tests.peers import peer

NAME = "boot.pvs.example.test"

_PARENT_ZONE = """$ORIGIN example.test.
$TTL 3600
@ SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 5
@ NS ns
ns A {parent}
pvs NS ns1.pvs
ns1.pvs A {rrdns}
"""
_KNOT = """server:
    listen: {parent}@53
    rundir: {folder}
database:
    storage: {folder}
zone:
  - domain: example.test
    file: {folder}/example.test.zone
"""
_UNBOUND = """server:
    interface: {resolver}
    access-control: 0.0.0.0/0 allow
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    do-ip6: no
    do-daemonize: no
    module-config: "iterator"
    private-address: 10.0.0.0/8
    private-domain: "pvs.example.test"
    qname-minimisation: yes
    use-caps-for-id: yes
    local-zone: "test." nodefault
stub-zone:
    name: "example.test"
    stub-addr: {parent}
remote-control:
    control-enable: no
"""
_BIND = """options {{
    directory "{folder}";
    listen-on port 53 {{ {resolver}; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    dnssec-validation no;
    recursion yes;
    allow-query {{ any; }};
}};
controls {{ }};
zone "example.test" {{ type static-stub; server-addresses {{ {parent}; }}; }};
"""

Command = list[str | Path]


@dataclass(frozen=True)
class Places:
    """Who is at which address."""

    parent: str
    rrdns: str
    resolver: str


def parent(folder: Path, places: Places) -> Command:
    """Return the server of example.test, which delegates pvs.example.test to rrdns."""
    (folder / "example.test.zone").write_text(_PARENT_ZONE.format(**asdict(places)))
    config = _write(folder / "knot.conf", _KNOT, places)
    return [peer("knotd"), "-c", config]


def unbound(folder: Path, places: Places) -> Command:
    """Return a resolver that strips private addresses but for our zone, and plays with case."""
    return [peer("unbound"), "-d", "-c", _write(folder / "unbound.conf", _UNBOUND, places)]


def bind(folder: Path, places: Places) -> Command:
    """Return a resolver with BIND's defaults."""
    return [peer("named"), "-g", "-c", _write(folder / "named.conf", _BIND, places)]


RESOLVERS: Mapping[str, Callable[[Path, Places], Command]] = {"unbound": unbound, "named": bind}


def rrdns(
    folder: Path,
    places: Places,
    members: Mapping[str, str],
    *,
    ttl: int = 2,
    files: Sequence[str] = ("ARDBP32.BIN",),
    api_port: int = 8053,
    more: str = "",
) -> Command:
    """Return rrdns with these members; `more` ends its config."""
    text = sample_config.farm(
        members.items(),
        nameserver=places.rrdns,
        pool_settings={"ttl": ttl},
        probe={"files": files},
        dns={"listen": [f"{places.rrdns}:53"], "workers": 2},
        api={"listen": f"127.0.0.1:{api_port}"},
        store={"path": folder / "state" / "rrdns.db"},
    )
    config = folder / "rrdns.toml"
    config.write_text(text + more)
    return [sys.executable, "-m", "rrdns", "serve", "--config", config]


def exporter(**settings: object) -> str:
    """Return an exporter of the pool for `more`."""
    return sample_config.table("[[exporters]]", **{"pools": ["boot"], **settings})


def _write(path: Path, template: str, places: Places) -> Path:
    path.write_text(template.format(folder=path.parent, **asdict(places)))
    return path
