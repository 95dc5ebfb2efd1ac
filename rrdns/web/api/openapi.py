"""Describe the API as OpenAPI 3.1, from the table of endpoints and the models."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from rrdns import __version__
from rrdns.web.api import response_models
from rrdns.web.api.endpoints import ENDPOINTS, JSON, ApiEndpoint
from rrdns.web.api.problems import CONTENT_TYPE, KINDS, ProblemType

Json = dict[str, Any]

_PATH_SCHEMAS: dict[str, Json] = {"kind": {"enum": sorted(KINDS)}}
_REF = "#/components/schemas/{model}"
_ABOUT = """\
Monitor rrdns, and take members out of rotation or back. Times are RFC 3339 in UTC. Errors are
problem documents (RFC 9457). If tokens are configured, `/v1` needs `Authorization: Bearer`.
Otherwise only this host may call, with the role admin. `/healthz`, `/readyz` and `/metrics` need
no token, because their callers rarely have one."""


def describe(*, with_tokens: bool) -> Json:
    """Return the OpenAPI document."""
    refs, schemas = _schemas()
    paths: defaultdict[str, Json] = defaultdict(dict)
    for call in ENDPOINTS:
        paths[call.path][call.method.lower()] = _operation(call, refs, with_tokens=with_tokens)
    return {
        "openapi": "3.1.0",
        "info": {"title": "rrdns", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": dict(paths),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas() -> tuple[dict[type[BaseModel], Json], Json]:
    """Return the reference to each model, and the schemas of all."""
    modes: dict[type[BaseModel], JsonSchemaMode] = {response_models.Problem: "serialization"}
    for call in ENDPOINTS:
        if call.answer is not None:
            modes[call.answer] = "serialization"
        if call.body is not None:
            modes[call.body] = "validation"
    refs, definitions = models_json_schema(list(modes.items()), ref_template=_REF)
    by_model: dict[type[BaseModel], Json] = {
        model: ref
        for (model, _), ref in refs.items()
        if isinstance(model, type) and issubclass(model, BaseModel)
    }
    return by_model, definitions["$defs"]


def _operation(call: ApiEndpoint, refs: dict[type[BaseModel], Json], *, with_tokens: bool) -> Json:
    operation: Json = {
        "operationId": call.id,
        "summary": call.summary,
        "parameters": _parameters(call),
        "responses": _responses(call, refs),
        "security": _security(call, with_tokens=with_tokens),
    }
    if call.needs is not None:
        operation["description"] = f"Needs the role {call.needs}. {call.notes}".strip()
    if call.body is not None:
        # The body may be empty, but its media type is required.
        operation["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": refs[call.body]}},
        }
    return operation


def _parameters(call: ApiEndpoint) -> list[Json]:
    found = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, **_PATH_SCHEMAS.get(name, {})},
        }
        for name in re.findall(r"{(\w+)}", call.path)
    ]
    if call.query is not None:
        properties = call.query.model_json_schema()["properties"]
        found += [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": schema.pop("description", ""),
                "schema": _without_null(schema),
            }
            for name, schema in properties.items()
        ]
    return found + [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string", **shape}}
        for name, shape in _headers_read(call).items()
    ]


def _headers_read(call: ApiEndpoint) -> dict[str, Json]:
    if call.body is not None and call.tagged:
        return {"If-Match": {"examples": ['"5d41402abc4b2a76b9719d91"', "*"]}}
    if call.id == "events":
        return {"Last-Event-ID": {"pattern": "^[0-9]{1,18}$"}}
    return {}


def _without_null(schema: Json) -> Json:
    """Return a query parameter's schema, in which it may be absent but not null."""
    options = [option for option in schema.pop("anyOf", []) if option != {"type": "null"}]
    schema = {**schema, **(options[0] if options else {})}
    if schema.get("default", 0) is None:
        del schema["default"]
    return schema


def _responses(call: ApiEndpoint, refs: dict[type[BaseModel], Json]) -> Json:
    shape = {"type": "string"} if call.media != JSON else {"type": "object"}
    schema = refs[call.answer] if call.answer is not None else shape
    done: Json = {"description": "Done", "content": {call.media: {"schema": schema}}}
    if call.tagged:
        done["headers"] = {"ETag": {"schema": {"type": "string"}}}
    responses: Json = {"200": done}
    if call.id == "readiness":
        responses["503"] = {**done, "description": "Not ready; the alarms show why"}
    by_status: defaultdict[int, list[ProblemType]] = defaultdict(list)
    for kind in call.kinds:
        by_status[kind.status].append(kind)
    for status, kinds in sorted(by_status.items()):
        responses[str(status)] = _problem_response(status, kinds, refs)
    return responses


def _problem_response(
    status: int, kinds: list[ProblemType], refs: dict[type[BaseModel], Json]
) -> Json:
    meanings = " ".join(f"`{kind.type}`: {kind.meaning}" for kind in kinds)
    response: Json = {
        "description": meanings,
        "content": {CONTENT_TYPE: {"schema": refs[response_models.Problem]}},
    }
    if status in {429, 503}:
        response["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
    if status == 401:
        response["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return response


def _security(call: ApiEndpoint, *, with_tokens: bool) -> list[Json]:
    if call.needs is None or not with_tokens:
        return []
    return [{"token": []}]
