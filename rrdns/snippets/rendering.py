"""Fill in the templates of the snippets, which are in the folder `templates`."""

from __future__ import annotations

from importlib.resources import files

from rrdns.template import Item, fill


def render(name: str, fields: Item) -> str:
    """Return the text of a template, such as "dhcp/kea", with its fields filled in."""
    return fill((files("rrdns.snippets") / "templates" / name).read_text("utf-8"), fields)


def powershell_string(text: str) -> str:
    """Return a text in single quotes, in which PowerShell replaces nothing."""
    return "'" + text.replace("'", "''") + "'"
