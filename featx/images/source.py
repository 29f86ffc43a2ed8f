"""Sources of images: what names them, and which of it is a folder, a table or several."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

from featx.images.bucket import names_folder
from featx.images.memory import MemoryImage
from featx.images.packed.container import container_in
from featx.images.packed.shards import shards_in
from featx.images.pattern import is_pattern
from featx.images.table import is_table
from featx.paths import file_of
from featx.storage.address import is_absolute, is_address, local_path

#: What names images: a folder, a picture (a path, bytes, an open file, an image of Pillow), a
#: sequence or table of these, or an array of pictures; where a function says so, features of them.
#: Any object, since tables and arrays of several libraries are known by what they can do.
ImageSource: TypeAlias = Any


def folders_in(source: ImageSource) -> list[str]:
    """Return the folder that is a source, or those among the items of a list."""
    items = source if isinstance(source, list | tuple) else [source]
    return [os.path.expanduser(local_path(os.fspath(item))) for item in items if is_folder(item)]


def is_several(path: str) -> bool:
    """Tell a pattern, or a range of archives, from the path of one file."""
    return ("*" in path and is_pattern(path)) or ("{" in path and bool(shards_in(path)))


def lists_a_table(source: ImageSource) -> bool:
    """Tell whether the file of a table is among the items of a list."""
    return isinstance(source, list | tuple) and any(map(is_table, source))


def looked_in(path: str) -> str:
    """Say in which folder a relative path was looked for."""
    return "" if is_absolute(file_of(path)) else f" in {os.getcwd()}"


def is_folder(source: ImageSource) -> bool:
    """Tell a path of a folder, or of an archive, from whatever else names images."""
    if not isinstance(source, str | os.PathLike) or isinstance(source, MemoryImage):
        return False
    path = os.path.expanduser(local_path(os.fsdecode(source)))
    if container_in(path) is not None:
        return True
    return names_folder(path) if is_address(path) else os.path.isdir(path)
