"""The config: what a file comes to, and every mistake at once with its place."""

from __future__ import annotations

import copy
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from rrdns.config import describe_changes, load, parse, restart_needed
from rrdns.config.schema import File
from rrdns.config.settings import (
    ApiSettings,
    ChaosSettings,
    DnsSettings,
    LogSettings,
    ProcessSettings,
    Settings,
    StoreSettings,
)
from rrdns.config.table import all_tables
from rrdns.core.connection_limits import TcpLimits
from rrdns.core.health.probe_timing import worst_case
from rrdns.core.model import BootFile, Endpoint, Member, Nameserver, OnEmpty, Policy, Profile
from rrdns.core.rate_limit import RateLimits
from rrdns.core.roles import Role, Token
from rrdns.errors import ConfigInvalid
from tests import sample_config
from tests.web.certificates import make_pair

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "conf" / "rrdns.toml"
HASH = "ab" * 32
SOUND = sample_config.farm(dns={"listen": ["127.0.0.1:5353"]})


def settings(**replaced: str) -> Settings:
    """Return the settings of the sound config after replacements of lines, by their beginning."""
    return parse(changed(**replaced), "test.toml")


def changed(text: str = SOUND, **replaced: str) -> str:
    """Return a config whose first line that begins with a key is replaced by the value."""
    lines = text.splitlines()
    for key, line in replaced.items():
        at = next(i for i, old in enumerate(lines) if old.startswith(f"{key} ="))
        lines[at] = line
    return "\n".join(lines) + "\n"


def mistakes(text: str) -> dict[str, str]:
    """Return the problems of a config that must be wrong, by their places."""
    with pytest.raises(ConfigInvalid) as caught:
        parse(text, "test.toml")
    found = {mistake.path: mistake.problem for mistake in caught.value.mistakes}
    assert len(found) == len(caught.value.mistakes), "a place is blamed once"
    return found


def only_mistake(text: str) -> tuple[str, str]:
    """Return place and problem of a config's only mistake."""
    [found] = mistakes(text).items()
    return found


# What a sound file comes to


def test_a_short_config_gets_the_defaults() -> None:
    """What is not written is as the documentation says."""
    got = settings()
    assert got.dns == DnsSettings(listen=(Endpoint("127.0.0.1", 5353),))
    assert got.dns.tcp == TcpLimits(connections=512, per_address=64, idle=10.0)
    assert got.api == ApiSettings(listen=Endpoint("127.0.0.1", 8053))
    assert got.store == StoreSettings("sqlite", Path("/var/lib/rrdns/rrdns.db"), 365.0)
    assert got.log == LogSettings("json", "info")
    assert got.process == ProcessSettings(None, None)
    assert got.source == "test.toml"
    [pool] = got.pools
    assert (pool.ttl, pool.answers, pool.min_members) == (5, 4, 1)
    assert (pool.policy, pool.on_empty) == (Policy.ROUND_ROBIN, OnEmpty.SERVE_ALL)
    assert (pool.probe.interval, pool.probe.timeout) == (1.0, 1.0)
    assert (pool.probe.fall, pool.probe.rise, pool.probe.port) == (3, 2, 69)
    assert pool.members == (Member("pvs-1", "10.0.0.11"), Member("pvs-2", "10.0.0.12"))


def test_rate_limits_may_be_off() -> None:
    """They are on by default."""
    assert settings().dns.rate_limit == RateLimits()
    off = settings(listen="rate_limit = { enabled = false }")
    assert off.dns.rate_limit is None


def test_every_setting_of_a_full_config_arrives() -> None:
    """Each value differs from its default, and none is lost on the way."""
    got = parse(
        f"""
        [dns]
        listen = ["0.0.0.0:53", "[::]:53"]
        workers = 3
        tcp = {{ connections = 10, per_address = 2, idle = 4, lifetime = 50 }}
        cookies = false
        cookie_secret = ["{"0A" * 16}", "{"0b" * 16}"]
        nsid = "one"
        rate_limit = {{ answers = 1, negatives = 2, errors = 3, window = 4, slip = 5,
            ipv4_prefix = 16, ipv6_prefix = 64, exempt = ["10.0.0.0/8", "192.0.2.1"] }}
        chaos = {{ id = "two", version = "three" }}
        [[zones]]
        name = "pvs.example.test"
        nameservers = [
            {{ name = "ns1.pvs.example.test", addresses = ["192.0.2.53", "2001:DB8::53"] }},
            {{ name = "ns.elsewhere.test" }},
        ]
        hostmaster = "admins@example.test"
        ttl = 60
        negative_ttl = 2
        serial = 7
        refresh = 8
        retry = 9
        expire = 10
        allow_query = ["10.0.0.0/8", "2001:DB8::1"]
        [[pools]]
        name = "boot"
        hostname = "pvs.example.test"
        ttl = 3
        answers = 1
        policy = "round-robin"
        on_empty = "silent"
        min_members = 2
        [pools.probe]
        files = [
            "a.efi",
            {{ name = "b", size = 5, sha256 = "{HASH.upper()}", require_marker = true,
               profile = "ipxe" }},
        ]
        port = 6969
        interval = 2
        timeout = 0.5
        fast_interval = 0.1
        full_every = 60
        fall = 5
        rise = 4
        blksize = 512
        [[pools.members]]
        name = "pvs-1"
        address = "10.0.0.11"
        tags = ["rack-1"]
        [[pools.members]]
        name = "pvs-2"
        address = "10.0.0.12"
        backup = true
        [api]
        listen = "0.0.0.0:8053"
        tls_cert = "api.crt"
        tls_key = "api.key"
        [[api.tokens]]
        name = "ops"
        role = "operator"
        sha256 = "{HASH}"
        [store]
        backend = "memory"
        path = "x.db"
        audit_days = 7
        [log]
        format = "console"
        level = "debug"
        [process]
        user = "rrdns"
        group = "daemon"
        """,
        "full.toml",
        with_files=False,
    )
    assert got.dns == DnsSettings(
        (Endpoint("0.0.0.0", 53), Endpoint("::", 53)),
        3,
        TcpLimits(10, 2, 4.0, 50.0),
        cookies=False,
        cookie_secrets=(b"\x0a" * 16, b"\x0b" * 16),
        rate_limit=RateLimits(1, 2, 3, 4.0, 5, 16, 64, ("10.0.0.0/8", "192.0.2.1/32")),
        nsid="one",
        chaos=ChaosSettings("two", "three"),
    )
    [zone] = got.zones
    assert zone.nameservers == (
        Nameserver("ns1.pvs.example.test", ("192.0.2.53", "2001:db8::53")),
        Nameserver("ns.elsewhere.test"),
    )
    assert zone.hostmaster == "admins.example.test"
    assert (zone.ttl, zone.negative_ttl, zone.serial) == (60, 2, 7)
    assert (zone.refresh, zone.retry, zone.expire) == (8, 9, 10)
    assert zone.allow_query == ("10.0.0.0/8", "2001:db8::1/128")
    [pool] = got.pools
    assert (pool.hostname, pool.ttl, pool.answers, pool.min_members) == (
        "pvs.example.test",
        3,
        1,
        2,
    )
    assert pool.on_empty is OnEmpty.SILENT
    assert pool.probe.files == (BootFile("a.efi"), BootFile("b", 5, HASH, True, Profile.IPXE))
    assert (pool.probe.port, pool.probe.interval, pool.probe.timeout) == (6969, 2.0, 0.5)
    assert (pool.probe.fast_interval, pool.probe.full_every) == (0.1, 60.0)
    assert (pool.probe.fall, pool.probe.rise, pool.probe.blksize) == (5, 4, 512)
    assert pool.members[0].tags == ("rack-1",)
    assert pool.members[1].backup
    assert got.api == ApiSettings(
        Endpoint("0.0.0.0", 8053),
        (Token("ops", Role.OPERATOR, HASH),),
        Path("api.crt"),
        Path("api.key"),
    )
    assert got.store == StoreSettings("memory", Path("x.db"), 7.0)
    assert got.log == LogSettings("console", "debug")
    assert got.process == ProcessSettings("rrdns", "daemon")


def test_numbers_written_without_a_point_become_float_seconds() -> None:
    """2 and 2.0 mean the same."""
    got = settings(files='files = ["ARDBP32.BIN"]\ninterval = 2')
    assert isinstance(got.pools[0].probe.interval, float)


def test_names_lose_their_capitals_and_final_dots() -> None:
    """One form for each name, however it is written."""
    got = settings(hostname='hostname = "BOOT.pvs.Example.TEST."', hostmaster='hostmaster = "H.x."')
    assert got.pools[0].hostname == "boot.pvs.example.test"
    assert got.zones[0].hostmaster == "h.x"


@pytest.mark.parametrize(("ttl", "negative"), [(5, 5), (30, 30), (1, 1)])
def test_empty_answers_live_as_long_as_the_shortest_answer(ttl: int, negative: int) -> None:
    """SOA MINIMUM follows the TTL of the zone's pools."""
    got = settings(hostname=f'hostname = "boot.pvs.example.test"\nttl = {ttl}')
    assert got.zones[0].negative_ttl == negative


def test_empty_answers_live_a_second_where_answers_are_not_cached() -> None:
    """A negative TTL of 0 would make resolvers ask for AAAA with every boot."""
    line = 'hostname = "boot.pvs.example.test"\nttl = 0\nallow_zero_ttl = true'
    assert settings(hostname=line).zones[0].negative_ttl == 1


def test_a_zone_without_pools_has_a_negative_ttl_of_its_own() -> None:
    """There is no answer whose TTL it could follow."""
    other = (
        '[[zones]]\nname = "x.test"\nhostmaster = "h.x.test"\nnameservers = [{name = "ns.y.test"}]'
    )
    assert parse(SOUND + other, "x").zones[1].negative_ttl == 5


# Every mistake at once


def test_seven_different_mistakes_are_all_named() -> None:
    """Wrong types, unknown names and contradictions come out of one reading."""
    text = """
    [dns]
    listen = ["127.0.0.1:53"]
    wrokers = 2
    [[zones]]
    name = "pvs.example.test"
    nameservers = [{ name = "ns1.pvs.example.test" }]
    hostmaster = "hostmaster.example.test"
    [[pools]]
    name = "boot"
    hostname = "boot.elsewhere.test"
    ttl = 0
    answers = "4"
    [pools.probe]
    files = ["ARDBP32.BIN"]
    [[pools.members]]
    name = "pvs-1"
    address = "10.0.0.11"
    [[pools.members]]
    name = "pvs-2"
    address = "10.0.0.11"
    [[pools.members]]
    name = "pvs-3"
    address = "2001:db8::1"
    """
    found = mistakes(text)
    assert found == {
        "dns.wrokers": "is not a setting of [dns] (did you mean workers?)",
        "zones[0].nameservers[0].address": found["zones[0].nameservers[0].address"],
        "pools[0].answers": "is a text; must be a whole number: write 4 without quotes",
        "pools[0].hostname": 'is "boot.elsewhere.test", which is outside every zone '
        "(pvs.example.test); add its zone",
        "pools[0].members[1].address": found["pools[0].members[1].address"],
        "pools[0].members[2].address": 'is "2001:db8::1"; must be an IPv4 address, because targets '
        "query A records",
        "pools[0].ttl": found["pools[0].ttl"],
    }
    assert "allow_zero_ttl" in found["pools[0].ttl"]
    assert "like pools[0].members[0].address" in found["pools[0].members[1].address"]
    assert "is missing" in found["zones[0].nameservers[0].address"]


def test_mistakes_stand_in_the_order_of_the_file() -> None:
    """Someone who mends them goes through the file once."""
    text = SOUND + '[log]\nformat = "xml"\n[api]\nlisten = 5\n'
    text = changed(text, listen="listen = 5", name='name = "..."')
    assert list(mistakes(text)) == ["dns.listen", "zones[0].name", "api.listen", "log.format"]


def test_the_error_counts_and_lists_them() -> None:
    """The whole of it is one text for a person."""
    with pytest.raises(ConfigInvalid) as caught:
        parse(SOUND + '[log]\nformat = "xml"\nlevel = "loud"\n', "a.toml")
    title, *lines = str(caught.value).splitlines()
    assert title == "a.toml: 2 mistakes"
    assert lines == [
        '  log.format: is "xml"; must be "json" or "console"',
        '  log.level: is "loud"; must be "debug", "info", "warning" or "error"',
    ]


def test_an_empty_file_is_told_what_it_lacks() -> None:
    """A config must name a zone and a pool; all else has defaults."""
    found = mistakes("")
    assert set(found) == {"zones", "pools"}
    assert all(problem.startswith("is missing; add [[") for problem in found.values())


def test_what_follows_from_a_wrong_value_is_not_blamed() -> None:
    """A zone whose name is broken does not put all hostnames outside."""
    place, _ = only_mistake(changed(name='name = "pvs..test"'))
    assert place == "zones[0].name"


REPLACED = [
    # TOML types
    ({"listen": "listen = 53"}, "dns.listen", "is a whole number; must be a list"),
    ({"listen": 'listen = "[::]:53"'}, "dns.listen", 'write ["[::]:53"]'),
    ({"address": 'address = "1.1.1.1"\nbackup = "no"'}, "pools[0].members[0].backup", "true or f"),
    ({"files": "files = [5]"}, "pools[0].probe.files[0]", "a file name in quotes, or a table"),
    ({"files": 'files = ["f"]\nfall = 1.5'}, "pools[0].probe.fall", "must be a whole number"),
    ({"files": 'files = ["f"]\nfall = true'}, "pools[0].probe.fall", "is true or false"),
    ({"files": 'files = ["f"]\ninterval = "2"'}, "pools[0].probe.interval", "write 2 without"),
    ({"files": 'files = ["f"]\nport = 1979-05-27'}, "pools[0].probe.port", "is a date or time"),
    ({"listen": 'cookie_secret = ["abc"]'}, "dns.cookie_secret[0]", "has 3 characters; must be 32"),
    ({"listen": 'cookie_secret = "abc"'}, "dns.cookie_secret", "is a text; must be a list"),
    ({"listen": f'nsid = "{"x" * 65}"'}, "dns.nsid", "has 65 bytes; 64 at most"),
    ({"listen": 'chaos = { id = "" }'}, "dns.chaos.id", "must be a text of printable"),
    ({"listen": "rate_limit = { answers = -1 }"}, "dns.rate_limit.answers", "must be 0 to 1,000,"),
    (
        {"listen": "rate_limit = { ipv4_prefix = 20 }"},
        "dns.rate_limit.ipv4_prefix",
        "multiple of 8",
    ),
    (
        {"listen": 'rate_limit = { exempt = ["10.0.0.1/8"] }'},
        "dns.rate_limit.exempt[0]",
        'did you mean "10.0.0.0/8"?',
    ),
    (
        {"listen": 'rate_limit = { exempt = ["lan"] }'},
        "dns.rate_limit.exempt[0]",
        'must be a network, such as "10.0.0.0/8"',
    ),
    # unknown names
    (
        {"files": 'files = ["f"]\nintervall = 2'},
        "pools[0].probe.intervall",
        "did you mean interval",
    ),
    ({"listen": "interval = 2"}, "dns.interval", "it belongs in [pools.probe]"),
    # names from before the first release
    (
        {"hostname": 'hostname = "b.pvs.example.test"\nkeep = 1'},
        "pools[0].keep",
        "is now called min_members",
    ),
    ({"listen": "colour = 2"}, "dns.colour", "its settings are listen, freebind, workers, tcp"),
    # missing, empty
    ({"hostname": ""}, "pools[0].hostname", 'is missing; add hostname = "boot.'),
    ({"hostmaster": ""}, "zones[0].hostmaster", "is missing; add hostmaster ="),
    ({"address": ""}, "pools[0].members[0].address", "is missing; add address ="),
    ({"files": ""}, "pools[0].probe.files", "is missing; add files ="),
    ({"files": "files = []"}, "pools[0].probe.files", "is empty; add files ="),
    ({"files": 'files = [""]'}, "pools[0].probe.files[0].name", "must be a file name"),
    ({"nameservers": "nameservers = []"}, "zones[0].nameservers", "is empty"),
    # addresses
    ({"address": 'address = "10.0.0.256"'}, "pools[0].members[0].address", "must be an IPv4"),
    ({"address": 'address = "pvs1.test"'}, "pools[0].members[0].address", "must be an IPv4"),
    (
        {"address": 'address = "0.0.0.0"'},
        "pools[0].members[0].address",
        "not the address of a single",
    ),
    (
        {"address": 'address = "224.0.0.1"'},
        "pools[0].members[0].address",
        "not the address of a single",
    ),
    ({"address": 'address = "255.255.255.255"'}, "pools[0].members[0].address", "of a single"),
    (
        {"nameservers": 'nameservers = [{name = "n.x", address = "fe80::1%eth0"}]'},
        "zones[0].nameservers[0].address",
        "not the address of a single",
    ),
    ({"listen": 'listen = ["localhost:53"]'}, "dns.listen[0]", '"localhost" is not an IP address'),
    ({"listen": 'listen = ["127.0.0.1"]'}, "dns.listen[0]", "which has no port"),
    ({"listen": 'listen = ["[::1]"]'}, "dns.listen[0]", "which has no port"),
    ({"listen": 'listen = ["::1:53"]'}, "dns.listen[0]", "must be an address and a port"),
    ({"listen": 'listen = ["127.0.0.1:0"]'}, "dns.listen[0]", "port must be 1 to 65535"),
    ({"listen": 'listen = ["127.0.0.1:65536"]'}, "dns.listen[0]", "port must be 1 to 65535"),
    ({"listen": 'listen = ["127.0.0.1:x"]'}, "dns.listen[0]", "port must be 1 to 65535"),
    ({"listen": "listen = [53]"}, "dns.listen[0]", "is a whole number; must be an address"),
    # names
    ({"hostname": 'hostname = "a..pvs.example.test"'}, "pools[0].hostname", "have two in a row"),
    ({"hostname": f'hostname = "{"a" * 64}.pvs.example.test"'}, "pools[0].hostname", "63 at most"),
    (
        {"hostname": f'hostname = "{".".join(["a" * 60] * 4)}.pvs.example.test"'},
        "pools[0].hostname",
        "253 at most",
    ),
    ({"hostname": 'hostname = "bo ot.pvs.example.test"'}, "pools[0].hostname", "letters, digits"),
    ({"hostname": 'hostname = "-b.pvs.example.test"'}, "pools[0].hostname", "no hyphen at either"),
    ({"hostname": 'hostname = "böt.pvs.example.test"'}, "pools[0].hostname", "begins with xn--"),
    ({"hostname": 'hostname = "."'}, "pools[0].hostname", "must be a domain name"),
    ({"hostmaster": 'hostmaster = "a.b@c.test"'}, "zones[0].hostmaster", "cannot have a dot"),
    # numbers
    ({"hostname": 'hostname = "b.pvs.example.test"\nanswers = 0'}, "pools[0].answers", "1 to 28"),
    ({"hostname": 'hostname = "b.pvs.example.test"\nanswers = 29'}, "pools[0].answers", "1 to 28"),
    ({"hostname": 'hostname = "b.pvs.example.test"\nttl = -1'}, "pools[0].ttl", "must be 0 to"),
    ({"hostname": 'hostname = "b.pvs.example.test"\nttl = 0'}, "pools[0].ttl", "allow_zero_ttl"),
    (
        {"hostname": 'hostname = "b.pvs.example.test"\nmin_members = 3'},
        "pools[0].min_members",
        "has 2 members",
    ),
    ({"files": 'files = ["f"]\ninterval = 0'}, "pools[0].probe.interval", "must be 0.1 to"),
    ({"files": 'files = ["f"]\ninterval = nan'}, "pools[0].probe.interval", "must be 0.1 to"),
    ({"files": 'files = ["f"]\ntimeout = inf'}, "pools[0].probe.timeout", "must be 0.05 to"),
    ({"files": 'files = ["f"]\nfall = 0'}, "pools[0].probe.fall", "must be 1 to"),
    ({"files": 'files = ["f"]\nrise = 0'}, "pools[0].probe.rise", "must be 1 to"),
    ({"files": 'files = ["f"]\nport = 65536'}, "pools[0].probe.port", "must be 1 to 65,535"),
    ({"files": 'files = ["f"]\nblksize = 7'}, "pools[0].probe.blksize", "must be 8 to"),
    ({"hostmaster": 'hostmaster = "h.x"\nnegative_ttl = 6'}, "zones[0].negative_ttl", "at most 5"),
    (
        {"hostmaster": 'hostmaster = "h.x"\nallow_query = []'},
        "zones[0].allow_query",
        "every query would be refused",
    ),
    (
        {"hostmaster": 'hostmaster = "h.x"\nallow_query = ["10.1.0.0/8"]'},
        "zones[0].allow_query[0]",
        'did you mean "10.0.0.0/8"?',
    ),
    (
        {"hostmaster": 'hostmaster = "h.x"\nallow_query = "10.0.0.0/8"'},
        "zones[0].allow_query",
        'write ["10.0.0.0/8"]',
    ),
    # words
    (
        {"hostname": 'hostname = "b.pvs.example.test"\non_empty = "serv-all"'},
        "pools[0].on_empty",
        "did you mean serve-all?",
    ),
    ({"hostname": 'hostname = "b.pvs.example.test"\npolicy = 1'}, "pools[0].policy", "is a whole"),
    # what contradicts something else
    ({"hostname": 'hostname = "b.test"'}, "pools[0].hostname", "outside every zone"),
    ({"hostname": 'hostname = "xpvs.example.test"'}, "pools[0].hostname", "outside every zone"),
    ({"hostname": 'hostname = "ns1.pvs.example.test"'}, "pools[0].hostname", "of a nameserver"),
    ({"files": 'files = ["a", "b", "a"]'}, "pools[0].probe.files[2].name", "files[0].name"),
    ({"listen": 'listen = ["[::1]:53", "[0::1]:53"]'}, "dns.listen[1]", "like dns.listen[0]"),
    (
        {"nameservers": 'nameservers = [{name = "ns1.pvs.example.test"}]'},
        "zones[0].nameservers[0].address",
        "is missing",
    ),
    (
        {"nameservers": 'nameservers = [{name = "n.x"}, {name = "N.x."}]'},
        "zones[0].nameservers[1].name",
        "is written once",
    ),
    (
        {"nameservers": 'nameservers = [{name = "n.x", address = "1.1.1.1", addresses = ["::1"]}]'},
        "zones[0].nameservers[0].addresses",
        "together with address",
    ),
    (
        {"nameservers": 'nameservers = [{name = "n.x", address = "1.1.1"}]'},
        "zones[0].nameservers[0].address",
        "must be an IP address",
    ),
]


@pytest.mark.parametrize(("replaced", "place", "part"), REPLACED)
def test_a_wrong_line_is_named_with_what_would_be_right(
    replaced: dict[str, str], place: str, part: str
) -> None:
    """One mistake, one place, one sentence, and nothing else is blamed for it."""
    found, problem = only_mistake(changed(**replaced))
    assert found == place
    assert part in problem


ADDED = [
    ('[[pools.members]]\nname = "pvs-1"\naddress = "10.9.9.9"', "pools[0].members[2].name"),
    ('[[pools.members]]\nname = "pvs-9"\naddress = "10.0.0.12"', "pools[0].members[2].address"),
    ('[api]\nlisten = "0.0.0.0:8053"', "api.listen"),
    ('[api]\nlisten = "192.0.2.1:8053"\ntokens = []', "api.listen"),
    ('[api]\nlisten = "127.0.0.1:5353"', "api.listen"),
    ('[[api.tokens]]\nname = "a"\nrole = "king"\nsha256 = "' + HASH + '"', "api.tokens[0].role"),
    ('[[api.tokens]]\nname = "a"\nrole = "admin"\nsha256 = "abc"', "api.tokens[0].sha256"),
    ('[[api.tokens]]\nname = "a"\nrole = "admin"', "api.tokens[0].sha256"),
    ('[[api.tokens]]\nname = "a b"\nrole = "admin"\nsha256 = "' + HASH + '"', "api.tokens[0].name"),
    ('[store]\nbackend = "etcd"', "store.backend"),
    ('[store]\npath = ""', "store.path"),
    ("[store]\naudit_days = 0", "store.audit_days"),
    ("[process]\nuser = 0", "process.user"),
    ("[proces]", "proces"),
]


@pytest.mark.parametrize(("added", "place"), ADDED)
def test_a_wrong_addition_is_named(added: str, place: str) -> None:
    """As above, for what stands behind a sound config."""
    assert only_mistake(SOUND + added)[0] == place


def test_zones_may_not_lie_in_one_another() -> None:
    """It would be unclear which of the two answers."""
    inner = (
        '[[zones]]\nname = "a.pvs.example.test"\nhostmaster = "h.x"\nnameservers = [{name = "n.x"}]'
    )
    place, problem = only_mistake(SOUND + inner)
    assert place == "zones[1].name"
    assert "is inside zones[0].name" in problem


def test_zones_pools_hostnames_and_tokens_may_not_come_twice() -> None:
    """Every name stands for one thing."""
    token = f'[[api.tokens]]\nname = "ops"\nrole = "viewer"\nsha256 = "{HASH}"\n'
    twice = SOUND + SOUND.partition("\n\n")[2] + token + token
    assert set(mistakes(twice)) == {
        "zones[1].name",
        "pools[1].name",
        "pools[1].hostname",
        "api.tokens[1].name",
        "api.tokens[1].sha256",
    }


def test_members_of_different_pools_may_share_name_and_address() -> None:
    """One server may serve two farms."""
    other = SOUND.partition("[[pools]]")[2].replace('"boot"', '"two"').replace("boot.p", "two.p")
    assert len(parse(SOUND + "[[pools]]" + other, "x").pools) == 2


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"])
def test_the_api_may_do_without_tokens_on_loopback(listen: str) -> None:
    """Nobody else can reach it there."""
    assert parse(SOUND + f'[api]\nlisten = "{listen}"', "x").api.tokens == ()


def test_a_broken_token_is_not_taken_for_none() -> None:
    """Whoever wrote one knows that the API needs it; only the slip is named."""
    text = (
        SOUND
        + '[api]\nlisten = "0.0.0.0:1"\n[[api.tokens]]\nname = "a"\nrole = "admin"\nsha256 = "x"'
    )
    assert only_mistake(text)[0] == "api.tokens[0].sha256"


def test_a_broken_ttl_does_not_make_the_negative_one_wrong() -> None:
    """What the TTL was to be is unknown."""
    text = changed(
        hostmaster='hostmaster = "h.x"\nnegative_ttl = 60',
        hostname='hostname = "boot.pvs.example.test"\nttl = "90"',
    )
    assert only_mistake(text)[0] == "pools[0].ttl"


def test_the_places_behind_a_wrong_item_stay_where_they_are() -> None:
    """Item 2 is called 2, though item 1 cannot be read."""
    text = changed(listen='listen = ["127.0.0.1:1", "x", "127.0.0.1:1"]')
    assert list(mistakes(text)) == ["dns.listen[1]", "dns.listen[2]"]


# Whatever stands in a file


def places(value: Any, way: tuple[int | str, ...] = ()) -> list[tuple[int | str, ...]]:
    """Return the way to every value inside a document."""
    inner: list[tuple[int | str, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    found = [(*way, step) for step, _ in inner]
    for step, each in inner:
        found += places(each, (*way, step))
    return found


DOCUMENT = tomli.loads(EXAMPLE.read_text())
WAYS = places(DOCUMENT)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS.filter(lambda value: value is not None),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@settings_of_hypothesis(max_examples=80)
@given(st.lists(st.tuples(st.sampled_from(WAYS), VALUES), min_size=1, max_size=4))
def test_any_values_in_any_places_are_settings_or_mistakes(
    changes: list[tuple[tuple[int | str, ...], Any]],
) -> None:
    """No value, wherever it stands, brings anything but an answer."""
    document = copy.deepcopy(DOCUMENT)
    for way, value in changes:
        holder: Any = document
        for step in way[:-1]:
            try:
                holder = holder[step]
            except (KeyError, IndexError, TypeError):
                break
        else:
            if isinstance(holder, dict | list):
                with suppress(IndexError, TypeError):
                    holder[way[-1]] = value  # type: ignore[index]  # a way that is gone is no matter
    text = "\n".join(f"{key} = {sample_config.toml(value)}" for key, value in document.items())
    with suppress(ConfigInvalid):
        assert parse(text, "x").pools


# Files that are no config at all


@pytest.mark.parametrize(
    ("text", "place"),
    [("[dns\n", "line 1, column 5"), ("a = 1\na = 2\n", "line 2, column 6"), ("x", "line 1")],
)
def test_a_slip_of_syntax_is_named_by_line_and_column(text: str, place: str) -> None:
    """The file is not TOML; where an editor finds it is what helps."""
    found, problem = only_mistake(text)
    assert found.startswith(place)
    assert problem.startswith("is not valid TOML: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path is in the message."""
    path = tmp_path / "none.toml"
    with pytest.raises(ConfigInvalid, match="cannot be read: No such file") as caught:
        load(path)
    assert caught.value.path == str(path)


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    """Any reason that the system gives is passed on."""
    with pytest.raises(ConfigInvalid, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    """TOML is UTF-8."""
    path = tmp_path / "latin.toml"
    path.write_bytes(SOUND.encode() + "# Köln".encode("latin-1"))
    line = SOUND.count("\n") + 1
    with pytest.raises(ConfigInvalid, match=f"is not UTF-8 text, .*: line {line}, byte [0-9]+ of"):
        load(path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_file_that_powershell_wrote_is_named_with_its_mend(tmp_path: Path, encoding: str) -> None:
    """Its `>` writes UTF-16, and no line or byte of that tells anything."""
    path = tmp_path / "rrdns.toml"
    path.write_bytes(f"\ufeff{SOUND}".encode(encoding))
    with pytest.raises(ConfigInvalid, match="UTF-16; save it with the encoding UTF-8"):
        load(path)


def test_windows_line_ends_and_a_mark_are_no_mistake(tmp_path: Path) -> None:
    """Notepad writes both."""
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SOUND.replace("\n", "\r\n").encode())
    assert load(path).pools == settings().pools


# The example


def test_the_example_loads() -> None:
    """It is the default of the container image."""
    got = load(EXAMPLE)
    assert [pool.name for pool in got.pools] == ["boot"]
    assert len(got.pools[0].members) == 3
    assert got.dns == DnsSettings()
    assert got.store == StoreSettings()


def test_the_example_names_every_setting() -> None:
    """Who reads it has seen all there is."""
    written = EXAMPLE.read_text().replace("# ", "")
    settings = {name for table in all_tables(File) for name in table.model_fields}
    assert {name for name in settings if not re.search(rf"\b{name}\b", written)} == set()


def test_the_defaults_that_the_example_states_are_the_defaults() -> None:
    """Without every line that calls itself a default the config is the same."""
    text = EXAMPLE.read_text()
    short = "\n".join(line for line in text.splitlines() if "# default" not in line)
    assert tomli.loads(short) != tomli.loads(text)
    assert parse(short, "x") == parse(text, "x")


# What follows from settings


def test_the_worst_case_is_detection_publication_and_ttl() -> None:
    """With the defaults: 1 + 1 + 2 x (0.2 + 1) seconds, 10 ms, and 5 seconds."""
    assert worst_case(settings().pools[0]) == pytest.approx(4.4 + 0.01 + 5)


def test_a_reload_cannot_move_sockets_store_or_user() -> None:
    """What needs a restart is named by its place."""
    old = settings()
    new = parse(
        changed(listen='listen = ["127.0.0.1:5454"]\nworkers = 2')
        + '[store]\nbackend = "memory"\n[process]\nuser = "u"\n[api]\nlisten = "127.0.0.1:9"\n'
        + '[log]\nlevel = "debug"\n',
        "x",
    )
    assert restart_needed(old, new) == (
        "dns.listen",
        "dns.workers",
        "api.listen",
        "store.backend",
        "process.user",
        "log.level",
    )


def test_a_reload_can_apply_everything_else() -> None:
    """Pools, zones, tokens, and how long the trail is kept."""
    token = f'[[api.tokens]]\nname = "ops"\nrole = "viewer"\nsha256 = "{HASH}"\n'
    new = changed(address='address = "10.0.0.99"', hostmaster='hostmaster = "other.test"')
    text = new + token + "[store]\naudit_days = 3\n"
    assert restart_needed(settings(), parse(text, "other.toml")) == ()


@pytest.mark.parametrize("written", ['"{}"', '["{}x"]', '["{}", 7]', '["{}"]'])
def test_a_cookie_secret_is_shown_nowhere(written: str) -> None:
    """Neither in a mistake, nor in what a reload changes, nor where settings are printed."""
    secret = "5ec2e7" * 5 + "00"
    text = changed(listen="cookie_secret = " + written.format(secret))
    try:
        said = "\n".join(describe_changes(settings(), parse(text, "x"))) + repr(parse(text, "x"))
        assert "dns.cookie_secrets: replaced" in said
    except ConfigInvalid as invalid:
        said = str(invalid)
    assert "5ec2e7" not in said


def test_changes_are_told_line_by_line() -> None:
    """Each line says of what, from what, to what."""
    old = parse(SOUND + f'[[api.tokens]]\nname = "a"\nrole = "viewer"\nsha256 = "{HASH}"\n', "x")
    text = changed(
        address='address = "10.0.0.99"',
        hostname='hostname = "boot.pvs.example.test"\nttl = 9',
        files='files = ["ARDBP32.BIN", "x.efi"]\nfall = 2',
        nameservers='nameservers = [{ name = "ns.x.test" }]',
    ).replace("pvs-2", "pvs-3")
    extra = (
        f'[[api.tokens]]\nname = "a"\nrole = "admin"\nsha256 = "{"cd" * 32}"\n'
        '[log]\nlevel = "debug"\n[process]\nuser = "u"\n'
    )
    assert describe_changes(old, parse(text + extra, "x")) == (
        "process.user: none -> u",
        "log.level: info -> debug",
        "token a: role: viewer -> admin",
        "token a: replaced",
        "zone pvs.example.test: nameservers: ns1.pvs.example.test 192.0.2.53 -> ns.x.test",
        "zone pvs.example.test: negative_ttl: 5 -> 9",
        "pool boot: ttl: 5 -> 9",
        "pool boot: probe files: ARDBP32.BIN -> ARDBP32.BIN, x.efi",
        "pool boot: probe fall: 3 -> 2",
        "pool boot: member pvs-2: removed",
        "pool boot: member pvs-3: added",
        "pool boot: member pvs-1 address: 10.0.0.11 -> 10.0.0.99",
    )


def test_pools_and_zones_that_come_and_go_are_told() -> None:
    """By their names, and nothing of their insides."""
    new = parse(SOUND.replace('"boot"', '"two"').replace("pvs.example", "pvs.other"), "x")
    assert describe_changes(settings(), new) == (
        "zone pvs.example.test: removed",
        "zone pvs.other.test: added",
        "pool boot: removed",
        "pool two: added",
    )


def test_another_order_of_members_is_told() -> None:
    """It changes who comes first."""
    head, first, second = (
        SOUND.partition("[[pools.members]]")[0],
        *SOUND.split("[[pools.members]]")[1:],
    )
    new = parse(f"{head}[[pools.members]]{second}\n[[pools.members]]{first}", "x")
    assert describe_changes(settings(), new) == ("pool boot: members in another order",)


def test_equal_settings_have_no_changes() -> None:
    """Whatever the file is called."""
    assert describe_changes(settings(), parse(SOUND, "elsewhere.toml")) == ()


def with_tls(*lines: str) -> str:
    """Return the sound config with these lines in its `[api]`."""
    return SOUND + "\n".join(("[api]", *lines)) + "\n"


def test_a_certificate_needs_its_key_and_the_other_way_round() -> None:
    """Each alone is half of TLS, and half of TLS is none."""
    assert only_mistake(with_tls('tls_cert = "x"'))[0] == "api.tls_key"
    place, problem = only_mistake(with_tls('tls_key = "x"'))
    assert (place, problem) == (
        "api.tls_cert",
        "is missing; TLS needs it together with api.tls_key",
    )


def test_the_files_of_tls_are_looked_at(tmp_path: Path) -> None:
    """With the place of the one that is wrong; a config in force is not judged by them."""
    pair = make_pair(tmp_path)
    sound = with_tls(f'tls_cert = "{pair.certificate}"', f'tls_key = "{pair.key}"')
    api = parse(sound, "x").api
    assert (api.tls_cert, api.tls_key) == pair
    pair.key.unlink()
    place, problem = only_mistake(sound)
    assert (place, problem) == ("api.tls_key", f"is {pair.key}, which does not exist")
    assert parse(sound, "x", with_files=False).api == api


def test_a_mistake_in_one_setting_of_tls_blames_it_alone() -> None:
    """What is not there to be read is not looked for."""
    assert only_mistake(with_tls("tls_cert = 5", 'tls_key = "x"'))[0] == "api.tls_cert"


def test_a_reload_tells_of_other_files_and_needs_no_restart() -> None:
    """The API takes a new certificate under way."""
    lines = ('tls_cert = "a.crt"', 'tls_key = "a.key"')
    before = parse(SOUND, "x")
    after = parse(with_tls(*lines), "x", with_files=False)
    assert describe_changes(before, after) == (
        "api.tls_cert: none -> a.crt",
        "api.tls_key: none -> a.key",
    )
    assert restart_needed(before, after) == ()


@pytest.mark.parametrize(
    ("listen", "api", "place", "words"),
    [
        ("[]", "127.0.0.1:8053", "dns.listen", "is empty"),
        ('["0.0.0.0:53", "10.1.0.1:53"]', "127.0.0.1:8053", "dns.listen[1]", "has already"),
        ('["[::]:53", "[::1]:53"]', "127.0.0.1:8053", "dns.listen[1]", "has already"),
        ('["10.1.0.1:53", "10.1.0.1:53"]', "127.0.0.1:8053", "dns.listen[1]", "like dns.listen[0]"),
        ('["0.0.0.0:53"]', "127.0.0.1:53", "api.listen", "has already"),
        ('["127.0.0.1:53"]', "127.0.0.1:53", "api.listen", "like dns.listen[0]"),
        ('["[fe80::1]:53"]', "127.0.0.1:8053", "dns.listen[0]", 'such as "[fe80::1%eth0]:53"'),
        ('["[::ffff:10.1.0.1]:53"]', "127.0.0.1:8053", "dns.listen[0]", 'write "10.1.0.1:53"'),
        ('["255.255.255.255:53"]', "127.0.0.1:8053", "dns.listen[0]", "the broadcast address"),
        ('["224.0.0.251:53"]', "127.0.0.1:8053", "dns.listen[0]", "a multicast address"),
        ('["[ff02::fb]:53"]', "127.0.0.1:8053", "dns.listen[0]", "a multicast address"),
        ('["10.1.0.1:53"]', "[::ffff:127.0.0.1]:80", "api.listen", 'write "127.0.0.1:80"'),
    ],
)
def test_where_nobody_can_listen_is_named(listen: str, api: str, place: str, words: str) -> None:
    """Before the start, which would blame another program, or work and answer nobody."""
    with pytest.raises(ConfigInvalid) as caught:
        parse(f'[dns]\nlisten = {listen}\n[api]\nlisten = "{api}"\n', "rrdns.toml")
    found = [str(mistake) for mistake in caught.value.mistakes if mistake.path == place]
    assert len(found) == 1, caught.value
    assert words in found[0]


def test_wildcards_of_both_families_and_other_ports_go_together() -> None:
    """The IPv6 sockets take no IPv4."""
    with pytest.raises(ConfigInvalid) as caught:
        parse('[dns]\nlisten = ["0.0.0.0:53", "[::]:53", "10.1.0.1:5353"]\n', "rrdns.toml")
    assert not [one for one in caught.value.mistakes if one.path.startswith("dns")]


EXPORTER = '[[exporters]]\nname = "x"\npools = ["boot"]\n'
FILE_EXPORTER = 'type = "file"\npath = "/x"\ntemplate = "hosts"\n'


@pytest.mark.parametrize(
    ("lines", "place", "problem"),
    [
        (
            FILE_EXPORTER + 'url = "http://x"',
            "url",
            'is not a setting of [[exporters]] with type = "file"; it belongs in [[exporters]] w',
        ),
        (
            FILE_EXPORTER + "modus = 5",
            "modus",
            'is not a setting of [[exporters]] with type = "file" (did you mean mode?)',
        ),
        (FILE_EXPORTER + 'tell = "all"', "tell", "is now called scope; the meaning is the same"),
        (
            'type = "kea"\nsocket = "/x"\nsubnets = [1, 1.5]',
            "subnets[1]",
            "is a number with a decimal point; must be the id of a subnet, or a prefix in quotes",
        ),
        (
            'type = "webhook"\nurl = "http://x"\nheaders = ["a"]',
            "headers",
            "is a list; must be a table of texts",
        ),
        ('type = "command"\ncommand = []', "command", "is empty; add command ="),
        ('type = "command"', "command", "is missing; add command ="),
        ('path = "/x"\ntemplate = "hosts"', "type", 'is missing; add type = "file"'),
        (
            'type = "flie"\npath = "/x"\ntemplate = "hosts"',
            "type",
            'is "flie"; must be "file", "kea", "webhook" or "command" (did you mean file?)',
        ),
        (
            'type = "fax"\ncolour = 5',
            "colour",
            "is not a setting of [[exporters]]; its settings are name, type, pools, scope",
        ),
    ],
)
def test_a_mistake_of_an_exporter_is_named_with_what_is_right(
    lines: str, place: str, problem: str
) -> None:
    """A setting of another type is named with that type; without a type, it is not judged."""
    found = mistakes(f"{SOUND}{EXPORTER}{lines}\n")
    assert found[f"exporters[0].{place}"].startswith(problem)
    assert found.keys() <= {f"exporters[0].{place}", "exporters[0].type"}
