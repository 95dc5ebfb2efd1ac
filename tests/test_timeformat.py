"""Times and lengths of time, as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.timeformat import MAX_SECONDS, duration, from_rfc3339, rfc3339

AMOUNTS = st.fixed_dictionaries(
    {}, optional={unit: st.integers(0, 900) for unit in ("d", "h", "m", "s")}
)


@given(AMOUNTS)
def test_a_length_of_time_is_the_sum_of_its_parts(amounts: dict[str, int]) -> None:
    """In the order days, hours, minutes, seconds, each at most once."""
    seconds = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    total = sum(seconds[unit] * amount for unit, amount in amounts.items())
    text = "".join(f"{amounts[unit]}{unit}" for unit in seconds if unit in amounts)
    if total:
        assert duration(text) == total
        assert duration(f" {text.upper()} ") == total
    else:
        with pytest.raises(ValueError, match=r"too short|no length of time"):
            duration(text)


@given(st.floats(min_value=0.001, max_value=MAX_SECONDS) | st.integers(1, int(MAX_SECONDS)))
def test_a_number_is_seconds(number: float) -> None:
    """Whole or not."""
    assert duration(number) == number


@given(st.text(max_size=12) | st.floats() | st.integers())
def test_whatever_is_given_is_a_sensible_length_or_a_mistake(given_value: str | float) -> None:
    """Never zero, negative, infinite, or another error."""
    try:
        seconds = duration(given_value)
    except ValueError:
        pass
    else:
        assert 0.0 < seconds <= MAX_SECONDS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90s", 90), ("1h30m", 5400), ("1d", 86400), ("0.5s", 0.5), ("1d1s", 86401)],
)
def test_lengths_are_read_as_people_write_them(text: str, seconds: float) -> None:
    """The contract's own examples among them."""
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "2", "h", "2x", "30m1h", "1h1h", "-2h", "1.5h", "2 h", "٢h", "inf", "1e3s"]
)
def test_what_could_be_misread_is_a_mistake(text: str) -> None:
    """A bare number in quotes has no unit, so it is no length."""
    with pytest.raises(ValueError, match="no length of time"):
        duration(text)


@pytest.mark.parametrize(
    "given_value", [0, -1, float("nan"), float("inf"), MAX_SECONDS * 2, 10**400]
)
def test_absurd_numbers_are_mistakes(given_value: float) -> None:
    """None of them is a length that an order may have."""
    with pytest.raises(ValueError, match=r"too (long|short)"):
        duration(given_value)


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_reads_back_as_it_was_written(milliseconds: int) -> None:
    """To the millisecond."""
    text = rfc3339(milliseconds / 1000)
    assert len(text) == len("2026-01-31T12:00:00.123Z")
    assert abs(from_rfc3339(text) - milliseconds / 1000) < 0.0015


@pytest.mark.parametrize(
    "text",
    ["2026-02-02T02:40:00Z", "2026-02-02t02:40:00.000z", "2026-02-02 03:40:00+01:00"],
)
def test_any_rfc_3339_time_is_read(text: str) -> None:
    """With an offset, or without a fraction, or in lower case."""
    assert from_rfc3339(text) == 1_770_000_000.0


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-02-02", "2026-02-02T02:40:00", "2026-13-02T02:40:00Z", "20260202T024000Z"],
)
def test_a_time_without_a_zone_or_sense_is_a_mistake(text: str) -> None:
    """Local time would mean another moment on another host."""
    with pytest.raises(ValueError, match="RFC 3339"):
        from_rfc3339(text)
