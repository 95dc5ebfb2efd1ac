"""What an exporter is: something that tells another system who is handed out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rrdns.export.pool_view import PoolView


class Exporter(Protocol):
    """One other system that is told."""

    @property
    def name(self) -> str:
        """Return what the config calls it."""
        ...

    async def export(self, views: Sequence[PoolView]) -> str | None:
        """Tell of all its pools at once; return what there is to say of it for the log.

        None when the other system knew all that already.

        Telling the same again must do no harm. Cancelled, it leaves nothing running.

        Raises:
            ExportFailed: it did not get through, or was refused.
        """
        ...
