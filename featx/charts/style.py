"""Style of all charts: colours, axes, and a chart as part of an HTML page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from io import StringIO
from numbers import Real
from os import PathLike
from typing import TYPE_CHECKING, Any

from featx.charts.fonts import fonts_for, quiet_boxes
from featx.errors import OptionError
from featx.files import written
from featx.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

INK, MUTED, LINE, RIGHT, WRONG = "#1f2933", "#5b6770", "#d9dee2", "#0b5fa5", "#b3450b"
FONT = 9.0
DPI = 150  # of a file in pixels
NARROW = 4.6  # inches of a figure; in a narrower one a legend stands below the axes


def check_width(width: Any) -> None:
    """Raise an `OptionError` for a width of a figure that cannot be drawn."""
    if not isinstance(width, Real) or not 2 <= float(width) <= 100:
        raise OptionError(f"width {width!r}: expected 2 to 100 inches, such as 3.5 for a column")


def own_axes(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the axes given, or those of a new figure of so many inches, which pyplot shows."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.figure(figsize=(width, height), layout="constrained").add_subplot()


def dress(ax: Axes, x: str, y: str) -> None:
    """Give axes their labels and the looks of all charts."""
    ax.set_xlabel(x, color=MUTED, fontsize=FONT)
    ax.set_ylabel(y, color=MUTED, fontsize=FONT)
    ax.tick_params(which="both", colors=LINE, labelcolor=INK, labelsize=FONT, length=3)
    ax.grid(axis="y", color=LINE, linewidth=0.7)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(LINE)


def write_legend(ax: Axes, entries: Sequence[Line2D]) -> None:
    """Write a legend on the right of axes, or below them where they have a narrow figure alone."""
    figure = ax.get_figure(root=True)
    looks: dict[str, Any] = {
        "handles": entries,
        "frameon": False,
        "fontsize": FONT - 1,
        "labelcolor": INK,
        "handletextpad": 0.6,
    }
    if figure is not None and figure.axes == [ax] and figure.get_size_inches()[0] < NARROW:
        legend = figure.legend(loc="outside lower left", ncols=2, columnspacing=1.0, **looks)
    else:
        looks |= {"loc": "upper left", "bbox_to_anchor": (1.01, 1.02), "borderaxespad": 0}
        legend = ax.legend(**looks)
    for text in legend.get_texts():
        text.set(parse_math=False, fontfamily=fonts_for([text.get_text()]))


def write_beside(
    ax: Axes, text: str, place: tuple[Any, Any], offset: tuple[float, float], **looks: Any
) -> None:
    """Write a text at an offset, in points, from a place of a chart."""
    looks = {"va": "center", "fontsize": FONT, **looks}
    ax.annotate(text, place, offset, textcoords="offset points", parse_math=False, **looks)


def save_figure(figure: Figure, path: str | PathLike[str]) -> None:
    """Write a figure to a file in the format of its suffix; .svg and .pdf are drawn to scale."""
    import matplotlib

    # Letters stay letters in .pdf, as journals ask for.
    with written(path) as file, quiet_boxes(), matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(file, dpi=DPI, facecolor="white")


def inline_svg(figure: Figure, name: str, description: str, colors: dict[str, str]) -> str:
    """Return a figure as an <svg> element for the middle of an HTML page.

    Its text stays text, in the typeface of the page. `name` begins every id of the element, so that
    several may stand on one page; `description` is for those who do not see it; `colors` says what
    to put for a colour, such as "var(--ink)" for "#1f2933".
    """
    import matplotlib

    stream = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "featx"}):
        unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with quiet_boxes():  # the typeface of the page has the letters, not that here
            figure.savefig(stream, format="svg", transparent=True, metadata=unsaid)
    root = ElementTree.fromstring(stream.getvalue())
    for parent in root.iter():  # its rules would hold for the whole page
        for child in [each for each in parent if each.tag.endswith("}style")]:
            parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        attributes = {key.rpartition("}")[2]: text for key, text in element.attrib.items()}
        for key, text in attributes.items():
            if key == "id":
                text = f"{name}-{text}"
            if key in ("href", "clip-path", "style"):
                text = re.sub(r"^#|(?<=url\()#", f"#{name}-", text)
            if key == "style":
                text = re.sub(r"font: ([\d.]+px)[^;]*|font-family: [^;]*", _size_only, text)
                for color, replacement in colors.items():
                    text = text.replace(color, replacement)
            attributes[key] = text
        element.attrib = attributes
    width, height = figure.get_size_inches() * 72
    view = f"0 0 {width:g} {height:g}"
    about = printable(description)
    root.attrib = {"viewBox": view, "class": "chart", "role": "img", "aria-label": about}
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _size_only(font: re.Match[str]) -> str:
    """Leave the typeface of a text to the page."""
    return f"font-size: {font[1]}" if font[1] else "font-style: inherit"
