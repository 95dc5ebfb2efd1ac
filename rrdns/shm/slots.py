"""Which counter belongs to which pool and member: control allots them, from the config.

A slot is used again only after every worker has acknowledged a snapshot without it. What was
counted there stays in the sum over all pools.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from rrdns.core.model import Pool
from rrdns.core.snapshot import Snapshot
from rrdns.shm.counters import FIRST_SLOT, SPARE_SLOT, CounterReader
from rrdns.shm.segment import CELLS

_Leaving = tuple[str, str, int, int]  # pool, address, slot, serial


class CounterSlots:
    """The slots in use. Their text outlives the control process."""

    def __init__(
        self, reader: CounterReader, text: str = "", keep: Callable[[str], None] = lambda _: None
    ) -> None:
        """Go on from the last text that was given to `keep`."""
        self._reader = reader
        self._keep = keep
        kept = json.loads(text) if text else {}
        self.end: int = kept.get("end", FIRST_SLOT)  # no slot from here on was ever used
        self.retired: int = kept.get("retired", 0)  # responses counted in slots that were cleared
        self._free: list[int] = kept.get("free", [])
        self._clearing: list[int] = kept.get("clearing", [])
        # By pool and address; a pool's own slot has no address.
        self._slots: dict[str, dict[str, int]] = kept.get("slots", {})
        # Slots without a member from a serial on; until then a worker may count there.
        self._leaving: list[_Leaving] = [tuple(one) for one in kept.get("leaving", ())]
        self._clear()

    def of(self, pool: str) -> Mapping[str, int]:
        """Return the slots of a pool's members by address, and that of the pool by ""."""
        return self._slots.get(pool, {})

    def counts(self, pool: str) -> dict[str, int]:
        """Return how often each address of a pool was first in a response."""
        slots = self.of(pool).items()
        return {address: self._reader.count(slot) for address, slot in slots if address}

    def adopt(self, snapshot: Snapshot) -> None:
        """Take over the slots of a snapshot from which workers respond already."""
        if self._slots:
            return
        for rrset in snapshot.rrsets.values():
            slots = (rrset.counter_slot, *rrset.member_slots)
            if all(FIRST_SLOT <= slot < CELLS for slot in slots):  # not of another version
                self._slots[rrset.pool] = dict(zip(("", *rrset.addresses), slots, strict=False))
        used = {slot for slots in self._slots.values() for slot in slots.values()}
        self.end = max(self.end, max(used, default=0) + 1)
        self._free = sorted(set(range(FIRST_SLOT, self.end)) - used)

    def assign(self, pools: Iterable[Pool], serial: int, applied: int) -> None:
        """Give each pool and member a slot; `serial` is that of the next snapshot.

        Every worker has acknowledged `applied`.
        """
        before, self._slots = (
            self._slots,
            {
                pool.name: dict.fromkeys(
                    ("", *(member.address for member in pool.members)), SPARE_SLOT
                )
                for pool in pools
            },
        )
        left = [(*one, serial) for one in _flat(before)] + self._leaving
        self._leaving = []
        for pool, address, slot, since in left:
            if address in self._slots.get(pool, ()):
                self._slots[pool][address] = slot
            elif slot != SPARE_SLOT and since > applied:
                self._leaving.append((pool, address, slot, since))
            elif slot != SPARE_SLOT:
                self._clearing.append(slot)
                self.retired += self._reader.count(slot)
        self._save()
        self._clear()
        for pool, address, slot in _flat(self._slots):
            if slot == SPARE_SLOT and (self._free or self.end < CELLS):
                new = self._free.pop() if self._free else self.end
                self._slots[pool][address] = new
                self.end = max(self.end, new + 1)
        self._save()

    def _clear(self) -> None:
        """Set the slots back whose counts are in `retired`, also after a crash in between."""
        for slot in self._clearing:
            self._reader.clear(slot)
        self._free += self._clearing
        self._clearing = []

    def _save(self) -> None:
        kept = {
            "end": self.end,
            "retired": self.retired,
            "free": self._free,
            "clearing": self._clearing,
            "slots": self._slots,
            "leaving": self._leaving,
        }
        self._keep(json.dumps(kept))


def _flat(slots: dict[str, dict[str, int]]) -> list[tuple[str, str, int]]:
    return [(pool, address, slot) for pool, ours in slots.items() for address, slot in ours.items()]
