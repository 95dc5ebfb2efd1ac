"""Hand each publication to the exporters, as views of its pools."""

from __future__ import annotations

from rrdns.core.health.eligibility import EligibilityReason, Selection
from rrdns.core.model import Pool, is_inside
from rrdns.export.manager import ExporterManager
from rrdns.export.pool_view import PoolView
from rrdns.service.health.pool_states import PoolStates
from rrdns.service.publish.snapshot_publisher import Publication

_UNPROVEN = {EligibilityReason.ASSUMED, EligibilityReason.AWAITING_PROBE}


class ExporterFeed:
    """Makes the views that exporters get."""

    def __init__(self, states: PoolStates, exporters: ExporterManager) -> None:
        self._states = states
        self._exporters = exporters

    def on_publication(self, publication: Publication) -> None:
        """Hand over the pools of a publication; a pool waits until all its members were probed."""
        views = [
            _view(self._states.record(name).pool, selection, publication)
            for name, selection in publication.selections.items()
            if _UNPROVEN.isdisjoint(selection.reasons.values())
        ]
        self._exporters.publish(views, publication.removed)


def _view(pool: Pool, selection: Selection, publication: Publication) -> PoolView:
    snapshot = publication.snapshot
    zones = (zone for zone in snapshot.zones if is_inside(pool.hostname, zone.name))
    return PoolView(
        pool=pool.name,
        hostname=pool.hostname,
        ttl=pool.ttl,
        in_rotation=tuple((member.name, member.address) for member in selection.members),
        zone=next(zones, None),
        serial=snapshot.serial,
        at=publication.at,
        everything_down=selection.everything_down,
    )
