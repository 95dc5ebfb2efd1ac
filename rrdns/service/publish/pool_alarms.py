"""Raise the alarm of a pool without a healthy member, and clear it."""

from __future__ import annotations

from rrdns.core.events import EVERYTHING_DOWN
from rrdns.core.health.eligibility import Selection
from rrdns.core.model import OnEmpty, Pool
from rrdns.service.events.recorder import EventRecorder
from rrdns.service.health.pool_states import PoolStates
from rrdns.service.publish.snapshot_publisher import Publication


class PoolAlarms:
    """Keeps the alarm "everything-down" of each pool as its last publication says."""

    def __init__(self, states: PoolStates, recorder: EventRecorder) -> None:
        self._states = states
        self._recorder = recorder
        self._raised: set[str] = set()  # pools

    def on_publication(self, publication: Publication) -> None:
        """Raise or clear the alarm of each pool of a publication."""
        for name, selection in publication.selections.items():
            if selection.everything_down:
                pool = self._states.record(name).pool
                self._recorder.raise_alarm(EVERYTHING_DOWN, _sentence(pool, selection), name)
                self._raised.add(name)
            elif name in self._raised:
                self._recorder.clear_alarm(EVERYTHING_DOWN, name)
                self._raised.discard(name)
        self._raised.difference_update(publication.removed)


def _sentence(pool: Pool, selection: Selection) -> str:
    if selection.members:
        return (
            f"no member of pool {pool.name!r} is healthy; rrdns answers {pool.hostname} with all "
            f"{len(selection.members)} members that are not drained, since one may still boot"
        )
    answer = "no response" if pool.on_empty is OnEmpty.SILENT else "SERVFAIL"
    return (
        f"no member of pool {pool.name!r} is healthy, and rrdns answers {pool.hostname} with "
        f"{answer}: nothing can boot"
    )
