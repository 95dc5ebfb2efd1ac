"""Orders go with their servers: cases that were thought out, and what holds in all others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.model import BootFile, Member, Pool, ProbeSpec
from rrdns.core.orders.reassignment import OrderTarget, reassign
from rrdns.core.orders.request import Target

SPEC = ProbeSpec((BootFile("ARDBP32.BIN"),))
ONE = OrderTarget("boot", "pvs-1", "10.0.0.1", "boot.example")
TWO = OrderTarget("boot", "pvs-2", "10.0.0.2", "boot.example")


def pool(members: dict[str, str], name: str = "boot", hostname: str = "boot.example") -> Pool:
    found = tuple(Member(each, address) for each, address in members.items())
    return Pool(name, hostname, found, SPEC)


def where(assignees: list[OrderTarget], *pools: Pool) -> list[Target | None]:
    return [each.key for each in reassign(assignees, pools)]


LOGIN = pool({"pvs-1": "10.0.0.1"}, "login", "login.example")
CASES: dict[str, tuple[Pool, list[Target | None]]] = {
    "nothing changed": (pool({"pvs-1": "10.0.0.1"}), [("boot", "pvs-1")]),
    "another address": (pool({"pvs-1": "10.0.0.9"}), [("boot", "pvs-1")]),
    "another name": (pool({"pvs-one": "10.0.0.1"}), [("boot", "pvs-one")]),
    "names swapped": (
        pool({"pvs-1": "10.0.0.2", "pvs-2": "10.0.0.1"}),
        [("boot", "pvs-1")],
    ),
    "another hostname": (
        pool({"pvs-1": "10.0.0.1"}, hostname="pvs.example"),
        [("boot", "pvs-1")],
    ),
    "another hostname and member": (
        pool({"pvs-one": "10.0.0.1"}, hostname="pvs.example"),
        [("boot", "pvs-one")],
    ),
    "pool renamed": (pool({"pvs-1": "10.0.0.1"}, "site"), [("site", "pvs-1")]),
    "pool renamed, another address": (pool({"pvs-1": "10.0.0.9"}, "site"), [("site", "pvs-1")]),
    "pool and member renamed": (pool({"pvs-one": "10.0.0.1"}, "site"), [("site", "pvs-one")]),
    "member gone": (pool({"pvs-2": "10.0.0.2"}), [None]),
    "pool gone": (pool({"pvs-1": "10.0.0.1"}, "site", "site.example"), [None]),
    "pool renamed, member gone": (pool({"pvs-2": "10.0.0.2"}, "site"), [None]),
}


@pytest.mark.parametrize("case", CASES)
def test_where_an_order_goes(case: str) -> None:
    """Another pool with the same server never gets it: orders are per hostname."""
    after, wanted = CASES[case]
    assert where([ONE], LOGIN, after) == wanted
    assert where([ONE], after, LOGIN) == wanted


def test_a_split_pool_keeps_the_orders_of_the_hostname() -> None:
    """Who went to another hostname has to be drained there; the order waits where it was."""
    first = pool({"pvs-1": "10.0.0.1"})
    second = pool({"pvs-2": "10.0.0.2"}, "boot-b", "boot-b.example")
    assert where([ONE, TWO], first, second) == [("boot", "pvs-1"), None]


def test_a_name_goes_before_an_address_of_another_order() -> None:
    """pvs-1 is gone and pvs-2 has its address: one member has one order, and none is lost."""
    assert where([ONE, TWO], pool({"pvs-2": "10.0.0.1"})) == [None, ("boot", "pvs-2")]


def test_what_is_not_known_of_a_server_fits_by_name_alone() -> None:
    """A store from before addresses were kept."""
    bare = OrderTarget("boot", "pvs-1")
    assert where([bare], pool({"pvs-1": "10.0.0.9"})) == [("boot", "pvs-1")]
    assert where([bare], pool({"pvs-one": ""}, hostname="")) == [None]
    assert where([bare], pool({"pvs-1": "10.0.0.1"}, "site", "")) == [None]


def test_pools_that_swapped_names_keep_orders_by_name_first() -> None:
    """The name counts where a member fits; the hostname where none does."""
    swapped = pool({"pvs-7": "10.0.0.7"}), pool({"pvs-1": "10.0.0.1"}, "login", "login.example")
    assert where([ONE], *swapped) == [None]
    one, other = pool({"pvs-7": "10.0.0.7"}, "boot", "b"), pool({"pvs-1": "10.0.0.1"}, "old")
    assert where([ONE], one, other) == [("old", "pvs-1")]


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (
            pool({"pvs-one": "10.0.0.1"}),
            "the drain of pvs-1 in pool boot goes to pvs-one (same address)",
        ),
        (
            pool({"pvs-1": "10.0.0.1"}, "site"),
            "the drain of pvs-1 in pool boot goes to pvs-1 in pool site (same hostname and name)",
        ),
        (pool({"pvs-1": "10.0.0.1"}), "the drain of pvs-1 in pool boot stays"),
        (
            pool({"pvs-1": "10.0.0.9", "pvs-2": "10.0.0.1"}),
            (
                "the drain of pvs-1 in pool boot stays with that name, which is now another "
                "server: 10.0.0.1 is now pvs-2, which does not get the drain"
            ),
        ),
        (
            pool({"pvs-2": "10.0.0.2"}),
            (
                "the drain of pvs-1 in pool boot has no member now: it is stored, and in force "
                "again when the config has a member of that name or address"
            ),
        ),
    ],
)
def test_what_becomes_of_an_order_is_told_in_words(after: Pool, sentence: str) -> None:
    """An admin reads it before the reload (check-config), and after it."""
    assert reassign([ONE], [after])[0].sentence("drain") == sentence


names, addresses = st.sampled_from("abcd"), st.sampled_from("1234")
keys = st.tuples(st.sampled_from("PQR"), names)
owners = st.dictionaries(keys, st.tuples(st.sampled_from(["", *"1234"]), st.sampled_from("xyz")))
configs = st.dictionaries(
    st.sampled_from("PQR"), st.dictionaries(names, addresses, min_size=1), max_size=3
)


@given(owners, configs, st.permutations("xyz"))
def test_no_order_is_lost_or_doubled(
    known: dict[Target, tuple[str, str]], config: dict[str, dict[str, str]], hosts: list[str]
) -> None:
    """Each has one place; a member has one order; a name that is there keeps its own."""
    pools = [
        pool(members, name, host)
        for (name, members), host in zip(config.items(), hosts, strict=False)
    ]
    members = {(each.name, member.name): member for each in pools for member in each.members}
    assignees = [OrderTarget(*key, *rest) for key, rest in known.items()]
    found = reassign(assignees, pools)
    assert sorted(each.before.key for each in found) == sorted(known)
    keys = [each.key or each.before.key for each in found]
    assert len(set(keys)) == len(known)  # in the store each has a name of its own
    for each in found:
        if each.key is None:
            assert each.before.key not in members
        else:
            assert each.key in members
        if each.before.key in members:
            assert each.key == each.before.key
        elif each.key is not None:
            # What follows once follows again: a second look changes nothing.
            there = members[each.key]
            host = next(one.hostname for one in pools if one.name == each.key[0])
            again = reassign([OrderTarget(*each.key, there.address, host)], pools)
            assert [one.key for one in again] == [each.key]


@given(owners, configs)
def test_the_order_of_the_orders_does_not_matter(
    known: dict[Target, tuple[str, str]], config: dict[str, dict[str, str]]
) -> None:
    """Else a restart might place them otherwise than a reload did."""
    pools = [pool(members, name, name) for name, members in config.items()]
    assignees = [OrderTarget(*key, *rest) for key, rest in known.items()]
    assert reassign(assignees, pools) == reassign(reversed(assignees), pools)
