"""What tests of the service have in common."""

from __future__ import annotations

import pytest

from rrdns.service.control import order_changes


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait hardly at all for a disk that nobody writes to."""
    monkeypatch.setattr(order_changes, "DISK_TIMEOUT", 0.01)
