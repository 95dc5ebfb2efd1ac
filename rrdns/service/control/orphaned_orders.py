"""Tell what became of orders when the config changed, and of those that fit no member.

An order that fits no member is kept: in the store, in memory and as an alarm, until somebody ends
it, its time is over, or a member of that name or address is there again.
"""

from __future__ import annotations

from rrdns.core.orders.reassignment import Reassignment
from rrdns.service.events.recorder import EventRecorder
from rrdns.service.health.pool_states import PoolStates

ORPHANED = "order-without-member"
MAX_NAMED = 20  # orders in one alarm


def record_orphans(states: PoolStates, recorder: EventRecorder) -> None:
    """Raise an alarm for the orders that fit no member, or end it."""
    orphans = states.orphans()
    if not orphans:
        recorder.clear_alarm(ORPHANED)
        return
    named = [
        f"{one.order.value} of {one.member}{f' ({one.address})' if one.address else ''} "
        f"in pool {one.pool}"
        for one in orphans[:MAX_NAMED]
    ]
    more = [f"and {len(orphans) - MAX_NAMED} more"] if len(orphans) > MAX_NAMED else []
    first = orphans[0]
    recorder.raise_alarm(
        ORPHANED,
        f"orders that fit no member of the config: {'; '.join([*named, *more])}. They are kept, "
        "and are in force again when a member of that name or address is there. To end one: "
        f"rrdns resume {first.member} --pool {first.pool}",
    )


def record_reassigned(
    states: PoolStates, recorder: EventRecorder, orphaned_before: frozenset[tuple[str, str]]
) -> tuple[str, ...]:
    """Tell which orders go to a member of another name, and which fit no member any more.

    `orphaned_before`: those of which that was told. Return the sentences.
    """
    sentences = []
    for each in states.reassigned:
        if is_news(each, orphaned_before):
            pool, member = each.key or each.before.key
            sentences.append(sentence(states, each))
            entry = recorder.system_event(
                _action(each),
                pool=pool,
                member=member,
                before="/".join(each.before.key),
                after="/".join(each.key) if each.key is not None else "",
                reason=sentences[-1],
            )
            recorder.record(entry, bad=each.key is None or bool(each.after))
    record_orphans(states, recorder)
    return tuple(sentences)


def is_news(each: Reassignment, orphaned_before: frozenset[tuple[str, str]]) -> bool:
    """Tell whether something became of an order that an admin should know."""
    if each.key is None:
        return each.before.key not in orphaned_before
    return each.has_moved or bool(each.after) or each.before.key in orphaned_before


def sentence(states: PoolStates, each: Reassignment) -> str:
    """Tell what became of an order."""
    key = each.key or each.before.key
    override, plan = states.override(*key), states.scheduled_override(*key)
    if override is not None:
        return each.sentence(override.order.value)
    return each.sentence(f"planned {plan.override.order.value}" if plan is not None else "order")


def _action(each: Reassignment) -> str:
    if each.key is None:
        return "order-orphaned"
    return "order-moved" if each.has_moved else "order-stays"
