"""Parse PowerShell: with tree-sitter's grammar, since the real one runs where nobody tests."""

from __future__ import annotations

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_powershell.language()))


def commands(text: str) -> list[str]:
    """Return the names of the commands in a script; fail where it is none."""
    root = _PARSER.parse(text.encode()).root_node
    assert not root.has_error, f"no PowerShell: {text}"
    found: list[str] = []
    _collect(root, found)
    return found


def _collect(node: Node, found: list[str]) -> None:
    if node.type == "command_name" and node.text is not None:
        found.append(node.text.decode())
    for child in node.children:
        _collect(child, found)
