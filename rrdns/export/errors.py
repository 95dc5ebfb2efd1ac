"""Failures of exporters: each is one sentence for an admin."""

from __future__ import annotations

from dataclasses import dataclass

from rrdns.errors import RrdnsError

MAX_QUOTED = 1000  # characters of a command's output; its end has the reason


class ExportFailed(RrdnsError):
    """An export failed; it is tried again later."""


@dataclass(eq=False)
class FileNotWritten(ExportFailed):
    """A file could not be replaced; the old one is still there."""

    message = "{path} could not be written and is as it was: {reason}"
    path: str
    reason: str


@dataclass(eq=False)
class TemplateInvalid(ExportFailed):
    """A template cannot be read or rendered."""

    template: str
    problem: str
    line: int = 0

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line else ""
        return f"template {self.template}{where}: {self.problem}"


@dataclass(eq=False)
class CommandFailed(ExportFailed):
    """A command could not be started, or ended with another status than 0."""

    command: str
    reason: str
    output: str = ""

    def __str__(self) -> str:
        output = f"; its output: {self.output[-MAX_QUOTED:]}" if self.output else ""
        return f"{self.command} {self.reason}{output}"


@dataclass(eq=False)
class SignalFailed(ExportFailed):
    """A process could not be signalled."""

    message = "the process named in {pid_file} was not signalled: {reason}"
    pid_file: str
    reason: str


@dataclass(eq=False)
class DeliveryFailed(ExportFailed):
    """A server did not answer, or its answer makes no sense."""

    message = "{where}: {reason}"
    where: str
    reason: str
    status: int = 0  # of HTTP, if there was an answer


@dataclass(eq=False)
class KeaRefused(ExportFailed):
    """Kea answered a command with an error; its config did not change."""

    message = "Kea at {where} refused {command}: {text}"
    where: str
    command: str
    text: str


@dataclass(eq=False)
class KeaConfigError(ExportFailed):
    """Kea's config cannot be changed as configured; it is left alone."""

    message = "Kea's config is left alone: {problem}"
    problem: str
