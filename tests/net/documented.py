"""Read the tables of docs/answers.md, and the questions in them."""

from __future__ import annotations

import ast
import shlex
from dataclasses import dataclass

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdataclass
import dns.rdatatype

from tests.peers import ROOT
from tests.wire.sample_zones import option

PAGE = ROOT / "docs" / "answers.md"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: its cells by the heads of their columns."""

    cells: dict[str, str]

    def __getitem__(self, head: str) -> str:
        return self.cells[head]

    @property
    def kind(self) -> str:
        """Return what the row is about."""
        return self.cells["kind"]

    @property
    def types(self) -> tuple[list[str], list[str], list[str]]:
        """Return the record types that the row promises, by section."""
        sections = ("answer", "authority", "additional")
        answer, authority, additional = (
            [cell for cell in self.cells.get(section, "-").split() if cell != "-"]
            for section in sections
        )
        return answer, authority, additional


def rows(column: str) -> list[Row]:
    """Return the rows of the table that has a column of this name."""
    found: list[Row] = []
    heads: list[str] = []
    for line in PAGE.read_text().splitlines():
        if not line.startswith("|"):
            heads = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not heads:
            heads = cells
        elif column in heads and not cells[0].startswith("---"):
            found.append(Row(dict(zip(heads, cells, strict=True))))
    return found


def function_exists(name: str) -> bool:
    """Tell whether there is a test of this name: `tests/net/test_tcp.py::test_this`."""
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, kinds) and node.name == function for node in tree.body)


def dig_args(row: Row) -> list[str]:
    """Return the arguments of dig for a question."""
    args = shlex.split(row["query"].strip("`"))
    wants_edns = any(arg.startswith(("+edns", "+bufsize", "+dnssec")) for arg in args)
    if "-c" in args:  # dig takes a type that stands behind a class for another name
        args[-2:] = ["-t", args[-1], "-q", args[-2]]
    return [*(["+edns=0"] if wants_edns else ["+noedns"]), *args]


def message(row: Row) -> bytes:
    """Return the message that a row describes, in dig's notation or in hexadecimal."""
    if "message" in row.cells:
        return bytes.fromhex(row["message"].strip("`").replace("+", " "))
    asked = _Asked()
    args = iter(shlex.split(row.cells.get("query", row.cells.get("asked", "")).strip("`")))
    for arg in args:
        if arg == "-c":
            asked.rclass = dns.rdataclass.from_text(next(args))
        elif arg.startswith("+"):
            asked.set_option(*arg[1:].partition("=")[::2])
        else:
            asked.words.append(arg)
    return asked.message()


class _Asked:
    """What a question in dig's notation asks for."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.rclass = dns.rdataclass.IN
        self.flags = int(dns.flags.RD)
        self.edns = -1
        self.payload = 1232
        self.options: list[dns.edns.Option] = []
        self.dnssec = False
        self.opcode = dns.opcode.QUERY

    def set_option(self, name: str, value: str) -> None:
        match name:
            case "edns":
                self.edns = int(value)
            case "bufsize":
                self.edns, self.payload = 0, int(value)
            case "dnssec":
                self.edns, self.dnssec = 0, True
            case "ednsopt":
                code, _, data = value.partition(":")
                self.edns = max(self.edns, 0)
                self.options.append(option(int(code), bytes.fromhex(data)))
            case "cdflag":
                self.flags |= dns.flags.CD
            case "adflag":
                self.flags |= dns.flags.AD
            case "norecurse":
                self.flags &= ~dns.flags.RD
            case "opcode":
                self.opcode = dns.opcode.Opcode.make(value)
            case "header-only":
                pass
            case _:
                raise ValueError(name)

    def message(self) -> bytes:
        made = dns.message.QueryMessage()
        made.flags = dns.flags.Flag(self.flags)
        if self.words:
            name, rtype = self.words
            question = dns.name.from_text(name)
            made.find_rrset(
                made.question, question, self.rclass, dns.rdatatype.from_text(rtype), create=True
            )
        made.set_opcode(self.opcode)
        if self.edns >= 0:
            flags = int(dns.flags.DO) if self.dnssec else 0
            made.use_edns(self.edns, flags, self.payload, options=self.options)
        return made.to_wire()
