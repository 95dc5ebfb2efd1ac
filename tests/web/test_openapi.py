"""The OpenAPI document: complete, sound in itself, and true to what is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from rrdns.timeformat import duration
from rrdns.web.api.endpoints import ENDPOINTS, ApiEndpoint
from rrdns.web.api.openapi import describe
from tests.web.serving import MEMBER, Client

Json = dict[str, Any]
KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "object": dict,
    "array": list,
}


@pytest.fixture(scope="module")
def document() -> Json:
    """Return the document of a service with tokens."""
    return describe(with_tokens=True)


def nodes(value: object) -> Iterator[Json]:
    """Walk all objects in a document."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def test_every_call_is_described_once(document: Json) -> None:
    """Under its path and method, with an id of its own."""
    found = {
        (method.upper(), path): operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert found == {(call.method, call.path): call.id for call in ENDPOINTS}
    assert len(set(found.values())) == len(ENDPOINTS)


def test_every_reference_leads_somewhere_and_no_schema_is_left_over(document: Json) -> None:
    """A client generator would stumble over either."""
    wanted = {node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str)}
    there = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert wanted == there


def test_every_path_parameter_is_declared(document: Json) -> None:
    """And every parameter only once."""
    for path, item in document["paths"].items():
        for operation in item.values():
            named = [(found["in"], found["name"]) for found in operation["parameters"]]
            assert len(named) == len(set(named))
            assert {name for place, name in named if place == "path"} == set(
                re.findall(r"{(\w+)}", path)
            )


@pytest.mark.parametrize("call", ENDPOINTS, ids=lambda call: call.id)
def test_every_status_of_a_call_is_described(document: Json, call: ApiEndpoint) -> None:
    """With the problem document for each that is no success."""
    operation = document["paths"][call.path][call.method.lower()]
    statuses = {"200"} | {str(kind.status) for kind in call.kinds}
    if call.id == "readiness":
        statuses.add("503")
    assert set(operation["responses"]) == statuses
    for status in statuses - {"200"}:
        content = operation["responses"][status]["content"]
        assert set(content) <= {"application/problem+json", "application/json"}
    assert ("requestBody" in operation) == (call.method == "POST")
    assert operation["security"] == ([{"token": []}] if call.needs else [])


def test_without_tokens_none_is_asked_for() -> None:
    """The document is of the service as it is configured."""
    document = describe(with_tokens=False)
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert all(operation["security"] == [] for operation in operations)


def test_the_body_of_an_order_is_described(document: Json) -> None:
    """Unknown names are refused, and nothing is required."""
    body = document["components"]["schemas"]["OrderBody"]
    orders = {"reason", "for", "until", "at", "force", "dry_run", "wait"}
    assert set(body["properties"]) == orders
    assert body["additionalProperties"] is False
    assert "required" not in body


def test_what_the_pattern_of_a_length_allows_is_understood(document: Json) -> None:
    """A generator of requests draws from it."""
    options = document["components"]["schemas"]["OrderBody"]["properties"]["for"]["anyOf"]
    (shape,) = [
        one for option in options for one in option.get("anyOf", []) if one["type"] == "string"
    ]
    for text in ("2h", "90s", "1h30m", "1d", "999d999h999m999s"):
        assert re.search(shape["pattern"], text)
        assert duration(text) > 0
    for text in ("soon", "2", "0s", "1h 30m"):
        assert not re.search(shape["pattern"], text)


async def test_the_document_is_served_as_json(client: Client) -> None:
    """OpenAPI 3.1, which is what JSON Schema 2020-12 belongs to."""
    answer = await client.get("/v1/openapi.json")
    assert answer.json == json.loads(json.dumps(describe(with_tokens=False)))
    assert answer.json["openapi"].startswith("3.1.")


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [
        ("GET", "/v1/pools", "pools"),
        ("GET", "/v1/pools/boot", "pool"),
        ("GET", MEMBER, "member"),
        ("POST", f"{MEMBER}/drain", "drain"),
        ("POST", f"{MEMBER}/resume", "resume"),
        ("POST", "/v1/orders/drain", "drain-together"),
        ("POST", "/v1/orders/resume", "resume-together"),
        ("GET", "/v1/me", "me"),
        ("GET", "/v1/exporters", "exporters"),
        ("GET", "/v1/webhooks", "webhooks"),
        ("GET", "/v1/audit", "audit"),
        ("GET", "/v1/explain", "explain"),
        ("GET", "/healthz", "liveness"),
        ("GET", "/readyz", "readiness"),
        ("GET", "/v1/pools/nope", "problem"),
    ],
)
async def test_answers_have_exactly_what_is_described(
    client: Client, document: Json, method: str, path: str, call: str
) -> None:
    """Every name that is required, and none that is not described, however deep."""
    body = {"glob": "pvs-[12]"} if call.endswith("-together") else {}
    answer = await client.call(method, path, json=body if method == "POST" else None)
    name = (
        "Problem"
        if call == "problem"
        else next(one.answer.__name__ for one in ENDPOINTS if one.id == call and one.answer)
    )
    schemas = document["components"]["schemas"]
    fits(answer.json, {"$ref": f"#/components/schemas/{name}"}, schemas)


def fits(value: Any, schema: Json, schemas: Json) -> None:
    """Check a value against the part of JSON Schema that the document uses."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        schema = schema["anyOf"][1 if value is None else 0]
        return fits(value, schema, schemas)
    is_of_type = isinstance(value, KINDS[schema["type"]])
    assert is_of_type, (value, schema)
    assert value in schema.get("enum", [value])
    if schema["type"] == "array":
        for item in value:
            fits(item, schema["items"], schemas)
    if "properties" in schema:
        assert set(schema.get("required", [])) <= set(value) <= set(schema["properties"])
        for name, item in value.items():
            fits(item, schema["properties"][name], schemas)
    return None
