"""Shards: several archives that are one set of pictures, named by a pattern or by their folder."""

from __future__ import annotations

import glob
import os
import re

from featx.images.listing import named_as_image
from featx.images.packed.container import SUFFIXES

_RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")
_MOST = 1_000_000


def shards_in(path: str) -> list[str]:
    """Return the archives that a path names, in order; none where it names something else.

    It is a pattern (shards-*.tar), a range (shards-{0000..0099}.tar), or a folder in which archives
    are and no pictures, no tables and no other folders.
    """
    if path.lower().endswith(SUFFIXES):
        if _RANGE.search(path):
            return _expanded(path)
        return sorted(glob.glob(path)) if glob.has_magic(path) and not os.path.lexists(path) else []
    return _inside(path) if os.path.isdir(path) else []


def _expanded(path: str) -> list[str]:
    """Write out the ranges of numbers in a path; those that begin with 0 are of one width."""
    paths = [path]
    while found := _RANGE.search(paths[0]):
        first, last = map(int, found.groups())
        width = len(found[1]) if found[1].startswith("0") else 0
        if len(paths) * (last - first + 1) > _MOST:
            return []
        numbers = [f"{number:0{width}d}" for number in range(first, last + 1)]
        paths = [_RANGE.sub(number, each, count=1) for each in paths for number in numbers]
    return paths


def _inside(folder: str) -> list[str]:
    """List the archives of a folder, sorted by name, unless it has pictures or other folders."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if named_as_image(entry.name) or entry.is_dir():
                    return []
                if entry.name.lower().endswith(SUFFIXES):
                    found.append(entry.path)
    except OSError:  # whoever lists it says why
        return []
    return sorted(found)
