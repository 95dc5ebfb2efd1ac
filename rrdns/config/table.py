"""The base of every table of a config file: strict types, required settings, building."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from rrdns.config import validators

Identifier = Annotated[str, AfterValidator(validators.identifier)]
Text = Annotated[str, AfterValidator(validators.plain_text)]
FilePath = Annotated[Path, BeforeValidator(validators.path)]
Domain = Annotated[str, AfterValidator(validators.domain)]
Address = Annotated[str, AfterValidator(validators.any_address)]
Hash = Annotated[str, AfterValidator(validators.sha256)]
Ttl = Annotated[int, AfterValidator(validators.InRange(0, validators.MAX_SECONDS, "seconds"))]

Loc: TypeAlias = tuple[int | str, ...]  # pydantic's name for a place
SettingPath: TypeAlias = str  # "pools[0].members[2].address"
InvalidPaths: TypeAlias = frozenset[SettingPath]  # settings that have a mistake already


def required(example: str, default: Any = "") -> Any:
    """Return a field that must be written; its message shows the example."""
    return Field(default=default, json_schema_extra={"example": example})


class Table(BaseModel):
    """A table of the file. Types are strict, and unknown settings are mistakes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    heading: ClassVar[str] = ""
    builds: ClassVar[type[Any]]  # the dataclass that has the same names, and the defaults

    @classmethod
    def required_settings(cls) -> dict[str, str]:
        """Return the settings that must be written, each with an example."""
        return {
            name: str(info.json_schema_extra["example"])
            for name, info in cls.model_fields.items()
            if isinstance(info.json_schema_extra, dict)
        }

    def build(self, **others: Any) -> Any:
        """Return the dataclass; `others` are the fields that are not a setting of the same name."""
        names = {field.name for field in fields(self.builds)} & type(self).model_fields.keys()
        values = {name: _built(getattr(self, name)) for name in names - others.keys()}
        return self.builds(**values, **others)


def _built(value: Any) -> Any:
    match value:
        case Table():
            return value.build()
        case list():
            return tuple(_built(item) for item in value if item is not None)
        case dict():
            return tuple(value.items())
        case _:
            return value


def inner_tables(annotation: Any) -> tuple[type[Table], ...]:
    """Return the tables that a setting of this type holds: alone, in a list, or one of several."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return (annotation,)
    return tuple(table for inner in get_args(annotation) for table in inner_tables(inner))


def all_tables(table: type[Table]) -> Iterator[type[Table]]:
    """Return a table and all tables inside it."""
    yield table
    for info in table.model_fields.values():
        for inner in inner_tables(info.annotation):
            yield from all_tables(inner)


def setting_path(loc: Loc) -> SettingPath:
    """Return a place as an admin writes it."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return "".join(steps).removeprefix(".")
