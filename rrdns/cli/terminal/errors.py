"""Say what went wrong in one sentence and what to do next, and end with the right status."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from rrdns.errors import ConfigInvalid, RrdnsError

DONE, REFUSED, WRONG_USE = 0, 1, 2
INTERRUPTED = 130  # as the shell says of a program that Ctrl-C ended


class CliError(Exception):
    """A verb cannot do what it was asked."""

    def __init__(self, sentence: str, advice: str = "", status: int = REFUSED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.advice = advice
        self.status = status


class CommandGroup(TyperGroup):
    """The verbs of rrdns: none of them ever ends in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; turn its trouble into a sentence and an exit status."""
        try:
            return super().invoke(ctx)
        except CliError as trouble:
            _end(trouble.sentence, trouble.advice, trouble.status)
        except ConfigInvalid as invalid:
            _end(str(invalid), _ADVICE, WRONG_USE)
        except RrdnsError as error:
            _end(str(error), "", REFUSED)
        except BrokenPipeError:
            # Whoever read our output has seen enough, as in `rrdns audit | head`.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(DONE) from None
        except OSError as error:
            _end(sentence_of(error), "", REFUSED)
        except Exception as defect:  # a defect of ours is told in a line, too
            if _is_for_typer(defect):
                raise
            if os.environ.get("RRDNS_DEBUG"):
                traceback.print_exception(defect)
            what = f"{type(defect).__name__}: {defect}"
            _end(f"rrdns has a defect ({what})", "RRDNS_DEBUG=1 shows where", REFUSED)


_ADVICE = "`rrdns check-config FILE` tells when all is right"


def _is_for_typer(error: Exception) -> bool:
    """Tell whether an exception is typer's own way to end or to speak of wrong use."""
    return isinstance(error, typer.Exit | typer.Abort) or hasattr(error, "exit_code")


def _end(sentence: str, advice: str, status: int) -> NoReturn:
    print(f"rrdns: {sentence}", file=sys.stderr)  # noqa: T201 - this is what the command line says
    if advice:
        print(f"  -> {advice}", file=sys.stderr)  # noqa: T201 - as above
    raise typer.Exit(status) from None


def sentence_of(error: OSError) -> str:
    """Return what the system refused."""
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename else reason
