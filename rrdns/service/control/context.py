"""The parts of the control process that its services share."""

from __future__ import annotations

from dataclasses import dataclass

from rrdns.service.events.recorder import EventRecorder
from rrdns.service.health.pool_states import PoolStates
from rrdns.service.publish.snapshot_publisher import SnapshotPublisher
from rrdns.service.publish.snapshot_saver import SnapshotSaver
from rrdns.service.publish.worker_feed import WorkerFeed
from rrdns.service.runtime.clocks import Clocks
from rrdns.store.base import Store


@dataclass(frozen=True, slots=True)
class ControlContext:
    """Shared parts; each is made once, when the control process starts."""

    states: PoolStates
    store: Store
    publisher: SnapshotPublisher
    saver: SnapshotSaver
    worker_feed: WorkerFeed
    recorder: EventRecorder
    clock: Clocks
