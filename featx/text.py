"""Text as people read it: counts, percentages, lists of names, and names of any bytes."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

# What drives a terminal, ends a line, turns the direction of writing round or cannot be seen. The
# joiners U+200C and U+200D stay: Persian, Hindi and emoji are written with them.
_CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\U000e0001]"
)
_NO_UNICODE = re.compile(r"[\ud800-\udfff\ufffe\uffff]")  # such as bytes that are not UTF-8
_NO_BYTE = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")  # the others are bytes of file names
_JOINER, _AS_EMOJI = "\u200d", "\ufe0f"
_SKINS = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"  # colours of the emoji before them
# What a spreadsheet would run, unless it is a number; the wide forms count in Japanese ones.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_PLURALS = {"class": "classes", "copy": "copies", "index": "indices"}


def count(number: int, noun: str) -> str:
    """Write a number with its noun: 1 image, 2 images."""
    return f"{number:,} {noun if number == 1 else _PLURALS.get(noun, noun + 's')}"


def percent(share: float, digits: int = 1) -> str:
    """Write a share from 0 to 1 as a percentage, and an unknown one, NaN, as a dash."""
    return "-" if math.isnan(share) else f"{100 * share:.{digits}f} %"


def size(number: float) -> str:
    """Write a number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float) -> str:
    """Write a time in seconds, a short one with two digits after the point, never as nothing."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{max(seconds, 0.01):.2f} s"


def speed(images_per_second: float) -> str:
    """Write a number of images per second, and an unknown one, NaN, as a dash."""
    if math.isnan(images_per_second):
        return "-"
    return f"{images_per_second:.0f}" if images_per_second >= 10 else f"{images_per_second:.1f}"


def listed(names: Sequence[object], most: int = 8) -> str:
    """List names, printable and no more than fit a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(printable, names[:most])) + more


def printable(text: object) -> str:
    r"""Return a text on one line that does nothing but stand there, wherever it is shown.

    Names of files and classes need not be Unicode, and may hold what clears a screen, forges a line
    or turns the direction of writing round. Such characters are written as in Python (\x1b, \n,
    \u202e), and what is no Unicode as U+FFFD.
    """
    escaped = _CONTROLS.sub(lambda found: repr(found[0])[1:-1], str(text))
    return _NO_UNICODE.sub("\N{REPLACEMENT CHARACTER}", escaped)


def printable_lines(text: str) -> str:
    """Return a text of several lines, each of them printable."""
    return "\n".join(map(printable, text.split("\n")))


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    Chinese, Japanese and Korean letters and emoji take two, marks on other letters none.
    """
    if text.isascii():
        return len(text)
    columns = joined = 0
    for letter in unicodedata.normalize("NFC", text):
        if joined or letter in _SKINS or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
            columns += letter == _AS_EMOJI and not joined
        else:
            columns += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        joined = letter == _JOINER
    return columns


def shortened(text: object, most: int = 24, end: int = 0) -> str:
    """Return a printable text of no more than so many columns, of which so many are its last."""
    known = printable(text)
    if width(known) <= most:
        return known
    last = beginning(known[::-1], end)[::-1]
    return f"{beginning(known, most - end - 1)}…{last}"


def beginning(text: str, columns: int) -> str:
    """Return the longest beginning of a text that fits so many columns."""
    most = min(columns, len(text))
    return next((text[:n] for n in range(most, 0, -1) if width(text[:n]) <= columns), "")


def spreadsheet_cell(value: Any) -> Any:
    """Return a cell of a table that a spreadsheet takes for text, not for a formula to run.

    A text that begins with =, +, -, @, a tab or an end of a line gets an apostrophe before it, and
    `text_of_cell` takes it away. Numbers stay numbers, also as text. What stands for no byte and no
    letter, such as half a pair of UTF-16, is U+FFFD.
    """
    if isinstance(value, str):
        value = _NO_BYTE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def text_of_cell(cell: str) -> str:
    """Return the text that `spreadsheet_cell` made a cell of."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell
