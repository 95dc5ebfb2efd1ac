"""What may go wrong in telling another system: each failure is one sentence for an admin."""

from __future__ import annotations

from rrdns.errors import RrdnsError

MAX_QUOTED = 1000  # characters of what a command said: its end tells why


class ExportFailed(RrdnsError):
    """An exporter could not tell what it was given; it is tried again later."""


class FileNotWritten(ExportFailed):
    """A file could not be replaced; the old one is still there."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path} could not be written and is as it was: {self.reason}"


class TemplateInvalid(ExportFailed):
    """A template cannot be read or rendered."""

    def __init__(self, template: str, problem: str, line: int = 0) -> None:
        super().__init__(template, problem, line)
        self.template = template
        self.problem = problem
        self.line = line

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line else ""
        return f"template {self.template}{where}: {self.problem}"


class CommandFailed(ExportFailed):
    """A command could not be started, or ended with another status than 0."""

    def __init__(self, command: str, reason: str, output: str = "") -> None:
        super().__init__(command, reason, output)
        self.command = command
        self.reason = reason
        self.output = output

    def __str__(self) -> str:
        said = f"; it said: {self.output[-MAX_QUOTED:]}" if self.output else ""
        return f"{self.command} {self.reason}{said}"


class SignalFailed(ExportFailed):
    """A process could not be signalled."""

    def __init__(self, pid_file: str, reason: str) -> None:
        super().__init__(pid_file, reason)
        self.pid_file = pid_file
        self.reason = reason

    def __str__(self) -> str:
        return f"the process named in {self.pid_file} was not signalled: {self.reason}"


class DeliveryFailed(ExportFailed):
    """A server did not answer, or not in a way that can be understood."""

    def __init__(self, where: str, reason: str, status: int = 0) -> None:
        super().__init__(where, reason, status)
        self.where = where
        self.reason = reason
        self.status = status  # of HTTP, where there was an answer

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class KeaRefused(ExportFailed):
    """Kea answered a command with an error; its config is as it was."""

    def __init__(self, where: str, command: str, text: str) -> None:
        super().__init__(where, command, text)
        self.where = where
        self.command = command
        self.text = text

    def __str__(self) -> str:
        return f"Kea at {self.where} refused {self.command}: {self.text}"


class KeaConfigError(ExportFailed):
    """Kea's config cannot be changed as it was asked; it is left alone."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"Kea's config is left alone: {self.problem}"
