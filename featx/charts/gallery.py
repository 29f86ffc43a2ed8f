"""Gallery of pictures with their predicted labels."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import ImageOps

from featx.charts.fonts import drawable, fonts_for, quiet_boxes
from featx.charts.style import DPI
from featx.errors import OptionError
from featx.images.decode import decode_rgb
from featx.images.digests import read_file
from featx.images.folder import ImageFolder
from featx.images.labels import Label
from featx.images.quiet import quiet_pillow
from featx.text import beginning, shortened, width

_RIGHT, _WRONG, _UNKNOWN, _ASKED = "#1a7f37", "#cf222e", "#57606a", "#0969da"
_MOST_DECODED = 4096  # pixels along a side
_MOST = 100  # pictures in a gallery; more would be too small to see
_MARGIN, _GAP, _PAD = 0.14, 0.14, 0.04  # inches: around all, between pictures, below a title


class GalleryFigure(Figure):
    """A figure apart from pyplot, so that it is shown once and goes when nobody holds it."""

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        with quiet_boxes():
            self.savefig(file, format="png")
        return file.getvalue()


def plot_gallery(
    paths: Sequence[object] | np.ndarray,
    predicted: Sequence[Label],
    *,
    true: Sequence[Label | None] | None = None,
    probabilities: Sequence[float] | None = None,
    answered: Sequence[bool] | None = None,
    unfamiliar: Sequence[bool] | None = None,
    columns: int | None = None,
) -> Figure:
    """Draw pictures with their predicted labels.

    Parameters
    ----------
    paths : sequence of paths or pictures, or array of pictures
        The pictures; of more than 100, the first 100. Those in memory are as for `featx.embed`.
    predicted : sequence of str, int or bool
        Their predicted labels.
    true : sequence of (str, int, bool or None), optional
        Their true labels: a right prediction is green, a wrong one red with the truth beside it.
    probabilities : sequence of float, optional
        Of the predicted labels, 0 to 1; NaN where there is none.
    answered : sequence of bool, optional
        False where the model is unsure: the label is its best guess, neither right nor wrong.
    unfamiliar : sequence of bool, optional
        True where a picture is unlike those of training.
    columns : int, optional
        Pictures in a row; by default so many that the rows are full and wider than high.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        The sequences are empty or of different lengths.
    """
    pictures = ImageFolder.of(paths).paths if len(paths) else ()
    n = len(pictures)
    all_given = (predicted, true, probabilities, answered, unfamiliar)
    given = [each for each in all_given if each is not None]
    if n == 0 or any(len(each) != n for each in given):
        raise OptionError(f"a gallery needs as many labels as pictures, at least one: got {n}")
    shown = min(n, _MOST)
    side, font = _sizes(shown)
    names = [str(label) for label in predicted]
    truths = [
        None if label is None else str(label) for label in ([None] * n if true is None else true)
    ]
    shares = [math.nan] * n if probabilities is None else list(probabilities)
    sure = [True] * n if answered is None else list(answered)
    strange = [False] * n if unfamiliar is None else list(unfamiliar)
    room = int(side * 72 / (0.58 * font))
    with quiet_pillow():
        tiles = [
            _Tile(
                thumbnail(pictures[i], round(side * DPI)),
                _title(
                    _said(names[i], sure[i], strange[i]),
                    shares[i],
                    None if truths[i] == names[i] else truths[i],
                    room,
                ),
                _color(names[i], truths[i] if sure[i] else None),
            )
            for i in range(shown)
        ]
    columns = min(columns or _columns(shown), shown)
    return _drawn(tiles, columns, side, font, _caption(names, truths, sure, strange, shown))


def draw_similar(
    queries: Sequence[str], found: Sequence[Sequence[tuple[str, str, float]]]
) -> Figure:
    """Draw pictures, each before those that are most like it: path, label and similarity.

    One fills a grid with what was found, several have a row each.
    """
    if not queries or not any(found):
        raise OptionError("nothing was found that could be drawn")
    across = 1 + max(map(len, found))
    rows = max(1, _MOST // across) if len(queries) > 1 else 1
    shown = min(rows * across, len(queries) * across)
    side, font = _sizes(shown)
    room = int(side * 72 / (0.58 * font))
    tiles = []
    with quiet_pillow():
        for query, similar in zip(queries[:rows], found[:rows], strict=True):
            picture = thumbnail(query, round(side * DPI))
            tiles.append(_Tile(picture, "\n".join(_wrap(os.path.basename(query), room)), _ASKED))
            for path, label, similarity in similar[: _MOST - 1]:
                said = "\n".join([*(_wrap(label, room) if label else []), f"{similarity:.3f}"])
                tiles.append(_Tile(thumbnail(path, round(side * DPI)), said, _UNKNOWN))
            tiles += [_NO_TILE] * (across - 1 - len(similar))
    left_out = len(queries) - rows
    caption = f"the first {rows} of {len(queries)} pictures are shown" if left_out > 0 else ""
    columns = across if len(queries) > 1 else _columns(len(tiles))
    return _drawn(tiles, columns, side, font, caption)


@dataclass(frozen=True, eq=False)
class _Tile:
    """A picture of a gallery, with what stands above it."""

    picture: np.ndarray
    title: str
    color: str


_NO_TILE = _Tile(np.full((1, 1, 3), 255, np.uint8), "", "white")


def _drawn(
    tiles: Sequence[_Tile], columns: int, side: float, font: float, caption: str
) -> GalleryFigure:
    """Draw tiles in rows, each row as high as its highest title needs."""
    line = 1.3 * font / 72
    fonts = fonts_for(tile.title for tile in tiles)
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    lines = [max(tile.title.count("\n") + 1 for tile in row) for row in rows]
    across = 2 * _MARGIN + columns * side + (columns - 1) * _GAP
    height = 2 * _MARGIN + len(rows) * (side + _PAD) + (len(rows) - 1) * _GAP + sum(lines) * line
    height += line + _GAP if caption else 0
    figure = GalleryFigure(figsize=(across, height), dpi=DPI)
    top = height - _MARGIN
    for row, count in zip(rows, lines, strict=True):
        top -= count * line + _PAD
        for column, tile in enumerate(row):
            left = _MARGIN + column * (side + _GAP)
            box = (left / across, (top - side) / height, side / across, side / height)
            ax = figure.add_axes(box, xticks=[], yticks=[])
            ax.imshow(tile.picture, aspect="auto")
            looks: dict[str, Any] = {"fontsize": font, "fontfamily": fonts, "color": tile.color}
            ax.set_title(tile.title, pad=72 * _PAD, parse_math=False, **looks)
            for spine in ax.spines.values():
                spine.set(color=tile.color, linewidth=0.8 if tile.color == _UNKNOWN else 2.0)
        top -= side + _GAP
    if caption:
        figure.text(_MARGIN / across, _MARGIN / height, caption, fontsize=font, color=_UNKNOWN)
    return figure


def _columns(n: int) -> int:
    """Choose a number of columns: few empty places in the last row, and a wide format."""
    if n <= 5:
        return n
    ideal = math.sqrt(1.6 * n)
    choices = range(math.floor(0.8 * ideal), min(math.ceil(1.25 * ideal), 12) + 1)
    return min(choices, key=lambda columns: (-n % columns, abs(columns - ideal)))


def _sizes(n: int) -> tuple[float, float]:
    """Choose the side of a picture in inches, and the size of its title in points."""
    if n <= 4:
        return 2.2, 10.0
    return (1.7, 9.0) if n <= 40 else (1.3, 7.0)


def _said(label: str, sure: bool, strange: bool) -> str:
    """Write what a model says of a picture."""
    if sure:
        return f"{label} (unfamiliar)" if strange else label
    return f"{'unfamiliar' if strange else 'unsure'} ({label}?)"


def _title(said: str, probability: float, truth: str | None, room: int) -> str:
    """Write the lines above a picture; `truth` is the true label, where it is another one."""
    lines = _wrap(said, room)
    if not math.isnan(probability):
        share = f"{100 * probability:.0f} %"
        if width(lines[-1]) + len(share) + 2 <= room:
            lines[-1] += f"  {share}"
        else:
            lines.append(share)
    if truth is not None:
        lines += _wrap(f"is {truth}", room)
    return "\n".join(lines)


def _wrap(text: object, columns: int) -> list[str]:
    """Break a text into at most two lines, between words where it has any."""
    text = drawable(text)
    line = beginning(text, columns)
    if line != text and text[len(line)] != " ":
        between = max(line.rfind(" "), line.rfind("-")) + 1
        line = line[:between] or line
    rest = text[len(line) :].strip()
    return [line.strip(), shortened(rest, columns)] if rest else [line.strip()]


def _caption(
    predicted: Sequence[str],
    truths: Sequence[str | None],
    sure: Sequence[bool],
    strange: Sequence[bool],
    shown: int,
) -> str:
    """Count what is right, and say if not all pictures are shown."""
    judged = zip(predicted, truths, sure, strict=True)
    right = [label == truth for label, truth, answered in judged if truth and answered]
    parts = [f"{sum(right)} of {len(right)} right"] if right else []
    n_unsure = sum(not each and not odd for each, odd in zip(sure, strange, strict=True))
    parts += [f"{n_unsure} unsure"] if n_unsure else []
    parts += [f"{sum(strange)} unfamiliar"] if any(strange) else []
    if shown < len(predicted):
        parts.append(f"the first {shown} of {len(predicted)} pictures are shown")
    return "; ".join(parts)


def _color(label: str, truth: str | None) -> str:
    return _UNKNOWN if truth is None else _RIGHT if truth == label else _WRONG


def thumbnail(path: str, side: int) -> np.ndarray:
    """Decode the middle of a picture; one that is gone since it was predicted is a grey square."""
    try:
        data, _ = read_file(path)
    except OSError:
        data = b""
    image, _ = decode_rgb(data, most=_MOST_DECODED)
    if image is None:
        return np.full((8, 8, 3), 208, np.uint8)
    return np.asarray(ImageOps.fit(image, (side, side)))
