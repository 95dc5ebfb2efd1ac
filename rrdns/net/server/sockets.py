"""Bind the sockets that DNS is served on, and say in plain words why one cannot be."""

from __future__ import annotations

import errno
import ipaddress
import socket
import time
from pathlib import Path

from rrdns.core.model import Endpoint
from rrdns.errors import ListenFailed

BUFFER_BYTES = 4 * 1024 * 1024  # room for a boot storm's burst, should a worker be busy
TCP_BACKLOG = 1024

# asm-generic/socket.h; not in every Python's socket module. Only with CAP_NET_ADMIN.
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_IPV6_RECVPKTINFO = 49
_IP_PKTINFO = 8
_FREEBIND = {socket.AF_INET: 15, socket.AF_INET6: 78}  # IP_FREEBIND and IPV6_FREEBIND
_IFA_F_TENTATIVE = 0x40  # linux/if_addr.h
_IFA_F_DADFAILED = 0x08  # stays tentative for ever
DAD_TIMEOUT = 5.0  # seconds for the duplicate address detection of an address (RFC 4862)
DAD_INTERVAL = 0.05


def bind_udp(
    endpoint: Endpoint, reuse_port: bool = False, *, freebind: bool = False
) -> socket.socket:
    """Return a UDP socket bound to an endpoint; `reuse_port` lets several share it.

    On a wildcard address each datagram shows which local address it was sent to, so that
    it can be answered from there. `freebind` binds an address that this host does not have yet.

    Raises:
        ListenFailed: the address cannot be bound.
    """
    sock = _bound(endpoint, socket.SOCK_DGRAM, "DNS over UDP", reuse_port, freebind)
    _widen(sock, socket.SO_RCVBUF, _SO_RCVBUFFORCE)
    _widen(sock, socket.SO_SNDBUF, _SO_SNDBUFFORCE)
    if is_wildcard(sock):
        _ask_for_local_address(sock)
    return sock


def bind_tcp(
    endpoint: Endpoint,
    backlog: int = TCP_BACKLOG,
    what: str = "DNS over TCP",
    *,
    freebind: bool = False,
) -> socket.socket:
    """Return a listening TCP socket; SO_REUSEADDR lets a restart have its port at once.

    What it is for is told where it cannot be had.

    Raises:
        ListenFailed: the address cannot be bound.
    """
    sock = _bound(endpoint, socket.SOCK_STREAM, what, False, freebind)
    try:
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise _failed(what, endpoint, error) from error
    sock.setblocking(False)
    return sock


def is_wildcard(sock: socket.socket) -> bool:
    """Return whether a socket is bound to every address of the host."""
    return ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]).is_unspecified


def _bound(
    endpoint: Endpoint, kind: int, what: str, reuse_port: bool, freebind: bool
) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    try:
        if family == socket.AF_INET and _is_broadcast(endpoint.host):
            reason = "it is a broadcast address, which every host has; name this host's own address"
            raise ListenFailed(what, str(endpoint), reason)
        sock = socket.socket(family, kind)
    except OSError as error:
        raise _failed(what, endpoint, error) from error
    try:
        if family == socket.AF_INET6:  # IPv4 has sockets of its own
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if freebind:
            level = socket.IPPROTO_IPV6 if family == socket.AF_INET6 else socket.IPPROTO_IP
            sock.setsockopt(level, _FREEBIND[family], 1)
        _bind(sock, _address(endpoint, family))
    except OSError as error:
        sock.close()
        raise _failed(what, endpoint, error) from error
    return sock


def _bind(sock: socket.socket, address: tuple[str | int, ...]) -> None:
    """Bind a socket; an IPv6 address that is just being checked is waited for (RFC 4862)."""
    end = time.monotonic() + DAD_TIMEOUT
    while True:
        try:
            sock.bind(address)
        except OSError as error:
            is_absent = error.errno == errno.EADDRNOTAVAIL
            if not (is_absent and is_tentative(str(address[0])) and time.monotonic() < end):
                raise
            time.sleep(DAD_INTERVAL)
        else:
            return


def _is_broadcast(host: str) -> bool:
    """Return whether an IPv4 address is the broadcast address of a network of this host.

    The kernel binds one all the same, and connects to it only who asks for that (ip(7)); a route
    that prohibits an address refuses it to everybody. Nothing is sent.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((host, 9))
        except OSError as error:
            if error.errno != errno.EACCES:
                return False
        else:
            return False
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        return not sock.connect_ex((host, 9))


def is_tentative(host: str, table: Path = Path("/proc/net/if_inet6")) -> bool:
    """Return whether an IPv6 address is this host's and not yet known to be nobody else's."""
    return any(
        flags & _IFA_F_TENTATIVE and not flags & _IFA_F_DADFAILED for flags in _flags(host, table)
    )


def is_duplicate(host: str, table: Path = Path("/proc/net/if_inet6")) -> bool:
    """Return whether this host may not use an IPv6 address, as another one on the link has it."""
    return any(flags & _IFA_F_DADFAILED for flags in _flags(host, table))


def _flags(host: str, table: Path) -> list[int]:
    """Return the flags of an IPv6 address of this host, for each interface that has it."""
    try:
        wanted = ipaddress.IPv6Address(host.partition("%")[0]).packed.hex()
        lines = [line.split() for line in table.read_text().splitlines()]
    except (ValueError, OSError):
        return []
    return [int(line[4], 16) for line in lines if line[0] == wanted]


def reason_against(endpoint: Endpoint, *, freebind: bool = False) -> str:
    """Return why this host cannot listen at an address, whatever its port; empty if it can.

    It is tried with a port that the kernel chooses, which takes no right and is in nobody's way.
    """
    try:
        bind_udp(Endpoint(endpoint.host, 0), freebind=freebind).close()
    except ListenFailed as error:
        return error.reason
    return ""


def _address(endpoint: Endpoint, family: int) -> tuple[str | int, ...]:
    """Return the address to bind; a link-local one needs its scope ("fe80::1%eth0")."""
    if family == socket.AF_INET:
        return (endpoint.host, endpoint.port)
    host, _, scope = endpoint.host.partition("%")
    return (host, endpoint.port, 0, socket.if_nametoindex(scope) if scope else 0)


def _failed(what: str, endpoint: Endpoint, error: OSError) -> ListenFailed:
    is_absent = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return ListenFailed(what, str(endpoint), _reason(error, endpoint), is_absent=is_absent)


def _reason(error: OSError, endpoint: Endpoint) -> str:
    if error.errno == errno.EADDRNOTAVAIL and is_duplicate(endpoint.host):
        return (
            f"another host on the link has {endpoint.host} (duplicate address detection failed, "
            "`ip address` shows dadfailed): give one of the two another address"
        )
    scope = endpoint.host.partition("%")[2]
    if scope and scope not in {name for _, name in socket.if_nameindex()}:
        return f"this host has no interface {scope!r} (`ip link` lists those it has)"
    advice = _ADVICE.get(error.errno or 0)
    reason = error.strerror or str(error)
    if not advice:
        return reason
    way_out = _IN_USE_53 if endpoint.port == _DNS_PORT else "stop it, or choose another port"
    return f"{reason}; {advice.format(port=endpoint.port, way_out=way_out)}"


_DNS_PORT = 53
_IN_USE_53 = "often it is systemd-resolved: stop it, or listen on one address only"


_ADVICE = {
    errno.EADDRINUSE: (
        "another program has port {port} there (`ss -lnp 'sport = :{port}'` names it); {way_out}"
    ),
    errno.EACCES: (
        "ports below 1024 need a right: start as root (rrdns drops it), give the service "
        "CAP_NET_BIND_SERVICE, or lower the sysctl net.ipv4.ip_unprivileged_port_start"
    ),
    errno.EADDRNOTAVAIL: "this host does not have that address (`ip address` lists those it has)",
    errno.EAFNOSUPPORT: "this host has no IPv6: remove the address from [dns] listen",
}


def _widen(sock: socket.socket, option: int, forced: int) -> None:
    """Ask for a large buffer: beyond the sysctl's limit if we may, else up to it."""
    for one in (forced, option):
        try:
            sock.setsockopt(socket.SOL_SOCKET, one, BUFFER_BYTES)
        except OSError:
            continue
        return


def _ask_for_local_address(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
