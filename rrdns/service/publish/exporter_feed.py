"""Hand each publication to the exporters, as views of its pools."""

from __future__ import annotations

from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.model import is_inside
from rrdns.export.manager import ExporterManager
from rrdns.export.pool_view import PoolView
from rrdns.service.health.pool_states import PoolState, PoolStates
from rrdns.service.publish.snapshot_publisher import Publication

_UNPROVEN = {EligibilityReason.ASSUMED, EligibilityReason.AWAITING_PROBE}


class ExporterFeed:
    """Makes the views that exporters get."""

    def __init__(self, states: PoolStates, exporters: ExporterManager) -> None:
        self._states = states
        self._exporters = exporters

    def on_publication(self, publication: Publication) -> None:
        """Hand over the pools of a publication; a pool waits until all its members were probed."""
        records = [self._states.record(name) for name in publication.pools]
        views = [_view(record, publication) for record in records if _is_proven(record)]
        self._exporters.publish(views, publication.removed)


def _is_proven(record: PoolState) -> bool:
    selection = record.selection()
    return not selection.is_awaiting and _UNPROVEN.isdisjoint(selection.reasons.values())


def _view(record: PoolState, publication: Publication) -> PoolView:
    pool, selection, snapshot = record.pool, record.selection(), publication.snapshot
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
