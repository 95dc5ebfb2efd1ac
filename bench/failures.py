"""Kill and freeze the processes of rrdns under load: `python -m bench.failures`.

Each failure strikes two seconds into a steady load. Reported: queries lost, answers that
named a drained member, the longest that an answer took, and how long until the process was
replaced and did its work.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from bench import cpu, peers, query, solo
from bench.configs import MEMBERS, pool_table
from bench.latency import Latency, measure

RATE = 5_000
STRIKE_AFTER = 2.0
DRAINED = "boot-1"


@dataclass(slots=True)
class Failure:
    """What came of one failure."""

    what: str
    queries: int = 0
    lost: int = 0
    wrong: int = 0  # answers that named the drained member, or nobody
    longest_ms: float = 0.0
    replaced_after: float = float("inf")  # seconds until its successor did its work
    orders_kept: bool = False


def main() -> None:
    """Strike each process in turn; print one line of JSON for each."""
    parser = argparse.ArgumentParser(prog="python -m bench.failures", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of load for each failure")
    wanted = parser.parse_args()
    peers.be_client(solo.CLIENT_CPU)
    strikes: dict[str, tuple[Strike, int]] = {
        "kill -9 of the control process": (strike_control, 1),
        "kill -9 of the only worker": (strike_worker, 1),
        "kill -9 of one worker of two": (strike_worker, 2),
        "SIGSTOP of the only worker": (freeze_worker, 1),
    }
    with peers.members(solo.CLIENT_CPU):
        for what, (strike, workers) in strikes.items():
            print(json.dumps(asdict(run(what, strike, workers, wanted.seconds))), flush=True)
        print(json.dumps(supervisor()), flush=True)


Strike = Callable[[solo.Service], float]  # returns how long the successor took


def run(what: str, strike: Strike, workers: int, seconds: float) -> Failure:
    """Strike once under load."""
    failure = Failure(what)
    unwanted = MEMBERS[0]

    def inspect(reply: bytes, _arrived: int) -> None:
        if reply[3] & 15 or not reply[7] or solo.names(reply, unwanted):
            failure.wrong += 1

    def act(running: solo.Service) -> None:
        time.sleep(STRIKE_AFTER)
        failure.replaced_after = round(strike(running), 3)

    with solo.service(pool_table("boot", query.HOST, MEMBERS), workers=workers) as running:
        running.drain(DRAINED)
        actor = threading.Thread(target=act, args=(running,))
        actor.start()
        result = measure(running.port, [query.encode(query.HOST)], RATE, seconds, inspect)
        actor.join()
        member = running.call("GET", f"/v1/pools/boot/members/{DRAINED}")
        failure.orders_kept = bool(member.get("override"))
    return _filled(failure, result)


def _filled(failure: Failure, result: Latency) -> Failure:
    failure.queries, failure.lost = result.sent, result.lost
    failure.longest_ms = round(result.times[-1] / 1000, 1)
    return failure


def strike_control(running: solo.Service) -> float:
    """Kill the control process; wait until its successor takes calls."""
    begun = solo.kill(running.control)
    solo.wait_for(lambda: bool(running.newcomers()) and running.lives(), 20)
    return time.monotonic() - begun


def strike_worker(running: solo.Service) -> float:
    """Kill the first worker; wait until the control process counts its successor in."""
    return _replaced(running, signal.SIGKILL)


def freeze_worker(running: solo.Service) -> float:
    """Stop the first worker without killing it; wait until it has been replaced."""
    return _replaced(running, signal.SIGSTOP)


def _replaced(running: solo.Service, number: int) -> float:
    begun = solo.kill(running.workers[0], number)
    solo.wait_for(lambda: bool(running.newcomers()) and _answers(running), 20)
    return time.monotonic() - begun


def _answers(running: solo.Service) -> bool:
    """Tell whether every one of a few clients gets an answer: each may fall to another worker."""
    asked = [peers.ask(running.port, query.encode(query.HOST), timeout=0.05) for _ in range(8)]
    return all(asked)


def supervisor() -> dict[str, object]:
    """Kill the supervisor; see that its children end and that the port is free again."""
    pools = pool_table("boot", query.HOST, MEMBERS)
    with solo.service(pools) as running:
        left = [*running.workers, running.control]
        solo.kill(running.pid)
        took = solo.wait_for(lambda: not any(cpu.lives(pid) for pid in left), 10)
        port = running.port
    with solo.service(pools, port=port) as again:
        restarted = again.port == port
    return {
        "what": "kill -9 of the supervisor",
        "children_gone_after": round(took, 3),
        "starts_again_on_its_port": restarted,
    }


if __name__ == "__main__":
    main()
