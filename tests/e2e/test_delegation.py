"""`rrdns delegation --check` beside real parents and resolvers: each fault, and none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.e2e.delegations import PARENT, RRDNS, SIGNED, TTL, TWIN, Site, a_site

pytestmark = [pytest.mark.peers, pytest.mark.xdist_group("delegation")]

PVS = ("--zone", "pvs.example.test")
Change = Callable[[str], str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run the parent zone and both rrdns."""
    with a_site(tmp_path_factory.mktemp("delegation")) as site:
        yield site


@pytest.fixture(scope="module")
def named(site: Site) -> str:
    """Run BIND with its defaults; it follows the delegations of the parent."""
    return site.resolver("named", lambda text: text)


def with_options(*lines: str) -> Change:
    """Return a change that adds lines to the options of Unbound or BIND."""
    added = "".join(f"\n    {line}" for line in lines)
    return lambda text: re.sub(r"(?m)^(server:|options \{)$", rf"\1{added}", text, count=1)


def not_private(text: str) -> str:
    """Let Unbound take private addresses out of our zone too."""
    return text.replace('    private-domain: "pvs.example.test"\n', "")


def asking_rrdns(text: str) -> str:
    """Let Unbound ask rrdns itself, instead of the parent."""
    parent = f'name: "example.test"\n    stub-addr: {PARENT}'
    assert parent in text
    return text.replace(parent, f'name: "pvs.example.test"\n    stub-addr: {RRDNS}')


def test_a_healthy_delegation_has_no_finding(site: Site, named: str) -> None:
    """Unbound and BIND follow it; the parent is found through them."""
    unbound = site.resolver("unbound", lambda text: text)
    told = site.check(*PVS, "--resolver", named, "--resolver", unbound, status=0)
    assert told["findings"] == []
    assert told["notes"] == []
    assert [(one["role"], one["server"]) for one in told["asked"]] == [
        ("parent", PARENT),
        ("nameserver", f"{RRDNS} (ns1.pvs.example.test)"),
        ("resolver", named),
        ("resolver", unbound),
    ]
    for one in told["asked"][1:]:
        assert f"3 addresses, TTL {TTL} s at most, the first one changes" in one["summary"]


@pytest.mark.parametrize(
    ("zone", "found"),
    [
        ("none", {("parent", PARENT, "no-delegation"), ("resolver", "named", "name-unknown")}),
        ("lame", {("nameserver", f"{PARENT} (ns2.lame.example.test)", "lame")}),
        ("glue", {("parent", PARENT, "glue-wrong"), ("resolver", "named", "resolver-fails")}),
        ("names", {("parent", PARENT, "ns-mismatch")}),
        ("signed", {("parent", PARENT, "ds-present")}),
        (
            "old",
            {("parent", PARENT, "answered-elsewhere"), ("resolver", "named", "answered-elsewhere")},
        ),
    ],
)
def test_a_fault_of_the_delegation_is_found(
    site: Site, named: str, zone: str, found: set[tuple[str, str, str]]
) -> None:
    """And what it comes to at a resolver, and nothing else."""
    args = ("--zone", f"{zone}.example.test", "--parent", PARENT, "--resolver", named)
    told = site.check(*args, "--wait", "0", status=1)
    seen = {(one["role"], one["server"], one["code"]) for one in told["findings"]}
    assert seen == {(role, named if at == "named" else at, fault) for role, at, fault in found}


def test_two_rrdns_that_differ_are_found(site: Site, named: str) -> None:
    """By the SOA; what the resolver tells of it depends on whom it has asked."""
    args = ("--zone", "twin.example.test", "--parent", PARENT, "--resolver", named, "--wait", "0")
    told = site.check(*args, status=1)
    assert {one["code"] for one in told["findings"]} == {"soa-mismatch"}
    (finding,) = (one for one in told["findings"] if one["role"] == "nameserver")
    assert finding["server"] == f"{TWIN} (ns2.twin.example.test)"
    assert finding["sentence"].endswith("differs: serial 2, in the config 1")


def of_resolvers(resolvers: Iterable[str]) -> list[str]:
    """Return the arguments that name these resolvers."""
    return [word for resolver in resolvers for word in ("--resolver", resolver)]


def test_a_ttl_that_a_resolver_makes_longer_is_found(site: Site) -> None:
    """Be it at once, or only when the answer has expired."""
    ttls = {
        site.resolver("unbound", with_options("cache-min-ttl: 60")): 60,
        site.resolver("named", with_options("min-cache-ttl 60;")): 60,
        site.resolver(
            "unbound", with_options("serve-expired: yes", "serve-expired-reply-ttl: 30")
        ): 30,
    }
    asked = ("--parent", PARENT, *of_resolvers(ttls), "--wait", "10")
    found = site.check(*PVS, *asked, status=1)["findings"]
    assert [(one["server"], one["code"]) for one in found] == [
        (resolver, "ttl-clamped") for resolver in ttls
    ]
    for one, ttl in zip(found, ttls.values(), strict=True):
        assert f"with TTL {ttl} s instead of {TTL} s" in one["sentence"]


def test_private_addresses_taken_out_are_found(site: Site) -> None:
    """Whether the resolver then answers with nothing or fails.

    Unbound with the glue of the parent and as a stub, BIND, and dnsmasq with protection against
    rebinding and without the exception that is printed.
    """
    resolvers = [
        site.resolver("unbound", not_private),
        site.resolver("unbound", lambda text: asking_rrdns(not_private(text))),
        site.resolver("named", with_options("deny-answer-addresses { 10.0.0.0/8; };")),
        site.dnsmasq("stop-dns-rebind", f"server=/pvs.example.test/{RRDNS}"),
    ]
    asked = ("--parent", PARENT, *of_resolvers(resolvers))
    found = site.check(*PVS, *asked, status=1)["findings"]
    assert [(one["server"], one["code"]) for one in found] == [
        (resolver, "private-stripped") for resolver in resolvers
    ]
    for one in found[:3]:
        assert 'private-domain: "pvs.example.test"' in one["remedy"]


@pytest.mark.long
def test_an_order_that_a_resolver_fixes_is_found(site: Site) -> None:
    """BIND sorts, as Windows DNS does by subnet: six new answers with the same one first."""
    order = "sortlist { { any; { 10.53.0.12; 10.53.0.11; 10.53.0.13; }; }; };"
    resolver = site.resolver("named", with_options(order))
    told = site.check(*PVS, "--parent", PARENT, "--resolver", resolver, status=1)
    (finding,) = told["findings"]
    assert (finding["server"], finding["code"]) == (resolver, "rotation-frozen")
    assert "had 10.53.0.12 first in each of" in finding["sentence"]


def test_what_is_printed_makes_resolvers_find_rrdns(site: Site) -> None:
    """Unbound, BIND and dnsmasq that know nothing of the parent, each at its strictest."""
    unbound = site.printed("unbound")
    named = site.printed("named")
    dnsmasq = site.printed("dnsmasq")
    asked = of_resolvers((unbound, named, dnsmasq))
    told = site.check(*PVS, "--parent", PARENT, *asked, status=0)
    assert len(told["asked"]) == 5


def test_a_signed_parent_is_well_without_a_ds_record_and_broken_with_one(site: Site) -> None:
    """It proves that there is none; one for a zone that nobody signs makes validation fail."""
    named = site.validating()
    asked = ("--parent", SIGNED, "--resolver", named, "--wait", "0")
    assert site.check(*PVS, *asked, status=0)["findings"] == []
    told = site.check("--zone", "signed.example.test", *asked, status=1)
    assert [(one["server"], one["code"]) for one in told["findings"]] == [
        (SIGNED, "ds-present"),
        (named, "validation-fails"),
    ]
