"""Names of files and classes as a page or a chart may show them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

# What neither HTML nor XML can hold.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


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
