"""Webhooks over real HTTP: signed, and judged by their answer."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rrdns.export import http_client
from rrdns.export.errors import DeliveryFailed
from rrdns.export.json_exporters import SIGNATURE, WebhookExporter
from rrdns.export.settings import WebhookSettings
from tests.export.pool_views import view


class Receiver:
    """Keeps what was posted, and answers as it is set."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, dict[str, str]]] = []
        self.status, self.text, self.headers = 200, "", dict[str, str]()

    async def take(self, request: web.Request) -> web.Response:
        """Keep one request."""
        self.got.append((await request.read(), dict(request.headers)))
        return web.Response(status=self.status, text=self.text, headers=self.headers)


@pytest.fixture
async def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def hook(receiver: Receiver) -> AsyncIterator[WebhookSettings]:
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    async with TestServer(app) as server:
        yield WebhookSettings(name="hook", pools=("boot",), url=str(server.make_url("/hook")))


async def test_a_webhook_is_signed_with_the_shared_key(
    receiver: Receiver, hook: WebhookSettings, tmp_path: Path
) -> None:
    """The receiver can tell that it was us, from the body alone as it came."""
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    settings = replace(hook, secret_file=secret, headers=(("X-Site", "Ulm"),))
    await WebhookExporter(settings).export([view(1, 2)])
    ((body, headers),) = receiver.got
    assert headers[SIGNATURE] == "sha256=" + hmac.new(b"s3cret", body, "sha256").hexdigest()
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Site"] == "Ulm"
    assert json.loads(body)["pools"][0]["first"] == "10.0.0.1"


async def test_without_a_key_nothing_is_signed(receiver: Receiver, hook: WebhookSettings) -> None:
    """No header that would look like a signature."""
    await WebhookExporter(hook).export([view(1)])
    assert SIGNATURE not in receiver.got[0][1]


@pytest.mark.parametrize("status", [301, 307, 400, 503])
async def test_any_other_status_is_a_failure(
    receiver: Receiver, hook: WebhookSettings, status: int
) -> None:
    """Redirects too: what is told goes where the admin said, and nowhere else."""
    receiver.status, receiver.text = status, "not today"
    receiver.headers = {"Location": "/hook"}
    with pytest.raises(DeliveryFailed, match=f"HTTP status {status}: not today"):
        await WebhookExporter(hook).export([view(1)])
    assert len(receiver.got) == 1


async def test_a_receiver_that_is_down_is_told() -> None:
    """A sentence with the URL and the reason."""
    hook = WebhookSettings(name="hook", pools=("boot",), url="http://127.0.0.1:1/")
    with pytest.raises(DeliveryFailed, match=r"http://127.0.0.1:1/: .*Connect call failed"):
        await WebhookExporter(hook).export([view(1)])


async def test_a_key_that_cannot_be_read_sends_nothing(
    receiver: Receiver, hook: WebhookSettings, tmp_path: Path
) -> None:
    """Better late than unsigned."""
    empty = tmp_path / "empty"
    empty.touch()
    for secret, why in ((tmp_path / "no", "cannot be read"), (empty, "is empty")):
        with pytest.raises(DeliveryFailed, match=why):
            await WebhookExporter(replace(hook, secret_file=secret)).export([view(1)])
    assert receiver.got == []


async def test_a_ca_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A wrong path is a failure of this exporter, with a sentence."""
    hook = WebhookSettings(
        name="hook", pools=("boot",), url="https://127.0.0.1:1/", ca_file=tmp_path / "no"
    )
    with pytest.raises(DeliveryFailed, match="No such file"):
        await WebhookExporter(hook).export([view(1)])


async def test_an_endless_answer_is_a_failure(
    receiver: Receiver, hook: WebhookSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a receiver says is read as far as anything sensible goes."""
    monkeypatch.setattr(http_client, "MAX_BYTES", 1000)
    receiver.text = "x" * 1001
    with pytest.raises(DeliveryFailed, match="does not end"):
        await WebhookExporter(hook).export([view(1)])
    receiver.text = "x" * 1000
    await WebhookExporter(hook).export([view(1)])
