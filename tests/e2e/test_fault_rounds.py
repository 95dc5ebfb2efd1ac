"""Round after round of faults, from a seed: answers and orders stay right, and SIGTERM ends it.

Each round gives orders, lets a server die or come back, and causes one fault of the host below:
a log that nobody reads, rights that are wrong, a store that is taken away, a clock that jumps, a
config in which servers have other names, a start without memory, a killed process. Then what is
answered and what is in force is compared with what was acknowledged, within detection and TTL.
"""

from __future__ import annotations

import http.client
import os
import pwd
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.exception
import pytest

from tests.e2e.farm import BOOT_FILE, Rrdns, Tftpd
from tests.peers import need_root, peer, peer_file, wait_until

pytestmark = pytest.mark.peers

ROUNDS = int(os.environ.get("RRDNS_ROUNDS", "100"))  # in all, over FARMS
FARMS = 4  # each with its own seed, so that they can run beside one another
SEED = int(os.environ.get("RRDNS_SEED", "0"))  # another one plays other rounds
SHORT = 30  # rounds of `make long`: a minute, more where the machine is busy
SIZE = 4
TTL = 1
PROBE = {"interval": 0.3, "timeout": 0.5, "fast_interval": 0.1, "fall": 2, "rise": 2}
# Detection of a silent server with that, and the longest time for which an answer
# from before may still be right (RFC 1035 section 3.2.1 counts whole seconds).
DETECTION = 2.5
SLACK = 4.0  # seconds that a loaded machine may need besides
STOPS_WITHIN = 5.0
JUMPS = (0, 3600, -7200, 86400, -86400)  # seconds from the true time
USER = "nobody"
LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


@dataclass
class Service(Rrdns):
    """rrdns whose log goes through a pipe, whose clock can jump, and whose names can change."""

    pool: str = "boot"
    reading: threading.Event = field(default_factory=threading.Event)
    offset: int = 0  # seconds that its wall clock is ahead
    said: bytearray = field(default_factory=bytearray)

    @property
    def state(self) -> Path:
        """Return the folder of the store."""
        return self.folder / "state"

    def write_config(self, *, mistakes: int = 0, **changes: Any) -> None:
        """Write the config file; `mistakes` adds as many members that are wrong."""
        wrong = [("", f"no address {n}") for n in range(mistakes)]
        own = {
            "members": [*self.members, *wrong],
            "pool_settings": {"name": self.pool, "ttl": self.ttl},
            "probe": {"port": self.tftp_port, **PROBE},
            "store": {"path": self.state / "rrdns.db"},
            "process": {"user": USER},
        }
        super().write_config(**{**own, **changes})

    def launch(self) -> None:
        """Start rrdns with a log that this test reads, or does not."""
        self.set_clock(self.offset)
        fake = {
            "LD_PRELOAD": str(peer_file(LIBRARY)),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "clock"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # it holds up threads: see test_clock_jumps.py
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rrdns", "serve", "--config", str(self.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **fake},
            start_new_session=True,
        )
        self.reading.set()
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def set_clock(self, offset: int) -> None:
        """Let the wall clock of rrdns jump."""
        self.offset = offset
        new = self.folder / "clock.new"
        new.write_text(f"{offset:+d}\n")
        new.chmod(0o644)
        new.replace(self.folder / "clock")

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            while True:
                self.reading.wait()
                if not (chunk := lines.read1(65536)):  # type: ignore[attr-defined]  # a BufferedReader
                    return
                self.said += chunk
                del self.said[:-200_000]

    def told(self) -> str:
        """Return the end of the log."""
        return self.said.decode(errors="replace")[-6000:]

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.told()
        try:
            return bool(self.addresses(timeout=0.2)) and self.call("GET", "/healthz")[0] == 200
        except (OSError, http.client.HTTPException, dns.exception.DNSException):
            return False


@dataclass
class Farm:
    """The service, its servers, and what must be true of them."""

    service: Service
    servers: list[Tftpd]
    rng: random.Random
    drained: set[int] = field(default_factory=set)  # acknowledged, by the servers' numbers
    dead: int | None = None
    old_copy: Path | None = None
    began: float = field(default_factory=time.monotonic)

    def name(self, number: int) -> str:
        """Return what the config calls a server now."""
        return self.service.members[number][0]

    def expected(self) -> set[str]:
        """Return the addresses that are to be answered."""
        out = self.drained | ({self.dead} if self.dead is not None else set())
        return {server.address for n, server in enumerate(self.servers) if n not in out}

    def order(self) -> None:
        """Drain or resume a server, so that enough are left."""
        free = [n for n in range(SIZE) if n not in self.drained and n != self.dead]
        if self.drained and (len(free) < 3 or self.rng.random() < 0.5):
            number, verb = self.rng.choice(sorted(self.drained)), "resume"
        else:
            number, verb = self.rng.choice(free), "drain"
        path = f"/v1/pools/{self.service.pool}/members/{self.name(number)}/{verb}"
        status, reply = self.service.call("POST", path, {"reason": f"round, server {number}"})
        assert status == 200, reply
        if verb == "drain":
            self.drained.add(number)
        else:
            self.drained.remove(number)

    def turn_a_server(self) -> None:
        """Let a server die, or the dead one come back."""
        if self.dead is not None:
            self.servers[self.dead].stop()
            self.servers[self.dead].start()
            self.dead = None
            return
        alive = [n for n in range(SIZE) if n not in self.drained]
        if len(alive) < 3:
            return
        self.dead = self.rng.choice(alive)
        if self.rng.random() < 0.5:
            self.servers[self.dead].stop()
        else:
            self.servers[self.dead].signal(signal.SIGSTOP)

    def check(self, what: str) -> None:
        """Compare answers and orders with what was acknowledged."""
        service = self.service
        self._wait(lambda: set(service.addresses_at_last()) == self.expected(), f"{what}: answers")
        assert self._in_force() == self.drained, (what, self._in_force(), service.told())
        # It stays so: nothing that was decided late brings anybody back.
        named = {address for _ in range(8) for address in service.addresses_at_last()}
        assert named == self.expected(), what

    def _in_force(self) -> set[int]:
        members = self.service.json("GET", f"/v1/pools/{self.service.pool}?recent=0")["members"]
        assert [one["name"] for one in members] == [name for name, _ in self.service.members]
        return {n for n, one in enumerate(members) if one["override"] is not None}

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + DETECTION + TTL + SLACK
        while time.monotonic() < end:
            with suppress(dns.exception.DNSException, OSError, http.client.HTTPException):
                if holds():
                    return
            time.sleep(0.02)
        found = self.service.addresses_at_last()
        pytest.fail(f"{what}: {found}, not {self.expected()}\n{self.service.told()}")

    def terminate(self) -> None:
        """End the service as its manager does, in time."""
        process = self.service.process
        assert process is not None
        process.terminate()
        try:
            process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            pytest.fail(f"SIGTERM did not end it:\n{self.service.told()}")
        self.service.reading.set()


def _unread_log(farm: Farm) -> Iterator[None]:
    """Read the log no more, and have much to say."""
    service = farm.service
    service.reading.clear()
    service.write_config(mistakes=1500)
    assert service.process is not None
    os.kill(service.process.pid, signal.SIGHUP)
    wait_until(lambda: service.call("GET", "/healthz")[0] == 200, 3, "alive")
    time.sleep(0.3)
    service.write_config()
    yield
    if farm.rng.random() < 0.5:
        service.reading.set()


def _wrong_rights(farm: Farm) -> Iterator[None]:
    """Give the state's folder to another user: a start is refused, with what mends it."""
    service = farm.service
    farm.terminate()
    os.chown(service.state, pwd.getpwnam("daemon").pw_uid, -1)
    service.launch()
    assert service.process is not None
    assert service.process.wait(10) != 0, "it started with a folder of somebody else's"
    wait_until(lambda: "chown" in service.told(), 3, f"told what to do: {service.told()}")
    os.chown(service.state, pwd.getpwnam(USER).pw_uid, -1)
    service.start()
    yield


def _store_taken_away(farm: Farm) -> Iterator[None]:
    """Remove the store, rename it, or replace it by an old copy."""
    store = farm.service.state / "rrdns.db"
    wal = store.with_name("rrdns.db-wal")
    way = farm.rng.choice(["remove", "rename", "old copy", "no log"])
    if way == "remove":
        store.unlink()
    elif way == "rename":
        store.rename(store.with_name(f"moved-{time.monotonic_ns()}.db"))
    elif way == "old copy" and farm.old_copy is not None:
        new = store.with_name("copy.new")
        shutil.copy(farm.old_copy, new)
        shutil.chown(new, USER)
        new.replace(store)
    elif wal.exists():
        wal.unlink()
    farm.order()
    yield
    for moved in farm.service.state.glob("*.db*"):
        if not moved.name.startswith("rrdns.") or re.search(r"\d{8}", moved.name):
            moved.unlink()
    keep = farm.service.folder / "old.db"
    if store.exists():
        shutil.copy(store, keep)
        farm.old_copy = keep


def _clock_jump(farm: Farm) -> Iterator[None]:
    """Set the wall clock right after a drain: who waits for it is told the truth."""
    free = [n for n in range(SIZE) if n not in farm.drained and n != farm.dead]
    farm.service.set_clock(farm.service.offset)
    if len(free) < 2:
        farm.order()
        farm.service.set_clock(farm.rng.choice(JUMPS))
        yield
        return
    number = farm.rng.choice(free)
    # Who has come back just now, and is in no answer yet, is safe at once.
    was_named = farm.servers[number].address in farm.service.addresses_at_last()
    jump = threading.Timer(0.2, farm.service.set_clock, [farm.rng.choice(JUMPS)])
    jump.start()
    path = f"/v1/pools/{farm.service.pool}/members/{farm.name(number)}/drain"
    began = time.monotonic()
    status, reply = farm.service.call("POST", path, {"reason": "clock", "wait": True})
    took = time.monotonic() - began
    jump.join()
    assert status == 200, reply
    farm.drained.add(number)
    assert TTL * was_named <= took < TTL + 1 + SLACK, f"safe after {took:.1f} s"
    yield


def _other_names(farm: Farm) -> Iterator[None]:
    """Call servers, or the pool, by other names at a reload."""
    service = farm.service
    if farm.rng.random() < 0.5:
        service.pool = farm.rng.choice(["boot", "bios", "start"])
    number, mark = farm.rng.randrange(SIZE), farm.rng.randrange(1000)
    service.members = [
        (f"pvs-{n + 1}-{mark}" if n == number else name, address)
        for n, (name, address) in enumerate(service.members)
    ]
    service.write_config()
    assert service.process is not None
    os.kill(service.process.pid, signal.SIGHUP)

    def taken_over() -> bool:
        status, reply = service.call("GET", f"/v1/pools/{service.pool}?recent=0")
        assert status == 404 or isinstance(reply, dict)
        return status == 200 and [one["name"] for one in reply["members"]] == [  # type: ignore[index]  # JSON
            name for name, _ in service.members
        ]

    wait_until(taken_over, 5, f"reloaded: {service.told()}")
    yield


def _no_memory(farm: Farm) -> Iterator[None]:
    """Forget at a start what was answered last: who is dead is not answered for a moment."""
    service = farm.service
    farm.terminate()
    for file in service.state.glob("rrdns.last-good*"):
        file.unlink()
    with _never_named(farm):
        service.start()
    yield


def _kill(farm: Farm) -> Iterator[None]:
    """Kill a process of it, or all of them."""
    service = farm.service
    assert service.process is not None
    which = farm.rng.choice(["worker-0", "control", "all"])
    with _never_named(farm, drained_only=True):
        if which == "all":
            service.kill_everything()
            service.start()
        else:
            os.kill(service.pids()[which], signal.SIGKILL)
    yield


FAULTS = (
    _unread_log,
    _wrong_rights,
    _store_taken_away,
    _clock_jump,
    _other_names,
    _no_memory,
    _kill,
)


@contextmanager
def _never_named(farm: Farm, *, drained_only: bool = False) -> Iterator[None]:
    """Ask all the time: who is drained (or dead, where that was known) is never answered."""
    out = set(farm.drained)
    if not drained_only and farm.dead is not None:
        out.add(farm.dead)
    forbidden = {farm.servers[n].address for n in out}
    over, named = threading.Event(), set[str]()

    def ask() -> None:
        while not over.is_set():
            with suppress(dns.exception.DNSException, OSError):
                named.update(farm.service.addresses(timeout=0.1))
            time.sleep(0.01)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not named & forbidden, (named, forbidden)


@pytest.mark.rounds
@pytest.mark.parametrize("number", range(FARMS))
def test_answers_and_orders_stay_right_in_rounds_of_faults(number: int) -> None:
    """RRDNS_ROUNDS of them, each of a random kind, beside orders and a server that dies."""
    _play(number, ROUNDS // FARMS)


@pytest.mark.long
def test_answers_and_orders_stay_right_in_a_few_rounds_of_faults() -> None:
    """So many that each kind comes, most of them several times."""
    assert _play(FARMS, SHORT) == {fault.__name__ for fault in FAULTS}


def _play(number: int, rounds: int) -> set[str]:
    """Play rounds on a farm; return the kinds of faults that there were."""
    need_root("a service that changes its user")
    played = set()
    with a_farm(number) as farm:
        for at in range(rounds):
            fault = farm.rng.choice(FAULTS)
            played.add(fault.__name__)
            what = f"farm {number}, round {at}, {fault.__name__}"
            print(f"{time.monotonic() - farm.began:7.1f} {what}")  # noqa: T201 - shown if it fails
            _one_round(farm, fault, what)
    return played


def _one_round(farm: Farm, fault: Callable[[Farm], Iterator[None]], what: str) -> None:
    farm.order()
    farm.turn_a_server()
    rest = fault(farm)
    next(rest)
    farm.check(what)
    if farm.rng.random() < 0.5:
        farm.order()
        farm.check(f"{what}, after an order")
    next(rest, None)
    if farm.service.process is None or farm.rng.random() < 0.3:
        return
    farm.terminate()
    farm.service.start()
    farm.check(f"{what}, started again")


@contextmanager
def a_farm(number: int) -> Iterator[Farm]:
    """Run servers, and rrdns as another user than root before them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rrdns-rounds-")))
        folder.chmod(0o755)
        root = folder / "tftp"
        root.mkdir(mode=0o755)
        (root / "ARDBP32.BIN").write_bytes(BOOT_FILE)
        service = Service(folder, workers=1, ttl=TTL)
        servers = [
            Tftpd(f"pvs-{n + 1}", f"127.0.0.{101 + SIZE * number + n}", service.tftp_port, root)
            for n in range(SIZE)
        ]
        service.members = [(server.name, server.address) for server in servers]
        service.write_config()
        peer("in.tftpd")
        for server in servers:
            server.start()
            stack.callback(server.stop)
        stack.callback(service.stop)
        service.start()
        yield Farm(service, servers, random.Random(FARMS * SEED + number))
