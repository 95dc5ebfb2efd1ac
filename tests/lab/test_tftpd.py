"""The lab's TFTP server as a reader meets it: packets in, packets out, and its counts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from rrdns.errors import ListenFailed
from rrdns.lab.tftpd.faults import NONE, Faults
from rrdns.lab.tftpd.server import TftpServer
from rrdns.wire.tftp.packets import Ack, Data, Error, OptionAck, Packet, ReadRequest, decode, encode

ADDRESS = "127.0.0.41"
FILES = {"Boot.bin": b"0123456789" * 100}

Address = tuple[str, int]


class Reader:
    """A hand-driven TFTP client."""

    def __init__(self, own: socket.socket, server: TftpServer) -> None:
        self.own = own
        self.door = (server.address, server.port)
        self.source = self.door

    async def ask(self, packet: Packet | bytes, to: Address | None = None) -> None:
        """Send a packet, to the transfer unless said otherwise."""
        datagram = packet if isinstance(packet, bytes) else encode(packet)
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(self.own, datagram, to or self.source)

    async def hear(self) -> Packet:
        """Return the next packet, and remember where it came from."""
        async with asyncio.timeout(5):
            loop = asyncio.get_running_loop()
            datagram, self.source = await loop.sock_recvfrom(self.own, 70000)
        return decode(datagram)

    async def say(self, packet: Packet | bytes, to: Address | None = None) -> Packet:
        """Send a packet and return the reply."""
        await self.ask(packet, to)
        return await self.hear()


@asynccontextmanager
async def served(
    faults: Faults = NONE, retry_after: float = 20.0, retries: int = 4
) -> AsyncIterator[tuple[TftpServer, Reader]]:
    """Run a server, and a reader beside it."""
    server = TftpServer(ADDRESS, 0, FILES, faults, retry_after=retry_after, retries=retries)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.setblocking(False)
        own.bind(("127.0.0.1", 0))
        async with server:
            yield server, Reader(own, server)


async def eventually(holds: Callable[[], bool]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  # what is awaited is another party's doing
            await asyncio.sleep(0.005)


async def test_a_file_comes_in_blocks_from_a_fresh_port() -> None:
    """RFC 1350: 512 bytes, in lockstep, until a shorter block."""
    async with served() as (server, reader):
        first = await reader.say(ReadRequest("Boot.bin"))
        assert first == Data(1, FILES["Boot.bin"][:512])
        assert reader.source != reader.door
        assert reader.source[0] == ADDRESS
        assert await reader.say(Ack(1)) == Data(2, FILES["Boot.bin"][512:])
        assert server.open_transfers == 1
        await reader.ask(Ack(2))
        await eventually(lambda: server.open_transfers == 0)
        assert (server.counts.requests, server.counts.finished) == (1, 1)


async def test_options_that_it_knows_are_accepted_and_others_left_out() -> None:
    """RFC 2347: an option that is not acknowledged is not in force."""
    async with served() as (_, reader):
        asked = {"blksize": "1000", "tsize": "0", "timeout": "3", "windowsize": "8"}
        reply = await reader.say(ReadRequest("Boot.bin", options=asked))
        assert reply == OptionAck({"blksize": "1000", "tsize": "1000"})
        assert await reader.say(Ack(0)) == Data(1, FILES["Boot.bin"])
        assert await reader.say(Ack(1)) == Data(2, b"")  # a full block is never the last


@pytest.mark.parametrize("options", [{"timeout": "3"}, {"blksize": "7"}, {"blksize": "x"}])
async def test_without_an_option_that_it_knows_there_is_no_oack(options: dict[str, str]) -> None:
    """RFC 2347: then the transfer is one of RFC 1350."""
    async with served() as (_, reader):
        reply = await reader.say(ReadRequest("Boot.bin", options=options))
        assert reply == Data(1, FILES["Boot.bin"][:512])


async def test_an_announcement_for_more_than_a_packet_may_have_is_lowered() -> None:
    """RFC 2348: the server may choose less than was asked for."""
    async with served() as (_, reader):
        reply = await reader.say(ReadRequest("Boot.bin", options={"blksize": "99999"}))
        assert reply == OptionAck({"blksize": "65464"})


@pytest.mark.parametrize("name", ["Boot.bin", "BOOT.BIN", "/boot.bin", "\\boot.bin"])
async def test_names_are_looked_up_as_windows_does(name: str) -> None:
    """PVS servers run on Windows."""
    async with served() as (_, reader):
        assert isinstance(await reader.say(ReadRequest(name)), Data)


async def test_a_missing_file_is_refused() -> None:
    """ERROR 1."""
    async with served() as (server, reader):
        assert await reader.say(ReadRequest("x")) == Error(1, "File not found")
        assert server.counts.refused == 1


async def test_what_is_no_read_request_is_refused_or_ignored() -> None:
    """ERROR 4 for noise and for writes; nothing for packets of transfers that are over."""
    async with served() as (server, reader):
        for datagram in (b"?", b"\0\2f\0octet\0"):
            reply = await reader.say(datagram, reader.door)
            assert isinstance(reply, Error)
            assert reply.code == 4
        await reader.ask(Ack(1), reader.door)
        assert isinstance(await reader.say(ReadRequest("Boot.bin"), reader.door), Data)
        assert server.counts.requests == 1


async def test_a_request_that_is_repeated_begins_no_second_transfer() -> None:
    """Firmware repeats its RRQ when the network is slow."""
    async with served() as (server, reader):
        await reader.ask(ReadRequest("Boot.bin"))
        await reader.ask(ReadRequest("Boot.bin"))
        await eventually(lambda: server.counts.requests == 2)
        assert server.open_transfers == 1


async def test_it_repeats_itself_and_gives_up_in_the_end() -> None:
    """A reader that walks away is counted, which is what the lab is for."""
    async with served(retry_after=0.02, retries=2) as (server, reader):
        for _ in range(3):
            await reader.ask(b"", reader.door)  # noise, which the transfer must not mind
            await reader.ask(ReadRequest("Boot.bin"), reader.door)
        await eventually(lambda: server.counts.left_open >= 1)
        assert server.counts.retransmissions >= 2
        await eventually(lambda: server.open_transfers == 0)


async def test_a_repeated_ack_is_counted_and_not_answered() -> None:
    """RFC 1123, section 4.2.3.1, from the server's side."""
    async with served() as (server, reader):
        await reader.say(ReadRequest("Boot.bin"))
        await reader.say(Ack(1))
        await reader.ask(Ack(1))
        await eventually(lambda: server.counts.repeated_acks == 1)
        await reader.ask(Ack(2))
        await eventually(lambda: server.counts.finished == 1)


async def test_packets_of_others_do_not_move_a_transfer() -> None:
    """Only the reader's own port counts, and noise does not."""
    async with served() as (server, reader):
        await reader.say(ReadRequest("Boot.bin"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(encode(Ack(1)), reader.source)
            other.sendto(encode(Error(0)), reader.source)
        await reader.ask(b"noise")
        await reader.ask(OptionAck({"tsize": "1"}))
        await eventually(lambda: server.counts.errors_heard == [0])
        assert server.open_transfers == 1
        assert isinstance(await reader.say(Ack(1)), Data)


async def test_faults_and_files_can_be_changed_while_it_runs() -> None:
    """Each transfer takes what holds when it begins."""
    async with served() as (server, reader):
        server.faults = Faults(error_at=None, tsize=5)
        asked = ReadRequest("new", options={"tsize": "0"})
        server.files = {"new": b"abc"}
        assert await reader.say(asked) == OptionAck({"tsize": "5"})
        server.faults = NONE
        assert await reader.say(Ack(0)) == Data(1, b"abc")


async def test_it_can_be_stopped_and_started_again_on_its_port() -> None:
    """As a service is: transfers are dropped, and stopping twice is no error."""
    async with served() as (server, reader):
        await reader.say(ReadRequest("Boot.bin"))
        await server.stop()
        await server.stop()
        assert server.open_transfers == 0
        await server.start()
        assert (server.address, server.port) == reader.door
        assert isinstance(await reader.say(ReadRequest("Boot.bin"), reader.door), Data)


async def test_an_address_that_is_taken_is_a_clear_error() -> None:
    """The demo tells it to a person."""
    async with served() as (server, _):
        with pytest.raises(ListenFailed, match=f"{ADDRESS}:{server.port}: Address already in use"):
            await TftpServer(ADDRESS, server.port, FILES).start()


async def test_an_endless_file_repeats_its_content() -> None:
    """Blocks are cut from an endless repetition, and are never short."""
    async with served(Faults(endless=True)) as (_, reader):
        outcome = b""
        reply = await reader.say(ReadRequest("Boot.bin"))
        for number in range(1, 6):
            assert isinstance(reply, Data)
            assert len(reply.payload) == 512
            outcome += reply.payload
            reply = await reader.say(Ack(number))
    assert outcome == (FILES["Boot.bin"] * 3)[: len(outcome)]
