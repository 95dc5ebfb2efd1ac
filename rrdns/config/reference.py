"""Make the reference of all settings, `docs/config.md`, from the tables.

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
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BeforeValidator, PlainValidator
from pydantic.fields import FieldInfo
from pydantic.functional_validators import AfterValidator

from rrdns.config import schema, validators
from rrdns.config.table import Table, inner_tables
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
    validators.path: "path",
    validators.absolute_path: "absolute path",
    validators.url: "URL",
    validators.short_text: "text",
    validators.ipv4: "IPv4 address",
    validators.any_address: "IP address",
    validators.network: "network",
    validators.endpoint: "address and port",
    validators.sha256: "64 hex digits",
    validators.cookie_secret: "32 hex digits",
    validators.file_name: "file name",
    validators.hostmaster: "mailbox",
    validators.subnet: "whole number or text",
}
_PLAIN: dict[type, str] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
}


def reference() -> str:
    """Return the page: a table of settings for each table of the file."""
    return "\n".join([_INTRODUCTION, *_inside(schema.File)]).rstrip() + "\n"


def _inside(table: type[Table]) -> Iterator[str]:
    """Yield the sections of all tables inside a table, in the order of the file."""
    for info in table.model_fields.values():
        for inner in inner_tables(info.annotation):
            yield from _section(inner)
            yield from _inside(inner)


def _section(table: type[Table]) -> Iterator[str]:
    """Yield the section of a table; a type of exporter has only its own settings there."""
    yield f"## {_heading(table)}\n"
    yield "| setting | purpose | value | default | since |"
    yield "|---|---|---|---|---|"
    texts = descriptions(table)
    for name in inspect.get_annotations(table):
        if name in texts:
            info = table.model_fields[name]
            since = SINCE.get((table, name), FIRST_VERSION)
            yield f"| `{name}` | {texts[name]} | {_value(info)} | {_default(info)} | {since} |"
    yield ""


def descriptions(table: type[Table]) -> dict[str, str]:
    """Return the text below each setting of a table."""
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
    if not table.heading.startswith("["):
        return f"Tables in `{table.heading}`"
    table_name, _, condition = table.heading.partition(" with ")
    return f"`{table_name}` with `{condition}`" if condition else f"`{table_name}`"


def _value(info: FieldInfo) -> str:
    """Return the values that a setting may have."""
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
        words = (_words(arg, []) for arg in args if arg is not type(None))
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


def _default(info: FieldInfo) -> str:
    """Return the default as TOML writes it; a dash for a required setting."""
    if isinstance(info.json_schema_extra, dict) and "example" in info.json_schema_extra:
        return "-"
    default = info.get_default(call_default_factory=False)
    return f"`{_toml(default)}`" if default not in (None, "", [], {}) else ""


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, Enum):
        return json.dumps(value.value)
    if isinstance(value, Endpoint | Path):
        return json.dumps(str(value))
    if isinstance(value, bool | str):
        return json.dumps(value)
    return str(value)


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201 - the page
