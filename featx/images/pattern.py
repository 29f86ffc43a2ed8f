"""Patterns of paths with wild cards, such as photos/**/*.jpg, that no shell has expanded."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Sequence

from featx.images.bucket import is_name, list_address
from featx.images.listing import list_folder, named_as_image
from featx.paths import member_of
from featx.storage.address import is_address, is_on_web

_NAME_IN_MEMORY = re.compile(r"(array|image)\[\d+\]")  # all that saved features know of a picture


def is_pattern(path: str) -> bool:
    """Tell a path with wild cards (*, ?, [a-z]) from one of a file that is there.

    The name of a picture that was in memory, such as "array[3]", is none either, nor is that of one
    in an archive. In a bucket "*" alone is a wild card: "?" and "[" are in many names of objects.
    """
    if is_address(path):
        return "*" in path and not is_on_web(path) and not is_name(path)
    named = os.path.lexists(path) or _NAME_IN_MEMORY.fullmatch(path) or member_of(path) is not None
    return glob.has_magic(path) and not named


def root_of(pattern: str) -> str:
    """Return the folder before the first wild card of a pattern; empty for the current one."""
    return _divided(pattern)[0]


def of_objects(pattern: str) -> str:
    """Write the pattern of an address as `fnmatch` takes it, where "?" and "[" are wild cards."""
    return re.sub(r"[?[]", r"[\g<0>]", pattern)


def _divided(pattern: str) -> tuple[str, list[str]]:
    """Divide a pattern into the folder before its first wild card, and the names from there on."""
    names = pattern.replace(os.sep, "/").split("/")
    marks = "*" if is_address(pattern) else "*?["
    first = next(place for place, name in enumerate(names) if set(name) & set(marks))
    return "/".join(names[:first]) or ("/" if first else ""), names[first:]


def matching(pattern: str) -> tuple[str, list[str], int]:
    """Find the pictures that a pattern matches, and those in folders that it matches.

    "**" stands for folders in folders, any number of them. Returns the folder before the first
    wild card, the paths below it, with "/" between names and sorted by code points, and how many
    matching files are no pictures by their names.
    """
    root, names = _divided(pattern)
    wild = list(map(of_objects, names)) if is_address(pattern) else names
    if "**" in wild or is_address(root):
        found = _below(root, wild)
    else:
        found = {
            os.path.relpath(each, root or os.curdir).replace(os.sep, "/")
            for path in glob.glob(pattern)
            for each in (_inside(path) if os.path.isdir(path) else [path])
        }
    pictures = sorted(path for path in found if named_as_image(path) and not _is_hidden(path))
    return root, pictures, len(found) - len(pictures)


def _below(root: str, wild: Sequence[str]) -> set[str]:
    """List the files below a folder of which, or of a folder around which, the names match."""
    if is_address(root):
        listing = list_address(root)
    elif os.path.isdir(root or os.curdir):
        listing = list_folder(root or os.curdir)
    else:
        return set()
    found = set()
    for path in (*listing.images, *listing.others):
        names = path.split("/")
        if any(_matches(names[:n], wild) for n in range(1, len(names) + 1)):
            found.add(path)
    return found


def _inside(folder: str) -> list[str]:
    listing = list_folder(folder)
    return [os.path.join(folder, path) for path in (*listing.images, *listing.others)]


def _is_hidden(path: str) -> bool:
    return os.path.basename(path).startswith(".")


def _matches(names: Sequence[str], wild: Sequence[str]) -> bool:
    """Whether the names of a path, one below the other, are what a pattern has."""
    if not wild or not names:
        return not names and all(each == "**" for each in wild)
    if wild[0] == "**":
        return _matches(names, wild[1:]) or _matches(names[1:], wild)
    return fnmatch.fnmatch(names[0], wild[0]) and _matches(names[1:], wild[1:])
