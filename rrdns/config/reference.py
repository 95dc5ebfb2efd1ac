"""The reference of all settings, as `docs/config.md` has it, made from the tables themselves.

`python -m rrdns.config.reference` prints it; `make reference` writes the page.
"""

from __future__ import annotations

import ast
import inspect
import json
import types
import typing
from collections.abc import Callable, Iterator
from enum import Enum, StrEnum
from typing import Any, get_args, get_origin

from pydantic import BeforeValidator, PlainValidator
from pydantic.fields import FieldInfo
from pydantic.functional_validators import AfterValidator

from rrdns.config import schema, validators
from rrdns.config.table import Table
from rrdns.core.model import Endpoint

FIRST_VERSION = "0.1.0"
# The version that brought a setting, where it is a later one: (table, setting) -> version.
SINCE: dict[tuple[type[Table], str], str] = {}

_INTRODUCTION = """# Every setting

`make reference` writes this page from the tables that check a config file.
`rrdns check-config FILE` checks yours. [conf/rrdns.toml](../conf/rrdns.toml) is a config with
comments. [exporters.md](exporters.md) and [events.md](events.md) explain exporters and webhooks.

Settings with `-` as default are required.
"""

_KINDS: dict[Callable[..., Any], str] = {
    validators.domain: "domain name",
    validators.identifier: "name",
    validators.plain_text: "text",
    validators.short_text: "text",
    validators.ipv4: "IPv4 address",
    validators.any_address: "IP address",
    validators.network: "network",
    validators.endpoint: "address and port",
    validators.sha256: "64 hex digits",
    validators.cookie_secret: "32 hex digits",
    validators.file_name: "file name",
    validators.hostmaster: "mailbox",
}
_PLAIN: dict[type, str] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
}


def reference() -> str:
    """Return the page: a table of settings for each table of the file."""
    return "\n".join([_INTRODUCTION, *_tables(schema.File, "")]).rstrip() + "\n"


def _tables(table: type[Table], above: str) -> Iterator[str]:
    """Yield the sections of a table and of those below it, in the order of the file."""
    below = []
    if above:
        yield f"## {above}\n"
        yield "| setting | purpose | value | default | since |"
        yield "|---|---|---|---|---|"
    texts = descriptions(table)
    for name, info in table.model_fields.items():
        inner = _inner_table(info.annotation)
        if inner is not None:
            below.append(inner)
        if above and not (inner and name not in texts):
            since = SINCE.get((table, name), FIRST_VERSION)
            value, default = _value(info), _default(info, inner)
            yield f"| `{name}` | {texts[name]} | {value} | {default} | {since} |"
    if above:
        yield ""
    for inner in below:
        yield from _tables(inner, _heading(inner))


def descriptions(table: type[Table]) -> dict[str, str]:
    """Return what the text below each setting of a table says of it."""
    (body,) = ast.parse(inspect.getsource(table)).body
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - it is the source of a class
    found = {}
    for setting, text in zip(body.body, body.body[1:], strict=False):
        match setting, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                value=ast.Constant(value=str(words))
            ):
                found[name] = " ".join(words.split())
    return found


def _heading(table: type[Table]) -> str:
    return f"`{table.heading}`" if table.heading.startswith("[") else f"Tables in `{table.heading}`"


def _inner_table(annotation: Any) -> type[Table] | None:
    """Return the table that a setting holds, alone or in a list."""
    for one in (annotation, *get_args(annotation)):
        if inspect.isclass(one) and issubclass(one, Table):
            return one
    return None


def _value(info: FieldInfo) -> str:
    """Return what may be written."""
    return _words(info.annotation, info.metadata)


def _words(annotation: Any, metadata: list[Any]) -> str:
    for check in _checks(metadata):
        if isinstance(check, validators.InRange):
            return f"{check} {check.unit}".rstrip()
        if isinstance(check, validators.PrefixLength):
            return str(check)
        if check in _KINDS:
            return _KINDS[check]
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _words(args[0], list(args[1:]))
    if origin is list:
        return f"list: {_words(args[0], [])}"
    if origin is dict:
        return "table of texts"
    if origin in {typing.Union, types.UnionType}:
        words = (_words(one, []) for one in args if one is not type(None))
        return " or ".join(dict.fromkeys(words))
    return _name_of(annotation)


def _checks(metadata: list[Any]) -> Iterator[Any]:
    for item in metadata:
        if isinstance(item, AfterValidator | BeforeValidator | PlainValidator):
            yield item.func


def _name_of(kind: type) -> str:
    if issubclass(kind, StrEnum):
        return ", ".join(f"`{word.value}`" for word in kind)
    return "table" if issubclass(kind, Table) else _PLAIN[kind]


def _default(info: FieldInfo, inner: type[Table] | None) -> str:
    """Return the default as TOML writes it; a dash where the setting is required."""
    if isinstance(info.json_schema_extra, dict) and "example" in info.json_schema_extra:
        return "-"
    default = info.get_default(call_default_factory=False)
    if default is None or (inner is not None and not default):
        return ""
    return f"`{_toml(default)}`" if default not in ("", [], {}) else ""


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, Enum):
        return json.dumps(value.value)
    if isinstance(value, Endpoint):
        return json.dumps(str(value))
    if isinstance(value, bool | str):
        return json.dumps(value)
    return str(value)


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201 - the page
