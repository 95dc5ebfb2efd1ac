"""Fill in a template: `$field` anywhere, and blocks of lines that are repeated or wrapped.

Fields are those of `string.Template`: `$field` or `${field}`, and `$$` for a dollar sign. The
lines between `%each list` and `%end` are repeated for every item of the list; in them the item's
fields are valid, too. The lines between `%wrap` and `%end` are comments. A long one is broken into
several, each behind the same mark; an empty one is left out. Blocks can be nested. A line that
must begin with a percent sign begins with `%%`.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Template
from textwrap import wrap
from typing import TypeAlias

from rrdns.errors import RrdnsError

WRAPPED_WIDTH = 96  # columns behind the mark of a comment

Item: TypeAlias = "Mapping[str, Value]"
Value: TypeAlias = "str | int | Sequence[Item]"


class TemplateMalformed(RrdnsError):
    """A template cannot be filled in."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem, line)
        self.problem = problem
        self.line = line

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """The lines between an `%each` or a `%wrap` and its `%end`."""

    number: int
    directive: str
    items: str = ""  # the name of the list of an `%each`
    parts: list[Line | Block] = field(default_factory=list)


def fill(text: str, fields: Item) -> str:
    """Return a template's text with its fields filled in.

    Raises:
        TemplateMalformed: the template names an unknown field or list, or a block is not closed.
    """
    return "".join(_lines_of(_parse(text), ChainMap(dict(fields))))


def _parse(text: str) -> Block:
    open_blocks = [Block(0, "")]
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        words = line.split()
        match words:
            case ["%each", _] | ["%wrap"]:
                block = Block(number, words[0], "".join(words[1:]))
                open_blocks[-1].parts.append(block)
                open_blocks.append(block)
            case ["%end"]:
                open_blocks.pop()
                if not open_blocks:
                    raise TemplateMalformed("%end without an %each or %wrap before it", number)
            case [word, *_] if word.startswith("%") and not word.startswith("%%"):
                raise TemplateMalformed(
                    f"{line.strip()!r} is not a directive; those are %each LIST, %wrap and %end",
                    number,
                )
            case _:
                text_line = line.replace("%%", "%", 1) if line.lstrip().startswith("%%") else line
                open_blocks[-1].parts.append(Line(number, text_line))
    if len(open_blocks) > 1:
        block = open_blocks[-1]
        raise TemplateMalformed(f"{block.directive} without its %end", block.number)
    return open_blocks[0]


def _lines_of(block: Block, scope: ChainMap[str, Value]) -> Iterator[str]:
    for part in block.parts:
        if isinstance(part, Line):
            yield _filled(part, scope)
        elif part.directive == "%wrap":
            for line in _lines_of(part, scope):
                yield from _wrapped(line)
        else:
            for item in _items(part, scope):
                yield from _lines_of(part, scope.new_child(dict(item)))


def _items(block: Block, scope: ChainMap[str, Value]) -> Sequence[Item]:
    items = scope.get(block.items)
    if items is None or isinstance(items, str | int):
        raise TemplateMalformed(f"there is no list {block.items!r} here", block.number)
    return items


def _filled(line: Line, scope: ChainMap[str, Value]) -> str:
    try:
        return Template(line.text).substitute(
            {key: value for key, value in scope.items() if isinstance(value, str | int)}
        )
    except KeyError as error:
        raise TemplateMalformed(f"there is no field ${error.args[0]} here", line.number) from error
    except ValueError as error:
        raise TemplateMalformed("a lone $; write $$ for a dollar sign", line.number) from error


def _wrapped(line: str) -> Iterator[str]:
    mark, _, text = line.lstrip().partition(" ")
    indent = line.removesuffix(line.lstrip())
    for part in wrap(text, WRAPPED_WIDTH, break_on_hyphens=False):
        yield f"{indent}{mark} {part}\n"
