"""`rrdns query`: query a DNS server as a booting target does, and show the answer."""

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
    """A question, the server, and the transport."""

    name: str
    rtype: str
    server: Endpoint
    tcp: bool
    timeout: float
    edns: bool = False


def query(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The boot hostname.")],
    server: Annotated[
        str,
        typer.Option(
            "--server", metavar="ADDRESS:PORT", help="The server; IPv6: [2001:db8::1]:53."
        ),
    ] = "127.0.0.1:53",
    rtype: Annotated[str, typer.Option("--type", help="A, AAAA, NS, SOA, TXT, ANY ...")] = "A",
    tcp: Annotated[bool, typer.Option("--tcp", help="Query over TCP.")] = False,
    edns: Annotated[
        bool, typer.Option("--edns", help="Query with EDNS. Boot firmware does not use it.")
    ] = False,
    count: Annotated[
        int,
        typer.Option(
            "--count", min=1, max=100_000, help="Number of queries; show which address is first."
        ),
    ] = 1,
    timeout: Annotated[
        float,
        typer.Option("--timeout", min=0.05, max=60.0, help="Seconds to wait for each answer."),
    ] = 2.0,
    as_json: Json = False,
) -> None:
    """Query a DNS server for the boot hostname.

    Targets use the first address. --count shows how often each address is first.

    If the answer is an error, the command repeats the query with EDNS: the server may then send
    the reason (extended DNS errors, RFC 8914). Exit status 1 if there is no such record.

    For example:

        rrdns query boot.pvs.example.test

        rrdns query boot.pvs.example.test --server 192.0.2.53 --count 300
    """
    options = QueryOptions(name, rtype.upper(), endpoint(server, "--server"), tcp, timeout, edns)
    exchanges = list(counting((query_once(options) for _ in range(count)), "answers", count))
    if as_json:
        print_json(_as_json(options, exchanges))
    else:
        print_rich(*(_spread(options, exchanges) if count > 1 else _answer(options, exchanges[0])))
    good = all(
        exchange.response.rcode == "NOERROR" and _data(options, exchange.response)
        for exchange in exchanges
    )
    raise typer.Exit(DONE if good else REFUSED)


def endpoint(text: str, option: str) -> Endpoint:
    """Return the address and port of a server from an option. Without a port it is 53.

    Raises:
        CliError: the text is not an address with or without a port.
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
        "for example 192.0.2.53, 127.0.0.1:5353 or [2001:db8::53]:53",
        WRONG_USE,
    )


def query_once(options: QueryOptions) -> Exchange:
    """Send one query; repeat it over TCP if the answer is truncated.

    Raises:
        CliError: the server does not answer, or its answer cannot be decoded.
    """
    from rrdns.net import dns_client
    from rrdns.wire.dns import client

    try:
        client.encode_query(options.name, options.rtype, 0)
    except ValueError as error:
        raise CliError(str(error), status=WRONG_USE) from error
    try:
        return dns_client.query_with_reason(
            options.server,
            options.name,
            options.rtype,
            tcp=options.tcp,
            timeout=options.timeout,
            edns=options.edns,
        )
    except ValueError as error:
        raise CliError(f"{options.server}: {error}") from error
    except (OSError, EOFError) as error:
        advice = "check that a DNS server listens there, and --server"
        why = dns_client.describe_error(error, options.timeout)
        raise CliError(f"no answer from {options.server}: {why}", advice) from error


def _data(options: QueryOptions, reply: Response) -> tuple[str, ...]:
    if options.rtype == "ANY":
        return tuple(record.data for record in reply.answer)
    return reply.data(options.rtype)


def _answer(options: QueryOptions, exchange: Exchange) -> list[RenderableType]:
    """Return one answer as text: the records in their order, then the RCODE and the transport."""
    reply = exchange.response
    lines: list[RenderableType] = []
    for place, record in enumerate(reply.answer, 1):
        note = "   <- a target uses this one" if place == 1 and record.type == "A" else ""
        lines.append(
            f"{place:>2}. {printable(record.data)}   {record.type}, TTL {record.ttl} s{note}"
        )
    if not reply.answer:
        lines.append(_why_empty(options, reply))
    lines += [f"    authority: {printable(record)}" for record in reply.authority]
    lines += [f"    additional: {printable(record)}" for record in reply.additional]
    lines += _reasons(reply)
    header = ", ".join([reply.rcode, *(_FLAGS[flag] for flag in reply.flags)])
    facts = f"{exchange.transport}, {milliseconds(exchange.seconds)}, {reply.payload_bytes} bytes"
    lines.append(f"{header} | from {options.server} over {facts}")
    return lines


def _reasons(reply: Response) -> list[RenderableType]:
    return [f"    extended error: {printable(error)}" for error in reply.extended_errors]


_FLAGS = {
    "aa": "authoritative (aa)",
    "tc": "truncated (tc)",
    "rd": "recursion desired (rd)",
    "ra": "recursion available (ra)",
}


def _why_empty(options: QueryOptions, reply: Response) -> str:
    name, server = options.name, options.server
    reasons = {
        "NOERROR": f"{name} exists and has no {options.rtype} record",
        "NXDOMAIN": f"{name} does not exist on {server}",
        "REFUSED": f"{server} refuses queries for {name}: the name is not in its zones, "
        "or this host is not in allow_query",
        "SERVFAIL": f"{server} cannot answer for {name} now",
    }
    return reasons.get(reply.rcode, f"no answer: {reply.rcode}")


def _spread(options: QueryOptions, exchanges: list[Exchange]) -> list[RenderableType]:
    """Return a table of how often each address was first."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("first in the answer")
    table.add_column("times", justify="right")
    table.add_column("share", justify="right")
    for first, times in _firsts(options, exchanges).items():
        table.add_row(printable(first), str(times), f"{times / len(exchanges):.1%}")
    took = sorted(exchange.seconds for exchange in exchanges)
    median, longest = milliseconds(took[len(took) // 2]), milliseconds(took[-1])
    return [
        table,
        *dict.fromkeys(line for exchange in exchanges for line in _reasons(exchange.response)),
        f"{len(exchanges)} answers from {options.server}, median {median}, longest {longest}",
    ]


def _firsts(options: QueryOptions, exchanges: list[Exchange]) -> dict[str, int]:
    replies = [exchange.response for exchange in exchanges]
    firsts = Counter((_data(options, reply) or (f"({reply.rcode}, none)",))[0] for reply in replies)
    return dict(sorted(firsts.items()))


def _as_json(options: QueryOptions, exchanges: list[Exchange]) -> dict[str, Any]:
    last = exchanges[-1]
    output: dict[str, Any] = {
        "name": options.name,
        "type": options.rtype,
        "server": str(options.server),
        **asdict(last.response),
        "over": last.transport[:3],
        "seconds": last.seconds,
    }
    if len(exchanges) > 1:
        output |= {"count": len(exchanges), "first": _firsts(options, exchanges)}
    return output
