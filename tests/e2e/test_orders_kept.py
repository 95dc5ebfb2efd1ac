"""No acknowledged order is ever lost, and none is ever half done, whatever is killed and when.

Each round gives orders as fast as they are taken, kills the control process or everything at
a random moment (now and then once more while it starts again; now and then the store was taken
away before), and then compares what is in force, what is answered and what the audit trail says
with what was acknowledged.
"""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.exception
import pytest

from tests.e2e.farm import Rrdns, a_farm
from tests.peers import wait_until

pytestmark = pytest.mark.peers

MEMBERS = tuple(f"pvs-{number}" for number in range(1, 5))
State = dict[str, tuple[str, str]]  # member -> reason of the order in force, and of the one planned
NOTHING = ("", "")
REFUSED = 409
WAYS = ("remove", "rename", "no log")  # in which a store is taken away


@dataclass(frozen=True)
class Order:
    """One order, and what it makes of a state."""

    verb: str
    members: tuple[str, ...]
    reason: str
    later: bool = False

    @property
    def call(self) -> tuple[str, dict[str, Any]]:
        """Return the path and body of the API's call."""
        later = {"at": "+1h"} if self.later else {}
        if len(self.members) > 1:
            body = {"members": list(self.members), "reason": self.reason, **later}
            return f"/v1/orders/{self.verb}", body
        path = f"/v1/pools/boot/members/{self.members[0]}/{self.verb}"
        return path, {"reason": self.reason, **later}

    def after(self, state: State) -> State:
        """Return the state after the order."""
        after = dict(state)
        for member in self.members:
            in_force, planned = state[member]
            if self.verb == "resume":
                after[member] = NOTHING
            else:
                after[member] = (in_force, self.reason) if self.later else (self.reason, planned)
        return after

    def lines(self, state: State) -> int:
        """Return how many lines of the audit trail it makes."""
        if self.verb != "resume":
            return len(self.members)
        return sum(state[member] != NOTHING for member in self.members)


@dataclass
class Story:
    """What was ordered so far, and what must be true of it."""

    rrdns: Rrdns
    addresses: dict[str, str]
    rng: random.Random
    state: State = field(default_factory=lambda: dict.fromkeys(MEMBERS, NOTHING))
    number: int = 0
    acknowledged: int = 0
    unknown: Order | None = None  # given, and no answer came
    told: dict[str, int] = field(default_factory=dict)  # reason -> lines that the trail owes

    def give_orders(self, killed: threading.Event) -> None:
        """Give orders until the kill leaves one without an answer, or has made no difference."""
        after_the_kill = 0
        while self.unknown is None and after_the_kill < 2:
            after_the_kill += killed.is_set()
            order = self._thought_up()
            try:
                status, reply = self.rrdns.call("POST", *order.call)
            except (OSError, http.client.HTTPException):
                self.unknown = order
                return
            assert status in {200, REFUSED}, reply
            if status == REFUSED:
                self.told[order.reason] = 0
            else:
                self.told[order.reason] = order.lines(self.state)
                self.state = order.after(self.state)
                self.acknowledged += 1

    def check(self) -> None:
        """Compare what there is with what was acknowledged."""
        found = self._found()
        order, self.unknown = self.unknown, None
        if order is not None:
            after = order.after(self.state)
            assert found in (self.state, after), (order, self.state)
            was_done = found == after != self.state
            self.told[order.reason] = order.lines(self.state) if was_done else 0
            self.state = found
        assert found == self.state
        trail = self.rrdns.json("GET", "/v1/audit?limit=1000")["entries"]
        lines = [entry["reason"] for entry in trail]
        for reason, owed in self.told.items():
            assert lines.count(reason) == owed, reason
        self.told.clear()
        wait_until(lambda: set(self.rrdns.addresses_at_last()) == self.handed_out(), 3, "answers")

    def handed_out(self) -> set[str]:
        """Return the addresses that may be answered now."""
        return {self.addresses[name] for name in MEMBERS if not self.state[name][0]}

    def taken_out(self) -> set[str]:
        """Return the addresses that must not be answered, whatever became of the last order."""
        doubtful = self.unknown.members if self.unknown else ()
        out = [name for name in MEMBERS if self.state[name][0] and name not in doubtful]
        return {self.addresses[name] for name in out}

    def _found(self) -> State:
        pool = self.rrdns.json("GET", "/v1/pools/boot?recent=0")
        return {
            one["name"]: (
                one["override"]["reason"] if one["override"] else "",
                one["plan"]["reason"] if one["plan"] else "",
            )
            for one in pool["members"]
        }

    def _thought_up(self) -> Order:
        self.number += 1
        verb = self.rng.choices(["drain", "force-down", "resume"], [5, 1, 4])[0]
        size = self.rng.choices([1, 2, 3], [6, 3, 1])[0]
        members = tuple(self.rng.sample(MEMBERS, size))
        later = verb != "resume" and self.rng.random() < 0.25
        return Order(verb, members, f"order {self.number}", later)


def test_no_acknowledged_order_is_lost(tmp_path: Path) -> None:
    """A few rounds, for every day."""
    _play(tmp_path, rounds=3, seed=5, first_host=181)


@pytest.mark.long
@pytest.mark.longest
@pytest.mark.parametrize(("seed", "first_host"), [(6, 185), (7, 189)])
def test_no_acknowledged_order_is_lost_in_two_hundred_kills(
    tmp_path: Path, seed: int, first_host: int
) -> None:
    """A hundred rounds on each of two farms."""
    acknowledged = _play(tmp_path, rounds=100, seed=seed, first_host=first_host)
    assert acknowledged > 250


def _play(folder: Path, *, rounds: int, seed: int, first_host: int) -> int:
    with a_farm(folder, workers=2, first_host=first_host, size=len(MEMBERS)) as (rrdns, servers):
        addresses = {name: server.address for name, server in servers.items()}
        story = Story(rrdns, addresses, random.Random(seed))
        for _ in range(rounds):
            _one_round(story)
        return story.acknowledged


def _one_round(story: Story) -> None:
    rng, killed = story.rng, threading.Event()
    everything = rng.random() < 0.5
    moment = rng.uniform(0.0, 0.15)
    taken = rng.choice([None, None, *WAYS])

    def strike() -> None:
        time.sleep(moment)
        try:
            if taken is not None:
                _take_away(story.rrdns.folder / "rrdns.db", taken)
                time.sleep(moment)
            _kill(story.rrdns, everything=everything)
        finally:
            killed.set()

    striker = threading.Thread(target=strike)
    striker.start()
    story.give_orders(killed)
    striker.join()
    with _nobody_named(story):
        if everything:
            story.rrdns.launch()
        if rng.random() < 0.2:
            time.sleep(rng.uniform(0.0, 0.5))
            _kill(story.rrdns, everything=True)
            story.rrdns.launch()
        wait_until(lambda: _is_back(story.rrdns), 20, "back")
    story.check()


def _take_away(store: Path, way: str) -> None:
    """Take the store away, and wait until there is a new one: with the next order, or by itself."""
    before, log = store.stat().st_ino, store.with_name(f"{store.name}-wal")
    if way == "remove":
        store.unlink()
    elif way == "rename":
        store.rename(store.with_name(f"moved-{time.monotonic_ns()}.db"))
    else:
        wait_until(log.exists, 20, "the store's log")
        log.unlink()

    def is_new() -> bool:
        with suppress(FileNotFoundError):
            # The inode of a removed file may be given again, so another name counts too.
            return way == "remove" or store.stat().st_ino != before
        return False

    wait_until(lambda: store.exists() and is_new(), 20, "a new store")


def _kill(rrdns: Rrdns, *, everything: bool) -> None:
    if everything:
        rrdns.kill_everything()
    else:
        os.kill(rrdns.pids()["control"], signal.SIGKILL)


def _is_back(rrdns: Rrdns) -> bool:
    assert rrdns.process is not None
    assert rrdns.process.poll() is None, rrdns.log.read_text()[-2000:]
    try:
        return rrdns.call("GET", "/healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


@contextmanager
def _nobody_named(story: Story) -> Iterator[None]:
    """Ask all the time meanwhile: none that is out by an acknowledged order may be named."""
    over, named, out = threading.Event(), set[str](), story.taken_out()

    def ask() -> None:
        while not over.is_set():
            with suppress(dns.exception.DNSException, OSError):
                named.update(story.rrdns.addresses(timeout=0.1))

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield
    finally:
        over.set()
        asker.join()
    assert not named & out, "handed out while rrdns started again"
