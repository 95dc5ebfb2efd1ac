"""Sentences and commands for codes: every code has one, and they fit together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrdns.core.explanation import ChangeKind, PossibleChange
from rrdns.core.health.eligibility import EligibilityReason
from rrdns.core.health.standing import Standing
from rrdns.core.model import Member, OrderKind, Override, ScheduledOverride
from rrdns.core.status import MemberStatus
from rrdns.web.api.sentences import (
    change_command,
    change_sentence,
    sentences_of,
)

UP, DOWN = Standing(up=True), Standing(up=False)
DRAIN = Override("boot", "pvs-1", OrderKind.DRAIN, "ops", 50.0, "patch")
STATUS = MemberStatus(
    Member("pvs-1", "10.0.0.1"), UP, 90.0, None, EligibilityReason.HEALTHY, 0.5, 7
)


@pytest.mark.parametrize("why", EligibilityReason)
def test_every_reason_has_a_sentence(why: EligibilityReason) -> None:
    """Also without the order that it may come from, as after a race with its end."""
    assert sentences_of(replace(STATUS, why=why)).member


@pytest.mark.parametrize(
    ("why", "standing", "override", "sentence"),
    [
        (EligibilityReason.HEALTHY, UP, None, "healthy"),
        (
            EligibilityReason.HEALTHY,
            Standing(up=True, contradicting_probes=1),
            None,
            "healthy, but the last probe failed",
        ),
        (
            EligibilityReason.DOWN,
            Standing(up=False, contradicting_probes=2),
            None,
            "down, but the last 2 probes passed",
        ),
        (EligibilityReason.DRAINED, UP, DRAIN, "drained by ops; its probes pass"),
        (EligibilityReason.DRAINED, DOWN, DRAIN, "drained by ops; its probes fail"),
        (
            EligibilityReason.FORCED_UP,
            Standing(up=True, probed=False),
            replace(DRAIN, order=OrderKind.FORCE_UP),
            "forced in by ops; not probed yet",
        ),
    ],
)
def test_a_member_is_shown_with_its_reason(
    why: EligibilityReason, standing: Standing, override: Override | None, sentence: str
) -> None:
    """With an order, the probes are shown, too: both decide what comes after it."""
    status = replace(STATUS, why=why, standing=standing, override=override)
    assert sentences_of(status).member == sentence


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (OrderKind.DRAIN, "drained by ops"),
        (OrderKind.FORCE_UP, "forced in by ops"),
        (OrderKind.FORCE_DOWN, "forced out by ops"),
    ],
)
def test_every_order_has_a_sentence(order: OrderKind, words: str) -> None:
    """In force, and for later."""
    override = replace(DRAIN, order=order)
    ordered = sentences_of(replace(STATUS, override=override))
    assert (ordered.override, ordered.plan) == (words, "")
    planned = sentences_of(replace(STATUS, plan=ScheduledOverride(override, 40.0)))
    assert (planned.override, planned.plan) == ("", f"will be {words}")
    ends = change_sentence(PossibleChange(ChangeKind.ORDER_ENDS, order))
    assert ends == f"the {order.value.replace('-', ' ')} ends"


def test_the_standing_is_what_the_probes_show() -> None:
    """A member that was not probed is not called healthy."""
    for standing, sentence in (
        (UP, "its probes pass"),
        (DOWN, "its probes fail"),
        (Standing(up=True, probed=False), "not probed yet"),
        (
            Standing(up=True, contradicting_probes=2),
            "its probes pass, but the last 2 probes failed",
        ),
    ):
        assert sentences_of(replace(STATUS, standing=standing)).standing == sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (PossibleChange(ChangeKind.FIRST_PROBE), "its first probe fails"),
        (PossibleChange(ChangeKind.FIRST_PROBE, passing=True), "its first probe passes"),
        (PossibleChange(ChangeKind.PROBES, probes=3), "3 probes in a row fail"),
        (
            PossibleChange(ChangeKind.PROBES, probes=1, passing=True, is_counting=True),
            "1 more probe passes",
        ),
        (
            PossibleChange(ChangeKind.PROBES, probes=2, passing=True, is_counting=True),
            "2 more probes in a row pass",
        ),
        (PossibleChange(ChangeKind.PROBES, probes=1), "1 probe fails"),
        (
            PossibleChange(ChangeKind.OTHERS_OUT),
            "no other member can be in rotation, because it is a backup",
        ),
        (
            PossibleChange(ChangeKind.OTHER_UP),
            "another member comes up, because it is in rotation only while all are down",
        ),
        (
            PossibleChange(ChangeKind.ORDER_RESUMED, OrderKind.DRAIN, stays_out=True),
            "an admin ends the drain; its probes fail, so it stays out until they pass",
        ),
        (PossibleChange(ChangeKind.ORDER_BEGINS, OrderKind.DRAIN), "a drain begins"),
    ],
)
def test_a_change_is_a_condition(change: PossibleChange, sentence: str) -> None:
    """It follows "in when" or "out when"."""
    assert change_sentence(change) == sentence


def test_a_command_can_be_copied_into_a_shell() -> None:
    """Only orders are changed by one."""
    resumed = PossibleChange(ChangeKind.ORDER_RESUMED, OrderKind.DRAIN)
    assert change_command("boot", "pvs-1", resumed) == "rrdns resume pvs-1 --pool boot"
    assert change_command("a b", "c;d", resumed) == "rrdns resume 'c;d' --pool 'a b'"
    assert change_command("boot", "pvs-1", PossibleChange(ChangeKind.PROBES, probes=1)) == ""
