"""The options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rrdns.cli.api import completion

DEFAULT_CONFIG = Path("/etc/rrdns/rrdns.toml")
DEFAULT_URL = "http://127.0.0.1:8053"

Url = Annotated[str, typer.Option("--url", envvar="RRDNS_URL", help="Where the admin API listens.")]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="RRDNS_TOKEN",
        help="Bearer token of the API; better in the variable, which ps does not show.",
        show_default=False,
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        envvar="RRDNS_CA_FILE",
        metavar="FILE",
        help="What to trust an https URL by, in PEM; otherwise the system's authorities.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON for scripts instead of text.")]
PoolName = Annotated[
    str | None,
    typer.Option(
        "--pool",
        help="The pool; needed only where two pools have such a member.",
        autocompletion=completion.pools,
    ),
]
OnlyPool = Annotated[
    str | None,
    typer.Option("--pool", help="Only this pool.", autocompletion=completion.pools),
]
