"""Binding sockets, and the sentences where that fails."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

import pytest

from rrdns.core.model import Endpoint
from rrdns.errors import ListenFailed
from rrdns.net.server import sockets
from rrdns.net.server.sockets import bind_tcp, bind_udp, is_wildcard
from tests.peers import free_port


@pytest.mark.parametrize("bind", [bind_udp, bind_tcp])
def test_an_address_in_use_is_said_with_what_to_do(
    bind: Callable[[Endpoint], socket.socket],
) -> None:
    """The sentence names the address and how to find who has it."""
    with bind(Endpoint("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(ListenFailed, match=f"127.0.0.1:{port}: .*ss -lnp 'sport = :{port}'"):
            bind(Endpoint("127.0.0.1", port))


def test_what_a_port_is_for_is_said() -> None:
    """The API's is not DNS, and another port than 53 is free to choose."""
    with bind_tcp(Endpoint("127.0.0.1", 0)) as first:
        taken = Endpoint("127.0.0.1", first.getsockname()[1])
        said = f"cannot listen for the admin API on {taken}: .* stop it, or choose another port"
        with pytest.raises(ListenFailed, match=said):
            bind_tcp(taken, what="the admin API")
    reason = sockets._reason(OSError(errno.EADDRINUSE, "in use"), Endpoint("0.0.0.0", 53))
    assert "systemd-resolved" in reason


def test_workers_share_a_port() -> None:
    """With SO_REUSEPORT each has a socket of its own."""
    port = free_port()
    with (
        bind_udp(Endpoint("127.0.0.1", port), reuse_port=True) as one,
        bind_udp(Endpoint("127.0.0.1", port), reuse_port=True) as two,
    ):
        assert one.getsockname() == two.getsockname()


def test_an_address_of_another_host_is_said() -> None:
    """192.0.2.0/24 belongs to nobody."""
    with pytest.raises(ListenFailed, match="does not have that address"):
        bind_udp(Endpoint("192.0.2.1", 0))


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "CAP_NET_BIND_SERVICE"),
        (errno.EAFNOSUPPORT, "no IPv6"),
        (errno.EMFILE, os.strerror(errno.EMFILE)),
    ],
)
def test_each_reason_has_its_advice(
    monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    """An admin is told what to do, where there is something to do."""

    def refuse(*_: object) -> socket.socket:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("rrdns.net.server.sockets.socket.socket", refuse)
    with pytest.raises(ListenFailed, match=advice):
        bind_udp(Endpoint("127.0.0.1", 53))


def test_ipv6_and_ipv4_wildcards_do_not_collide() -> None:
    """Each family has a socket of its own (IPV6_V6ONLY)."""
    with (
        bind_udp(Endpoint("0.0.0.0", 0)) as four,
        bind_udp(Endpoint("::", four.getsockname()[1])) as six,
    ):
        assert is_wildcard(four)
        assert is_wildcard(six)
    with bind_tcp(Endpoint("::1", 0)) as one:
        assert not is_wildcard(one)


def test_receive_buffers_are_large() -> None:
    """At least what the system allows without asking for more."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as usual:
        default = usual.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    with bind_udp(Endpoint("127.0.0.1", 0)) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= default
