"""Call the admin API, and make a sentence of every way in which that can fail.

urllib is enough for one call after another, and starts in a tenth of aiohttp's time. Proxies
of the environment are passed by: the API is this host, or one in the admin's own network.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from rrdns.cli.api.server_clock import ServerClock
from rrdns.cli.api.tls import handlers_for, tls_error_advice
from rrdns.cli.terminal.errors import REFUSED, WRONG_USE, CliError

TIMEOUT = 10.0  # seconds
MAX_BYTES = 256 * 1024 * 1024  # of an answer
NOT_READY = 503
CHUNK = 64 * 1024  # bytes


class Client:
    """The API at one URL."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        ca_file: Path | None = None,
        *,
        patience: float = TIMEOUT,
    ) -> None:
        self.url = _checked(url)
        self._patience = patience
        self._token = _usable(token)
        self.clock = ServerClock()
        handlers = [
            urllib.request.ProxyHandler({}),
            _NoRedirect(),
            *handlers_for(self.url, ca_file),
        ]
        self._opener = urllib.request.build_opener(*handlers)

    def now(self) -> float:
        """Return the time by the API's clock, where ours is plainly another."""
        return self.clock.now()

    def pools(self, recent: int | None = None) -> list[dict[str, Any]]:
        """Return all pools with their members, each with so many of its last probes."""
        path = "/v1/pools" if recent is None else f"/v1/pools?recent={recent}"
        pools: list[dict[str, Any]] = self._call("GET", path)["pools"]
        return pools

    def readiness(self) -> dict[str, Any]:
        """Return whether targets are being served, and the alarms."""
        return self._call("GET", "/readyz", also=NOT_READY)

    def member(self, pool: str, member: str) -> dict[str, Any]:
        """Return one member, without its last probes."""
        return self._call("GET", f"{self.member_path(pool, member)}?recent=0")

    def member_path(self, pool: str, member: str) -> str:
        """Return where the API keeps a member.

        Raises:
            Trouble: a name is empty.
        """
        if not (pool and member):
            what = "member" if pool else "pool"
            raise CliError(f"the {what}'s name is empty", "is a variable not set?", WRONG_USE)
        return f"/v1/pools/{quote(pool, safe='')}/members/{quote(member, safe='')}"

    def order(self, path: str, order: Mapping[str, Any]) -> dict[str, Any]:
        """Give an order."""
        done = self._call("POST", path, body=order)
        self.clock.note_order(done)
        return done

    def explain(self, pool: str | None) -> dict[str, Any]:
        """Return who is answered next, and why others are not."""
        return self._call("GET", "/v1/explain" + (f"?{urlencode({'pool': pool})}" if pool else ""))

    def metrics(self) -> str:
        """Return the metrics as Prometheus reads them."""
        with self._stream("/metrics") as reply:
            return reply.read(MAX_BYTES).decode()

    def export_audit(self, **wanted: str | None) -> Iterator[bytes]:
        """Return the whole audit trail as JSON lines, as they come in."""
        query = urlencode({name: value for name, value in wanted.items() if value is not None})
        with self._stream(f"/v1/audit/export?{query}") as reply:
            while chunk := reply.read(CHUNK):
                yield chunk

    def audit(self, **wanted: str | int | None) -> dict[str, Any]:
        """Return a page of the audit trail, newest first."""
        query = urlencode({name: value for name, value in wanted.items() if value is not None})
        return self._call("GET", f"/v1/audit?{query}" if query else "/v1/audit")

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, also: int | None = None
    ) -> dict[str, Any]:
        """Return the JSON that a call is answered with; `also` is an error status that tells one.

        Raises:
            Trouble: the API cannot be reached, or refuses.
        """
        try:
            with self._open(method, path, body) as reply:
                return self._read(reply.read(MAX_BYTES))
        except _Answered as answered:
            if answered.status == also and not answered.is_problem:
                return self._read(answered.said)
            raise self._refusal(answered.status, answered.said) from answered

    @contextmanager
    def _stream(self, path: str) -> Iterator[http.client.HTTPResponse]:
        """Hold an answer open that is no JSON.

        Raises:
            Trouble: the API cannot be reached, or refuses.
        """
        try:
            with self._open("GET", path) as reply:
                yield reply
        except _Answered as answered:
            raise self._refusal(answered.status, answered.said) from answered

    @contextmanager
    def _open(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Make a call, and hold its answer open.

        Raises:
            _Answered: the answer is no success.
            Trouble: the API cannot be reached.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - _checked lets only http and https pass
            self.url + path, data=data, method=method, headers=self._headers(data is not None)
        )
        asked_at = self.clock.steady()
        try:
            with self._opener.open(request, timeout=self._patience) as reply:
                self.clock.note_date(reply.headers["Date"], asked_at)
                yield reply
        except urllib.error.HTTPError as error:
            with error:
                raise _Answered(error.code, error.read(MAX_BYTES), _is_problem(error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _headers(self, has_body: bool) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "rrdns"}
        if has_body:
            headers["Content-Type"] = "application/json"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _read(self, said: bytes) -> dict[str, Any]:
        try:
            value = json.loads(said)
        except ValueError:
            value = None
        if isinstance(value, dict):
            return value
        raise CliError(f"{self.url} answers, but is no rrdns API", "check --url or RRDNS_URL")

    def _refusal(self, status: int, said: bytes) -> CliError:
        """Return a problem document (RFC 9457) as a sentence."""
        try:
            problem = json.loads(said)
            detail = str(problem["detail"] or problem["title"])
        except (ValueError, KeyError, TypeError):
            return CliError(
                f"{self.url} answered with HTTP status {status}, as no rrdns API does",
                "check --url or RRDNS_URL",
            )
        kind = str(problem.get("type", "")).rpartition("/")[2]
        exit_status = WRONG_USE if kind == "ambiguous-member" else _status(status)
        return CliError(_one_line(detail), self._advice(kind, status, problem), exit_status)

    def _advice(self, kind: str, status: int, problem: Mapping[str, Any]) -> str:
        if kind == "ambiguous-member":
            pools = " or ".join(f"--pool {name}" for name in problem.get("pools", ()))
            return f"say which one: {pools}; or all: --all-pools"
        if status == 401 and self._token:
            return "the token that was sent is unknown there; check --token or RRDNS_TOKEN"
        if status == 401:
            return "give a token with --token or RRDNS_TOKEN; `rrdns token` makes one"
        return _ADVICE.get(kind, "")

    def _unreachable(self, error: Exception) -> CliError:
        reason = getattr(error, "reason", error)
        advice = "is `rrdns serve` running there? --url or RRDNS_URL says where to look"
        if isinstance(reason, TimeoutError | socket.timeout):
            why = f"no answer within {self._patience:g} s"
        elif isinstance(reason, ssl.SSLError):
            why, advice = tls_error_advice(reason)
        elif isinstance(reason, ConnectionResetError) and self.url.startswith("http:"):
            why, advice = "it hangs up", "does it serve TLS? then the URL begins with https://"
        else:
            why = str(getattr(reason, "strerror", None) or reason or type(error).__name__).lower()
        return CliError(f"cannot reach the rrdns API at {self.url}: {why}", advice)


class _Answered(Exception):
    """The API answered, and not with success."""

    def __init__(self, status: int, said: bytes, is_problem: bool) -> None:
        super().__init__(status)
        self.status = status
        self.said = said
        self.is_problem = is_problem


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: the token would go along to wherever it points."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_ADVICE = {
    "last-member": "`rrdns status` tells who is out, and why; --force drains it all the same",
    "unknown-member": "`rrdns status` lists the members",
    "unknown-pool": "`rrdns status` lists the pools",
    "forbidden": "use a token with a higher role",
    "store-failed": "look at its disk and its log; the answers have not changed",
    "wrong-host": "call it by an address or as localhost, or give its config tokens",
    "too-many": "others ask at the same time; wait a few seconds, then say it again",
    "too-slow": "say it again; is the line to it slow?",
    "stale": "`rrdns status` shows what changed; then say it again",
    "invalid": "`rrdns VERB --help` has examples",
    "internal": "its log says more; answers go on",
}


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        whole = parts.hostname and parts.port != 0 and parts.username is None
        sound = whole and parts.scheme in {"http", "https"}
    except ValueError:
        sound = False
    if not sound:
        raise CliError(
            f"{_without_user(url)!r} is no URL of an API",
            "write it as http://127.0.0.1:8053",
            WRONG_USE,
        )
    return url.rstrip("/")


def _without_user(url: str) -> str:
    """Return a URL without a password in it, as what is said may be kept in a log."""
    return re.sub(r"(?<=//)[^/]*@", "...@", url)


def _usable(token: str | None) -> str | None:
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise CliError(
            "the token has characters that no token has",
            "pass it as `rrdns token` printed it, on one line",
            WRONG_USE,
        )
    return token


def _is_problem(error: urllib.error.HTTPError) -> bool:
    return error.headers.get_content_type() == "application/problem+json"


def _status(status: int) -> int:
    """Return the exit status: what the API did not understand is wrong use."""
    return WRONG_USE if status in {400, 404, 422} else REFUSED


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
