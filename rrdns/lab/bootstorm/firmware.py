"""The boot firmware that the lab plays: what each asks, when again, and when it gives up.

The figures are from the sources of the programs; those of iPXE and of EDK2's TFTP were measured
with the programs themselves in QEMU. What could not be confirmed says "hypothesis". What an
answer must look like is told by `wire.firmware`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from rrdns.lab.bootstorm.dns_rules import Rule, edk2, grub, ipxe, u_boot
from rrdns.wire.tftp.read_session import Options


@dataclass(frozen=True, slots=True)
class QueryStep:
    """A query that is sent if no answer has come by then."""

    at: float  # seconds since the stage began
    server: int  # of those that DHCP told, counted from 0
    rtype: str


@dataclass(frozen=True, slots=True)
class LookupStage:
    """One question of a look-up: when it is sent to whom, and how long an answer may take."""

    rtype: str  # of the query whose answers are read
    queries: tuple[QueryStep, ...]
    timeout: float


Stages = Callable[
    [int, bool], tuple[LookupStage, ...]
]  # for so many DNS servers; do they have IPv6?


@dataclass(frozen=True, slots=True)
class Firmware:
    """How one kind of firmware boots by name; durations in seconds."""

    name: str
    title: str
    rule: Rule
    stages: Stages  # each follows when the one before found no record
    options: Options  # of its RRQ
    retransmits_at: tuple[
        float, ...
    ]  # the RRQ, or in mid-transfer the last ACK; from the last progress
    timeout: float  # with a server that is silent; it tries no other and does not resolve again
    size_options: Options = ()  # of an RRQ before it that asks for the size alone
    edk2_rules: bool = False  # it loads only from who answers its options as EDK2 wants it
    repeats_acks: bool = True
    fresh_ids: bool = False  # each query has an ID of its own


# Measured, for RRQs and queries alike: one timer, doubled at each of its expiries.
_IPXE_REPEATS = (0.0, 0.25, 0.8, 1.9, 3.9, 8.0)
_IPXE_TIMEOUT = 16.0


def _ipxe_stages(servers: int, ipv6: bool) -> tuple[LookupStage, ...]:
    """Ask A, or AAAA and then A where the resolver has IPv6; after an empty answer CNAME, once.

    Each repeat goes to the next server. An answer to CNAME that is empty, too, leaves it
    waiting: measured, although its source would give up there.
    """

    def stage(rtype: str, repeats: tuple[float, ...] = _IPXE_REPEATS) -> LookupStage:
        asks = tuple(QueryStep(at, turn % servers, rtype) for turn, at in enumerate(repeats))
        return LookupStage(rtype, asks, _IPXE_TIMEOUT)

    first = (stage("AAAA"),) if ipv6 else ()
    return (*first, stage("A"), stage("CNAME", (0.0,)))


def _edk2_stages(_servers: int, _ipv6: bool) -> tuple[LookupStage, ...]:
    """Try once, and the first server only."""
    return (LookupStage("A", (QueryStep(0.0, 0, "A"),), 2.0),)


def _grub_stages(servers: int, _ipv6: bool) -> tuple[LookupStage, ...]:
    """Ask in rounds of 0.2 s, four for each server; after every second one more is asked."""
    rounds = 4 * servers
    asks = tuple(
        QueryStep(turn * 0.2, server, rtype)
        for turn in range(rounds)
        for server in range(turn // 2 + 1)
        if server < servers
        for rtype in ("A", "AAAA")
    )
    return (LookupStage("A", asks, rounds * 0.2),)


def _u_boot_stages(_servers: int, _ipv6: bool) -> tuple[LookupStage, ...]:
    """Send one packet to the first server."""
    return (LookupStage("A", (QueryStep(0.0, 0, "A"),), 10.0),)


def _grub_repeats() -> tuple[tuple[float, ...], float]:
    """Try 40 times; the first waits 0.4 s, each next one 0.02 s more."""
    times, now = [], 0.0
    for turn in range(40):
        times.append(round(now, 2))
        now += 0.4 + 0.02 * turn
    return tuple(times), round(now, 2)


IPXE = Firmware(
    name="ipxe",
    title="iPXE",
    rule=ipxe,
    stages=_ipxe_stages,
    options=(("blksize", "1432"), ("tsize", "0")),
    retransmits_at=_IPXE_REPEATS,
    timeout=_IPXE_TIMEOUT,
    fresh_ids=True,
)
# Measured with OVMF (2022.11), but for its look-up: its PXE driver loads from addresses only, and
# its resolver serves other drivers (HTTP, iSCSI), so that one firmware does both by name is a
# hypothesis. It asks for the size first and refuses the answer. Its source waits 4 ticks of a
# second, which measured as 5 s. That it gives up 5 s after the sixth packet is from the source.
EDK2 = Firmware(
    name="edk2",
    title="EDK2",
    rule=edk2,
    stages=_edk2_stages,
    size_options=(("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")),
    options=(("blksize", "1468"), ("windowsize", "4")),
    retransmits_at=(0.0, 5.0, 10.0, 15.0, 20.0, 25.0),
    timeout=30.0,
    edk2_rules=True,
)
GRUB = Firmware(
    name="grub",
    title="GRUB 2",
    rule=grub,
    stages=_grub_stages,
    options=(("blksize", "1024"), ("tsize", "0")),
    retransmits_at=_grub_repeats()[0],
    # Before the first packet. That it waits as long in mid-transfer is a hypothesis.
    timeout=_grub_repeats()[1],
    repeats_acks=False,
)
# After the last time-out it begins anew, unless its `netretry` says "no": taken as a failure.
U_BOOT = Firmware(
    name="uboot",
    title="U-Boot",
    rule=u_boot,
    stages=_u_boot_stages,
    options=(("timeout", "5"), ("tsize", "0"), ("blksize", "1468")),
    retransmits_at=tuple(5.0 * turn for turn in range(11)),
    timeout=55.0,
)

FIRMWARE = MappingProxyType({one.name: one for one in (IPXE, EDK2, GRUB, U_BOOT)})
