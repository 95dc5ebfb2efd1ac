"""What tests of all kinds share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("rrdns", deadline=None)
settings.load_profile("rrdns")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that any user may reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="rrdns-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
