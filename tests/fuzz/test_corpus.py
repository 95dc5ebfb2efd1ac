"""Whatever was ever found stays mended, and each target still knows right from wrong."""

from __future__ import annotations

import pytest

from rrdns.wire.tftp.packets import Data, encode
from tests.fuzz.mutate import MAX_BYTES, Mutator
from tests.fuzz.seeds import IDENT, inputs
from tests.fuzz.targets import TARGETS, pack, steps
from tests.wire import sample_zones

REPLAYS = 2_000


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_upsets_nothing(target: str) -> None:
    """Every kept input, and as many again that are made of them."""
    run, kept = TARGETS[target](), inputs(target)
    for data in kept.values():
        run(data)
    mutator = Mutator(list(kept.values()), seed=1)
    for _ in range(REPLAYS):
        run(mutator.next())


def test_a_target_notices_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the fuzzing would prove nothing."""
    monkeypatch.setattr("tests.fuzz.targets.respond", lambda data, *_, **__: data)
    with pytest.raises(AssertionError):
        TARGETS["dns"]()(sample_zones.query())
    monkeypatch.setattr("tests.fuzz.targets.MAX_STRAY_PACKETS", 0)
    stray = (1, encode(Data(1, b"x")))
    with pytest.raises(AssertionError):
        TARGETS["tftp"]()(pack((0, encode(Data(1, bytes(512)))), stray))


def test_mutants_differ_and_are_the_same_again() -> None:
    """A seed makes a run repeatable."""
    query = IDENT + sample_zones.query()[2:]
    first, second = (Mutator([query], seed=7) for _ in range(2))
    mutants = [first.next() for _ in range(200)]
    assert mutants == [second.next() for _ in range(200)]
    assert len(set(mutants)) > 150
    assert max(map(len, mutants)) <= MAX_BYTES


def test_steps_of_a_transfer_are_read_as_they_were_packed() -> None:
    """What is cut off at the end is left out."""
    happenings = [(0, b"one"), (4, b""), (6, b"three")]
    assert list(steps(pack(*happenings))) == happenings
    assert list(steps(pack(*happenings) + b"\0\0")) == happenings
