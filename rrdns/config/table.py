"""What every table of a config file shares: strictness, required settings, paths of mistakes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
)

from rrdns.config import validators

Identifier = Annotated[str, AfterValidator(validators.identifier)]


Text = Annotated[str, AfterValidator(validators.plain_text)]


def required(example: str, default: Any = "") -> Any:
    """Return a field that must be written, with what those who forgot it should add."""
    return Field(default=default, json_schema_extra={"example": example})


class Table(BaseModel):
    """A table of the file: no type is bent to fit, no unknown setting is passed over."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    heading: ClassVar[str] = ""

    @classmethod
    def required_settings(cls) -> dict[str, str]:
        """Return the settings that must be written, each with an example."""
        return {
            name: str(info.json_schema_extra["example"])
            for name, info in cls.model_fields.items()
            if isinstance(info.json_schema_extra, dict)
        }


Loc: TypeAlias = tuple[int | str, ...]  # as pydantic names a place


SettingPath: TypeAlias = str


InvalidPaths: TypeAlias = frozenset[SettingPath]  # where a mistake has been found already


def setting_path(loc: Loc) -> SettingPath:
    """Return a place as an admin would write it."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return "".join(steps).removeprefix(".")
