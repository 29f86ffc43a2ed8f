"""Shards: several archives that are one set of pictures, named by a pattern or by their folder."""

from __future__ import annotations

import glob
import os
import re
from fnmatch import fnmatchcase

from featx.errors import ImageSourceError
from featx.images.bucket import is_there, source_errors
from featx.images.listing import HIDDEN, named_as_image
from featx.images.packed.container import SUFFIXES, is_container
from featx.images.pattern import is_pattern, of_objects, root_of
from featx.storage.address import is_address, is_on_web
from featx.storage.objects import entries

_RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")
_MOST = 1_000_000


def shards_in(path: str) -> list[str]:
    """Return the archives that a path names, in order; none where it names something else.

    It is a pattern (shards-*.tar), a range (shards-{0000..0099}.tar), or a folder in which archives
    are, and no pictures and no other folders. Patterns and ranges may be of addresses.
    """
    if path.lower().endswith((*SUFFIXES, ".parquet")):
        if _RANGE.search(path) and (is_on_web(path) or not is_there(path)):
            return _expanded(path)
        if not is_pattern(path):
            return []
        return (
            _matching(path) if is_address(path) else sorted(filter(is_container, glob.glob(path)))
        )
    return _inside(path) if os.path.isdir(path) else []


def _expanded(path: str) -> list[str]:
    """Write out the ranges of numbers in a path; those that begin with 0 are of one width."""
    paths = [path]
    if any(int(first) > int(last) for first, last in _RANGE.findall(path)):
        raise ImageSourceError(f"{path!r} does not exist: its range ends before it begins")
    while found := _RANGE.search(paths[0]):
        first, last = map(int, found.groups())
        width = len(found[1]) if found[1].startswith("0") else 0
        if len(paths) * (last - first + 1) > _MOST:
            return []
        numbers = [f"{number:0{width}d}" for number in range(first, last + 1)]
        paths = [_RANGE.sub(number, each, count=1) for each in paths for number in numbers]
    return paths


def _matching(pattern: str) -> list[str]:
    """List the archives at addresses that a pattern matches, sorted."""
    with source_errors():
        found = [each.address for each in entries(root_of(pattern))]
    wanted = of_objects(pattern)
    return [each for each in found if fnmatchcase(each, wanted) and is_container(each)]


def shards_at(folder: str) -> list[str]:
    """List the archives of a folder at an address, unless it has pictures or other folders."""
    start, found = len(folder.rstrip("/")) + 1, []
    with source_errors():
        for each in entries(folder):
            name = each.address[start:]
            if named_as_image(name) or "/" in name:
                return []
            if not name.startswith(HIDDEN) and is_container(each.address):
                found.append(each.address)
    return found


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
                if is_container(entry.path):
                    found.append(entry.path)
    except OSError:  # whoever lists it says why
        return []
    return sorted(found)
