"""A weight of 0 is a no, and what depends on a header says so."""

from __future__ import annotations

import pytest

from rrdns.web.api.negotiation import accepted, coding_for
from tests.web.serving import Client

OPENMETRICS = "application/openmetrics-text"


@pytest.mark.parametrize(
    ("fields", "coding"),
    [
        ([], "identity"),
        ([""], "identity"),
        (["gzip, deflate, br"], "gzip"),
        (["GZIP"], "gzip"),
        (["gzip;q=0"], "identity"),
        (["gzip; Q=0.000, deflate"], "deflate"),
        (["gzip;q=0.1, identity"], "identity"),
        (["gzip;q=0.1", "deflate;q=0.2"], "deflate"),
        (["identity;q=0, gzip;q=0.5"], "gzip"),
        (["identity;q=0"], "identity"),  # nothing is left to send
        (["*"], "gzip"),
        (["*;q=0"], "identity"),
        (["*;q=0, deflate"], "deflate"),
        (["gzip;q=much"], "identity"),
        (["x-gzip-not, br"], "identity"),
    ],
)
def test_the_dearest_coding_is_chosen(fields: list[str], coding: str) -> None:
    """And none that is refused."""
    assert coding_for(fields) == coding


def test_what_is_refused_is_not_accepted() -> None:
    """The dearest comes first; of two alike the one that was named first."""
    fields = ["text/plain;q=0.5, a/b;v=1;q=0", "c/d, e/f"]
    assert accepted(fields) == ["c/d", "e/f", "text/plain;q=0.5"]


@pytest.mark.parametrize("path", ["/v1/pools", "/v1/audit/export", "/metrics"])
@pytest.mark.parametrize(("refused", "encoding"), [("gzip;q=0", None), ("gzip", "gzip")])
async def test_nobody_gets_what_he_refuses(
    client: Client, path: str, refused: str, encoding: str | None
) -> None:
    """A cache that stands between learns what the answer depends on."""
    async with client.session.get(path, headers={"Accept-Encoding": refused}) as response:
        assert response.status == 200
        assert response.headers.get("Content-Encoding") == encoding
        vary = response.headers["Vary"]
    assert vary == ("Accept, Accept-Encoding" if path == "/metrics" else "Accept-Encoding")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/openmetrics-text; version=1.0.0; q=0", "text/plain"),
        ("application/openmetrics-text;version=1.0.0;q=0.5, text/plain", "text/plain"),
        ("text/plain;q=0.2, application/openmetrics-text;version=1.0.0", OPENMETRICS),
        ("*/*, application/openmetrics-text;version=1.0.0;q=0.1", OPENMETRICS),
    ],
)
async def test_metrics_come_in_the_format_that_is_liked_best(
    client: Client, accept: str, kind: str
) -> None:
    """OpenMetrics only where it is not refused, nor plain text liked better."""
    async with client.session.get("/metrics", headers={"Accept": accept}) as response:
        assert response.content_type == kind
