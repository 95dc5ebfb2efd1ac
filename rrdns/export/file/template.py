"""Fill in a template: `$field` anywhere, and lines between `%each list` and `%end` repeated.

Fields are those of `string.Template`: `$field` or `${field}`, and `$$` for a dollar. An
`%each` repeats its lines for every item of a list and adds the item's fields to those around
it; it may stand inside another. A line that shall begin with a percent sign begins with `%%`.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Template
from typing import TypeAlias

from rrdns.export.errors import TemplateInvalid

Item: TypeAlias = "Mapping[str, Value]"
Value: TypeAlias = "str | int | Sequence[Item]"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """The lines between an `%each` and its `%end`."""

    number: int
    items: str  # the name of the list
    parts: list[Line | Block] = field(default_factory=list)


def fill(name: str, text: str, fields: Item) -> str:
    """Return a template's text with its fields filled in.

    Raises:
        TemplateInvalid: it names a field or list that there is not, or is malformed.
    """
    return "".join(_lines_of(name, _parse(name, text), ChainMap(dict(fields))))


def _parse(name: str, text: str) -> Block:
    open_blocks = [Block(0, "")]
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        words = line.split()
        match words:
            case ["%each", items]:
                block = Block(number, items)
                open_blocks[-1].parts.append(block)
                open_blocks.append(block)
            case ["%end"]:
                open_blocks.pop()
                if not open_blocks:
                    raise TemplateInvalid(name, "an %end without its %each", number)
            case [word, *_] if word.startswith("%") and not word.startswith("%%"):
                raise TemplateInvalid(
                    name, f"{line.strip()!r} is no %each LIST and no %end", number
                )
            case _:
                text_line = line.replace("%%", "%", 1) if line.lstrip().startswith("%%") else line
                open_blocks[-1].parts.append(Line(number, text_line))
    if len(open_blocks) > 1:
        raise TemplateInvalid(name, "an %each without its %end", open_blocks[-1].number)
    return open_blocks[0]


def _lines_of(name: str, block: Block, scope: ChainMap[str, Value]) -> Iterator[str]:
    for part in block.parts:
        if isinstance(part, Line):
            yield _filled(name, part, scope)
            continue
        items = scope.get(part.items)
        if items is None or isinstance(items, str | int):
            raise TemplateInvalid(name, f"there is no list {part.items!r} here", part.number)
        for item in items:
            yield from _lines_of(name, part, scope.new_child(dict(item)))


def _filled(name: str, line: Line, scope: ChainMap[str, Value]) -> str:
    try:
        return Template(line.text).substitute(
            {key: value for key, value in scope.items() if isinstance(value, str | int)}
        )
    except KeyError as error:
        raise TemplateInvalid(
            name, f"there is no field ${error.args[0]} here", line.number
        ) from error
    except ValueError as error:
        raise TemplateInvalid(name, "a lone $; a dollar is written $$", line.number) from error
