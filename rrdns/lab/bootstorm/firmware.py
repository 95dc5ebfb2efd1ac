"""The boot firmware that the lab simulates: the queries, retries and timeouts of each.

The figures are from the sources of the programs. Those of iPXE and of EDK2's TFTP were measured
with the programs in QEMU. A figure that is not confirmed is marked "hypothesis". The rules for
answers are in `dns_rules`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from rrdns.lab.bootstorm.dns_rules import Rule, edk2, grub, ipxe, u_boot
from rrdns.wire.tftp.firmware_options import Options


@dataclass(frozen=True, slots=True)
class QueryStep:
    """A query that the firmware sends if it has no answer at that time."""

    at: float  # seconds since the stage began
    server: int  # of the DNS servers from DHCP, counted from 0
    rtype: str


@dataclass(frozen=True, slots=True)
class LookupStage:
    """One question of a look-up: its queries, and the timeout of its answer."""

    rtype: str  # of the query whose answers are read
    queries: tuple[QueryStep, ...]
    timeout: float


# Arguments: the number of DNS servers, and whether they have IPv6.
Stages = Callable[[int, bool], tuple[LookupStage, ...]]


@dataclass(frozen=True, slots=True)
class Firmware:
    """How one kind of firmware boots by name. Durations are in seconds."""

    name: str
    title: str
    rule: Rule
    stages: Stages  # each is used if the one before it found no record
    options: Options  # of its RRQ
    # When it sends the RRQ, or during the transfer the last ACK, after the last progress.
    retransmits_at: tuple[float, ...]
    timeout: float  # of a silent server; it tries no other and does not resolve again
    size_options: Options = ()  # of a first RRQ that asks only for the size
    edk2_rules: bool = False  # it loads only from servers that answer options as EDK2 requires
    repeats_acks: bool = True
    fresh_ids: bool = False  # each query has a new ID


# Measured, both for RRQs and for queries: one timer, doubled each time it expires.
_IPXE_REPEATS = (0.0, 0.25, 0.8, 1.9, 3.9, 8.0)
_IPXE_TIMEOUT = 16.0


def _ipxe_stages(servers: int, ipv6: bool) -> tuple[LookupStage, ...]:
    """Query A, or AAAA and then A if the resolver has IPv6; after an empty answer CNAME, once.

    Each retry goes to the next server. If the answer to CNAME is empty, too, iPXE continues to
    wait. That was measured, although its source stops there.
    """

    def stage(rtype: str, repeats: tuple[float, ...] = _IPXE_REPEATS) -> LookupStage:
        steps = tuple(QueryStep(at, turn % servers, rtype) for turn, at in enumerate(repeats))
        return LookupStage(rtype, steps, _IPXE_TIMEOUT)

    first = (stage("AAAA"),) if ipv6 else ()
    return (*first, stage("A"), stage("CNAME", (0.0,)))


def _edk2_stages(_servers: int, _ipv6: bool) -> tuple[LookupStage, ...]:
    """Query the first server once."""
    return (LookupStage("A", (QueryStep(0.0, 0, "A"),), 2.0),)


def _grub_stages(servers: int, _ipv6: bool) -> tuple[LookupStage, ...]:
    """Query in rounds of 0.2 s, four for each server; every second round adds a server."""
    rounds = 4 * servers
    steps = tuple(
        QueryStep(turn * 0.2, server, rtype)
        for turn in range(rounds)
        for server in range(turn // 2 + 1)
        if server < servers
        for rtype in ("A", "AAAA")
    )
    return (LookupStage("A", steps, rounds * 0.2),)


def _u_boot_stages(_servers: int, _ipv6: bool) -> tuple[LookupStage, ...]:
    """Send one packet to the first server."""
    return (LookupStage("A", (QueryStep(0.0, 0, "A"),), 10.0),)


def _grub_repeats() -> tuple[tuple[float, ...], float]:
    """Return the times of 40 tries, and their timeout.

    The first try waits 0.4 s, each next one 0.02 s more.
    """
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
# Measured with OVMF (2022.11), except its look-up: its PXE driver loads from addresses only, and
# its resolver is for other drivers (HTTP, iSCSI). Hypothesis: one firmware does both by name. It
# asks for the size first and refuses the answer. Its source waits 4 ticks of a second; 5 s were
# measured. It fails 5 s after the sixth packet, according to the source.
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
    # Before the first packet. Hypothesis: it waits as long during a transfer.
    timeout=_grub_repeats()[1],
    repeats_acks=False,
)
# After the last timeout it starts again, unless its `netretry` is "no". Here that is a failure.
U_BOOT = Firmware(
    name="uboot",
    title="U-Boot",
    rule=u_boot,
    stages=_u_boot_stages,
    options=(("timeout", "5"), ("tsize", "0"), ("blksize", "1468")),
    retransmits_at=tuple(5.0 * turn for turn in range(11)),
    timeout=55.0,
)

FIRMWARE = MappingProxyType({firmware.name: firmware for firmware in (IPXE, EDK2, GRUB, U_BOOT)})
