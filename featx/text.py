"""Text as people read it: counts, percentages, lists of names, and names of any bytes."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

# What neither HTML nor XML can hold.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_PLURALS = {"class": "classes", "copy": "copies"}


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


def speed(images_per_second: float) -> str:
    """Write a number of images per second, and an unknown one, NaN, as a dash."""
    if math.isnan(images_per_second):
        return "-"
    return f"{images_per_second:.0f}" if images_per_second >= 10 else f"{images_per_second:.1f}"


def listed(names: Sequence[str], most: int = 8) -> str:
    """List names, no more than fit a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def printable(text: object) -> str:
    """Return a text of characters that HTML and XML can hold, on one line.

    Names of files and folders need not be Unicode, and may hold line breaks and control characters.
    """
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(text))


def shortened(text: object, most: int = 24, end: int = 0) -> str:
    """Return a printable text of no more than so many characters, of which so many are its last."""
    known = printable(text)
    if len(known) <= most:
        return known
    return f"{known[: most - end - 1]}…{known[len(known) - end :]}"


def shortener(paths: Iterable[str]) -> Callable[[str], str]:
    """Return a function that writes a path relative to the folder that all paths share.

    Where they share none, it writes the last folder and the file: never a path from the root.
    """
    folders = {os.path.dirname(path) for path in paths}
    try:
        common = os.path.commonpath(folders)
    except ValueError:  # some are absolute and some are not
        common = ""

    def short(path: str) -> str:
        relative = os.path.relpath(path, common) if common.strip(os.sep) else path
        if os.path.isabs(relative) or relative.startswith(os.pardir):
            relative = os.sep.join(Path(path).parts[-2:])  # the class and the file
        return printable(relative)

    return short
