"""The client verbs over TLS: whom they trust, and what they say where they do not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rrdns.core.roles import Role
from rrdns.web.api.auth import TokenAuthenticator
from rrdns.web.app import make_app
from rrdns.web.transport.server import ApiServer
from rrdns.web.transport.tls import make_context
from tests.cli.conftest import Api, Run, in_a_thread
from tests.peers import ROOT
from tests.web.certificates import Pair, make_pair
from tests.web.fake_admin_service import FakeAdminService
from tests.web.serving import SECRETS, TOKENS, bound


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Return a certificate and its key."""
    return make_pair(tmp_path)


@pytest.fixture
def secure(farm: FakeAdminService, pair: Pair) -> Iterator[str]:
    """Serve the farm over TLS, with tokens; return the URL."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        sock = bound()
        port: int = sock.getsockname()[1]
        server = ApiServer(make_app(farm, TokenAuthenticator(TOKENS)), sock, make_context(*pair))
        await server.start()
        yield port
        await asyncio.sleep(0)
        await server.stop()

    with in_a_thread(serve) as url:
        yield url.replace("http:", "https:")


def test_the_verbs_trust_the_authority_that_they_are_given(
    rrdns: Run, secure: str, pair: Pair
) -> None:
    """By option or by variable; with tokens as over HTTP."""
    for verb in ("status", "explain", "audit"):
        given = [verb, "--url", secure, "--ca-file", pair.certificate]
        env = {"RRDNS_TOKEN": SECRETS[Role.OPERATOR]}
        assert rrdns(*given, env=env).exit_code == 0
    env = {
        "RRDNS_TOKEN": SECRETS[Role.OPERATOR],
        "RRDNS_URL": secure,
        "RRDNS_CA_FILE": str(pair.certificate),
    }
    assert rrdns("drain", "pvs-1", env=env).exit_code == 0
    assert rrdns("resume", "pvs-1", env=env).exit_code == 0


def test_an_unknown_certificate_is_not_trusted(rrdns: Run, secure: str, tmp_path: Path) -> None:
    """The token does not go to whoever answers."""
    told = rrdns("status", "--url", secure)
    assert told.exit_code == 1
    assert "its certificate is not trusted" in told.stderr
    assert "--ca-file" in told.stderr
    (tmp_path / "other").mkdir()
    other = make_pair(tmp_path / "other").certificate
    assert rrdns("status", "--url", secure, "--ca-file", other).exit_code == 1


def test_a_certificate_for_another_name_is_no_matter_of_trust(
    rrdns: Run, secure: str, pair: Pair
) -> None:
    """No authority helps there."""
    elsewhere = secure.replace("127.0.0.1", "127.1")  # the same address by another name
    told = rrdns("status", "--url", elsewhere, "--ca-file", pair.certificate)
    assert told.exit_code == 1
    assert "use a name in --url that its certificate has" in told.stderr
    assert "--ca-file" not in told.stderr


def test_http_where_tls_is_and_tls_where_http_is(
    rrdns: Run, secure: str, api: Api, pair: Pair
) -> None:
    """Each is told for what it is."""
    told = rrdns("status", "--url", secure.replace("https:", "http:"))
    assert told.exit_code == 1
    assert "write the URL with https://" in told.stderr
    url = api.url.replace("http:", "https:")
    told = rrdns("status", "--url", url, "--ca-file", pair.certificate)
    assert told.exit_code == 1
    assert "does not use TLS" in told.stderr


def test_the_health_check_of_the_container_knows_tls(secure: str, pair: Pair) -> None:
    """It trusts by the variable, as the verbs do."""
    check = [sys.executable, str(ROOT / "conf" / "healthcheck")]
    for trusted, expected in ((str(pair.certificate), 0), ("", 1)):
        env = {**os.environ, "RRDNS_URL": secure, "RRDNS_CA_FILE": trusted}
        done = subprocess.run(check, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == expected, done.stderr


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_of_no_authority_is_wrong_use(rrdns: Run, tmp_path: Path, text: str | None) -> None:
    """Also where the URL would not need it."""
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    for url in ("https://127.0.0.1:1", "http://127.0.0.1:1"):
        told = rrdns("status", "--url", url, "--ca-file", path)
        assert told.exit_code == 2
        assert f"--ca-file {path}" in " ".join(told.stderr.split())
