"""Drift: who serves another content than most, and how that is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rrdns.core.health.drift import Drift, find_drift
from rrdns.core.health.probe_result import LoadedFile


def seen(sha256: str, *, size: int = 100, version: str = "", name: str = "a.bin") -> LoadedFile:
    """Return a file as a full probe saw it."""
    return LoadedFile(name, size, sha256 * 64, version)


def test_members_that_serve_the_same_do_not_drift() -> None:
    """The calm case, and the empty one."""
    assert find_drift({}) == ()
    assert find_drift({"pvs-1": ()}) == ()
    assert find_drift({"pvs-1": (seen("a"),), "pvs-2": (seen("a"),)}) == ()


def test_the_odd_one_out_is_named() -> None:
    """The majority is the measure."""
    drifts = find_drift({"pvs-1": (seen("b"),), "pvs-2": (seen("a"),), "pvs-3": (seen("a"),)})
    assert [(drift.member, drift.file) for drift in drifts] == [("pvs-1", "a.bin")]


def test_without_a_majority_the_first_member_is_the_measure() -> None:
    """Two servers, two contents: one of them must be called the usual one."""
    drifts = find_drift({"pvs-1": (seen("b"),), "pvs-2": (seen("a"),)})
    assert [drift.member for drift in drifts] == ["pvs-2"]


def test_the_sentence_tells_the_plainest_difference() -> None:
    """A version says more than a size, and a size more than a hash."""
    usual = {"pvs-1": (seen("a", version="7.15.0.11"),), "pvs-2": (seen("a", version="7.15.0.11"),)}
    others = {
        "version": seen("b", size=5, version="7.6.0.1"),
        "no-version": seen("c", size=5),
        "size": seen("d", size=99, version="7.15.0.11"),
        "hash": seen("e", version="7.15.0.11"),
    }
    drifts = find_drift({**usual, **{name: (file,) for name, file in others.items()}})
    sentences = {drift.member: drift.sentence for drift in drifts}
    start = "{} serves another a.bin than the other members: "
    assert sentences == {
        "version": start.format("version") + "version 7.6.0.1 instead of 7.15.0.11",
        "no-version": start.format("no-version") + "version unknown instead of 7.15.0.11",
        "size": start.format("size") + "99 bytes instead of 100",
        "hash": start.format("hash") + "SHA-256 eeeeeeeeeeee... instead of aaaaaaaaaaaa...",
    }


def test_each_file_is_compared_on_its_own() -> None:
    """Members that load several files may drift in one of them."""
    one = (seen("a"), seen("a", name="b.efi"))
    drifts = find_drift({"1": one, "2": one, "3": (seen("a"), seen("c", name="b.efi"))})
    assert [(drift.member, drift.file) for drift in drifts] == [("3", "b.efi")]


@given(st.dictionaries(st.text(max_size=3), st.sampled_from("abc").map(seen), max_size=8))
def test_those_who_do_not_drift_agree_and_are_as_many_as_any_others(
    farm: dict[str, LoadedFile],
) -> None:
    """The usual content is one that no other outnumbers."""
    drifts: tuple[Drift, ...] = find_drift({member: (file,) for member, file in farm.items()})
    strayed = {drift.member for drift in drifts}
    usual = {file.sha256 for member, file in farm.items() if member not in strayed}
    hashes = [file.sha256 for file in farm.values()]
    assert len(usual) == min(1, len(farm))
    for sha256 in usual:
        assert hashes.count(sha256) == max(hashes.count(other) for other in hashes)
