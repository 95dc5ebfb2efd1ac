"""The log of events: bounded, and honest about what it no longer knows."""

from __future__ import annotations

import asyncio

from rrdns.core.events import Event
from rrdns.web.event_buffer import EventBuffer

TICK = Event(5.0, "", "tick")


def log(size: int = 3) -> EventBuffer:
    """Return a log whose first event will have id 10."""
    return EventBuffer(size, first_id=10, clock=lambda: 5.0)


def test_a_watcher_gets_what_came_after_the_last_it_saw() -> None:
    """Oldest first, each once."""
    events = log()
    for kind in ("a", "b", "c"):
        events.append(Event(5.0, "", kind))
    assert [(event.id, event.action, event.at) for event in events.after(10)] == [
        (11, "b", 5.0),
        (12, "c", 5.0),
    ]
    assert events.after(12) == ()
    assert events.after(99) == ()


def test_a_watcher_that_saw_nothing_yet_has_missed_nothing() -> None:
    """An empty log has no gap before its first event."""
    events = log()
    assert events.last_id == 9
    assert not events.has_gap(9)
    assert events.after(9) == ()


def test_a_watcher_is_told_when_events_are_lost_to_it() -> None:
    """Only three are kept; who saw the first has missed one when five were published."""
    events = log(size=3)
    for _ in range(5):
        events.append(TICK)
    assert [event.id for event in events.after(0)] == [12, 13, 14]
    assert events.has_gap(10)
    assert not events.has_gap(11)
    assert not events.has_gap(14)


def test_an_id_of_another_run_is_a_gap() -> None:
    """Ids begin at the time of start, so they rise from run to run."""
    before = EventBuffer(clock=lambda: 1000.0)
    after = EventBuffer(clock=lambda: 1001.0)
    last = before.append(TICK).id
    assert after.has_gap(last)
    assert before.has_gap(after.append(TICK).id)


async def test_waiting_ends_with_the_next_event() -> None:
    """For all who wait, and at once for who is behind."""
    events = log()
    waits = [asyncio.create_task(events.wait(9)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)
    events.append(TICK)
    await asyncio.gather(*waits)
    await events.wait(9)
