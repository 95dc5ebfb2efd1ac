"""A signed query is told that its key is not known here (RFC 8945)."""

from __future__ import annotations

import dns.message
import dns.rcode
import dns.tsig
from hypothesis import given
from hypothesis import strategies as st

from rrdns.wire.answers.responder import respond
from rrdns.wire.dns.tsig import bad_key
from tests.wire import sample_zones

NAME = b"\1k\0"
HEAD = b"\0\xfa\0\xff\0\0\0\0"
DATA = b"\4hmac\0" + bytes(6) + b"\1\x2c" + b"\0\2ab" + b"\0\1\0\0\0\0"
RECORD = NAME + HEAD + len(DATA).to_bytes(2, "big") + DATA


def test_a_query_signed_by_dnspython_gets_badkey() -> None:
    """RCODE NOTAUTH, TSIG error BADKEY, no MAC; the question is echoed."""
    made = dns.message.make_query("boot.pvs.example.test", "A", use_edns=0)
    made.use_tsig(dns.tsig.Key("ops.key.", b"secret"))
    answer = respond(made.to_wire(), sample_zones.table())
    assert answer is not None
    parsed = dns.message.from_wire(answer, keyring=False)
    assert parsed.rcode() == dns.rcode.NOTAUTH
    assert parsed.question == made.question
    assert parsed.edns == 0
    assert parsed.tsig is not None
    assert parsed.tsig.name.to_text() == "ops.key."
    assert parsed.tsig[0].error == 17
    assert parsed.tsig[0].mac == b""
    assert parsed.tsig[0].original_id == made.id


def test_the_answer_repeats_names_and_times() -> None:
    """All but the MAC and the error is as it was sent."""
    told = bad_key(RECORD)
    assert told is not None
    assert told.startswith(NAME + HEAD)
    assert told.endswith(DATA[:14] + b"\0\0" + b"\0\1" + b"\0\x11" + b"\0\0")


def test_every_cut_of_a_signature_is_malformed() -> None:
    """Whole is whole, and nothing else is."""
    assert all(bad_key(RECORD[:end]) is None for end in range(len(RECORD)))
    assert bad_key(RECORD + b"x") is None


def test_names_that_cannot_be_repeated_are_malformed() -> None:
    """Pointers, labels of other types, names that are too long, another class."""
    long = b"\x3f" + b"a" * 63
    for name in (b"\xc0\x0c", b"\x41a\0", long * 5 + b"\0"):
        assert bad_key(name + RECORD[len(NAME) :]) is None
        data = name + DATA[6:]
        assert bad_key(NAME + HEAD + len(data).to_bytes(2, "big") + data) is None
    assert bad_key(RECORD.replace(b"\0\xff", b"\0\1", 1)) is None


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(record: bytes) -> None:
    """Whatever the record holds."""
    bad_key(record)
    bad_key(NAME + HEAD + record)
