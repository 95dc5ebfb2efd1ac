"""Write charts: SVG by itself, PNG where librsvg can make one of it."""

from __future__ import annotations

from pathlib import Path

from rrdns.cli.terminal.errors import WRONG_USE, CliError

_CONVERTER = "rsvg-convert"
_ZOOM = 2  # of a PNG: sharp on dense screens, and in print
_MAX_SECONDS = 60.0


def validate_path(path: Path) -> None:
    """See that a chart can be written there, before anything is done for it.

    Raises:
        Trouble: it is a kind of picture that cannot be drawn here.
    """
    from shutil import which

    kind = path.suffix.lower()
    if kind not in (".svg", ".png"):
        said = f"--chart draws SVG and PNG, and not {kind or 'what has no such ending'}"
        raise CliError(said, "name it FILE.svg or FILE.png", WRONG_USE)
    if kind == ".png" and which(_CONVERTER) is None:
        advice = "install it (Debian and Ubuntu: librsvg2-bin), or name the chart FILE.svg"
        raise CliError(f"a PNG needs {_CONVERTER}, which is not installed", advice, WRONG_USE)
    with path.open("ab"):
        pass


def write_chart(path: Path, svg: str) -> None:
    """Write a chart.

    Raises:
        Trouble: the converter cannot make a PNG.
    """
    if path.suffix.lower() == ".svg":
        path.write_text(svg)
        return
    import subprocess

    command = [_CONVERTER, f"--zoom={_ZOOM}", f"--output={path}"]
    try:
        done = subprocess.run(  # noqa: S603  # what it reads is ours
            command, input=svg.encode(), capture_output=True, timeout=_MAX_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CliError(f"{_CONVERTER} did not end within {_MAX_SECONDS:g} s") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise CliError(f"{_CONVERTER} could not write {path}: {said}", "try FILE.svg")
