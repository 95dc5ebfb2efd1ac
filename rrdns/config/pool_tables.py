"""The tables of pools, their members and their probes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, model_validator

from rrdns.config import validators
from rrdns.config.table import Domain, Hash, Identifier, Table, Text, Ttl, required
from rrdns.core.model import (
    BootFile,
    Member,
    OnEmpty,
    Policy,
    Pool,
    ProbeSpec,
    Profile,
)

Ipv4 = Annotated[str, AfterValidator(validators.ipv4)]
Count = Annotated[int, AfterValidator(validators.InRange(1, 1000))]


# Where the defaults of the tables come from.
_PROBE = ProbeSpec(files=())
_POOL = Pool(name="", hostname="", members=(), probe=_PROBE)


class FileTable(Table):
    """An entry of a probe's `files`: its name alone, or a table."""

    heading: ClassVar[str] = "files"
    builds: ClassVar[type[Any]] = BootFile
    name: Annotated[str, AfterValidator(validators.file_name)] = required('name = "ARDBP32.BIN"')
    """Name of the file, as targets request it."""
    size: Annotated[int, AfterValidator(validators.InRange(1, 2**32, "bytes"))] | None = None
    """Size that the file must have."""
    sha256: Hash | None = None
    """SHA-256 that the file must have."""
    require_marker: bool = False
    """The file must contain the marker of a PVS bootstrap."""
    profile: Annotated[Profile, BeforeValidator(validators.one_of(Profile))] | None = None
    """Firmware that loads the file. By default its name decides: `uefi` for `*.efi`, `ipxe` for
    `*.ipxe`, otherwise `bios`."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class ProbeTable(Table):
    """`[pools.probe]`."""

    heading: ClassVar[str] = "[pools.probe]"
    builds: ClassVar[type[Any]] = ProbeSpec
    files: list[FileTable] = required('files = ["ARDBP32.BIN"]', [])
    """Boot files that must load: names, or tables with the settings of `files`."""
    port: Annotated[int, AfterValidator(validators.InRange(1, 65535))] = _PROBE.port
    """UDP port of the TFTP servers."""
    interval: Annotated[float, AfterValidator(validators.InRange(0.1, 3600, "seconds"))] = (
        _PROBE.interval
    )
    """Time from one probe to the next."""
    timeout: Annotated[float, AfterValidator(validators.InRange(0.05, 60, "seconds"))] = (
        _PROBE.timeout
    )
    """Time without a response until a probe fails."""
    fast_interval: Annotated[float, AfterValidator(validators.InRange(0.05, 3600, "seconds"))] = (
        _PROBE.fast_interval
    )
    """Time to the next probe while results contradict the standing, so that a change is detected
    early."""
    full_every: Annotated[float, AfterValidator(validators.InRange(1, 86400, "seconds"))] = (
        _PROBE.full_every
    )
    """Time between full downloads; other probes load one block."""
    fall: Count = _PROBE.fall
    """Failed probes in a row until a member leaves rotation."""
    rise: Count = _PROBE.rise
    """Good probes in a row until it returns."""
    blksize: Annotated[int, AfterValidator(validators.InRange(8, 65464, "bytes"))] = _PROBE.blksize
    """Block size that full downloads request (RFC 2348); 1428 fits one Ethernet frame with room for
    tunnels."""


class MemberTable(Table):
    """`[[pools.members]]`."""

    heading: ClassVar[str] = "[[pools.members]]"
    builds: ClassVar[type[Any]] = Member
    name: Identifier = required('name = "pvs-1"')
    """Name of the server in the API and on the command line."""
    address: Ipv4 = required('address = "10.0.0.11"')
    """Address that targets boot from. IPv4, because firmware queries A records."""
    backup: bool = False
    """In rotation only if no other member can be."""
    tags: list[Text | None] = []
    """Your own labels, to select members with `--tag`."""


class PoolTable(Table):
    """`[[pools]]`."""

    heading: ClassVar[str] = "[[pools]]"
    builds: ClassVar[type[Any]] = Pool
    name: Identifier = required('name = "boot"')
    """Name of the pool in the API and on the command line."""
    hostname: Domain = required('hostname = "boot.pvs.example.test"')
    """Name that targets resolve (option 66): inside a zone, or its apex."""
    members: list[MemberTable] = required("[[pools.members]] with a name and an address", [])
    """Servers of the pool."""
    probe: ProbeTable = required('[pools.probe] with files = ["ARDBP32.BIN"]', ProbeTable())
    """How members are probed."""
    ttl: Ttl = _POOL.ttl
    """Time that a resolver may cache an answer. A dead server stays in caches for so long."""
    allow_zero_ttl: bool = False
    """Allows `ttl = 0`, which some firmware caches for ever."""
    answers: Annotated[int, AfterValidator(validators.InRange(1, 28))] = _POOL.answers
    """Addresses in one answer, at most. Targets take the first."""
    policy: Annotated[Policy, BeforeValidator(validators.one_of(Policy))] = _POOL.policy
    """Order of the addresses: each is first equally often."""
    on_empty: Annotated[OnEmpty, BeforeValidator(validators.one_of(OnEmpty))] = _POOL.on_empty
    """Response if no member is healthy: all that are not drained, SERVFAIL, or none."""
    min_members: Count = _POOL.min_members
    """rrdns refuses a drain that would leave fewer members that a target can boot from."""
