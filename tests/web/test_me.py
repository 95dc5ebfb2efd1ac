"""Who is calling, as the page asks it."""

from __future__ import annotations

import pytest

from rrdns.core.roles import Role
from tests.web.serving import Client


@pytest.mark.parametrize("role", list(Role))
async def test_a_caller_is_told_the_name_and_role_of_the_token(strict: Client, role: Role) -> None:
    """The name is the one that the audit trail will say."""
    answer = await strict.get("/v1/me", role)
    assert answer.status == 200
    assert answer.json == {"name": f"{role}-token", "role": role.value}


async def test_without_tokens_this_host_is_an_admin(client: Client) -> None:
    """Nobody has to sign in then."""
    assert (await client.get("/v1/me")).json == {"name": "local", "role": "admin"}


async def test_without_a_token_nobody_is_told(strict: Client) -> None:
    """The page asks for one then."""
    assert (await strict.get("/v1/me")).status == 401
