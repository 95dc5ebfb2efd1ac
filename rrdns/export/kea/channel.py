"""Talk to a Kea server: one command, one answer, over its control socket or over HTTP."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any, Protocol

from rrdns.export.disk_io import Disk
from rrdns.export.errors import DeliveryFailed, KeaRefused
from rrdns.export.http_client import MAX_BYTES, HttpPost, post, read_secret
from rrdns.export.settings import KeaSettings

SUCCESS = 0  # `result`; Kea's other numbers are failures of one kind or another


class Channel(Protocol):
    """A way to a Kea server."""

    @property
    def where(self) -> str:
        """Return the address, for people."""
        ...

    async def ask(self, request: dict[str, Any]) -> Any:
        """Send a request; return the JSON of the answer."""
        ...


class SocketChannel:
    """The control socket of the server itself."""

    def __init__(self, settings: KeaSettings) -> None:
        self.where = str(settings.socket)

    async def ask(self, request: dict[str, Any]) -> Any:
        """Send a request over a connection of its own, as Kea expects."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.where)
        except OSError as error:
            raise DeliveryFailed(self.where, f"Kea cannot be reached: {error}") from error
        try:
            writer.write(await asyncio.to_thread(_encoded, request))
            await writer.drain()
            return await asyncio.to_thread(_decoded, self.where, await self._read(reader))
        except OSError as error:
            raise DeliveryFailed(self.where, f"Kea broke off: {error}") from error
        finally:
            # Not closed in peace: a slow Kea must not hold up a stop.
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        said = bytearray()
        while chunk := await reader.read(256 * 1024):
            said += chunk
            if len(said) > MAX_BYTES:
                raise DeliveryFailed(self.where, "Kea's answer does not end")
        return bytes(said)


class HttpChannel:
    """The control agent, or the HTTP control channel that newer servers have themselves."""

    def __init__(self, settings: KeaSettings) -> None:
        self.where = settings.url
        self._disk = Disk()
        self._settings = settings

    async def ask(self, request: dict[str, Any]) -> Any:
        """Post a request; the agent answers with a list, one item a server."""
        settings = self._settings
        whole = {**request, "service": [settings.service]} if settings.service else request
        password = ""
        if settings.password_file:
            password = await self._disk.run(partial(read_secret, settings.password_file))
        said = await post(
            HttpPost(
                self.where,
                await asyncio.to_thread(_encoded, whole),
                user=settings.user,
                password=password,
                ca_file=settings.ca_file,
            )
        )
        return await asyncio.to_thread(_decoded, self.where, said)


def make_channel(settings: KeaSettings) -> Channel:
    """Return the way to the server that the settings name."""
    return SocketChannel(settings) if settings.socket else HttpChannel(settings)


async def command(channel: Channel, name: str, arguments: dict[str, Any] | None = None) -> Any:
    """Give Kea a command; return the arguments of its answer.

    Raises:
        KeaRefused: Kea answered with an error.
        Unreachable: there was no answer that can be understood.
    """
    request: dict[str, Any] = {"command": name}
    if arguments is not None:
        request["arguments"] = arguments
    answer = await channel.ask(request)
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if not isinstance(answer, dict) or not isinstance(answer.get("result"), int):
        raise DeliveryFailed(channel.where, f"this is no answer of Kea's: {str(answer)[:200]}")
    if answer["result"] != SUCCESS:
        raise KeaRefused(channel.where, name, str(answer.get("text", "without a word")))
    return answer.get("arguments", {})


def _encoded(request: dict[str, Any]) -> bytes:
    # Kea writes each byte above 0x7e of a text as \u00xx, and reads it so: what looks garbled
    # in between comes back as the bytes that were there, as long as it stays ASCII.
    return json.dumps(request, ensure_ascii=True).encode("ascii")


def _decoded(where: str, said: bytes) -> Any:
    if not said:
        raise DeliveryFailed(where, "Kea ended the connection without an answer")
    try:
        return json.loads(said)
    except ValueError as error:
        raise DeliveryFailed(where, f"Kea's answer is not JSON: {error}") from error
