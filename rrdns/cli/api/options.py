"""The options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rrdns.cli.api import completion

DEFAULT_CONFIG = Path("/etc/rrdns/rrdns.toml")
DEFAULT_URL = "http://127.0.0.1:8053"

Url = Annotated[str, typer.Option("--url", envvar="RRDNS_URL", help="URL of the admin API.")]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="RRDNS_TOKEN",
        help="Bearer token of the API. Prefer the variable: ps does not show it.",
        show_default=False,
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        envvar="RRDNS_CA_FILE",
        metavar="FILE",
        help="CA certificates for an https URL, in PEM. Default: those of the system.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON for scripts instead of text.")]
PoolName = Annotated[
    str | None,
    typer.Option(
        "--pool",
        help="The pool. Needed only if two pools have a member of this name.",
        autocompletion=completion.pools,
    ),
]
OnlyPool = Annotated[
    str | None,
    typer.Option("--pool", help="Only this pool.", autocompletion=completion.pools),
]
