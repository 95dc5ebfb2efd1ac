"""What most tests of the API begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.web.serving import TOKENS, Client, serving


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Return a client of a farm without tokens: it may do everything."""
    async with serving() as client:
        yield client


@pytest.fixture
async def strict() -> AsyncIterator[Client]:
    """Return a client of a farm with a token for each role."""
    async with serving(tokens=TOKENS) as client:
        yield client
