"""Say in an admin's words what a probe found at a member: the verdict and its sentence.

Each sentence names the address and the file, tells what happened, and where it helps what
that means or where to look. Nothing here judges: the read session and the prober do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rrdns.core.health.probe_result import LoadedFile, Verdict
from rrdns.wire.tftp.packets import Error, ErrorCode, clean_text

_MEANINGS = {
    ErrorCode.ACCESS_VIOLATION: "the server may not read it: look at the file's rights",
    ErrorCode.ILLEGAL_OPERATION: "the server does not understand the request",
    ErrorCode.UNKNOWN_TRANSFER: "the server, or a NAT on the way, mixed up two transfers",
    ErrorCode.OPTIONS_REFUSED: "the server refuses the options that boot firmware asks for",
}


@dataclass(frozen=True, slots=True)
class TransferFinding:
    """What a probe found about one file of a member."""

    verdict: Verdict
    sentence: str
    seen: LoadedFile | None = None  # whole downloads only
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Tell whether a target would load the file."""
        return self.verdict in (Verdict.OK, Verdict.SLOW)


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """What was asked of whom: the subject of each sentence."""

    address: str
    port: int
    file: str


def size_of(count: int) -> str:
    """Return a number of bytes as people write it."""
    return f"{count:,} byte{'' if count == 1 else 's'}"


def served(asked: TransferRequest, size: int | None, *warnings: str) -> TransferFinding:
    """Say that the start of the file came as it should; `size` is what was announced."""
    how = "" if size is None else f" ({size_of(size)})"
    return TransferFinding(
        Verdict.OK, f"{asked.address} serves {asked.file}{how}", warnings=warnings
    )


def loaded(asked: TransferRequest, seen: LoadedFile, warnings: tuple[str, ...]) -> TransferFinding:
    """Say that the whole file came."""
    version = f", version {seen.version}" if seen.version else ""
    sentence = f"{asked.address} serves {asked.file} ({size_of(seen.size)}{version})"
    return TransferFinding(Verdict.OK, sentence, seen, warnings)


def together(found: Sequence[TransferFinding]) -> TransferFinding:
    """Return what the transfers of one file tell, all of them good."""
    last = found[-1]
    if len(found) == 1:
        return last
    slow_one = next((one.verdict for one in found if one.verdict is Verdict.SLOW), last.verdict)
    warnings = tuple(dict.fromkeys(warning for one in found for warning in one.warnings))
    return replace(last, verdict=slow_one, warnings=warnings)


def slow(asked: TransferRequest, finding: TransferFinding, seconds: float) -> TransferFinding:
    """Say of a good finding that its first answer was long in coming."""
    warning = (
        f"{asked.address} is slow: its first answer for {asked.file} took {seconds:.1f} s. Targets "
        "wait and repeat their request, so they boot, but late: look at the server's load, and for "
        "packets that are lost on the way"
    )
    return replace(finding, verdict=Verdict.SLOW, warnings=(*finding.warnings, warning))


def paused(asked: TransferRequest, finding: TransferFinding, seconds: float) -> TransferFinding:
    """Say of a good finding that the transfer stood still for a while."""
    warning = (
        f"{asked.address} is slow: it paused for {seconds:.1f} s while it sent {asked.file}. "
        "Targets wait and repeat their last packet, so they boot, but late: look at the server's "
        "load and disk, and for packets that are lost on the way"
    )
    return replace(finding, verdict=Verdict.SLOW, warnings=(*finding.warnings, warning))


def unanswered(asked: TransferRequest, seconds: float) -> TransferFinding:
    """Say that no reply came at all."""
    return TransferFinding(
        Verdict.TIMEOUT,
        f"{asked.address} did not answer the request for {asked.file} within {seconds:g} s: "
        f"it is down, a firewall drops UDP port {asked.port} or the reply, or the reply is lost "
        "in a NAT or container bridge, since TFTP replies come from a new port (run rrdns with "
        "host networking)",
    )


def fell_silent(asked: TransferRequest, got: int, seconds: float) -> TransferFinding:
    """Say that the transfer began, and the server stopped sending."""
    return TransferFinding(
        Verdict.TIMEOUT,
        f"{asked.address} fell silent for {seconds:g} s after {size_of(got)} of {asked.file}: "
        "it stopped in mid-transfer, or the larger packets are lost on the way (MTU)",
    )


def too_slow(asked: TransferRequest, got: int, seconds: float) -> TransferFinding:
    """Say that the transfer goes on and on."""
    return TransferFinding(
        Verdict.TOO_SLOW,
        f"{asked.address} sent only {size_of(got)} of {asked.file} in {seconds:g} s: "
        "the server or the network is overloaded, and targets would wait as long",
    )


def not_whole(asked: TransferRequest, got: int, seconds: float) -> str:
    """Warn that a large file came well, and was not waited for."""
    return (
        f"{asked.address}: only {size_of(got)} of {asked.file} were loaded in {seconds:g} s, and "
        "the rest is not checked; a server that accepts larger blocks (RFC 2348) is quicker"
    )


def refused(asked: TransferRequest, began: bool) -> TransferFinding:
    """Say that ICMP calls the port closed."""
    if began:
        return TransferFinding(
            Verdict.REFUSED,
            f"{asked.address} broke off the transfer of {asked.file} (ICMP port unreachable): "
            "the TFTP service stopped or crashed",
        )
    return TransferFinding(
        Verdict.REFUSED,
        f"{asked.address} refused the request for {asked.file} (ICMP port unreachable): nothing "
        f"listens on UDP port {asked.port}; the TFTP service is stopped or not bound to this "
        "address, or a firewall rejects the request",
    )


def unreachable(asked: TransferRequest, reason: str) -> TransferFinding:
    """Say that, by ICMP or this host's own routes, there is no way to the member."""
    return TransferFinding(
        Verdict.UNREACHABLE,
        f"{asked.address} cannot be reached to ask for {asked.file} ({reason}): the host is off, "
        "there is no route to it, or a router or firewall on the way rejects the traffic",
    )


def not_sent(asked: TransferRequest, reason: str) -> TransferFinding:
    """Say that this host could not send the request."""
    return TransferFinding(
        Verdict.LOCAL,
        f"the request for {asked.file} could not be sent to {asked.address} ({reason}): "
        "this is a trouble of the host that runs rrdns and says nothing about the server",
    )


def no_address(asked: TransferRequest) -> TransferFinding:
    """Say that what is to be asked is a name, or IPv6, or nothing at all."""
    return TransferFinding(
        Verdict.LOCAL,
        f"{asked.address!r} is not an IPv4 address, so it was not asked for {asked.file}",
    )


def wrong_source(asked: TransferRequest, source: str) -> TransferFinding:
    """Say that another address replied, and the one asked did not."""
    return TransferFinding(
        Verdict.WRONG_SOURCE,
        f"{asked.address} was asked for {asked.file} and the reply came from {source}: "
        "targets reject that; on a server with several addresses, bind the TFTP service to "
        "this one or mend its routes",
    )


def moved(asked: TransferRequest, got: int, source: tuple[str, int]) -> TransferFinding:
    """Say that the transfer began at one port of the server, and went on from elsewhere."""
    where = f"port {source[1]}" if source[0] == asked.address else f"{source[0]} port {source[1]}"
    return TransferFinding(
        Verdict.WRONG_SOURCE,
        f"{asked.address} began to send {asked.file}, and after {size_of(got)} the transfer went "
        f"on from {where}: a transfer keeps to one address and port (RFC 1350, section 4), and "
        "targets reject the rest; look for a NAT or load balancer on the way, or a second server",
    )


def firmware_fails(asked: TransferRequest, problem: str) -> TransferFinding:
    """Say that TFTP would do, and the firmware that asks for this file does not take it."""
    return TransferFinding(
        Verdict.BAD_REPLY,
        f"UEFI targets (EDK2) do not load {asked.file} from {asked.address}: {problem}",
    )


def server_error(asked: TransferRequest, error: Error, got: int) -> TransferFinding:
    """Say that the server ended the transfer with an ERROR packet."""
    said = clean_text(error.text)
    detail = f"TFTP error {error.code}{': ' if said else ''}{said}"
    if got:
        sentence = f"{asked.address} broke off {asked.file} after {size_of(got)} ({detail})"
    elif error.code == ErrorCode.FILE_NOT_FOUND:
        sentence = f"{asked.address} has no file {asked.file} ({detail})"
    else:
        sentence = f"{asked.address} did not serve {asked.file} ({detail})"
    meaning = _MEANINGS.get(error.code)  # type: ignore[call-overload]  # an int may be no member
    return TransferFinding(Verdict.TFTP_ERROR, f"{sentence}: {meaning}" if meaning else sentence)


def bad_reply(asked: TransferRequest, problem: str) -> TransferFinding:
    """Say that the server does not follow the protocol."""
    return TransferFinding(
        Verdict.BAD_REPLY,
        f"{asked.address} answered the request for {asked.file} against the rules of TFTP: "
        f"{problem}",
    )


def truncated(asked: TransferRequest, got: int, announced: int) -> TransferFinding:
    """Say that the file ended before the size that the server itself had announced."""
    return TransferFinding(
        Verdict.TRUNCATED,
        f"{asked.address} announced {size_of(announced)} for {asked.file} and ended it after "
        f"{size_of(got)}: the file is being replaced, or its disk is failing",
    )


def wrong_size(asked: TransferRequest, problem: str) -> TransferFinding:
    """Say that the size is not what the config, the server or common sense expects."""
    return TransferFinding(
        Verdict.WRONG_SIZE, f"{asked.address} serves a wrong {asked.file}: {problem}"
    )


def wrong_content(asked: TransferRequest, problem: str) -> TransferFinding:
    """Say that the bytes are not what the config requires."""
    return TransferFinding(
        Verdict.WRONG_CONTENT, f"{asked.address} serves a wrong {asked.file}: {problem}"
    )
