"""Read a config file and collect all of its mistakes.

A value that pydantic refuses is removed from the document, and the rest is read again. So the
contradictions between values (`cross_checks`) are found in a file with wrong types, too.
"""

from __future__ import annotations

import codecs
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rrdns.config import cross_checks, validators
from rrdns.config.integration_tables import EXPORTER_TABLES, ExporterTable
from rrdns.config.pool_tables import PoolTable
from rrdns.config.schema import File
from rrdns.config.settings import Settings
from rrdns.config.table import (
    InvalidPaths,
    Loc,
    SettingPath,
    Table,
    all_tables,
    inner_tables,
    setting_path,
)
from rrdns.errors import ConfigInvalid, Mistake


def load(path: Path) -> Settings:
    """Return the settings in a file.

    Raises:
        ConfigInvalid: The file has mistakes, or cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # Notepad writes a byte order mark
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise ConfigInvalid(str(path), (Mistake("", problem),)) from error
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text, which TOML requires: {_why_not(error)}"
        raise ConfigInvalid(str(path), (Mistake("", problem),)) from error
    return parse(text, str(path))


def _why_not(error: UnicodeDecodeError) -> str:
    if error.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # As Windows PowerShell's `>` writes it, and Notepad calls it "Unicode".
        return "it is UTF-16; save it with the encoding UTF-8"
    line = error.object.count(b"\n", 0, error.start) + 1
    return f"line {line}, byte {error.start} of the file, is invalid"


def parse(text: str, source: str, *, with_files: bool = True) -> Settings:
    """Return the settings in a text; mistakes call it `source`.

    Without `with_files` the files that it names are not checked.

    Raises:
        ConfigInvalid: The text has mistakes; all of them are listed.
    """
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigInvalid(source, (Mistake(place, f"is not valid TOML: {error.msg}"),)) from error
    file, mistakes = parse_tolerant(document)
    mistakes += _missing(file, "", frozenset(mistake.path for mistake in mistakes))
    broken = frozenset(mistake.path for mistake in mistakes)
    mistakes += cross_checks.check(file, broken)
    if with_files:
        mistakes += cross_checks.check_files(file, broken, source)
    if mistakes:
        raise ConfigInvalid(source, tuple(sorted(mistakes, key=_in_order)))
    settings: Settings = file.build(source=source)
    return settings


def parse_tolerant(document: dict[str, Any]) -> tuple[File, list[Mistake]]:
    """Return all that can be read of a document, and the mistakes in the rest."""
    rest = copy.deepcopy(document)
    mistakes: list[Mistake] = []
    while True:
        try:
            return File.model_validate(rest), mistakes
        except ValidationError as error:
            # Last first, so that no removal moves the place of another error.
            for details in reversed(error.errors(include_url=False)):
                place, table = _resolve(details["loc"])
                if problem := _problem(details, place):
                    mistakes.append(Mistake(setting_path(place), problem))
                _remove(rest, place, table)


def _resolve(loc: Loc) -> tuple[Loc, type[Table] | None]:
    """Return a place without pydantic's tags of exporter types, and the table there, if any."""
    place: list[int | str] = []
    tables: tuple[type[Table], ...] = (File,)
    for step in loc:
        if isinstance(step, str) and len(tables) > 1:
            tables = (EXPORTER_TABLES[step],)
            continue
        place.append(step)
        if isinstance(step, str):
            info = tables[0].model_fields.get(step) if tables else None
            tables = inner_tables(info.annotation) if info else ()
    return tuple(place), tables[0] if tables else None


def _remove(document: Any, place: Loc, table: type[Table] | None) -> None:
    """Remove a wrong value; in a list a placeholder keeps the places of the others."""
    *way, last = place
    for step in way[:-1]:
        document = document[step]
    holder = document[way[-1]] if way else document
    if isinstance(holder, str):  # a table written as its name alone
        document[way[-1]] = {}
    elif isinstance(last, int):
        holder[last] = {} if table else None
    else:
        holder.pop(last, None)


def _problem(details: ErrorDetails, place: Loc) -> str:
    """Return what is wrong with a value and what would be right; "" if that is not known yet."""
    match details["type"]:
        case "extra_forbidden":
            return _unknown(str(place[-1]), _resolve(details["loc"][:-1])[1] or File)
        case "value_error":
            return str(details["ctx"]["error"])
        case type_:
            wanted = _WANTED.get(type_, details["msg"])
            if place[-2:-1] == ("files",):
                wanted = "a file name in quotes, or a table"
            if place[1:2] == ("cookie_secret",):  # which no message may show
                return f"is {validators.toml_type(details['input'])}; must be {wanted}"
            return _wrong_type(details["input"], wanted)


_WANTED = {
    "string_type": "a text in quotes",
    "is_instance_of": "a text in quotes",  # a path
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false, without quotes",
    "list_type": "a list in square brackets",
    "dict_type": "a table of texts",
    "model_type": "a table",
}


def _wrong_type(value: object, wanted: str) -> str:
    sentence = f"is {validators.toml_type(value)}; must be {wanted}"
    if isinstance(value, str) and "number" in wanted and re.fullmatch(r"[0-9.]+", value):
        return f"{sentence}: write {value} without quotes"
    if isinstance(value, str) and "list" in wanted:
        return f'{sentence}: write ["{value}"]'
    return sentence


def _unknown(name: str, table: type[Table]) -> str:
    """Return what to do about a setting that its table does not have."""
    for home, old, new in _RENAMED:
        if name == old and issubclass(table, home):
            return f"is now called {new}; the meaning is the same"
    known = [home for home in all_tables(File) if name in home.model_fields]
    homes = [home for home in known if home.__base__ not in known]
    other_types = [home for home in homes if issubclass(home, ExporterTable)]
    if table is ExporterTable and other_types:
        return ""  # the type is a mistake itself, and decides whether this is one
    is_exporter = issubclass(table, ExporterTable)
    near = validators.did_you_mean(name, table.model_fields)
    if near and not (is_exporter and other_types):
        return f"is not a setting of {_called(table)}{near}"
    if homes:
        belongs = " or ".join(map(_called, (is_exporter and other_types) or homes))
        return f"is not a setting of {_called(table)}; it belongs in {belongs}"
    return f"is not a setting of {_called(table)}; its settings are {', '.join(table.model_fields)}"


# Settings that had another name before the first release.
_RENAMED: tuple[tuple[type[Table], str, str], ...] = (
    (PoolTable, "keep", "min_members"),
    (ExporterTable, "tell", "scope"),
)


def _called(table: type[Table]) -> str:
    return table.heading or "the file"


def _missing(table: Table, place: SettingPath, broken: InvalidPaths) -> list[Mistake]:
    """Return a mistake for each required setting that is not written."""
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
    """Return the key that sorts by section, in the order of `File`, then by path."""
    section = re.split(r"[.\[]", mistake.path)[0]
    order = list(File.model_fields)
    steps = re.findall(r"\d+|[^\d]+", mistake.path)
    return (
        order.index(section) if section in order else len(order),
        [(int(step), "") if step.isdigit() else (0, step) for step in steps],
    )
