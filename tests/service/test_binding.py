"""The start binds every address, or tells of each one that it cannot bind."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from structlog.testing import capture_logs

from rrdns.config.settings import DEFAULT_DNS, DnsSettings, Settings, StoreSettings
from rrdns.core.model import Endpoint
from rrdns.errors import ListenersFailed, ListenFailed
from rrdns.net.server.sockets import bind_tcp, is_duplicate, is_tentative, reason_against
from rrdns.service.processes import launch

SETTINGS = Settings((), (), DnsSettings(), replace(Settings((), ()).api))
Bind = Callable[..., socket.socket]


def a_host(monkeypatch: pytest.MonkeyPatch, *absent: str) -> None:
    """Let a host lack these addresses; sockets of the others are bound to nothing."""

    def bind(endpoint: Endpoint, *_: object, what: str = "DNS", **__: object) -> socket.socket:
        if endpoint.host in absent:
            raise ListenFailed(what, str(endpoint), "it is not here", is_absent=True)
        return socket.socket()

    monkeypatch.setattr(launch, "bind_tcp", bind)
    monkeypatch.setattr(launch, "bind_udp", bind)


def close(*groups: tuple[socket.socket, ...]) -> None:
    for group in groups:
        for sock in group:
            sock.close()


def test_a_host_without_ipv6_serves_the_default_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody has asked for `[::]:53`; it is said in the log."""
    a_host(monkeypatch, "::")
    with capture_logs() as lines:
        tcp, udp, api = launch._bind_all(replace(SETTINGS, dns=DnsSettings(DEFAULT_DNS)), 2)
    assert (len(tcp), [len(ours) for ours in udp]) == (1, [1, 1])
    assert [line["event"] for line in lines] == ["DNS is not served over IPv6"]
    close(tcp, *udp, (api,))


def test_the_start_tells_only_what_it_serves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It said `[::]:53`, too, right after it had left that out."""
    made: list[socket.socket] = []

    def bind(endpoint: Endpoint, *_: object, what: str = "DNS", **__: object) -> socket.socket:
        if endpoint.host == "::":
            raise ListenFailed(what, str(endpoint), "it is not here", is_absent=True)
        made.append(socket.create_server((endpoint.host, 0)))
        return made[-1]

    for name in ("bind_tcp", "bind_udp"):
        monkeypatch.setattr(launch, name, bind)
    for name in ("set_up", "Supervisor", "raise_descriptor_limit", "_children", "gc"):
        monkeypatch.setattr(launch, name, MagicMock())
    settings = replace(SETTINGS, dns=DnsSettings(workers=1), store=StoreSettings("memory"))
    with capture_logs() as lines:
        launch.run(settings, tmp_path / "rrdns.toml")
    served = next(line["dns"] for line in lines if line["event"] == "serving")
    assert served == [f"0.0.0.0:{made[0].getsockname()[1]}"]
    close(tuple(made))


def test_each_address_that_is_not_here_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and not just the first."""
    a_host(monkeypatch, "10.0.0.1", "::1", "127.0.0.1")
    listen = (Endpoint("10.0.0.1", 53), Endpoint("10.0.0.2", 53), Endpoint("::1", 53))
    with pytest.raises(ListenersFailed) as caught:
        launch._bind_all(replace(SETTINGS, dns=DnsSettings(listen)), 2)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert [
        address in line
        for address, line in zip(("10.0.0.1:53", "[::1]:53", "127.0.0.1:8053"), lines, strict=True)
    ] == [True] * 3


def test_a_kernel_without_ipv6_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """From an address that another program has."""

    def no_family(*_: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", no_family)
    with pytest.raises(ListenFailed, match="this host has no IPv6") as caught:
        bind_tcp(Endpoint("::", 53))
    assert caught.value.is_absent


@pytest.mark.parametrize(
    ("flags", "tentative", "duplicate"), [("80", 0, 0), ("c0", 1, 0), ("c8", 0, 1)]
)
def test_an_address_that_another_host_has_is_not_waited_for(
    tmp_path: Path, flags: str, tentative: int, duplicate: int
) -> None:
    """The kernel leaves it tentative for ever, and says so by another flag."""
    table = tmp_path / "if_inet6"
    table.write_text(f"fd960000000000000000000000000001 02 40 00 {flags}     card\n")
    assert is_tentative("fd96::1", table) is bool(tentative)
    assert is_duplicate("fd96::1", table) is bool(duplicate)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1", ""),
        ("127.255.255.255", "it is a broadcast address"),
        ("fe80::1%nosuch", "this host has no interface 'nosuch'"),
        ("203.0.113.9", "this host does not have that address"),
    ],
)
def test_where_this_host_cannot_listen_is_known_before(host: str, reason: str) -> None:
    """Whoever has the port."""
    found = reason_against(Endpoint(host, 53))
    assert reason in found
    assert bool(reason) == bool(found)


def test_what_is_no_ipv6_address_is_not_tentative() -> None:
    """Nor one that the kernel does not list."""
    assert not is_tentative("10.0.0.1")
    assert not is_tentative("fd00::1")
