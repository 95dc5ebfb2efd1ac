"""Inputs to start from: what the project documents, and what tests/corpus keeps beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rrdns.wire.answers.responder import respond
from rrdns.wire.tftp.packets import Ack, Data, Error, ErrorCode, OptionAck, encode
from tests.fuzz.corpus import corpus
from tests.fuzz.targets import REMIND, SILENCE, TIME_UP, pack
from tests.net.documented import message, rows
from tests.peers import ROOT
from tests.wire import sample_zones

IDENT = b"\0\1"  # the same in every run
Seeds = Iterator[tuple[str, bytes]]


def dns() -> Seeds:
    """Return every message of docs/answers.md."""
    for column in ("query", "message"):
        for row in rows(column):
            yield row.kind, IDENT + message(row)[len(IDENT) :]


def reply() -> Seeds:
    """Return our own answers to them."""
    table = sample_zones.table()
    for name, data in dns():
        answer = respond(data, table)
        if answer is not None:
            yield name, answer


def tftp() -> Seeds:
    """Return transfers that go well, and some that do not."""
    options = encode(OptionAck({"tsize": "1500", "blksize": "1428"}))
    first, last = encode(Data(1, bytes(1428))), encode(Data(2, b"MZ" + bytes(70)))
    plain = [encode(Data(block, bytes(512))) for block in (1, 2)]
    missing = encode(Error(ErrorCode.FILE_NOT_FOUND, "File not found"))
    yield "options accepted", pack((0, options), (0, first), (0, last))
    yield "options ignored", pack((0, plain[0]), (0, plain[1]), (0, encode(Data(3, b""))))
    yield "no such file", pack((0, missing))
    yield "a duplicate and a reminder", pack((0, plain[0]), (0, plain[0]), (REMIND, b""))
    yield "another port", pack((0, options), (1, first), (3, first))
    yield "another address", pack((2, options), (2, first), (SILENCE, b""))
    yield "too slow", pack((0, options), (0, first), (TIME_UP, b""))
    yield "what a reader sends", pack((0, encode(Ack(1))))
    yield "a wrong block", pack((0, encode(Data(9, b"x"))))
    yield "an absurd size", pack((0, encode(OptionAck({"tsize": "9" * 18}))))


def config() -> Seeds:
    """Return the example of the package, in parts and as a whole."""
    text = (ROOT / "conf" / "rrdns.toml").read_text()
    yield "the example", text.encode()
    for number, part in enumerate(text.split("\n\n")):
        yield f"part {number} of the example", part.encode()


def bodies() -> Seeds:
    """Return bodies that are right, and some that are not."""
    for name, body in {
        "an order": {"reason": "patches", "for": "2h", "force": False},
        "an order with an end": {"reason": "", "until": "2027-01-15T08:00:00Z"},
        "both ends": {"for": 60, "until": "2027-01-15T08:00:00+01:00"},
        "wrong types": {"reason": 1, "for": [], "force": "yes"},
        "an unknown name": {"colour": "red"},
        "no object": ["reason"],
    }.items():
        yield name, json.dumps(body).encode()
    yield "nothing", b""
    yield "half a surrogate", b'{"reason": "\\ud800"}'
    yield "deep", b"[" * 300
    yield "no number", b'{"for": NaN}'


SEEDS = {"dns": dns, "tftp": tftp, "config": config, "bodies": bodies, "reply": reply}


def inputs(target: str) -> dict[str, bytes]:
    """Return all inputs to start from: the seeds, and what tests/corpus keeps."""
    return {**dict(SEEDS[target]()), **corpus(target)}
