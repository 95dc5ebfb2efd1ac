"""What most tests of the API begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.web.serving import TOKENS, Client, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser; Playwright, which is slow to load, is loaded for this alone."""
    from tests.web.browser import a_browser

    with a_browser() as browser:
        yield browser
