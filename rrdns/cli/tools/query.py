"""`rrdns query`: ask a server as a booting target would, and show what it would get."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rrdns.cli.api.options import Json
from rrdns.cli.terminal.durations import milliseconds
from rrdns.cli.terminal.errors import DONE, REFUSED, WRONG_USE, CliError
from rrdns.cli.terminal.output import print_json, print_rich, printable
from rrdns.cli.terminal.progress import counting
from rrdns.core.model import Endpoint

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rrdns.core.dns_message import Response
    from rrdns.net.dns_client import Exchange

DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What is asked, where, and how."""

    name: str
    rtype: str
    server: Endpoint
    tcp: bool
    timeout: float
    edns: bool = False


def query(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The boot hostname.")],
    server: Annotated[
        str, typer.Option("--server", metavar="ADDRESS:PORT", help="Whom to ask; [2001:db8::1]:53.")
    ] = "127.0.0.1:53",
    rtype: Annotated[str, typer.Option("--type", help="A, AAAA, NS, SOA, TXT, ANY ...")] = "A",
    tcp: Annotated[bool, typer.Option("--tcp", help="Ask over TCP.")] = False,
    edns: Annotated[
        bool, typer.Option("--edns", help="Ask with EDNS; boot firmware asks without.")
    ] = False,
    count: Annotated[
        int, typer.Option("--count", min=1, max=100_000, help="Ask so often; show who comes first.")
    ] = 1,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.05, max=60.0, help="Seconds for an answer, a try.")
    ] = 2.0,
    as_json: Json = False,
) -> None:
    """Ask a DNS server for the boot hostname.

    Targets use the address that comes first; --count shows how evenly that is shared out.
    Where the answer is an error, the server is asked once more with EDNS, since it may then tell
    why (extended DNS errors, RFC 8914). Exit status 1 when there is no such record.

    For example:

        rrdns query boot.pvs.example.test

        rrdns query boot.pvs.example.test --server 192.0.2.53 --count 300
    """
    asked = QueryOptions(name, rtype.upper(), endpoint(server, "--server"), tcp, timeout, edns)
    answered = list(counting((query_once(asked) for _ in range(count)), "answers", count))
    if as_json:
        print_json(_as_json(asked, answered))
    else:
        print_rich(*(_spread(asked, answered) if count > 1 else _answer(asked, answered[0])))
    good = all(one.response.rcode == "NOERROR" and _data(asked, one.response) for one in answered)
    raise typer.Exit(DONE if good else REFUSED)


def endpoint(text: str, option: str) -> Endpoint:
    """Return the address and port of a server, as an option gives it; the port may be left out.

    Raises:
        Trouble: it is neither.
    """
    bare = text.count(":") > 1 and not text.startswith("[")
    host, colon, port = (text, "", "") if bare else text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, str(DNS_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if host and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        return Endpoint(host, int(port))
    raise CliError(
        f"{option} is {text!r}; it must be an address, with or without a port",
        "such as 192.0.2.53, 127.0.0.1:5353 or [2001:db8::53]:53",
        WRONG_USE,
    )


def query_once(asked: QueryOptions) -> Exchange:
    """Ask one question; a truncated answer is asked for again over TCP.

    Raises:
        Trouble: nobody answers, or what comes cannot be read.
    """
    from rrdns.net import dns_client
    from rrdns.wire.dns import client

    try:
        client.encode_query(asked.name, asked.rtype, 0)
    except ValueError as error:
        raise CliError(str(error), status=WRONG_USE) from error
    try:
        return dns_client.query_with_reason(
            asked.server,
            asked.name,
            asked.rtype,
            tcp=asked.tcp,
            timeout=asked.timeout,
            edns=asked.edns,
        )
    except ValueError as error:
        raise CliError(f"{asked.server}: {error}") from error
    except (OSError, EOFError) as error:
        advice = "does a DNS server listen there? --server says whom to ask"
        why = dns_client.describe_error(error, asked.timeout)
        raise CliError(f"{asked.server} gives no answer: {why}", advice) from error


def _data(asked: QueryOptions, reply: Response) -> tuple[str, ...]:
    if asked.rtype == "ANY":
        return tuple(record.data for record in reply.answer)
    return reply.data(asked.rtype)


def _answer(asked: QueryOptions, answered: Exchange) -> list[RenderableType]:
    """Return one answer in words: the records in their order, then how it came."""
    reply = answered.response
    lines: list[RenderableType] = []
    for place, record in enumerate(reply.answer, 1):
        note = "   <- a target takes this one" if place == 1 and record.type == "A" else ""
        lines.append(
            f"{place:>2}. {printable(record.data)}   {record.type}, TTL {record.ttl} s{note}"
        )
    if not reply.answer:
        lines.append(_why_empty(asked, reply))
    lines += [f"    authority: {printable(record)}" for record in reply.authority]
    lines += [f"    additional: {printable(record)}" for record in reply.additional]
    lines += _reasons(reply)
    told = ", ".join([reply.rcode, *(_FLAGS[flag] for flag in reply.flags)])
    came = f"{answered.transport}, {milliseconds(answered.seconds)}, {reply.payload_bytes} bytes"
    lines.append(f"{told} | from {asked.server} over {came}")
    return lines


def _reasons(reply: Response) -> list[RenderableType]:
    return [f"    extended error: {printable(error)}" for error in reply.extended_errors]


_FLAGS = {
    "aa": "authoritative (aa)",
    "tc": "truncated (tc)",
    "rd": "recursion desired (rd)",
    "ra": "recursion available (ra)",
}


def _why_empty(asked: QueryOptions, reply: Response) -> str:
    name = asked.name
    known = {
        "NOERROR": f"{name} exists and has no {asked.rtype} record",
        "NXDOMAIN": f"{name} does not exist there",
        "REFUSED": f"{asked.server} does not answer for {name}: it is outside of its zones, "
        "or this host is outside of their allow_query",
        "SERVFAIL": f"{asked.server} cannot answer for {name} now",
    }
    return known.get(reply.rcode, f"no answer: {reply.rcode}")


def _spread(asked: QueryOptions, answered: list[Exchange]) -> list[RenderableType]:
    """Return how often each address came first."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("first in the answer")
    table.add_column("times", justify="right")
    table.add_column("share", justify="right")
    for first, times in _firsts(asked, answered).items():
        table.add_row(printable(first), str(times), f"{times / len(answered):.1%}")
    took = sorted(one.seconds for one in answered)
    median, longest = milliseconds(took[len(took) // 2]), milliseconds(took[-1])
    return [
        table,
        *dict.fromkeys(line for one in answered for line in _reasons(one.response)),
        f"{len(answered)} answers from {asked.server}, median {median}, longest {longest}",
    ]


def _firsts(asked: QueryOptions, answered: list[Exchange]) -> dict[str, int]:
    firsts = Counter(
        (_data(asked, one.response) or (f"({one.response.rcode}, none)",))[0] for one in answered
    )
    return dict(sorted(firsts.items()))


def _as_json(asked: QueryOptions, answered: list[Exchange]) -> dict[str, Any]:
    last = answered[-1]
    told: dict[str, Any] = {
        "name": asked.name,
        "type": asked.rtype,
        "server": str(asked.server),
        **asdict(last.response),
        "over": last.transport[:3],
        "seconds": last.seconds,
    }
    if len(answered) > 1:
        told |= {"count": len(answered), "first": _firsts(asked, answered)}
    return told
