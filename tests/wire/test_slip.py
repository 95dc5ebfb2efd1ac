"""What an asker that is over its rate gets now and then."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import pytest

from rrdns.wire.answers.answer_table import AnswerTable
from rrdns.wire.answers.resolve import find_response, slip_response
from tests.wire import sample_zones

CLIENT = bytes([192, 0, 2, 1])


@pytest.fixture
def table() -> AnswerTable:
    """Return a table that gives cookies."""
    return sample_zones.documented()


def slipped(message: bytes, table: AnswerTable) -> dns.message.Message:
    """Return what an asker gets, which must be something."""
    entry = find_response(message, table, CLIENT)
    assert entry is not None
    body = slip_response(entry, b"")
    assert body is not None
    assert len(body) <= len(message) + 22  # a server cookie is the most that is added
    return dns.message.from_wire(message[:2] + body)


def test_what_is_no_question_gets_nothing(table: AnswerTable) -> None:
    """A runt, a response, a malformed one: nobody would come again for it."""
    query = sample_zones.query()
    for message in (b"", query[:11], query[:2] + b"\x81" + query[3:], query[:-2]):
        entry = find_response(message, table, CLIENT)
        assert entry is None or slip_response(entry, b"") is None


@pytest.mark.parametrize("options", [(), ((3, b""),), ((10, b"short"),)])
def test_without_a_cookie_the_answer_is_cut_off(
    table: AnswerTable, options: tuple[tuple[int, bytes], ...]
) -> None:
    """Other options, and such as cannot be read, change nothing of it."""
    sent = [sample_zones.option(code, data) for code, data in options]
    answer = slipped(sample_zones.query(use_edns=0, options=sent), table)
    assert answer.flags & dns.flags.TC
    assert answer.rcode() == dns.rcode.NOERROR
    assert not answer.answer


def test_with_a_cookie_ours_is_given(table: AnswerTable) -> None:
    """To be come again with (RFC 7873, section 5.2.3)."""
    sent = [sample_zones.option(10, b"clientcc")]
    answer = slipped(sample_zones.query(use_edns=0, options=sent), table)
    assert answer.rcode() == dns.rcode.BADCOOKIE
    assert not answer.flags & dns.flags.TC
    (option,) = answer.options
    assert option.to_wire()[:8] == b"clientcc"
