"""`rrdns token`: make a bearer token, and the lines for the config."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

import typer

from rrdns.cli.api.options import Json
from rrdns.cli.terminal.errors import WRONG_USE, CliError
from rrdns.cli.terminal.output import print_json

TOKEN_BYTES = 32  # 256 bits cannot be guessed, so a plain SHA-256 of it is not secret


def token(
    name: Annotated[str, typer.Option("--name", help="The user's name in the audit trail.")] = (
        "ops"
    ),
    role: Annotated[str, typer.Option("--role", help="viewer, operator or admin.")] = "operator",
    as_json: Json = False,
) -> None:
    """Make a token for the admin API.

    rrdns shows the token once and does not store it.

    A viewer can read. An operator can also drain and resume. An admin can also force members in
    and out.

    For example:

        rrdns token --name ops --role operator
    """
    from rrdns.config.validators import identifier, one_of
    from rrdns.core.roles import Role

    try:
        checked = one_of(Role)(role)
    except ValueError as error:
        raise CliError(f"--role {error}", status=WRONG_USE) from error
    try:
        identifier(name)
    except ValueError as error:
        raise CliError(f"--name {error}", status=WRONG_USE) from error
    secret = secrets.token_urlsafe(TOKEN_BYTES)
    sha256 = hashlib.sha256(secret.encode()).hexdigest()
    if as_json:
        print_json({"name": name, "role": checked.value, "token": secret, "sha256": sha256})
        return
    typer.echo("The token, shown only once; give it to its user:\n")
    typer.echo(f"  {secret}\n")
    typer.echo("Add this to the config:\n")
    typer.echo(f'[[api.tokens]]\nname   = "{name}"\nrole   = "{checked.value}"')
    typer.echo(f'sha256 = "{sha256}"\n')
    typer.echo(f"Its user runs, for example:\n\n  RRDNS_TOKEN={secret} rrdns status")
