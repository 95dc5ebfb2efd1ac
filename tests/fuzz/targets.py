"""What may come in, and what must hold whatever it is: one function per kind of input.

A target raises only when something is wrong: an exception that should not leave its module,
or an answer that breaks a promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from rrdns.config import Settings
from rrdns.config.loader import parse
from rrdns.core.health.probe_result import ProbeDepth
from rrdns.core.model import BootFile
from rrdns.core.snapshot import Snapshot
from rrdns.errors import ConfigInvalid
from rrdns.web.api import request_models
from rrdns.web.api.problems import ApiError
from rrdns.web.api.request_parsing import _checked, _parsed, resolve_times
from rrdns.wire.answers.answer_table import MAX_CACHE_ENTRIES, AnswerTable
from rrdns.wire.answers.response import MIN_PAYLOAD, udp_size_limit
from rrdns.wire.dns.client import decode_response, is_response_to
from rrdns.wire.dns.names import HEADER_BYTES
from rrdns.wire.dns.query import Query, QueryError, parse_query
from rrdns.wire.tftp.findings import TransferRequest
from rrdns.wire.tftp.firmware_options import probe_options
from rrdns.wire.tftp.read_session import MAX_STRAY_PACKETS, ReadSession
from tests.wire import sample_zones
from tests.wire.sample_zones import respond

SERVER = "10.0.0.11"
SOURCES = ((SERVER, 40000), (SERVER, 40001), ("10.0.0.12", 40000), (SERVER, 69))
REMIND, SILENCE, TIME_UP = 4, 5, 6  # what a driver may tell a session, beside the sources
ADDRESS = bytes([127, 0, 0, 1])
NOW = 1_800_000_000.0
ALLOWED_BYTES = 600  # of a packet that a probe sends; requests carry a file name


class Dns:
    """Messages to the responder, over UDP and TCP."""

    def __init__(self) -> None:
        self.table: AnswerTable = sample_zones.table()

    def __call__(self, data: bytes) -> None:
        """Answer a message twice over UDP, so also from the packet cache, and once over TCP."""
        query = parse_query(data)
        first = respond(data, self.table, ADDRESS, NOW)
        again = respond(data, self.table, ADDRESS, NOW)
        over_tcp = respond(data, self.table, ADDRESS, NOW, tcp=True)
        assert (first is None) == (again is None) == (over_tcp is None)
        if first is None or again is None or over_tcp is None:
            return
        assert query is not None, "an answer to what must not be answered"
        assert len(first) == len(again), "a repeat gets another answer"
        assert len(first) <= _room(query, len(data)), "longer than the asker takes"
        for answer in (first, over_tcp):
            _is_answer_to(data, query, answer)
        assert len(self.table.packet_cache) <= MAX_CACHE_ENTRIES


def _room(query: Query | QueryError, size: int) -> int:
    """Return how long an answer may be; a fault's repeats the question, and little else."""
    if isinstance(query, Query):
        return udp_size_limit(query.edns, size)
    return max(MIN_PAYLOAD, HEADER_BYTES + len(query.question) + 2 * len(query.tsig) + 64)


def _is_answer_to(data: bytes, query: Query | QueryError, answer: bytes) -> None:
    assert answer[:2] == data[:2], "another ID"
    assert answer[2] & 0x80, "no response"
    assert answer[2] & 0x79 == data[2] & 0x79, "another opcode or RD"
    assert not answer[3] & 0xF0, "RA, Z, AD or CD is set"
    assert answer[HEADER_BYTES:].startswith(query.question), "another question"
    assert int.from_bytes(answer[4:6], "big") == bool(query.question)


class Tftp:
    """What a server, or somebody in its place, sends to a probe; see `steps`."""

    def __call__(self, data: bytes) -> None:
        """Run a light and a full probe."""
        for depth in ProbeDepth:
            _probe(depth, data)


def steps(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Return what happens to a session: who sends (or that time passes), and what."""
    at = 0
    while at + 3 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 3], "big")
        yield data[at] % (TIME_UP + 1), data[at + 3 : at + 3 + size]
        at += 3 + size


def pack(*happenings: tuple[int, bytes]) -> bytes:
    """Return the input that makes these steps."""
    return b"".join(
        bytes([who]) + len(packet).to_bytes(2, "big") + packet for who, packet in happenings
    )


def _probe(depth: ProbeDepth, data: bytes) -> None:
    asked, file = TransferRequest(SERVER, 69, "ARDBP32.BIN"), BootFile("ARDBP32.BIN")
    session = ReadSession(asked, file, depth, probe_options(1428))
    turned_away = 0
    for who, packet in steps(data):
        before = session.finding
        sent = _step(session, who, packet)
        if before is not None:
            assert sent is None, "a session that has ended sends"
            assert session.finding is before
        if sent is not None:
            assert len(sent[0]) <= ALLOWED_BYTES
            assert who >= len(SOURCES) or sent[1] == SOURCES[who], "an answer to somebody else"
            turned_away += sent[0][:4] == b"\0\5\0\5"
    assert turned_away <= MAX_STRAY_PACKETS, "a reflector"
    session.timed_out(1.0)
    assert session.finding is not None
    assert session.finding.sentence.isprintable(), "an answer that a terminal would act on"


def _step(session: ReadSession, who: int, packet: bytes) -> tuple[bytes, tuple[str, int]] | None:
    match who:
        case 4:
            return session.resend_ack()
        case 5:
            return session.timed_out(1.0)
        case 6:
            return session.too_slow(10.0)
        case _:
            return session.receive(packet, SOURCES[who])


class Config:
    """A config file."""

    def __call__(self, data: bytes) -> None:
        """Read it; every mistake must have words, and no other exception may come out."""
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return
        outcome = _outcome(text)
        if isinstance(outcome, ConfigInvalid):
            assert outcome.mistakes
            assert all(mistake.problem for mistake in outcome.mistakes)
        else:  # what is read must be fit to be answered from
            AnswerTable.build(Snapshot(1, outcome.zones))


def _outcome(text: str) -> Settings | ConfigInvalid:
    try:
        return parse(text, "rrdns.toml")
    except ConfigInvalid as error:
        return error


class Bodies:
    """Bodies of calls to the API."""

    def __call__(self, data: bytes) -> None:
        """Read them as an order's and as a resumption's; what is wrong becomes a problem."""
        for model in (request_models.OrderBody, request_models.ResumeBody):
            trouble = _trouble(data, model)
            assert trouble is None or 400 <= trouble.response().status < 500


def _trouble(data: bytes, model: type[request_models.RequestModel]) -> ApiError | None:
    try:
        body = _checked(_parsed(data), model)
        if isinstance(body, request_models.OrderBody):
            resolve_times(body, NOW)
    except ApiError as trouble:
        return trouble
    return None


class Reply:
    """Answers that `rrdns query` reads."""

    def __call__(self, data: bytes) -> None:
        """Read one; what is no answer is a ValueError."""
        is_response_to(sample_zones.query(), data)
        with suppress(ValueError):
            decode_response(data)


TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "dns": Dns,
    "tftp": Tftp,
    "config": Config,
    "bodies": Bodies,
    "reply": Reply,
}
