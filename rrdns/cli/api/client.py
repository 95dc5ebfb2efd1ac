"""Call the admin API, and turn every failure into a sentence.

urllib is enough for single calls, and its import takes a tenth of the time of aiohttp's. Proxies
of the environment are ignored: the API is on this host or in the admin's network.
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
MAX_BYTES = 256 * 1024 * 1024  # of a response
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
        """Return the API's time, or ours if the two clocks are close to each other."""
        return self.clock.now()

    def pools(self, recent: int | None = None) -> list[dict[str, Any]]:
        """Return all pools with their members, and `recent` last probes of each member."""
        path = "/v1/pools" if recent is None else f"/v1/pools?recent={recent}"
        pools: list[dict[str, Any]] = self._call("GET", path)["pools"]
        return pools

    def readiness(self) -> dict[str, Any]:
        """Return whether rrdns is ready, with the alarms."""
        return self._call("GET", "/readyz", also=NOT_READY)

    def member(self, pool: str, member: str) -> dict[str, Any]:
        """Return one member, without its last probes."""
        return self._call("GET", f"{self.member_path(pool, member)}?recent=0")

    def member_path(self, pool: str, member: str) -> str:
        """Return the path of a member in the API.

        Raises:
            CliError: a name is empty.
        """
        if not (pool and member):
            what = "member" if pool else "pool"
            raise CliError(f"the {what}'s name is empty", "is a variable not set?", WRONG_USE)
        return f"/v1/pools/{quote(pool, safe='')}/members/{quote(member, safe='')}"

    def order(self, path: str, order: Mapping[str, Any]) -> dict[str, Any]:
        """Give an order; return its result."""
        done = self._call("POST", path, body=order)
        self.clock.note_order(done)
        return done

    def explain(self, pool: str | None) -> dict[str, Any]:
        """Return the next answers, and why each member is in rotation or not."""
        return self._call("GET", "/v1/explain" + (f"?{urlencode({'pool': pool})}" if pool else ""))

    def metrics(self) -> str:
        """Return the metrics in Prometheus' format."""
        with self._stream("/metrics") as reply:
            return reply.read(MAX_BYTES).decode()

    def export_audit(self, **wanted: str | None) -> Iterator[bytes]:
        """Return the whole audit trail as JSON lines, in chunks."""
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
        """Return the JSON of a response; `also` is an error status whose response has it, too.

        Raises:
            CliError: the API cannot be reached, or refuses.
        """
        try:
            with self._open(method, path, body) as reply:
                return self._read(reply.read(MAX_BYTES))
        except _ErrorResponse as response:
            if response.status == also and not response.is_problem:
                return self._read(response.said)
            raise self._refusal(response.status, response.said) from response

    @contextmanager
    def _stream(self, path: str) -> Iterator[http.client.HTTPResponse]:
        """Open a response that is not JSON.

        Raises:
            CliError: the API cannot be reached, or refuses.
        """
        try:
            with self._open("GET", path) as reply:
                yield reply
        except _ErrorResponse as response:
            raise self._refusal(response.status, response.said) from response

    @contextmanager
    def _open(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Call the API, and open its response.

        Raises:
            _ErrorResponse: the status is an error.
            CliError: the API cannot be reached.
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
                raise _ErrorResponse(
                    error.code, error.read(MAX_BYTES), _is_problem(error)
                ) from error
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
        raise CliError(f"{self.url} answers, but is not an rrdns API", "check --url or RRDNS_URL")

    def _refusal(self, status: int, said: bytes) -> CliError:
        """Return a problem document (RFC 9457) as an error with advice."""
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
            return f"add {pools}, or --all-pools for all"
        if status == 401 and self._token:
            return "the API does not know the token; check --token or RRDNS_TOKEN"
        if status == 401:
            return "set a token with --token or RRDNS_TOKEN; `rrdns token` makes one"
        return _ADVICE.get(kind, "")

    def _unreachable(self, error: Exception) -> CliError:
        reason = getattr(error, "reason", error)
        advice = "check that `rrdns serve` runs there, and --url or RRDNS_URL"
        if isinstance(reason, TimeoutError | socket.timeout):
            why = f"no answer within {self._patience:g} s"
        elif isinstance(reason, ssl.SSLError):
            why, advice = tls_error_advice(reason)
        elif isinstance(reason, ConnectionResetError) and self.url.startswith("http:"):
            why, advice = "connection reset", "if it uses TLS, write the URL with https://"
        else:
            why = str(getattr(reason, "strerror", None) or reason or type(error).__name__).lower()
        return CliError(f"cannot reach the rrdns API at {self.url}: {why}", advice)


class _ErrorResponse(Exception):
    """The API answered with an error status."""

    def __init__(self, status: int, said: bytes, is_problem: bool) -> None:
        super().__init__(status)
        self.status = status
        self.said = said
        self.is_problem = is_problem


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: a redirect would send the token to another server."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_ADVICE = {
    "last-member": "`rrdns status` shows which members are out; --force overrides the guard",
    "unknown-member": "`rrdns status` lists the members",
    "unknown-pool": "`rrdns status` lists the pools",
    "forbidden": "use a token with a higher role",
    "store-failed": "check the disk and the log of rrdns; the answers have not changed",
    "wrong-host": "use an address or localhost in --url, or add tokens to the config of rrdns",
    "too-many": "there are too many calls at the same time; retry in a few seconds",
    "too-slow": "the request timed out; retry, or check the network to the server",
    "stale": "`rrdns status` shows what changed; then retry",
    "invalid": "`rrdns VERB --help` has examples",
    "internal": "check the log of rrdns; it continues to answer DNS queries",
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
            f"{_without_user(url)!r} is not a URL of an API",
            "write it as http://127.0.0.1:8053",
            WRONG_USE,
        )
    return url.rstrip("/")


def _without_user(url: str) -> str:
    """Return a URL without its password, since a log may contain the message."""
    return re.sub(r"(?<=//)[^/]*@", "...@", url)


def _usable(token: str | None) -> str | None:
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise CliError(
            "the token contains invalid characters",
            "pass it as `rrdns token` printed it, on one line",
            WRONG_USE,
        )
    return token


def _is_problem(error: urllib.error.HTTPError) -> bool:
    return error.headers.get_content_type() == "application/problem+json"


def _status(status: int) -> int:
    """Return the exit status: a call that the API does not understand is wrong usage."""
    return WRONG_USE if status in {400, 404, 422} else REFUSED


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
