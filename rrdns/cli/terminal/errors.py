"""Print an error as one sentence with advice, and exit with the matching status."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from rrdns.errors import ConfigInvalid, RrdnsError

DONE, REFUSED, WRONG_USE = 0, 1, 2
INTERRUPTED = 130  # the shell's status for a program that Ctrl-C stopped


class CliError(Exception):
    """A verb cannot do what the caller asked for."""

    def __init__(self, sentence: str, advice: str = "", status: int = REFUSED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.advice = advice
        self.status = status


class CommandGroup(TyperGroup):
    """The verbs of rrdns. No error ends in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; turn an error into a sentence and an exit status."""
        try:
            return super().invoke(ctx)
        except CliError as error:
            _end(error.sentence, error.advice, error.status)
        except ConfigInvalid as invalid:
            _end(str(invalid), _ADVICE, WRONG_USE)
        except RrdnsError as error:
            _end(str(error), "", REFUSED)
        except BrokenPipeError:
            # The reader of our output has closed it, as in `rrdns audit | head`.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(DONE) from None
        except OSError as error:
            _end(sentence_of(error), "", REFUSED)
        except Exception as defect:  # a bug in rrdns gets a sentence, too
            if _is_for_typer(defect):
                raise
            if os.environ.get("RRDNS_DEBUG"):
                traceback.print_exception(defect)
            what = f"{type(defect).__name__}: {defect}"
            _end(f"rrdns has a bug ({what})", "run it with RRDNS_DEBUG=1 for a traceback", REFUSED)


_ADVICE = "correct it; `rrdns check-config FILE` checks the file"


def _is_for_typer(error: Exception) -> bool:
    """Return whether an exception is typer's own: an exit, or a report of wrong usage."""
    return isinstance(error, typer.Exit | typer.Abort) or hasattr(error, "exit_code")


def _end(sentence: str, advice: str, status: int) -> NoReturn:
    print(f"rrdns: {sentence}", file=sys.stderr)  # noqa: T201 - the message itself
    if advice:
        print(f"  -> {advice}", file=sys.stderr)  # noqa: T201 - as above
    raise typer.Exit(status) from None


def sentence_of(error: OSError) -> str:
    """Return the reason of a system error, with the file name if there is one."""
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename else reason
