"""Paths of pictures: of files, and of members of archives and of rows of tables.

A member is named as fsspec does it, such as "zip://cat/1.jpg::photos.zip".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from featx.text import printable

KINDS = ("zip", "tar", "parquet")
_BEGINNINGS = tuple(f"{kind}://" for kind in KINDS)
BETWEEN = "::"


class Member(NamedTuple):
    """A picture within a file.

    Attributes
    ----------
    kind : str
        Of `KINDS`: what the file is.
    name : str
        Within the file, with "/" between folders; of a table "column/row".
    container : str
        The path of the file.
    """

    kind: str
    name: str
    container: str

    def __str__(self) -> str:
        return f"{self.kind}://{self.name}{BETWEEN}{self.container}"


def member_of(path: str) -> Member | None:
    """Take the path of a member apart; None for that of a file."""
    if not path.startswith(_BEGINNINGS):
        return None
    kind, _, rest = path.partition("://")
    name, between, container = rest.rpartition(BETWEEN)
    return Member(kind, name, container) if between and container else None


def plain_path(path: str) -> str:
    """Write a path as if archives were folders, to tell names, folders and suffixes by.

    That of zip://cat/1.jpg::photos.zip is photos.zip/cat/1.jpg; that of a file stays as it is.
    """
    member = member_of(path)
    return path if member is None else os.path.join(member.container, *member.name.split("/"))


def file_of(path: str) -> str:
    """Return the file that a picture is in: that of a member, or the picture's own."""
    member = member_of(path)
    return path if member is None else member.container


def shortener(paths: Iterable[str]) -> Callable[[str], str]:
    """Return a function that writes a path relative to the folder that all paths share.

    Where they share none, it writes the last folder and the file: never a path from the root.
    """
    folders = {os.path.dirname(plain_path(path)) for path in paths}
    try:
        common = os.path.commonpath(folders)
    except ValueError:  # some are absolute and some are not
        common = ""

    def short(path: str) -> str:
        path = plain_path(path)
        relative = os.path.relpath(path, common) if common.strip(os.sep) else path
        if os.path.isabs(relative) or relative.startswith(os.pardir):
            relative = os.sep.join(Path(path).parts[-2:])  # the class and the file
        return printable(relative)

    return short
