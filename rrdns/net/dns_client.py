"""Ask a DNS server one question and wait for its answer, for people who look at what it says.

Blocking, since whoever asks has nothing else to do; what must not wait for it does so in a
thread.
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
    """One answer, and how it came."""

    response: Response
    seconds: float
    transport: str  # "UDP" or "TCP"


def query(
    server: Endpoint, datagram: bytes, *, tcp: bool = False, timeout: float = 2.0
) -> Exchange:
    """Return what a server answers to a query; a truncated answer is asked for again over TCP.

    Raises:
        OSError: nobody answers in time, or the server cannot be reached.
        EOFError: it closes the connection.
        ValueError: what comes cannot be read.
    """
    started = time.perf_counter()
    exchange = _over_tcp if tcp else _over_udp
    reply, over = (
        client.decode_response(exchange(server, datagram, timeout)),
        "TCP" if tcp else "UDP",
    )
    if reply.truncated and not tcp:
        reply = client.decode_response(_over_tcp(server, datagram, timeout))
        over = "TCP, since UDP was cut"
    return Exchange(reply, time.perf_counter() - started, over)


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
    """Ask as `ask` does; an error is asked for once more with EDNS, since only there is its reason.

    `how`: see `wire.client.ask`. Boot firmware asks without EDNS, and so the answer stays the first
    one; the second one adds the extended errors, where it comes.

    Raises:
        OSError, EOFError, ValueError: as `ask` does; and it is no domain name.
    """
    datagram = client.encode_query(name, rtype, secrets.randbelow(65536), edns=edns, **how)
    answered = query(server, datagram, tcp=tcp, timeout=timeout)
    if edns or answered.response.rcode == "NOERROR":
        return answered
    with suppress(OSError, EOFError, ValueError):
        datagram = client.encode_query(name, rtype, secrets.randbelow(65536), edns=True, **how)
        again = _over_tcp if tcp else _over_udp_once
        reason = client.decode_response(again(server, datagram, timeout))
        if reason.rcode == answered.response.rcode:
            reply = replace(answered.response, extended_errors=reason.extended_errors)
            return replace(answered, response=reply)
    return answered


def system_resolvers(path: Path = RESOLV_CONF) -> tuple[Endpoint, ...]:
    """Return the DNS servers that this host asks; none where it names none."""
    try:
        lines = [line.split() for line in path.read_text(errors="replace").splitlines()]
    except OSError:
        return ()
    hosts = (words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
    # What follows a % is a link, which only fe80:: addresses have.
    return tuple(dict.fromkeys(Endpoint(host.partition("%")[0], DNS_PORT) for host in hosts))


def describe_error(error: OSError | EOFError, timeout: float) -> str:
    """Return in words why there is no answer."""
    if isinstance(error, TimeoutError):
        return str(error) or f"no answer within {timeout:g} s, {TRIES} times"
    return (getattr(error, "strerror", None) or str(error)).lower()


def _over_udp_once(server: Endpoint, datagram: bytes, timeout: float) -> bytes:
    return _over_udp(server, datagram, timeout, tries=1)


def _over_udp(server: Endpoint, datagram: bytes, timeout: float, tries: int = TRIES) -> bytes:
    """Return the response to a query; what is no response to it is passed over."""
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
        raise EOFError("it closed the connection")
    if not client.is_response_to(datagram, body):
        raise ValueError("what came over TCP is no answer to the question")
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
