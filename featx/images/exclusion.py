"""Exclusions: images to leave out, by their paths or by a file that lists them.

The file is text, a path a line; lines that begin with # are comments. A path that is no plain line
(it begins with # or a quotation mark or a space, or has an end of a line in it) stands there as a
string of JSON.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from featx.errors import OptionError, one_line
from featx.images.memory import MemoryImage
from featx.paths import plain_path
from featx.storage.address import absolute, joined
from featx.text import count, printable, shortened

_MOST_BYTES = 64 << 20
_ODD = re.compile(r"[#\"\s]|.*\s$|.*[\x00-\x1f\x7f-\x9f\u2028\u2029]", re.DOTALL)

#: How a note begins that says that nothing was left out.
NOTHING = "nothing is left out"
_SOME = "left out, as"


@dataclass(frozen=True)
class Exclusion:
    """Paths of images to leave out.

    Parameters
    ----------
    paths : tuple of str
        Relative or absolute.
    name : str
        Where they come from, for a message.
    """

    paths: tuple[str, ...]
    name: str = "exclude"

    @classmethod
    def of(cls, given: object) -> Exclusion:
        """Take paths, or read a file that lists them."""
        if isinstance(given, Exclusion):
            return given
        if isinstance(given, str | os.PathLike):
            file = os.path.expanduser(os.fsdecode(given))
            return cls(tuple(_read(file)), file)
        if not isinstance(given, Iterable):
            raise OptionError(
                f"exclude is a {type(given).__name__}: expected a file that lists paths, or a list "
                "of paths"
            )
        return cls(tuple(_as_path(each, row) for row, each in enumerate(given)))

    def leaves_out(self, paths: Sequence[str], folders: Iterable[str]) -> list[bool]:
        """Say which images are left out; relative paths begin in one of the folders."""
        starts = [*dict.fromkeys(absolute(folder) for folder in folders)]
        own = [plain_path(path) for path in self.paths]
        named = {absolute(joined(start, path)) for start in starts for path in own}
        return [
            not isinstance(path, MemoryImage) and absolute(plain_path(path)) in named
            for path in paths
        ]

    def note(self, n: int, total: int) -> str:
        """Say how many images were left out of so many."""
        if n:
            return f"{_SOME} {self.name} says: {n:,} of {count(total, 'image')}"
        return (
            f"{NOTHING}: of {count(len(self.paths), 'path')} that {self.name} lists, such as "
            f"{shortened(self.paths[0], 60, end=30)}, none is among {count(total, 'image')}"
        )


def is_of_exclusion(note: str) -> bool:
    """Whether a note says what was left out as asked."""
    return note.startswith((NOTHING, _SOME))


def line_of_path(path: str) -> str:
    """Write a path as a line of a file that lists paths."""
    return json.dumps(path) if _ODD.match(path) else path


def _read(file: str) -> list[str]:
    """Read a file that lists paths."""
    expected = "expected a text file with a path a line, as `featx check --list` writes"
    try:
        with open(file, "rb") as source:
            data = source.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise OptionError(f"exclude {file!r} cannot be read: {reason}; {expected}") from error
    if b"\0" in data or len(data) > _MOST_BYTES:
        raise OptionError(f"exclude {file!r} is no list of paths: {expected}")
    lines = data.decode("utf-8-sig", "surrogateescape").split("\n")
    paths = []
    for number, line in enumerate((each.strip(" \t\r") for each in lines), 1):
        if line and not line.startswith("#"):
            paths.append(_unquoted(line, f"line {number} of {file}") if line[0] == '"' else line)
    return paths


def _unquoted(line: str, where: str) -> str:
    try:
        path = json.loads(line)
    except ValueError as error:
        raise OptionError(
            f"{where} begins with a quotation mark and is no string of JSON: {printable(line)}"
        ) from error
    return str(path)


def _as_path(path: object, row: int) -> str:
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise OptionError(f"item {row} of exclude is {path!r}: expected a path")
    return os.path.expanduser(os.fsdecode(path))
