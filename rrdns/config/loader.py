"""Read a config file around its mistakes, so that all of them can be named at once.

What pydantic refuses is cut out of the document and the rest is read again; what the
remaining values mean to one another (`checks`) is looked at even in a file with wrong types.
"""

from __future__ import annotations

import codecs
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import tomli
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rrdns.config import cross_checks, validators
from rrdns.config.builder import build
from rrdns.config.integration_tables import ExporterTable
from rrdns.config.schema import File, PoolTable
from rrdns.config.settings import Settings
from rrdns.config.table import InvalidPaths, Loc, SettingPath, Table, setting_path
from rrdns.errors import ConfigInvalid, Mistake


def load(path: Path) -> Settings:
    """Return the settings in a file.

    Raises:
        ConfigInvalid: it has mistakes, or cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # Notepad writes a mark
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise ConfigInvalid(str(path), (Mistake("", problem),)) from error
    except UnicodeDecodeError as error:
        problem = f"is no UTF-8 text ({_why_not(error)}), as TOML must be"
        raise ConfigInvalid(str(path), (Mistake("", problem),)) from error
    return parse(text, str(path))


def _why_not(error: UnicodeDecodeError) -> str:
    if error.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # As Windows PowerShell's `>` writes it, and Notepad calls it "Unicode".
        return "it is UTF-16: save it anew, with the encoding UTF-8"
    line = error.object.count(b"\n", 0, error.start) + 1
    return f"line {line}, byte {error.start} of the file, is wrong"


def parse(text: str, source: str, *, with_files: bool = True) -> Settings:
    """Return the settings in a text; `source` is what mistakes call it.

    Without `with_files` the files that it names are not looked at.

    Raises:
        ConfigInvalid: it has mistakes; all of them are listed.
    """
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigInvalid(source, (Mistake(place, f"is no TOML: {error.msg}"),)) from error
    file, mistakes = parse_tolerant(document)
    broken = frozenset(mistake.path for mistake in mistakes)
    mistakes += _missing(file, "", broken)
    mistakes += cross_checks.check(file, broken)
    if with_files:
        mistakes += cross_checks.check_files(file, broken, source)
    if mistakes:
        raise ConfigInvalid(source, tuple(sorted(mistakes, key=_in_order)))
    return build(file, source)


def parse_tolerant(document: dict[str, Any]) -> tuple[File, list[Mistake]]:
    """Return what can be read of a document, and what was wrong with the rest."""
    rest = copy.deepcopy(document)
    mistakes: list[Mistake] = []
    while True:
        try:
            return File.model_validate(rest), mistakes
        except ValidationError as error:
            # Last first, so that no cut moves what another error points at.
            for details in reversed(error.errors(include_url=False)):
                mistakes.append(Mistake(setting_path(details["loc"]), _sentence(details)))
                _cut(rest, details["loc"])


def _cut(document: Any, loc: Loc) -> None:
    """Take a wrong value out; in a list something stays in its place, to keep the others'."""
    *way, last = loc
    for step in way[:-1]:
        document = document[step]
    holder = document[way[-1]] if way else document
    if isinstance(holder, str):  # a table written as its name alone
        document[way[-1]] = {}
    elif isinstance(last, int):
        holder[last] = {} if _table_at(loc) else None
    else:
        holder.pop(last, None)


def _sentence(details: ErrorDetails) -> str:
    """Return what is wrong with a value and what would be right."""
    match details["type"]:
        case "extra_forbidden":
            return _unknown(details["loc"])
        case "value_error":
            return str(details["ctx"]["error"])
        case type_:
            wanted = _WANTED.get(type_, details["msg"])
            if details["loc"][-2:-1] == ("files",):
                wanted = "a file name in quotes, or a table"
            if details["loc"][1:2] == ("cookie_secret",):  # which no message may show
                return f"is {validators.toml_type(details['input'])}; must be {wanted}"
            return _wrong_type(details["input"], wanted)


_WANTED = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false, without quotes",
    "list_type": "a list in square brackets",
    "model_type": "a table",
}


def _wrong_type(value: object, wanted: str) -> str:
    sentence = f"is {validators.toml_type(value)}; must be {wanted}"
    if isinstance(value, str) and "number" in wanted and re.fullmatch(r"[0-9.]+", value):
        return f"{sentence}: write {value} without quotes"
    if isinstance(value, str) and "list" in wanted:
        return f'{sentence}: write ["{value}"]'
    return sentence


def _unknown(loc: Loc) -> str:
    """Return what to do about a setting that its table does not know."""
    table, name = _table_at(loc[:-1]) or File, str(loc[-1])
    if new_name := _RENAMED.get((table, name)):
        return f"is now called {new_name}; the meaning is the same"
    near = validators.did_you_mean(name, table.model_fields)
    if near:
        return f"is no setting of {_called(table)}{near}"
    homes = [_called(home) for home in all_tables(File) if name in home.model_fields]
    if homes:
        return f"is no setting of {_called(table)}; it belongs in {' or '.join(homes)}"
    return f"is no setting of {_called(table)}, which knows {', '.join(table.model_fields)}"


# Settings that had another name before the first release.
_RENAMED: dict[tuple[type[Table], str], str] = {
    (PoolTable, "keep"): "min_members",
    (ExporterTable, "tell"): "scope",
}


def _called(table: type[Table]) -> str:
    return table.heading or "the file"


def all_tables(table: type[Table]) -> Iterator[type[Table]]:
    """Return a table and all those beneath it."""
    yield table
    for info in table.model_fields.values():
        inner = _table_in(info.annotation)
        if inner is not None:
            yield from all_tables(inner)


def _table_at(loc: Loc) -> type[Table] | None:
    """Return the kind of table that stands at a place, or None when a plain value does."""
    table: type[Table] | None = File
    for step in loc:
        if isinstance(step, str):
            info = table.model_fields.get(step) if table else None
            table = _table_in(info.annotation) if info else None
    return table


def _table_in(annotation: Any) -> type[Table] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Table):
            return candidate
    return None


def _missing(table: Table, place: SettingPath, broken: InvalidPaths) -> list[Mistake]:
    """Return the required settings that nobody has written."""
    if place in broken:
        return []
    found = []
    for name, example in table.required_settings().items():
        here = f"{place}.{name}" if place else name
        if here in broken:
            continue
        if name not in table.model_fields_set:
            found.append(Mistake(here, f"is missing; add {example}"))
        elif getattr(table, name) == []:
            found.append(Mistake(here, f"is empty; add {example}"))
    for inner, value in _tables_beneath(table, place):
        found += _missing(value, inner, broken)
    return found


def _tables_beneath(table: Table, place: SettingPath) -> Iterator[tuple[SettingPath, Table]]:
    prefix = f"{place}." if place else ""
    for name in table.model_fields_set:
        value = getattr(table, name)
        if isinstance(value, Table):
            yield f"{prefix}{name}", value
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Table):
                    yield f"{prefix}{name}[{index}]", item


def _in_order(mistake: Mistake) -> tuple[int, list[tuple[int, str]]]:
    """Sort by the order of the example's sections, then by place, numbers as numbers."""
    section = re.split(r"[.\[]", mistake.path)[0]
    order = list(File.model_fields)
    steps = re.findall(r"\d+|[^\d]+", mistake.path)
    return (
        order.index(section) if section in order else len(order),
        [(int(step), "") if step.isdigit() else (0, step) for step in steps],
    )
