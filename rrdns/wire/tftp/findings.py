"""Make the findings of a probe: a verdict, and a sentence for admins.

Each sentence names the address and the file, and describes what happened. Where it helps, it
also has the meaning, or a place to look. The read session and the prober decide the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rrdns.core.health.probe_result import LoadedFile, Verdict
from rrdns.wire.tftp.packets import Error, ErrorCode, clean_text

_MEANINGS = {
    ErrorCode.ACCESS_VIOLATION: "the server cannot read the file: check its permissions",
    ErrorCode.ILLEGAL_OPERATION: "the server does not understand the request",
    ErrorCode.UNKNOWN_TRANSFER: "the server, or a NAT on the way, mixed up two transfers",
    ErrorCode.OPTIONS_REFUSED: "the server refuses the options that boot firmware requests",
}


@dataclass(frozen=True, slots=True)
class TransferFinding:
    """The result of a probe of one file of a member."""

    verdict: Verdict
    sentence: str
    seen: LoadedFile | None = None  # whole downloads only
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether a target would load the file."""
        return self.verdict in (Verdict.OK, Verdict.SLOW)


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """A server and a file: the subject of each sentence."""

    address: str
    port: int
    file: str


def size_of(count: int) -> str:
    """Return a number of bytes with separators and the unit."""
    return f"{count:,} byte{'' if count == 1 else 's'}"


def served(request: TransferRequest, size: int | None, *warnings: str) -> TransferFinding:
    """Return the finding that the start of the file is right; `size` is the announced one."""
    how = "" if size is None else f" ({size_of(size)})"
    return TransferFinding(
        Verdict.OK, f"{request.address} serves {request.file}{how}", warnings=warnings
    )


def loaded(
    request: TransferRequest, seen: LoadedFile, warnings: tuple[str, ...]
) -> TransferFinding:
    """Return the finding that the whole file was loaded."""
    version = f", version {seen.version}" if seen.version else ""
    sentence = f"{request.address} serves {request.file} ({size_of(seen.size)}{version})"
    return TransferFinding(Verdict.OK, sentence, seen, warnings)


def together(found: Sequence[TransferFinding]) -> TransferFinding:
    """Return one finding for the transfers of one file, all of which passed."""
    last = found[-1]
    if len(found) == 1:
        return last
    is_slow = any(finding.verdict is Verdict.SLOW for finding in found)
    warnings = tuple(dict.fromkeys(warning for finding in found for warning in finding.warnings))
    return replace(last, verdict=Verdict.SLOW if is_slow else last.verdict, warnings=warnings)


def slow(request: TransferRequest, finding: TransferFinding, seconds: float) -> TransferFinding:
    """Return a passed finding as slow: its first reply was late."""
    warning = (
        f"{request.address} is slow: its first reply for {request.file} took {seconds:.1f} s. "
        "Targets wait and repeat their request, so they boot, but late: check the server's load, "
        "and the network for packet loss"
    )
    return replace(finding, verdict=Verdict.SLOW, warnings=(*finding.warnings, warning))


def paused(request: TransferRequest, finding: TransferFinding, seconds: float) -> TransferFinding:
    """Return a passed finding as slow: the transfer paused."""
    warning = (
        f"{request.address} is slow: it paused for {seconds:.1f} s while it sent {request.file}. "
        "Targets wait and repeat their last packet, so they boot, but late: check the server's "
        "load and disk, and the network for packet loss"
    )
    return replace(finding, verdict=Verdict.SLOW, warnings=(*finding.warnings, warning))


def unanswered(request: TransferRequest, seconds: float) -> TransferFinding:
    """Return the finding that there was no reply."""
    return TransferFinding(
        Verdict.TIMEOUT,
        f"{request.address} did not answer the request for {request.file} within {seconds:g} s: "
        f"it is down, or a firewall drops UDP port {request.port} or the reply; a NAT or container "
        "bridge also drops replies, since they come from a new port (run rrdns with host "
        "networking)",
    )


def fell_silent(request: TransferRequest, got: int, seconds: float) -> TransferFinding:
    """Return the finding that the server stopped sending during the transfer."""
    return TransferFinding(
        Verdict.TIMEOUT,
        f"{request.address} sent nothing for {seconds:g} s after {size_of(got)} of "
        f"{request.file}: it stopped during the transfer, or the network drops the larger packets "
        "(MTU)",
    )


def too_slow(request: TransferRequest, got: int, seconds: float) -> TransferFinding:
    """Return the finding that the transfer takes too long."""
    return TransferFinding(
        Verdict.TOO_SLOW,
        f"{request.address} sent only {size_of(got)} of {request.file} in {seconds:g} s: "
        "the server or the network is overloaded, and targets would wait as long",
    )


def not_whole(request: TransferRequest, got: int, seconds: float) -> str:
    """Return the warning that the probe stopped a transfer of a large file that went well."""
    return (
        f"{request.address}: only {size_of(got)} of {request.file} were loaded in {seconds:g} s; "
        "the rest is not checked; a server that accepts larger blocks (RFC 2348) is faster"
    )


def refused(request: TransferRequest, began: bool) -> TransferFinding:
    """Return the finding that the port is closed, by ICMP."""
    if began:
        return TransferFinding(
            Verdict.REFUSED,
            f"{request.address} stopped the transfer of {request.file} (ICMP port unreachable): "
            "the TFTP service stopped or crashed",
        )
    return TransferFinding(
        Verdict.REFUSED,
        f"{request.address} refused the request for {request.file} (ICMP port unreachable): "
        f"nothing listens on UDP port {request.port}; the TFTP service is stopped or not bound to "
        "this address, or a firewall rejects the request",
    )


def unreachable(request: TransferRequest, reason: str) -> TransferFinding:
    """Return the finding that the member is not reachable, by ICMP or this host's routes."""
    return TransferFinding(
        Verdict.UNREACHABLE,
        f"{request.address} cannot be reached for {request.file} ({reason}): the host is off, "
        "there is no route to it, or a router or firewall rejects the traffic",
    )


def not_sent(request: TransferRequest, reason: str) -> TransferFinding:
    """Return the finding that this host could not send the request."""
    return TransferFinding(
        Verdict.LOCAL,
        f"the request for {request.file} could not be sent to {request.address} ({reason}): "
        "this is a problem of the host that runs rrdns, not of the server",
    )


def no_address(request: TransferRequest) -> TransferFinding:
    """Return the finding that the address is not an IPv4 address."""
    return TransferFinding(
        Verdict.LOCAL,
        f"{request.address!r} is not an IPv4 address, so {request.file} was not requested",
    )


def wrong_source(request: TransferRequest, source: str) -> TransferFinding:
    """Return the finding that another address replied, and the member did not."""
    return TransferFinding(
        Verdict.WRONG_SOURCE,
        f"{request.address} was asked for {request.file}, but the reply came from {source}: "
        "targets reject that; on a server with several addresses, bind the TFTP service to "
        "this one or correct its routes",
    )


def moved(request: TransferRequest, got: int, source: tuple[str, int]) -> TransferFinding:
    """Return the finding that the transfer moved to another port or address of the server."""
    where = f"port {source[1]}" if source[0] == request.address else f"{source[0]} port {source[1]}"
    return TransferFinding(
        Verdict.WRONG_SOURCE,
        f"{request.address} began to send {request.file}, and after {size_of(got)} the transfer "
        f"continued from {where}; a transfer keeps one address and port (RFC 1350, section 4), and "
        "targets reject the rest; look for a NAT or load balancer on the way, or a second server",
    )


def firmware_fails(request: TransferRequest, problem: str) -> TransferFinding:
    """Return the finding that the firmware for this file does not accept a valid transfer."""
    return TransferFinding(
        Verdict.BAD_REPLY,
        f"UEFI targets (EDK2) do not load {request.file} from {request.address}: {problem}",
    )


def server_error(request: TransferRequest, error: Error, got: int) -> TransferFinding:
    """Return the finding that the server stopped the transfer with an ERROR packet."""
    text = clean_text(error.text)
    detail = f"TFTP error {error.code}{': ' if text else ''}{text}"
    if got:
        sentence = f"{request.address} stopped {request.file} after {size_of(got)} ({detail})"
    elif error.code == ErrorCode.FILE_NOT_FOUND:
        sentence = f"{request.address} has no file {request.file} ({detail})"
    else:
        sentence = f"{request.address} did not serve {request.file} ({detail})"
    meaning = _MEANINGS.get(error.code)  # type: ignore[call-overload]  # an int may be no member
    return TransferFinding(Verdict.TFTP_ERROR, f"{sentence}: {meaning}" if meaning else sentence)


def bad_reply(request: TransferRequest, problem: str) -> TransferFinding:
    """Return the finding that the server does not follow the protocol."""
    return TransferFinding(
        Verdict.BAD_REPLY,
        f"{request.address} violated the TFTP protocol when asked for {request.file}: {problem}",
    )


def truncated(request: TransferRequest, got: int, announced: int) -> TransferFinding:
    """Return the finding that the file ended before the size that the server announced."""
    return TransferFinding(
        Verdict.TRUNCATED,
        f"{request.address} announced {size_of(announced)} for {request.file}, but ended it after "
        f"{size_of(got)}: the file is being replaced, or its disk is failing",
    )


def wrong_size(request: TransferRequest, problem: str) -> TransferFinding:
    """Return the finding that the file has another size than expected."""
    return TransferFinding(
        Verdict.WRONG_SIZE, f"{request.address} serves a wrong {request.file}: {problem}"
    )


def wrong_content(request: TransferRequest, problem: str) -> TransferFinding:
    """Return the finding that the file has other content than the config requires."""
    return TransferFinding(
        Verdict.WRONG_CONTENT, f"{request.address} serves a wrong {request.file}: {problem}"
    )
