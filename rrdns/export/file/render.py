"""Render the text of a file: by a ready-made template, one's own, or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from rrdns.export.errors import TemplateInvalid
from rrdns.export.file.template_fields import fields_of
from rrdns.export.pool_view import PoolView, to_json
from rrdns.export.settings import FileSettings
from rrdns.template import TemplateMalformed, fill

JSON = "json"
READY_MADE = ("bind-zone", "dnsmasq-hosts", "dnsmasq-options", "hosts", "isc-dhcpd", JSON)
ZONE_FILES = frozenset({"bind-zone"})


def render(settings: FileSettings, views: Sequence[PoolView], zone_serial: int) -> str:
    """Return the text of the file.

    Raises:
        TemplateInvalid: the template cannot be read or filled in, or does not suit the pools.
    """
    name = settings.template
    if name == JSON:
        return to_json(settings.name, views)
    if name in ZONE_FILES:
        _check_zone(name, views)
    fields = fields_of(settings.name, views, settings.option66, zone_serial)
    try:
        return fill(read_template(name), fields)
    except TemplateMalformed as error:
        raise TemplateInvalid(name, error.problem, error.line) from error


def read_template(name: str) -> str:
    """Return the text of a ready-made template, or of the file of that path.

    Raises:
        TemplateInvalid: there is none, or it cannot be read.
    """
    if name in READY_MADE:
        return (files("rrdns.export.file") / "templates" / name).read_text("utf-8")
    if "/" not in name:
        choices = ", ".join(READY_MADE)
        raise TemplateInvalid(name, f"there is none of this name; {choices}, or a path of your own")
    try:
        return Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateInvalid(name, f"cannot be read: {error}") from error


def _check_zone(name: str, views: Sequence[PoolView]) -> None:
    zones = {view.zone.name if view.zone else "" for view in views}
    if len(zones) != 1 or "" in zones:
        raise TemplateInvalid(name, "a zone file holds one zone: name pools of the same zone")
