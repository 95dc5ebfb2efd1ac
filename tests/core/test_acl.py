"""Which addresses are in a set of networks."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.acl import ANY_ADDRESS, AccessList, PrefixSet, client_key_of


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from(range(33)), max_size=4), st.data())
def test_an_address_is_covered_that_is_in_one_of_the_networks(
    number: int, lengths: list[int], data: st.DataObject
) -> None:
    """As the standard library sees it, for networks of any length, near and within another."""
    address = ipaddress.IPv4Address(number)
    networks = []
    for length in lengths:
        near = number ^ data.draw(st.sampled_from([0, 1, 1 << 8, 1 << 24, 1 << 31]))
        networks.append(ipaddress.ip_network((near, length), strict=False))
    known = PrefixSet([*map(str, networks), "2001:db8::/32"], 4)
    assert known.covers(address.packed) == any(address in one for one in networks)


def test_an_audience_has_networks_of_both_families() -> None:
    """Who cannot be told to be in one is not."""
    acl = AccessList(["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"])
    inside = ("10.1.2.3", "192.0.2.7", "2001:db8:ffff::1")
    integrations = ("11.0.0.0", "192.0.2.8", "2001:db9::", "::ffff:10.0.0.1")
    assert all(acl.allows(ipaddress.ip_address(one).packed) for one in inside)
    assert not any(acl.allows(ipaddress.ip_address(one).packed) for one in integrations)
    assert not acl.allows(b"")


@pytest.mark.parametrize(
    ("networks", "is_everybody"),
    [
        (ANY_ADDRESS, True),
        (("0.0.0.0/1", "128.0.0.0/1", "::/0"), True),
        (("0.0.0.0/0",), False),
        (("0.0.0.0/0", "8000::/1"), False),
    ],
)
def test_everybody_is_every_address_of_both_families(
    networks: tuple[str, ...], is_everybody: bool
) -> None:
    """However that is written."""
    assert AccessList(networks).allows_all is is_everybody


def test_what_holds_several_addresses_counts_as_one() -> None:
    """An IPv6 /64 is one host's; a link after the % is nothing of it, and a name is nobody's."""
    assert client_key_of("192.0.2.1") != client_key_of("192.0.2.2")
    assert client_key_of("2001:db8::1") == client_key_of("2001:db8::2")
    assert client_key_of("2001:db8::1") != client_key_of("2001:db8:0:1::1")
    assert client_key_of("fe80::1%eth0") == client_key_of("fe80::1")
    assert client_key_of("pvs-1") == client_key_of("") == b""
