"""Write the few SVG shapes that the charts use."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def picture(width: float, height: float, label: str, parts: Iterable[str]) -> str:
    """Return a whole picture on white. Screen readers read `label`."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" role="img" '
        f'aria-label="{escape(label)}">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def text(
    left: float,
    base: float,
    content: str,
    size: int = 12,
    *,
    anchor: str = "start",
    weight: str = "",
    fill: str = "",
) -> str:
    """Return a line of text."""
    more = (f' font-weight="{weight}"' if weight else "") + (f' fill="{fill}"' if fill else "")
    return (
        f'<text x="{left:.1f}" y="{base:.1f}" font-size="{size}" text-anchor="{anchor}"{more}>'
        f"{escape(content)}</text>"
    )


def bar(left: float, top: float, width: float, height: float, fill: str) -> str:
    """Return a filled rectangle."""
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{left:.1f}" y="{top:.1f}" {size} fill="{fill}"/>'


def line(path: str, stroke: str, width: float = 1.0) -> str:
    """Return a path that is drawn, not filled."""
    return f'<path d="{path}" stroke="{stroke}" stroke-width="{width:g}" fill="none"/>'


def dot(left: float, top: float, radius: float, fill: str) -> str:
    """Return a translucent disc."""
    return (
        f'<circle cx="{left:.1f}" cy="{top:.1f}" r="{radius:g}" fill="{fill}" fill-opacity="0.6"/>'
    )
