"""The client of the API: each way in which a call can fail is a sentence."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate

import pytest
from aiohttp import web

from rrdns.cli.api.client import Client
from rrdns.cli.terminal.errors import CliError
from rrdns.web.api.endpoints import ENDPOINTS
from tests.cli.conftest import answering

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def saying(body: str, status: int = 200, **headers: str) -> Handler:
    """Return a handler that always says the same."""

    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        kind = headers.get("content_type", "application/json")
        rest = {name: value for name, value in headers.items() if name != "content_type"}
        return web.Response(text=body, status=status, content_type=kind, headers=rest)

    return handler


def trouble_with(url: str) -> CliError:
    """Return the trouble that looking at the pools makes."""
    with pytest.raises(CliError) as caught:
        Client(url).pools()
    return caught.value


def test_every_refusal_is_told_with_what_to_do() -> None:
    """For each kind of problem that a call of the command line may be answered with."""
    kinds = {kind.name for call in ENDPOINTS if call.needs for kind in call.kinds}
    # No verb sends such a request: they would be defects of ours, with the API's own words.
    kinds -= {"bad-json", "bad-request", "wrong-media-type", "too-large", "unauthorized"}
    client = Client("http://127.0.0.1:1")
    assert {kind for kind in kinds if not client._advice(kind, 409, {})} == set()


def test_a_closed_port_is_told_with_what_to_do() -> None:
    """Most often rrdns does not run, or the URL is not its."""
    trouble = trouble_with("http://127.0.0.1:1")
    assert trouble.sentence == (
        "cannot reach the rrdns API at http://127.0.0.1:1: connection refused"
    )
    assert "RRDNS_URL" in trouble.advice
    assert trouble.status == 1


def test_a_silent_server_is_given_up() -> None:
    """It accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", patience=0.1)
        with pytest.raises(CliError, match=r"no answer within 0\.1 s"):
            client.pools()


@pytest.mark.parametrize("body", ["<html>", "[]", "5", ""])
def test_something_that_is_no_rrdns_is_recognised(body: str) -> None:
    """A page of another server is no reason for a traceback."""
    with answering(saying(body)) as url:
        assert trouble_with(url).sentence == f"{url} answers, but is not an rrdns API"


@pytest.mark.parametrize("body", ["<html>", "[]", '{"detail": ""}', '{"title": "x"}'])
def test_an_error_that_is_no_problem_document_is_told_by_its_status(body: str) -> None:
    """A proxy's own error page, for instance."""
    with answering(saying(body, 502)) as url:
        assert "HTTP status 502" in trouble_with(url).sentence


def test_a_problem_document_becomes_its_detail() -> None:
    """Control characters in it do not reach the terminal."""
    problem = {"type": "/problems/internal", "title": "Defect", "detail": "see\n\x1b[2Jthe log"}
    body = json.dumps(problem)
    with answering(saying(body, 500, content_type="application/problem+json")) as url:
        trouble = trouble_with(url)
    assert trouble.sentence == "see [2Jthe log"
    assert trouble.status == 1


def test_a_problem_of_the_readiness_call_is_no_readiness() -> None:
    """503 has two meanings there: not ready, or out of order."""
    problem = json.dumps({"type": "/problems/store-failed", "title": "x", "detail": "no disk"})
    with (
        answering(saying(problem, 503, content_type="application/problem+json")) as url,
        pytest.raises(CliError, match="no disk"),
    ):
        Client(url).readiness()
    with answering(saying('{"ready": false}', 503)) as url:
        assert Client(url).readiness() == {"ready": False}


def test_a_redirect_is_not_followed() -> None:
    """The token would go along."""
    with answering(saying("", 302, Location="http://127.0.0.1:1/")) as url:
        assert "HTTP status 302" in trouble_with(url).sentence


@pytest.mark.parametrize(
    "url",
    [
        *("127.0.0.1:8053", "ftp://x", "file:///etc/passwd", "http://", "http://x:99999"),
        *("http://[", "http://ops:hush@127.0.0.1:8053"),
    ],
)
def test_what_is_no_url_of_an_api_is_wrong_use(url: str) -> None:
    """It is found before anything is sent."""
    with pytest.raises(CliError, match="is not a URL of an API") as caught:
        Client(url)
    assert caught.value.status == 2
    assert "hush" not in caught.value.sentence


@pytest.mark.parametrize("token", ["two words", "a\nb", "schlüssel"])
def test_a_token_that_cannot_be_sent_is_wrong_use(token: str) -> None:
    """A file read with its line end, most often."""
    with pytest.raises(CliError, match="contains invalid characters") as caught:
        Client("http://127.0.0.1:1", token)
    assert caught.value.status == 2


def test_proxies_of_the_environment_are_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API is near, and the token is not for the proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with answering(saying('{"pools": []}')) as url:
        assert Client(url).pools() == []


def test_a_slash_at_the_end_of_the_url_does_no_harm() -> None:
    """The path is what it would be without."""
    paths = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        paths.append(request.path_qs)
        return web.json_response({"pools": [], "entries": []})

    with answering(handler) as url:
        Client(f"{url}/").pools()
        Client(url).audit(limit=5, before=None, pool="a b", member=None)
        client = Client(url)
        client.order(f"{client.member_path('a/b', 'c?d')}/drain", {})
    assert paths == [
        "/v1/pools",
        "/v1/audit?limit=5&pool=a+b",
        "/v1/pools/a%2Fb/members/c%3Fd/drain",
    ]


def test_the_clock_of_the_api_counts() -> None:
    """An admin's clock that is an hour slow or fast makes nothing safe too early."""
    for skew in (-3600.0, 3600.0):
        date = formatdate(time.time() + skew, usegmt=True)
        with answering(saying('{"pools": []}', Date=date)) as url:
            asked = Client(url)
            asked.pools()
        assert asked.now() == pytest.approx(time.time() + skew, abs=2)
        assert time.time() + skew - 2 <= asked.clock.at_least() <= time.time() + skew


def test_clocks_that_agree_to_the_second_are_taken_for_equal() -> None:
    """A Date has no fractions; what is waited for is on the safe side all the same."""
    with answering(saying('{"pools": []}', Date=formatdate(usegmt=True))) as url:
        asked = Client(url)
        asked.pools()
    assert asked.now() == pytest.approx(time.time(), abs=0.1)
    assert asked.clock.at_least() <= time.time()


def test_an_api_without_a_clock_is_believed_to_have_ours() -> None:
    """A proxy may have taken the date away, or written nonsense."""
    with answering(saying('{"pools": []}', Date="soon")) as url:
        asked = Client(url)
        asked.pools()
    assert asked.clock.at_least() == pytest.approx(time.time(), abs=0.1)
