"""Write a chart as SVG, or as PNG with librsvg."""

from __future__ import annotations

from pathlib import Path

from rrdns.cli.terminal.errors import WRONG_USE, CliError

_CONVERTER = "rsvg-convert"
_ZOOM = 2  # of a PNG: sharp on high-resolution screens, and in print
_MAX_SECONDS = 60.0


def validate_path(path: Path) -> None:
    """Check that a chart can be written to a path, before the storm runs.

    Raises:
        CliError: the file type is not supported, or the converter for PNG is missing.
    """
    from shutil import which

    kind = path.suffix.lower()
    if kind not in (".svg", ".png"):
        problem = f"unsupported file type {kind!r}" if kind else f"{path} has no file type"
        raise CliError(f"--chart: {problem}", "use .svg or .png", WRONG_USE)
    if kind == ".png" and which(_CONVERTER) is None:
        advice = "install it (Debian and Ubuntu: librsvg2-bin), or name the chart FILE.svg"
        raise CliError(
            f"--chart: a PNG needs {_CONVERTER}, which is not installed", advice, WRONG_USE
        )
    with path.open("ab"):
        pass


def write_chart(path: Path, svg: str) -> None:
    """Write a chart.

    Raises:
        CliError: the converter cannot make a PNG.
    """
    if path.suffix.lower() == ".svg":
        path.write_text(svg)
        return
    import subprocess

    command = [_CONVERTER, f"--zoom={_ZOOM}", f"--output={path}"]
    try:
        done = subprocess.run(  # noqa: S603  # rrdns makes its input
            command, input=svg.encode(), capture_output=True, timeout=_MAX_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CliError(f"{_CONVERTER} did not finish within {_MAX_SECONDS:g} s") from error
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        raise CliError(f"{_CONVERTER} could not write {path}: {reason}", "try FILE.svg")
