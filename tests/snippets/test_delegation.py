"""What is printed for parents and resolvers, loaded by the real servers that it is for."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from rrdns.core.model import Nameserver
from rrdns.snippets.delegation.formats import TITLES, Format, delegation_text
from rrdns.snippets.delegation.records import Delegation, NameserverAddressMissing, parent_of
from tests.export.test_readers import check
from tests.peers import ROOT, free_port, peer, running, wait_until

PARENT = "corp.example"
ONE = Delegation(
    "pvs.corp.example",
    PARENT,
    (Nameserver("ns1.pvs.corp.example", ("10.0.0.53",)),),
    ("boot.pvs.corp.example",),
)
TWO = replace(
    ONE,
    nameservers=(
        Nameserver("ns1.pvs.corp.example", ("10.0.0.53", "2001:db8::53")),
        Nameserver("ns2.pvs.corp.example", ("10.0.1.53",)),
    ),
)
APEX = Delegation(
    "pvs-boot.corp.example",
    PARENT,
    (Nameserver("rrdns1.corp.example", ("10.0.0.53",)),),
    ("pvs-boot.corp.example",),
)
BARE = replace(APEX, nameservers=(Nameserver("rrdns1.corp.example"),))
DEEP = Delegation("pvs.site.corp.example", PARENT, ONE.nameservers)
KEPT = replace(ONE, zone="pvs.corp.test", parent="corp.test")
ALL = {"one": ONE, "two": TWO, "apex": APEX, "bare": BARE, "deep": DEEP, "kept": KEPT}
HEAD = "$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 10.0.0.1\n"
STRANGER = "rrdns1 A 10.0.0.53\n"

every = pytest.mark.parametrize("it", ALL.values(), ids=ALL)


def statements(text: str) -> list[str]:
    """Return the lines of a text that are no comments, with single spaces."""
    lines = (re.sub(r"(^|\s)(;|//|#)\s.*", "", line).split() for line in text.splitlines())
    return [" ".join(words) for words in lines if words]


def uncommented(text: str, mark: str, *beginnings: str) -> str:
    """Return a text with the statements that begin so in its comments made valid."""
    found = "|".join(re.escape(begin) for begin in beginnings)
    return re.sub(rf"(?m)^\s*{re.escape(mark)} (?=\s*({found}))", "", text)


def test_the_parent_is_the_name_right_above() -> None:
    """And a parent further up sees the rest of the name as the child."""
    assert parent_of("pvs.corp.example") == PARENT
    assert parent_of("pvs") == ""
    assert DEEP.child == "pvs.site"


@every
@pytest.mark.peers
@pytest.mark.parametrize("form", [Format.BIND, Format.KNOT])
def test_the_parents_zone_file_with_the_lines_is_a_zone(
    tmp_path: Path, it: Delegation, form: Format
) -> None:
    """BIND checks glue and NS, Knot's checker the same; either is content without a warning."""
    if it is DEEP:
        it = replace(it, nameservers=(Nameserver("ns1.pvs.site.corp.example", ("10.0.0.53",)),))
    path = tmp_path / "zone"
    path.write_text(HEAD + (STRANGER if it in (APEX, BARE) else "") + delegation_text(form, it))
    said = check(peer("named-checkzone"), "-i", "full-sibling", "-D", it.parent, path)
    for server in it.nameservers:
        assert re.search(rf"(?m)^{it.zone}\.\s.*NS\s+{server.name}\.$", said), said
    assert "warning" not in said.lower()
    said = check(peer("kzonecheck"), "-o", it.parent, path)
    assert not re.search("(?i)warning|error", said), said
    config = tmp_path / "knot.conf"
    config.write_text(f'zone:\n  - domain: {it.parent}\n    file: "{path}"\n')
    check(peer("knotc"), "--config", config, "conf-check")
    check(peer("knotc"), "--config", config, "zone-check", it.parent)


@pytest.mark.peers
def test_knot_takes_the_orders_in_the_comments(tmp_path: Path) -> None:
    """A running Knot delegates after them, though its file has not changed."""
    zone, config, port = tmp_path / "zone", tmp_path / "knot.conf", free_port()
    zone.write_text(HEAD)
    config.write_text(
        f"server:\n    listen: 127.0.0.1@{port}\n    rundir: {tmp_path}\n"
        f"database:\n    storage: {tmp_path}\n"
        f'zone:\n  - domain: {PARENT}\n    file: "{zone}"\n'
    )

    def asked() -> str:
        return check(peer("kdig"), "+norec", "@127.0.0.1", "-p", str(port), TWO.zone, "NS")

    control = tmp_path / "knot.sock"
    with running([peer("knotd"), "-c", config], ready=control.exists, log=tmp_path / "log"):
        wait_until(lambda: "status: " in asked(), what="knotd answering")
        orders = re.findall(r"(?m)^; knotc (.*)$", delegation_text("knot", TWO))
        assert len(orders) == 7
        for order in orders:
            check(peer("knotc"), "-s", control, *order.split())
        wait_until(lambda: "10.0.1.53" in asked(), what="delegated")
        assert "2001:db8::53" in asked()


@every
@pytest.mark.peers
def test_bind_as_a_resolver_loads_the_zone(tmp_path: Path, it: Delegation) -> None:
    """Also with the statements of its comments in the options."""
    path = tmp_path / "named.conf"
    text = delegation_text("bind-resolver", it)
    path.write_text(text)
    check(peer("named-checkconf"), path)
    options = re.findall(r"(?m)^// ((?:validate-except|deny-answer-addresses) .*)$", text)
    assert len(options) == 2
    path.write_text("options {\n" + "\n".join(options) + "\n};\n" + text)
    check(peer("named-checkconf"), path)


@every
@pytest.mark.peers
def test_unbound_loads_the_stub_zone(tmp_path: Path, it: Delegation) -> None:
    """And the forward-zone of its comment in its place."""
    path = tmp_path / "unbound.conf"
    head = f'server:\n    chroot: ""\n    username: ""\n    directory: "{tmp_path}"\n'
    head += "    private-address: 10.0.0.0/8\n    use-caps-for-id: yes\n"
    text = delegation_text("unbound", it)
    path.write_text(head + text)
    assert "no errors" in check(peer("unbound-checkconf"), path)
    forward = uncommented(text, "#", "forward-zone:", "    name:", "    forward-addr:")
    path.write_text(head + re.sub(r"(?ms)^stub-zone:.*?\n\n", "", forward))
    assert "forward-zone:" in statements(path.read_text())
    assert "no errors" in check(peer("unbound-checkconf"), path)


@pytest.mark.parametrize("it", [ONE, TWO, APEX, KEPT], ids=["one", "two", "apex", "kept"])
@pytest.mark.peers
def test_dnsmasq_loads_its_lines(tmp_path: Path, it: Delegation) -> None:
    """Every address of every nameserver is asked."""
    path = tmp_path / "dnsmasq.conf"
    path.write_text("stop-dns-rebind\n" + delegation_text("dnsmasq", it))
    assert "syntax check OK" in check(peer("dnsmasq"), "--test", f"--conf-file={path}")
    asked = re.findall(rf"(?m)^server=/{it.zone}/(.*)$", path.read_text())
    assert tuple(asked) == it.addresses


def test_unbound_is_told_of_names_that_it_keeps_to_itself() -> None:
    """It answers for .test by itself; for others it is told nothing."""
    assert 'local-zone: "pvs.corp.test." transparent' in statements(
        delegation_text("unbound", KEPT)
    )
    assert "local-zone" not in delegation_text("unbound", ONE)


@pytest.mark.parametrize("form", [Format.WINDOWS, Format.DNSMASQ])
def test_an_address_that_is_needed_and_not_told_is_asked_for(form: Format) -> None:
    """The sentence says where to write it."""
    with pytest.raises(NameserverAddressMissing, match="no address of rrdns1") as caught:
        delegation_text(form, BARE)
    assert 'address = "..." to that name' in str(caught.value)


@pytest.mark.parametrize("form", [Format.BIND, Format.BIND_RESOLVER, Format.KNOT, Format.UNBOUND])
def test_who_can_resolve_a_nameserver_gets_its_name(form: Format) -> None:
    """A nameserver outside of the zone needs no address here."""
    assert "rrdns1.corp.example" in delegation_text(form, BARE)


def test_an_unknown_format_is_refused() -> None:
    """As a value error, which names it."""
    with pytest.raises(ValueError, match="fax"):
        delegation_text("fax", ONE)


def test_each_format_has_a_title() -> None:
    """It stands above its text where all are printed."""
    assert set(TITLES) == set(Format)


def pages(language: str) -> list[list[str]]:
    """Return the statements of each block of docs/delegation.md in a language."""
    text = (ROOT / "docs/delegation.md").read_text()
    return [statements(block) for block in re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)]


@pytest.mark.parametrize(
    ("form", "language"),
    [
        (Format.WINDOWS, "powershell"),
        (Format.BIND, "zone"),
        (Format.KNOT, "zone"),
        (Format.BIND_RESOLVER, "named"),
        (Format.UNBOUND, "unbound"),
        (Format.DNSMASQ, "dnsmasq"),
    ],
)
def test_the_page_shows_what_is_printed(form: Format, language: str) -> None:
    """docs/delegation.md and the command agree on every statement."""
    assert statements(delegation_text(form, ONE)) == pages(language)[0]
