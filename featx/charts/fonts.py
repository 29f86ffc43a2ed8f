"""Fonts of charts: those of this machine that have the letters of a name."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from featx.errors import warn
from featx.text import listed, printable

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry

_BOXES = "Last Resort"  # how the names of fonts begin that have a box for every letter
_AS_TEXT_OR_EMOJI = dict.fromkeys((0xFE0E, 0xFE0F))  # they have no picture of their own
_chosen: dict[str, str | None] = {}  # the font of each letter that was looked for; None: no font


def drawable(text: object) -> str:
    """Return a text of which each letter has a picture: printable, marks joined to letters."""
    return unicodedata.normalize("NFC", printable(text)).translate(_AS_TEXT_OR_EMOJI)


def fonts_for(texts: Iterable[str]) -> list[str]:
    """Return the fonts to draw texts with: the usual ones first, then those that have the rest.

    To be given as `fontfamily`. Letters that no font of this machine has are warned of.
    """
    import matplotlib

    usual = list(matplotlib.rcParams["font.family"])
    letters = {letter for text in texts if not text.isascii() for letter in text}
    # Ends of lines and joiners have no picture, and marks come with the letters that they are on.
    apart = ("Cc", "Cf", "Mn", "Mc", "Me")
    drawn = {letter for letter in letters if unicodedata.category(letter) not in apart}
    rare = sorted(_lacking(usual, drawn))
    if new := [letter for letter in rare if letter not in _chosen]:
        _choose(new)
    boxes = [letter for letter in rare if _chosen[letter] is None]
    if boxes:
        warn(
            f"no font of this machine has {listed(boxes)}: boxes are drawn in their place; "
            "install one that has them, such as Noto Sans CJK or Noto Emoji",
            above=2,
        )
    return usual + list(dict.fromkeys(font for each in rare if (font := _chosen[each])))


@contextmanager
def quiet_boxes() -> Iterator[None]:
    """Keep warnings of missing letters off the screen: it was said, or a browser has them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing|no font of this machine", UserWarning)
        yield


def _lacking(families: Sequence[str], letters: set[str]) -> set[str]:
    """Return the letters that none of some families has."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    for family in families if letters else ():
        font = get_font(findfont(FontProperties(family=[family])))
        letters = {letter for letter in letters if not font.get_char_index(ord(letter))}
    return letters


def _choose(letters: Sequence[str]) -> None:
    """Choose a font for each letter: the fewest fonts, those that were chosen before first."""
    before = set(_chosen.values())
    left = set(letters)
    owned = {entry.name: _letters_of(entry, left) for entry in _installed()}
    while left and (found := {name: own & left for name, own in owned.items() if own & left}):
        best = max(found, key=lambda name: (name in before, len(found[name]), _plainness(name)))
        _chosen.update(dict.fromkeys(found[best], best))
        left -= found[best]
    _chosen.update(dict.fromkeys(left))


def _letters_of(entry: FontEntry, letters: set[str]) -> set[str]:
    from matplotlib.ft2font import FT2Font

    index = getattr(entry, "index", 0)  # of the fonts in one file; matplotlib before 3.11 has one
    face: dict[str, Any] = {"face_index": index} if index else {}
    try:
        font = FT2Font(entry.fname, **face)
        return {letter for letter in letters if font.get_char_index(ord(letter))}
    except (OSError, RuntimeError):  # removed since, or of a kind that cannot be drawn
        return set()


def _plainness(name: str) -> int:
    """Rank families that have the same letters: upright text without serifs first."""
    return ("Sans" in name) - 2 * any(kind in name for kind in ("Serif", "Mono", "Condensed"))


@cache
def _installed() -> list[FontEntry]:
    """Return an entry of each family, also of those installed since matplotlib listed the fonts."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    listed_files = {entry.fname for entry in fontManager.ttflist}
    for file in sorted(set(findSystemFonts()) - listed_files):
        with suppress(Exception):  # a font of a kind that cannot be drawn, such as colour emoji
            fontManager.addfont(file)
    upright = [
        entry
        for entry in fontManager.ttflist
        if entry.style == "normal" and not entry.name.startswith(_BOXES)
    ]
    return list({e.name: e for e in sorted(upright, key=lambda e: -_heaviness(e))}.values())


def _heaviness(entry: FontEntry) -> int:
    """Return how far a font is from the weight of text; some have names in place of numbers."""
    return abs(entry.weight - 400) if isinstance(entry.weight, int) else 200
