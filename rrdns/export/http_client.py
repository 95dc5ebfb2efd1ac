"""Post JSON over HTTP, for the exporters that do; aiohttp stays in here."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from rrdns.export.disk_io import read_file
from rrdns.export.errors import DeliveryFailed

MAX_BYTES = 64 * 1024 * 1024  # of an answer: far above the largest Kea config


@dataclass(frozen=True, slots=True)
class HttpPost:
    """One request: a body that goes to a URL."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    password: str = ""
    ca_file: Path | None = None
    display_url: str = ""  # in place of the URL, where that may hold a key


async def post(request: HttpPost) -> bytes:
    """Send a request; return the answer's body.

    Raises:
        DeliveryFailed: there was no answer, or its status is none of the 200s.
    """
    # The exporter's task holds the time limit. Redirects are not followed: the body is signed or
    # secret, and goes where the admin said and nowhere else.
    timeout = aiohttp.ClientTimeout(total=None)
    headers = {"Content-Type": "application/json", **request.headers, **_basic_auth(request)}
    where = request.display_url or request.url
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                request.url,
                data=request.body,
                headers=headers,
                allow_redirects=False,
                ssl=_tls(request.ca_file),
            ) as response,
        ):
            said = await _read(response)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise DeliveryFailed(where, reason.replace(request.url, where)) from error
    if not 200 <= response.status < 300:
        text = said[:200].decode(errors="replace").strip()
        raise DeliveryFailed(
            where, f"HTTP status {response.status}{': ' if text else ''}{text}", response.status
        )
    return said


def read_secret(path: Path) -> str:
    """Return what stands in a file that holds a secret, without the line end.

    Raises:
        Unreachable: it cannot be read, or is empty.
    """
    try:
        secret = read_file(path).decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DeliveryFailed(str(path), f"the secret cannot be read: {error}") from error
    if not secret:
        raise DeliveryFailed(str(path), "the secret is empty")
    return secret


def _basic_auth(request: HttpPost) -> dict[str, str]:
    """Return the header of basic authentication (RFC 7617), if there is a user."""
    if not request.user:
        return {}
    pair = f"{request.user}:{request.password}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


async def _read(response: aiohttp.ClientResponse) -> bytes:
    said = bytearray()
    async for chunk in response.content.iter_any():
        said += chunk
        if len(said) > MAX_BYTES:
            raise ValueError("the answer does not end")
    return bytes(said)


def _tls(ca_file: Path | None) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=ca_file) if ca_file else True
