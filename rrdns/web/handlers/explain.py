"""Explain who is answered next, why others are not, and what would change it."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from rrdns.core.explanation import possible_changes
from rrdns.core.model import OnEmpty
from rrdns.core.rotation import rotated
from rrdns.core.status import MemberStatus, PoolStatus
from rrdns.web.api import request_models, response_models
from rrdns.web.api.admin_service import AdminService
from rrdns.web.api.auth import Caller
from rrdns.web.api.request_parsing import read_query
from rrdns.web.api.sentences import change_command, change_sentence, sentences_of
from rrdns.web.api.serialize import values, view
from rrdns.web.handlers.read import json_response

MAX_TURNS = 28  # a round of more is no reading matter


class ExplainHandler:
    """The handler of the call that explains."""

    def __init__(self, admin_service: AdminService, clock: Callable[[], float]) -> None:
        self._admin_service = admin_service
        self._clock = clock

    async def explain(self, request: web.Request, _: Caller) -> web.StreamResponse:
        """Explain one pool, or all."""
        name = read_query(request, request_models.ExplainQuery).pool
        pools = self._admin_service.pools() if name is None else (self._admin_service.pool(name),)
        workers, now = len(self._admin_service.service().workers), self._clock()
        return json_response(
            response_models.Explanation(pools=[explained(pool, workers, now) for pool in pools])
        )


def explained(report: PoolStatus, workers: int, now: float) -> response_models.ExplainedPool:
    """Return why a pool is answered as it is."""
    names = [member.member.name for member in report.members if member.why.in_rotation]
    first = report.turn or 0
    turns = range(first, first + min(len(names), MAX_TURNS))
    return view(
        response_models.ExplainedPool,
        report.pool,
        report,
        next=[list(rotated(names, turn, report.pool.answers)) for turn in turns],
        sentence=_how_sure(report, workers) if names else _nobody(report),
        members=[_member(report, member, now) for member in report.members],
    )


def _nobody(report: PoolStatus) -> str:
    if report.pool.on_empty is OnEmpty.SILENT:
        return "nobody is handed out: queries get no answer"
    return "nobody is handed out: queries get SERVFAIL"


def _how_sure(report: PoolStatus, workers: int) -> str:
    if report.turn is None:
        return (
            "this is the order, and which of them comes first is not known: no worker has "
            "told its turns yet"
        )
    whose = (
        "the one worker's turns"
        if workers == 1
        else f"the turns that all {workers} workers take from one counter"
    )
    return f"by {whose}, as of up to a second ago: each query since then has moved it on by one"


def _member(pool: PoolStatus, report: MemberStatus, now: float) -> response_models.ExplainedMember:
    probe, probed_at = report.deciding_probe or (None, None)
    names, words = (pool.pool.name, report.member.name), sentences_of(report)
    return view(
        response_models.ExplainedMember,
        report.member,
        report,
        is_in=report.why.in_rotation,
        since=(report.override or report).since,
        probe=probe and values(response_models.DecidingProbe, probe, at=probed_at),
        sentence=words.member,
        override=report.override
        and values(response_models.Override, report.override, sentence=words.override),
        would_change=[
            values(
                response_models.PossibleChange,
                change,
                sentence=change_sentence(change),
                command=change_command(*names, change),
            )
            for change in possible_changes(pool.pool, report, now)
        ],
    )
