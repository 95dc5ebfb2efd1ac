"""Send one query to a DNS server and wait for its answer, for the command line.

It blocks, since its callers have nothing else to do, or use a thread.
"""

from __future__ import annotations

import secrets
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rrdns.core.dns_message import Response
from rrdns.core.model import Endpoint
from rrdns.wire.dns import client

MAX_DATAGRAM = 65535
TRIES = 3
DNS_PORT = 53
RESOLV_CONF = Path("/etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One answer, its time and its transport."""

    response: Response
    seconds: float
    transport: str  # "UDP" or "TCP"


def query(
    server: Endpoint, datagram: bytes, *, tcp: bool = False, timeout: float = 2.0
) -> Exchange:
    """Return a server's answer to a query; repeat the query over TCP if it is truncated.

    Raises:
        OSError: the server does not answer in time, or cannot be reached.
        EOFError: the server closes the connection.
        ValueError: the answer cannot be decoded.
    """
    started = time.perf_counter()
    exchange = _over_tcp if tcp else _over_udp
    reply = client.decode_response(exchange(server, datagram, timeout))
    transport = "TCP" if tcp else "UDP"
    if reply.truncated and not tcp:
        reply = client.decode_response(_over_tcp(server, datagram, timeout))
        transport = "TCP, since UDP was truncated"
    return Exchange(reply, time.perf_counter() - started, transport)


def query_with_reason(
    server: Endpoint,
    name: str,
    rtype: str,
    *,
    tcp: bool = False,
    timeout: float = 2.0,
    edns: bool = False,
    **how: bool,
) -> Exchange:
    """Return the answer to a query. If it is an error, repeat the query with EDNS for the reason.

    `how` has options of `wire.dns.client.encode_query`. Boot firmware does not use EDNS, so the
    first answer is returned. If there is a second one, its extended errors are added.

    Raises:
        OSError, EOFError, ValueError: as `query` does, or the name is not a domain name.
    """
    datagram = client.encode_query(name, rtype, secrets.randbelow(65536), edns=edns, **how)
    exchange = query(server, datagram, tcp=tcp, timeout=timeout)
    if edns or exchange.response.rcode == "NOERROR":
        return exchange
    with suppress(OSError, EOFError, ValueError):
        datagram = client.encode_query(name, rtype, secrets.randbelow(65536), edns=True, **how)
        again = _over_tcp if tcp else _over_udp_once
        reason = client.decode_response(again(server, datagram, timeout))
        if reason.rcode == exchange.response.rcode:
            reply = replace(exchange.response, extended_errors=reason.extended_errors)
            return replace(exchange, response=reply)
    return exchange


def system_resolvers(path: Path = RESOLV_CONF) -> tuple[Endpoint, ...]:
    """Return the DNS servers of this host; empty if it has none."""
    try:
        lines = [line.split() for line in path.read_text(errors="replace").splitlines()]
    except OSError:
        return ()
    hosts = (words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
    # The text after a % is a link, which only fe80:: addresses have.
    return tuple(dict.fromkeys(Endpoint(host.partition("%")[0], DNS_PORT) for host in hosts))


def describe_error(error: OSError | EOFError, timeout: float) -> str:
    """Return a text about why there is no answer."""
    if isinstance(error, TimeoutError):
        return str(error) or f"no answer within {timeout:g} s, {TRIES} times"
    return (getattr(error, "strerror", None) or str(error)).lower()


def _over_udp_once(server: Endpoint, datagram: bytes, timeout: float) -> bytes:
    return _over_udp(server, datagram, timeout, tries=1)


def _over_udp(server: Endpoint, datagram: bytes, timeout: float, tries: int = TRIES) -> bytes:
    """Return the response to a query; ignore datagrams that do not answer it."""
    with _socket(server, socket.SOCK_DGRAM) as sock:
        for _ in range(tries):
            sock.send(datagram)
            end = time.monotonic() + timeout
            while (left := end - time.monotonic()) > 0:
                sock.settimeout(left)
                try:
                    received = sock.recv(MAX_DATAGRAM)
                except TimeoutError:
                    break
                if client.is_response_to(datagram, received):
                    return received
    raise TimeoutError


def _over_tcp(server: Endpoint, datagram: bytes, timeout: float) -> bytes:
    with _socket(server, socket.SOCK_STREAM, timeout) as sock:
        sock.sendall(len(datagram).to_bytes(2, "big") + datagram)
        with sock.makefile("rb") as stream:
            head = stream.read(2)
            body = stream.read(int.from_bytes(head, "big"))
    if len(head) < 2 or len(body) < int.from_bytes(head, "big"):
        raise EOFError("the server closed the connection")
    if not client.is_response_to(datagram, body):
        raise ValueError("the message over TCP does not answer the query")
    return body


def _socket(
    server: Endpoint, kind: socket.SocketKind, timeout: float | None = None
) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(server.host, server.port, type=kind)[0]
    sock = socket.socket(family, kind)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock
