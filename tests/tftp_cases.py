"""Servers that answer in one odd way each, what a probe says of them, and whether firmware loads.

One table for three kinds of tests: the probe on loopback, iPXE and EDK2 as `rrdns boot` plays them,
and the real ones in QEMU. As a program it is the server of one case:
`python -m tests.tftp_cases ADDRESS PORT ELSEWHERE CASE`.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rrdns.core.health.probe_result import Verdict
from rrdns.core.model import Profile
from rrdns.wire.tftp.packets import Ack, Data, Error, MalformedPacket, ReadRequest, decode, encode
from tests.e2e import bootfiles

BIOS_FILE, UEFI_FILE = "ARDBP32.BIN", "pvsnbpx64.efi"
BOOT_FILES = {BIOS_FILE: bootfiles.bios("scripted"), UEFI_FILE: bootfiles.uefi("scripted")}
FILE_OF = {Profile.BIOS: BIOS_FILE, Profile.IPXE: BIOS_FILE, Profile.UEFI: UEFI_FILE}
PATIENT = 5.0  # seconds: the time-out of `rrdns probe`
GIVES_UP = 60.0  # seconds that a server waits for its reader
# Seconds after which a repeated ACK is no answer to a duplicate. Else every packet would come twice
# from then on (RFC 1123, section 4.2.3.1), and iPXE never ends where block 65535 does.
REPEATS = 0.1
_MAX_BYTES = 2048  # of what a reader sends
_WRAP = 65536

CounterReader = tuple[str, int]


@dataclass(frozen=True)
class Script:
    """What a server does; by default all as it should. It repeats a packet when asked to only."""

    knows: tuple[str, ...] = ("tsize", "blksize")  # the options that it accepts when asked
    most_blksize: int = 1468
    capitals: str = ""  # the option that it writes so
    tsize: str = "{}"  # how it writes the size
    blksize: str = "{}"  # how it writes the block size
    twice: str = ""  # the option that it names twice
    more: tuple[tuple[str, str], ...] = ()  # options that it accepts, asked or not
    tells_size: bool = False  # of itself
    tail: bytes = b""  # behind the last option
    empty_oack: bool = False
    stray: bytes = b""  # from its port, behind the OACK
    error: bytes = b""  # in place of any answer
    answers_after: float = 0.0  # seconds
    loses_requests: int = 0  # of each reader's port
    block_after: float = 0.0  # seconds before each block
    pauses: tuple[int, float] = (0, 0.0)  # before which block, and how many seconds
    loses_block: int = 0  # the first time that it is sent
    longer_block: int = 0  # bytes of the first block, whatever was agreed
    rolls_to: int = 0  # the block number behind 65535
    moves: str = ""  # "port" or "address": from where the blocks come from the second one on
    size: int = 0  # bytes to which a file is filled up

    def option_ack(self, asked: Mapping[str, str], size: int) -> bytes | None:
        """Return the OACK for a request; None where it has nothing to accept."""
        if self.empty_oack:
            return b"\0\6"
        options = [(name, asked[name]) for name in asked if name in self.knows]
        options += [option for option in options if option[0] == self.twice]
        if self.tells_size and "tsize" not in asked:
            options.append(("tsize", ""))
        blksize = self.blksize.format(self.block_size(asked))
        values = {"tsize": self.tsize.format(size), "blksize": blksize}
        pairs = [(name, values.get(name, value)) for name, value in options] + list(self.more)
        if not pairs:
            return None
        spelled = [
            (name.upper() if name == self.capitals else name, value) for name, value in pairs
        ]
        flat = [text.encode() + b"\0" for pair in spelled for text in pair]
        return b"\0\6" + b"".join(flat) + self.tail

    def block_size(self, asked: Mapping[str, str]) -> int:
        """Return how many bytes a block has."""
        if self.empty_oack or "blksize" not in self.knows or "blksize" not in asked:
            return 512
        return min(int(asked["blksize"]), self.most_blksize)


@dataclass(frozen=True)
class Expected:
    """What a whole download by the probe finds."""

    verdict: Verdict = Verdict.OK
    words: str = ""  # in its sentence or a warning


FINE = Expected()


@dataclass(frozen=True)
class Case:
    """A server, and what becomes of those that load from it."""

    name: str
    script: Script
    expects: Expected = FINE  # as bios and as ipxe
    uefi: Expected = FINE
    long: bool = False  # it takes longer than a fast test may
    timeout: float = PATIENT  # of the probe

    def expected(self, profile: Profile) -> Expected:
        """Return what the probe says where this firmware asks for the file."""
        return self.uefi if profile is Profile.UEFI else self.expects

    def loads(self, profile: Profile) -> bool:
        """Return whether that firmware loads: probe and firmware agree."""
        return self.expected(profile).verdict in (Verdict.OK, Verdict.SLOW)

    @property
    def row(self) -> str:
        """Return the line of docs/tried.md that tells of it."""
        cells = [self.name]
        for profile in (Profile.IPXE, Profile.UEFI):
            expected = self.expected(profile)
            warned = ", with a warning" if self.loads(profile) and expected.words else ""
            cells.append("loads" if self.loads(profile) else "does not load")
            cells.append(f"`{expected.verdict}`{warned}")
        return f"| {' | '.join(cells)} |"


def _case(
    name: str,
    script: Script,
    each: Expected = FINE,
    *,
    uefi: Expected | None = None,
    long: bool = False,
    timeout: float = PATIENT,
) -> Case:
    return Case(name, script, each, uefi or each, long, timeout)


def _edk2_fails(why: str) -> Expected:
    return Expected(Verdict.BAD_REPLY, f"(EDK2) do not load {UEFI_FILE} from {{}}: {why}")


def _warned(what: str) -> Expected:
    return Expected(Verdict.OK, what)


_SLOW = Expected(Verdict.SLOW, "is slow: its first reply")
_ROUND_TRIPS = 65_600  # more than there are block numbers
_ERROR = b"\0\5\0\0"
_SAID = "für Größe"

CASES = [
    _case("sound", Script()),
    _case("no OACK", Script(knows=()), uefi=_edk2_fails("it answers without an OACK")),
    _case(
        "OACK without tsize", Script(knows=("blksize",)), uefi=_edk2_fails("its OACK has no tsize")
    ),
    _case("OACK with tsize alone", Script(knows=("tsize",))),
    _case(
        "TSIZE in capitals",
        Script(capitals="tsize"),
        uefi=_edk2_fails("its OACK does not write tsize in lower case"),
    ),
    _case("BLKSIZE in capitals", Script(capitals="blksize")),
    _case(
        "tsize that nobody asked for",
        Script(tells_size=True),
        uefi=_edk2_fails("its OACK has tsize without a request for it"),
    ),
    _case("tsize 0", Script(tsize="0"), uefi=_edk2_fails("its OACK has tsize 0")),
    _case(
        "empty OACK",
        Script(empty_oack=True),
        _warned("sent an OACK that is empty"),
        uefi=_edk2_fails("its OACK has no tsize"),
    ),
    _case(
        "timeout that nobody asked for",
        Script(more=(("timeout", "5"),)),
        _warned("accepts the option 'timeout'"),
    ),
    _case(
        "windowsize that nobody asked for",
        Script(more=(("windowsize", "1"),)),
        _warned("accepts the option 'windowsize'"),
        uefi=FINE,  # EDK2 does ask for it
    ),
    _case(
        "unknown option that nobody asked for",
        Script(more=(("color", "blue"),)),
        _warned("accepts the option 'color'"),
    ),
    _case(
        "NULs behind the last option",
        Script(tail=b"\0\0\0"),
        _warned("has NULs after its last option"),
    ),
    _case("stray ACK behind the OACK", Script(stray=b"\0\4\0\0"), _warned("sent a stray packet")),
    _case("noise behind the OACK", Script(stray=b"HTTP/1.1 400"), _warned("sent a stray packet")),
    _case(
        "option twice with one value",
        Script(twice="blksize"),
        _warned("has the option 'blksize' twice"),
    ),
    _case("first answer after 1.3 s", Script(answers_after=1.3), _SLOW),
    _case("lost first request", Script(loses_requests=1), timeout=1.6),
    _case("lost first request, repeated late", Script(loses_requests=1), _SLOW, long=True),
    _case(
        "pause of 3 s in mid-transfer",
        Script(pauses=(3, 3.0)),
        Expected(Verdict.SLOW, "is slow: it paused for 3."),
        long=True,
    ),
    _case("block lost until the ACK is repeated", Script(loses_block=3), timeout=0.6),
    _case(
        "300 blocks at 70 ms",
        Script(most_blksize=512, block_after=0.07, size=300 * 512 - 1),
        long=True,
    ),
    _case(
        "block numbers roll over to 0",
        Script(most_blksize=8, size=_ROUND_TRIPS * 8),
        long=True,
    ),
    _case(
        "block numbers roll over to 1",
        Script(most_blksize=8, size=_ROUND_TRIPS * 8, rolls_to=1),
        Expected(Verdict.BAD_REPLY, "block numbers roll over to 0: all firmware stalls"),
        long=True,
    ),
    _case("34 MB in blocks of 512", Script(most_blksize=512, size=34_000_000), long=True),
    _case(
        "space before the number of tsize",
        Script(tsize=" {}"),
        _warned("writes the value of tsize as ' 20"),
    ),
    _case(
        "space before the number of blksize",
        Script(blksize=" {}"),
        _warned("writes the value of blksize as ' 14"),
        uefi=Expected(Verdict.BAD_REPLY, "its blksize is ' 1468', which is not a number"),
    ),
    _case(
        "space behind the number of tsize",
        Script(tsize="{} "),
        Expected(Verdict.BAD_REPLY, f"its tsize is '{len(BOOT_FILES[BIOS_FILE])} ', which is no"),
        uefi=_warned("writes the value of tsize as '20480 '"),
    ),
    _case(
        "space behind the number of blksize",
        Script(blksize="{} "),
        Expected(Verdict.BAD_REPLY, "its blksize is '14"),
        uefi=_warned("writes the value of blksize as '1468 '"),
    ),
    _case(
        "block longer than agreed",
        Script(most_blksize=1428, longer_block=1456),
        Expected(Verdict.BAD_REPLY, "it sent 1456 bytes in a block of 1428"),
    ),
    _case(
        "error in Latin-1",
        Script(error=_ERROR + _SAID.encode("latin-1") + b"\0"),
        Expected(Verdict.TFTP_ERROR, f"(TFTP error 0: {_SAID})"),
    ),
    _case(
        "error in UTF-16",
        Script(error=_ERROR + _SAID.encode("utf-16-le") + b"\0\0"),
        Expected(Verdict.TFTP_ERROR, f"(TFTP error 0: {_SAID})"),
    ),
    _case(
        "goes on from another port",
        Script(moves="port"),
        Expected(Verdict.WRONG_SOURCE, "the transfer continued from port "),
        timeout=0.6,
    ),
    _case(
        "goes on from another address",
        Script(moves="address"),
        Expected(Verdict.WRONG_SOURCE, "the transfer continued from 127."),
        timeout=0.6,
    ),
]


class ScriptedServer:
    """A TFTP server that keeps to a script; each transfer runs as a task of its own."""

    def __init__(self, script: Script, address: str, elsewhere: str, port: int = 0) -> None:
        self.address = address
        self.port = port
        self.loaded: list[str] = []  # files whose last block was acknowledged
        self._elsewhere = elsewhere
        self._script = script
        self._tasks: dict[CounterReader, asyncio.Task[None]] = {}
        self._requests: dict[CounterReader, int] = {}
        self._files = {
            name: content.ljust(script.size, b"\0") for name, content in BOOT_FILES.items()
        }

    async def __aenter__(self) -> Self:
        """Listen."""
        self._door = _bound(self.address, self.port)
        self.port = self._door.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._door, self._on_request)
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """End all transfers."""
        asyncio.get_running_loop().remove_reader(self._door)
        self._door.close()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _on_request(self) -> None:
        datagram, reader = self._door.recvfrom(_MAX_BYTES)
        packet = decode(datagram)
        if not isinstance(packet, ReadRequest):
            return
        self._requests[reader] = self._requests.get(reader, 0) + 1
        if self._requests[reader] > self._script.loses_requests and reader not in self._tasks:
            self._tasks[reader] = asyncio.create_task(self._transfer(packet, reader))

    async def _transfer(self, request: ReadRequest, reader: CounterReader) -> None:
        script, content = self._script, self._files[request.file]
        with (
            _bound(self.address) as own,
            _bound(self._elsewhere) as address,
            _bound(self.address) as port,
        ):
            line = _Line(own, reader)
            await asyncio.sleep(script.answers_after)
            if script.error:
                line.send(script.error)
                return
            oack = script.option_ack(request.options, len(content))
            if oack is not None:
                line.send(oack)
                if script.stray:
                    line.send(script.stray)
                if not await line.acknowledged(0):
                    return
            size = script.block_size(request.options)
            moved = {"port": port, "address": address}.get(script.moves, own)
            for index in range(len(content) // size + 1):
                block = index + 1
                if index and script.moves:
                    line.sender = moved
                wait = script.pauses[1] if block == script.pauses[0] else script.block_after
                if wait:
                    await asyncio.sleep(wait)
                payload = content[index * size : (index + 1) * size]
                if block == 1 and script.longer_block:
                    payload = content[: script.longer_block]
                number = self._number(block)
                line.send(encode(Data(number, payload)), lost=block == script.loses_block)
                if not await line.acknowledged(number):
                    return
            self.loaded.append(request.file)
            _tell(f"loaded {request.file}")

    def _number(self, block: int) -> int:
        return block if block < _WRAP else (block - _WRAP) % (_WRAP - 1) + self._script.rolls_to


class _Line:
    """What goes to one reader, and what it says."""

    def __init__(self, own: socket.socket, reader: CounterReader) -> None:
        self.sender = own
        self._sent = 0.0
        self._own = own
        self._reader = reader
        self._last = b""
        self._loop = asyncio.get_running_loop()

    def send(self, datagram: bytes, *, lost: bool = False) -> None:
        """Send a packet, or lose it on the way."""
        self._last, self._sent = datagram, self._loop.time()
        if not lost:
            self.sender.sendto(datagram, self._reader)

    async def acknowledged(self, block: int) -> bool:
        """Wait for an ACK, and send once more for a repeated one; False when it is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVES_UP):
                while True:
                    datagram = await self._loop.sock_recv(self._own, _MAX_BYTES)
                    with suppress(MalformedPacket):
                        packet = decode(datagram)
                        if isinstance(packet, Error):
                            return False
                        if packet == Ack(block):
                            return True
                        if isinstance(packet, Ack) and self._loop.time() > self._sent + REPEATS:
                            self.send(self._last)
        return False


def _bound(address: str, port: int = 0) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.bind((address, port))
    return opened


def _tell(line: str) -> None:
    if __name__ == "__main__":
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


async def _serve(address: str, port: int, elsewhere: str, name: str) -> None:
    script = next(case.script for case in CASES if case.name == name)
    async with ScriptedServer(script, address, elsewhere, port):
        _tell("ready")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))
