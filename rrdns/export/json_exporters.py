"""Exporters that send JSON: to a command's standard input, or in a POST that may be signed."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import partial

from rrdns.export.disk_io import Disk
from rrdns.export.external_process import run
from rrdns.export.http_client import HttpPost, post, read_secret
from rrdns.export.pool_view import PoolView, to_json
from rrdns.export.settings import CommandSettings, WebhookSettings

SIGNATURE = "X-Rrdns-Signature-256"


class WebhookExporter:
    """Posts to one URL."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._disk = Disk()

    @property
    def name(self) -> str:
        """Return what the config calls it."""
        return self._settings.name

    async def export(self, views: Sequence[PoolView]) -> str:
        """Post what is told; any status of the 200s is a success."""
        settings = self._settings
        body = to_json(self.name, views).encode()
        headers = dict(settings.headers)
        if settings.secret_file:
            # Read each time: a new key needs no reload.
            secret = await self._disk.run(partial(read_secret, settings.secret_file))
            headers[SIGNATURE] = signature(secret, body)
        await post(HttpPost(settings.url, body, headers, ca_file=settings.ca_file))
        return ""


def signature(secret: str, body: bytes) -> str:
    """Return the HMAC-SHA256 (RFC 2104) of a body, as the header carries it.

    The body names its time (`at`) and serial, so a receiver can tell one that is repeated.
    """
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()


class CommandExporter:
    """Runs one command."""

    def __init__(self, settings: CommandSettings) -> None:
        self._settings = settings

    @property
    def name(self) -> str:
        """Return what the config calls it."""
        return self._settings.name

    async def export(self, views: Sequence[PoolView]) -> str:
        """Run the command; return what it said."""
        return await run(self._settings.command, to_json(self.name, views).encode())
