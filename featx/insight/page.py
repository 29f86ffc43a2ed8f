"""Pages: HTML files that hold everything, pictures too, and ask nothing of a network."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featx.files import written
from featx.insight.thumbnails import Album
from featx.text import printable

# Words that begin a note or a verdict and are no names of candidates.
_OPENINGS = frozenset(
    (
        *("add", "classes", "compare", "copies", "expect", "it", "let", "look"),
        *("more", "no", "none", "pictures", "precision", "take", "the", "took", "trained", "with"),
    )
)


def write_page(
    path: str | os.PathLike[str], template: str, values: Mapping[str, Any], album: Album
) -> None:
    """Write a page from a template of this folder, with its style, script and thumbnails."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here),
        autoescape=True,
        finalize=_legible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "number": _number, "sentence": _sentence}
    known = {
        "css": Markup((here / "report.css").read_text(encoding="utf-8")),
        "js": Markup((here / "report.js").read_text(encoding="utf-8")),
        "pictures": Markup(album.style_sheet()),
    }
    html = environment.get_template(template).render({**values, **known}).lstrip()
    with written(path) as file:
        file.write_text(html, encoding="utf-8")


def _legible(value: Any) -> Any:
    """Make any text printable; Jinja escapes it afterwards."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _sentence(text: str) -> str:
    """Return a text that begins like a sentence, unless it begins with a name, and ends as one."""
    begins = text.partition(" ")[0] in _OPENINGS
    return (text[:1].upper() + text[1:] if begins else text).rstrip(".") + "."


def _percent(share: float, digits: int = 1) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def _number(value: float) -> str:
    """Write a count, or the mean of several, as people read it."""
    if math.isnan(value):
        return "–"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
