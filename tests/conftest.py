"""What tests of all kinds share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("rrdns", deadline=None)
settings.load_profile("rrdns")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that take longest, so that no process has one left when others are done."""
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """Give each test the umask that it began with: a start of rrdns in its process sets another."""
    umask = os.umask(0o022)
    os.umask(umask)
    yield
    os.umask(umask)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that any user may reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="rrdns-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
