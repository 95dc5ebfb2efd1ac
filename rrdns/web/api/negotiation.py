"""Choose the form of a response by the headers of its request (RFC 9110, section 12).

A weight of 0 refuses a form. Each header that a response depends on is in its `Vary`.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

_CODINGS = ("gzip", "deflate", "identity")  # the better one first
_LEAST = 0.0001  # below any weight: identity is accepted unless it is refused


def compress(request: web.Request, response: web.StreamResponse) -> None:
    """Compress a response if its caller accepts that."""
    vary_by(response, "Accept-Encoding")
    coding = coding_for(request.headers.getall("Accept-Encoding", []))
    if coding != "identity":
        response.enable_compression(web.ContentCoding(coding))


def vary_by(response: web.StreamResponse, header: str) -> None:
    """Add a header of the request to the response's `Vary`."""
    before = response.headers.get("Vary")
    response.headers["Vary"] = f"{before}, {header}" if before else header


def coding_for(fields: Iterable[str]) -> str:
    """Return the coding for these `Accept-Encoding` fields; identity if they accept none."""
    weights = {item.partition(";")[0].strip().lower(): weight for item, weight in _weighed(fields)}
    others = weights.get("*", 0.0)
    worth = {coding: weights.get(coding, others) for coding in _CODINGS}
    if "identity" not in weights and "*" not in weights:
        worth["identity"] = _LEAST
    best = max(_CODINGS, key=lambda coding: worth[coding])
    return best if worth[best] > 0.0 else "identity"


def accepted(fields: Iterable[str]) -> list[str]:
    """Return the media types of `Accept` fields by weight, each with its parameters."""
    ranked = sorted(_weighed(fields), key=lambda pair: -pair[1])
    return [item for item, weight in ranked if weight > 0.0]


def _weighed(fields: Iterable[str]) -> Iterable[tuple[str, float]]:
    for item in ",".join(fields).split(","):
        if item.strip():
            yield item.strip(), _weight(item)


def _weight(item: str) -> float:
    for parameter in item.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0  # an invalid weight refuses it
    return 1.0
