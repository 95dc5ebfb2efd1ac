"""DNS over TCP: what clients may do on a connection, and what they cannot do to the service."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dns.message
import pytest

from rrdns.core.acl import client_key
from rrdns.core.connection_limits import TcpLimits
from rrdns.core.model import Endpoint
from rrdns.net.server import tcp
from rrdns.net.server.sockets import bind_tcp
from rrdns.wire.answers.answer_table import AnswerTable, CurrentTable
from rrdns.wire.answers.responder import respond
from tests.net.serving import tcp_read, tcp_service
from tests.peers import wait_until
from tests.wire import sample_zones
from tests.wire.sample_zones import counts, first, query

TCP_CLOSE = 7  # tcp_states.h of Linux


def framed(message: bytes) -> bytes:
    """Return a message behind its length."""
    return len(message).to_bytes(2, "big") + message


def numbered(ident: int) -> bytes:
    """Return a boot query with this ID, as it goes over TCP."""
    return framed(ident.to_bytes(2, "big") + query()[2:])


def connect(port: int, host: str = "127.0.0.1") -> socket.socket:
    """Return a connection that waits five seconds at most."""
    return socket.create_connection((host, port), 5)


@contextmanager
def little_room(receive: int) -> Iterator[socket.socket]:
    """Connect to a service that keeps little; `receive` is the room for what is not fetched."""
    limits = TcpLimits(unsent_bytes=1024)
    with (
        tcp_service(CurrentTable(sample_zones.table()), limits) as (_, port),
        socket.socket() as sock,
    ):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", port))
        yield sock


def fetched(sock: socket.socket, count: int) -> list[int]:
    """Return the IDs of the next answers, each as long as that to a boot query."""
    with sock.makefile("rb") as answers:
        return [int.from_bytes(answers.read(2 + 39 + 48)[2:4], "big") for _ in range(count)]


def read_to_the_end(sock: socket.socket) -> None:
    """Throw away what comes.

    Raises:
        ConnectionResetError: it was cut off.
    """
    while sock.recv(65_536):
        pass


def is_closed(sock: socket.socket) -> bool:
    """Tell whether the other side has ended the connection."""
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


def test_queries_on_one_connection_are_answered_in_order() -> None:
    """All at once, and in pieces of any size; each takes its turn."""
    answers = CurrentTable(sample_zones.table())
    with tcp_service(answers) as (service, port), connect(port) as sock:
        sock.sendall(b"".join(numbered(ident) for ident in range(300)))
        firsts: Counter[str] = Counter()
        for ident in range(300):
            answer = tcp_read(sock)
            assert answer[:2] == ident.to_bytes(2, "big")
            firsts[first(dns.message.from_wire(answer))] += 1
        assert set(firsts.values()) == {100}
        for byte in numbered(7) + numbered(8):
            sock.sendall(bytes([byte]))
        assert [tcp_read(sock)[:2] for _ in range(2)] == [b"\0\7", b"\0\x08"]
        assert service.open == 1
    assert counts(answers.table).queries["a/noerror"] == 302


def test_a_client_that_has_asked_its_last_still_gets_its_answers() -> None:
    """Half a close is no close (RFC 7766, section 6.2.4)."""
    with tcp_service(CurrentTable(sample_zones.table())) as (_, port), connect(port) as sock:
        sock.sendall(numbered(1) + numbered(2))
        sock.shutdown(socket.SHUT_WR)
        assert [tcp_read(sock)[:2] for _ in range(2)] == [b"\0\1", b"\0\2"]
        assert is_closed(sock)


def test_who_has_asked_its_last_and_fetches_slowly_gets_everything() -> None:
    """The answers that wait are sent before the connection is ended."""
    count = 2_000
    with little_room(receive=16_384) as sock:
        sock.sendall(b"".join(numbered(ident) for ident in range(count)))
        sock.shutdown(socket.SHUT_WR)
        time.sleep(0.3)
        assert fetched(sock, count) == list(range(count))
        assert is_closed(sock)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel may tell of each byte")
def test_the_kernel_gathers_the_bytes_of_a_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends a byte now and then does not wake the loop for it."""
    reads, real = [], tcp._Connection._read

    def read(self: tcp._Connection) -> None:
        real(self)
        reads.append(len(self._part))

    monkeypatch.setattr(tcp._Connection, "_read", read)
    with tcp_service(CurrentTable(sample_zones.table())) as (service, port), connect(port) as sock:
        for byte in numbered(7)[:14]:  # length and header
            sock.sendall(bytes([byte]))
        wait_until(lambda: reads == [14])
        assert service.open == 1
        for byte in numbered(7)[14:]:
            sock.sendall(bytes([byte]))
        assert tcp_read(sock)[:2] == b"\0\7"
        assert reads[:2] == [14, 41]


@pytest.mark.parametrize("size", [512, 2045, 2046, 2047, 4096, 65535])
def test_a_query_of_any_size_is_answered(size: int) -> None:
    """Padding up to the most that a length can say; the buffer is small again afterwards."""
    data = bytes(size - len(query()) - 15)
    padding = struct.pack("!HH", 12, len(data)) + data
    opt = b"\0\0\x29\x04\xd0\0\0\0\0" + len(padding).to_bytes(2, "big") + padding
    long = query()[:11] + b"\1" + query()[12:] + opt
    assert len(long) == size
    with tcp_service(CurrentTable(sample_zones.table())) as (service, port), connect(port) as sock:
        sock.sendall(framed(long) + numbered(5))
        assert tcp_read(sock)[3] & 15 == 0
        assert tcp_read(sock)[:2] == b"\0\5"
        connection = next(iter(service._connections))
        assert not connection._part


def test_silence_is_no_end() -> None:
    """Empty messages, runts and responses get nothing; the connection goes on."""
    with tcp_service(CurrentTable(sample_zones.table())) as (_, port), connect(port) as sock:
        sock.sendall(framed(b"") + framed(b"x") + framed(b"\0\1\x80\0" + bytes(8)) + numbered(3))
        assert tcp_read(sock)[:2] == b"\0\3"


def test_a_byte_now_and_then_keeps_no_connection_open() -> None:
    """Only a whole query counts as life."""
    limits = TcpLimits(idle=0.5)
    with (
        tcp_service(CurrentTable(sample_zones.table()), limits) as (service, port),
        connect(port) as sock,
    ):
        sock.settimeout(0.1)
        for byte in numbered(1):
            try:
                sock.sendall(bytes([byte]))
                if sock.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("it is still open")
        assert service.open == 0


def test_a_connection_does_not_live_for_ever() -> None:
    """However busy it is."""
    limits = TcpLimits(lifetime=0.5)

    def keep_asking(sock: socket.socket) -> None:
        while True:
            sock.sendall(numbered(1))
            tcp_read(sock)

    with (
        tcp_service(CurrentTable(sample_zones.table()), limits) as (_, port),
        connect(port) as sock,
        pytest.raises(ConnectionError),
    ):
        keep_asking(sock)


def test_who_fetches_no_answers_is_read_no_more_and_goes() -> None:
    """Answers wait in bounded memory, and not for long."""
    limits = TcpLimits(idle=0.7, unsent_bytes=4096)
    batch = b"".join(numbered(ident) for ident in range(500))

    def ask_without_end(sock: socket.socket) -> None:
        while True:
            sock.sendall(batch)

    with (
        tcp_service(CurrentTable(sample_zones.table()), limits) as (service, port),
        connect(port) as sock,
    ):
        sock.settimeout(0.2)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises((TimeoutError, ConnectionError)):
            ask_without_end(sock)
        for one in list(service._connections):
            assert len(one._unsent) <= 4096 + 2 + 39 + 48
            assert len(one._part) <= 2 * tcp._READ_BYTES
            kept = one.sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
            assert kept <= 2 * limits.unsent_bytes  # as socket(7) counts
        wait_until(lambda: service.open == 0, 5.0, "dropped")


def tcp_state(sock: socket.socket) -> int:
    """Return the state of a connection as the kernel sees it."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def test_nothing_is_kept_for_who_fetches_nothing() -> None:
    """Once it is dropped, what the kernel holds for it goes too."""
    limits = TcpLimits(idle=0.5)
    with (
        tcp_service(CurrentTable(sample_zones.table()), limits) as (service, port),
        socket.socket() as sock,
    ):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))
        sock.sendall(b"".join(numbered(ident) for ident in range(500)))
        wait_until(lambda: tcp_state(sock) == TCP_CLOSE, what="dropped")
        assert service.open == 0
        with pytest.raises(ConnectionResetError):
            read_to_the_end(sock)


def test_who_has_fetched_everything_is_ended_in_order() -> None:
    """Idle for too long: a client finds an end, and not an error."""
    limits = TcpLimits(idle=0.5)
    with (
        tcp_service(CurrentTable(sample_zones.table()), limits) as (_, port),
        connect(port) as sock,
    ):
        sock.sendall(numbered(1))
        assert tcp_read(sock)[:2] == b"\0\1"
        assert sock.recv(1) == b""


def test_the_loop_lives_while_many_ask_for_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """It beats, lets others in and can be stopped before all of them have their answers."""
    real = respond

    def slow(message: bytes, table: AnswerTable, address: bytes, now: float) -> bytes | None:
        time.sleep(0.1)
        return real(message, table, address, now)

    monkeypatch.setattr("rrdns.net.server.tcp.respond", slow)
    with tcp_service(CurrentTable(sample_zones.table())) as (service, port):
        asking = [connect(port) for _ in range(30)]
        wait_until(lambda: service.open == 30)
        for sock in asking:
            sock.sendall(numbered(1))
        began, beats = time.monotonic(), set()
        other = connect(port)
        while service.open == 30:
            beats.add(service.heartbeat)
            time.sleep(0.005)
            assert time.monotonic() - began < 2  # all answers take 3 s
        while time.monotonic() - began < 1.5:
            beats.add(service.heartbeat)
            time.sleep(0.005)
        assert len(beats) >= 4
        service.stop()
        wait_until(lambda: is_closed(other), 1.0, "stopped")
        for sock in (*asking, other):
            sock.close()


def test_who_fetches_slowly_gets_everything() -> None:
    """A pause in writing is followed by the rest, in order."""
    count = 5_000
    message = b"".join(numbered(ident) for ident in range(count))
    with little_room(receive=65_536) as sock:
        sending = threading.Thread(target=sock.sendall, args=(message,))
        sending.start()
        time.sleep(0.3)
        assert fetched(sock, count) == list(range(count))
        sending.join()


def test_one_connection_too_many_drops_the_longest_idle() -> None:
    """A flood of connections ends the idle ones, not those that ask."""
    limits = TcpLimits(connections=8)
    with tcp_service(CurrentTable(sample_zones.table()), limits) as (service, port):
        socks = [connect(port) for _ in range(8)]
        wait_until(lambda: service.open == 8)
        socks[0].sendall(numbered(1))
        tcp_read(socks[0])
        more = connect(port)
        assert is_closed(socks[1])
        for sock in (socks[0], socks[2], more):
            sock.sendall(numbered(2))
            assert tcp_read(sock)[:2] == b"\0\2"
        assert service.open == 8
        for sock in (*socks, more):
            sock.close()
        wait_until(lambda: service.open == 0 and not service._connections._of)


def test_one_address_cannot_take_all_connections() -> None:
    """Its own longest idle one goes; others keep theirs."""
    limits = TcpLimits(connections=100, per_address=3)
    with tcp_service(CurrentTable(sample_zones.table()), limits, "0.0.0.0") as (service, port):
        other = socket.create_connection(("127.0.0.1", port), 5, ("127.0.0.2", 0))
        wait_until(lambda: service.open == 1)
        socks = [connect(port) for _ in range(10)]
        wait_until(lambda: service.open == 4)
        for sock in (other, *socks[-3:]):
            sock.sendall(numbered(4))
            assert tcp_read(sock)[:2] == b"\0\4"
        assert all(is_closed(sock) for sock in socks[:-3])
        for sock in (other, *socks):
            sock.close()


def test_a_flood_from_many_addresses_drops_its_own_connections() -> None:
    """A client with one connection keeps it, however idle it is, while others have more."""
    limits = TcpLimits(connections=20, per_address=10)
    with tcp_service(CurrentTable(sample_zones.table()), limits, "0.0.0.0") as (service, port):
        good = socket.create_connection(("127.0.0.1", port), 5, ("127.0.0.2", 0))
        wait_until(lambda: service.open == 1)
        crowd = []
        for number in range(60):
            source = (f"127.0.1.{number % 6 + 1}", 0)
            crowd.append(socket.create_connection(("127.0.0.1", port), 5, source))
        wait_until(lambda: service.open == 20)
        good.sendall(numbered(9))
        assert tcp_read(good)[:2] == b"\0\x09"
        for sock in (good, *crowd):
            sock.close()


def test_connections_are_accepted_at_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of them waits in the kernel, and not in front of the UDP loop."""
    monkeypatch.setattr(tcp, "ACCEPT_INTERVAL", 0.2)
    with tcp_service(CurrentTable(sample_zones.table())) as (service, port):
        began = time.monotonic()
        socks = [connect(port) for _ in range(3 * tcp.ACCEPT_BURST)]
        for sock in socks:
            sock.sendall(numbered(1))
            assert tcp_read(sock)[:2] == b"\0\1"
        assert time.monotonic() - began >= 2 * 0.2 * 0.9
        assert service.open == len(socks)
        for sock in socks:
            sock.close()


def test_a_flood_at_one_address_leaves_another_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each listening socket has its own."""
    monkeypatch.setattr(tcp, "ACCEPT_INTERVAL", 3600)
    answers = CurrentTable(sample_zones.table())
    with bind_tcp(Endpoint("::1", 0)) as other:
        port_of_other = other.getsockname()[1]
        with tcp_service(answers, also=[other]) as (service, port):
            flood = [connect(port) for _ in range(tcp.ACCEPT_BURST + 3)]
            wait_until(lambda: service.open == tcp.ACCEPT_BURST)
            with connect(port_of_other, "::1") as sock:
                sock.sendall(numbered(1))
                assert tcp_read(sock)[:2] == b"\0\1"
        for sock in flood:
            sock.close()


def test_accepting_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the process has no descriptors left for a while."""
    real, fails = socket.socket.accept, [OSError(24, "Too many open files")] * 3

    def accept(self: socket.socket) -> tuple[socket.socket, object]:
        if fails:
            raise fails.pop()
        return real(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    with tcp_service(CurrentTable(sample_zones.table())) as (_, port), connect(port) as sock:
        sock.sendall(numbered(1))
        assert tcp_read(sock)[:2] == b"\0\1"
    assert not fails


def test_a_defect_at_the_door_costs_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once for each, and does not spin."""
    real, fails, told = tcp.TcpLoop._admit, [ZeroDivisionError(), ZeroDivisionError()], []

    def let_in(self: tcp.TcpLoop, client: socket.socket, host: str) -> None:
        if fails:
            client.close()
            raise fails.pop()
        real(self, client, host)

    monkeypatch.setattr(tcp.TcpLoop, "_admit", let_in)
    with tcp_service(CurrentTable(sample_zones.table())) as (service, port):
        service._on_defect = lambda error, _: told.append(error)
        for _ in range(2):
            with connect(port) as bad:
                assert is_closed(bad)
        with connect(port) as sock:
            sock.sendall(numbered(1))
            assert tcp_read(sock)[:2] == b"\0\1"
    assert [type(error) for error in told] == [ZeroDivisionError] * 2


def test_a_door_opens_again_when_the_kernel_lets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watching its socket may fail, as without memory; it is tried again."""
    with tcp_service(CurrentTable(sample_zones.table())) as (service, port):
        real, fails = service._selector.register, [OSError(12, "Cannot allocate memory")] * 3

        def register(fileobj: socket.socket, events: int, data: object) -> object:
            if fails and isinstance(data, tcp._Listener):
                raise fails.pop()
            return real(fileobj, events, data)

        monkeypatch.setattr(service._selector, "register", register)
        socks = [connect(port) for _ in range(2 * tcp.ACCEPT_BURST)]
        for sock in socks:
            sock.sendall(numbered(1))
            assert tcp_read(sock)[:2] == b"\0\1"
            sock.close()
        assert not fails


def test_a_long_query_that_comes_slowly_is_given_up() -> None:
    """Its room is let go with it: what is announced may be 65,535 bytes."""
    limits = TcpLimits(idle=0.5)
    with (
        tcp_service(CurrentTable(sample_zones.table()), limits) as (service, port),
        connect(port) as sock,
    ):
        sock.sendall(b"\xff\xff" + bytes(100))
        wait_until(lambda: any(len(one._part) == 102 for one in list(service._connections)))
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 5:
                sock.sendall(bytes(1))
                time.sleep(0.05)
        assert time.monotonic() - began < 3
        assert service.open == 0


def test_ipv6_addresses_count_by_their_network() -> None:
    """A host has a /64 to choose from."""
    one, two, three = (
        client_key(socket.inet_pton(socket.AF_INET6, host))
        for host in ("2001:db8::1", "2001:db8::2:1", "2001:db8:0:1::1")
    )
    assert one == two != three
    assert client_key(bytes([10, 0, 0, 1])) != client_key(bytes([10, 0, 0, 2]))
    with (
        tcp_service(CurrentTable(sample_zones.table()), host="::1") as (_, port),
        connect(port, "::1") as sock,
    ):
        sock.sendall(numbered(1))
        assert tcp_read(sock)[:2] == b"\0\1"


def test_a_defect_costs_one_answer_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the responder to raise, the connection would go on."""
    real, told = respond, []

    def broken(message: bytes, table: AnswerTable, address: bytes, now: float) -> bytes | None:
        if message[:2] == b"\0\1":
            raise ZeroDivisionError
        return real(message, table, address, now)

    monkeypatch.setattr("rrdns.net.server.tcp.respond", broken)
    answers = CurrentTable(sample_zones.table())
    with tcp_service(answers) as (service, port), connect(port) as sock:
        for on_defect in (None, lambda error, message: told.append((error, message))):
            service._on_defect = on_defect
            sock.sendall(numbered(1) + numbered(2))
            assert tcp_read(sock)[:2] == b"\0\2"
    assert [(type(error), message[:2]) for error, message in told] == [(ZeroDivisionError, b"\0\1")]
    assert counts(answers.table).dropped == 2


def test_a_defect_of_the_loop_costs_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and the others go on."""
    told: list[BaseException] = []
    real = tcp._Connection._read

    def read(self: tcp._Connection) -> None:
        real(self)
        if self._part[2:4] == b"\0\1":
            raise ZeroDivisionError

    monkeypatch.setattr(tcp._Connection, "_read", read)
    with tcp_service(CurrentTable(sample_zones.table())) as (service, port), connect(port) as good:
        service._on_defect = lambda error, _: told.append(error)
        with connect(port) as bad:
            bad.sendall(numbered(1))
            assert is_closed(bad)
        good.sendall(numbered(2))
        assert tcp_read(good)[:2] == b"\0\2"
    assert [type(error) for error in told] == [ZeroDivisionError]


def test_the_service_ends_with_connections_open() -> None:
    """Nothing is left that would hold a stop up."""
    with tcp_service(CurrentTable(sample_zones.table())) as (_, port):
        socks = [connect(port) for _ in range(5)]
        socks[0].sendall(numbered(1))
        assert tcp_read(socks[0])[:2] == b"\0\1"
    assert all(is_closed(sock) for sock in socks)
    for sock in socks:
        sock.close()
