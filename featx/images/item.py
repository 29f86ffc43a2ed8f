"""An item of a source of images: a path, or a picture in memory."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from featx.errors import ImageSourceError
from featx.images.arrays import array_image
from featx.images.memory import MemoryImage, picture_in_memory
from featx.images.packed.container import as_member
from featx.paths import member_of
from featx.storage.address import joined, local_path


def is_array(source: Any) -> bool:
    """Whether this is an array of numbers with several axes, of numpy or another library."""
    if isinstance(source, np.ndarray):
        return source.ndim > 1 and source.dtype.kind in "biufc"
    return hasattr(source, "__array__") and getattr(source, "ndim", 1) > 1


def as_image(item: Any, what: str, name: str, root: str | None = None) -> str:
    """Take one image: a path, an address, or a picture in memory of this name.

    An error begins with `what`. A relative path begins in `root`.
    """
    path = os.fsdecode(item) if isinstance(item, os.PathLike) else item
    if isinstance(path, str) and not isinstance(path, MemoryImage):
        if not path:
            raise ImageSourceError(f"{what} is empty: expected a path")
        path = os.path.expanduser(local_path(str(path)))  # of numpy.str_ a plain one
        if root is not None and member_of(path) is None:
            path = joined(root, path)
        return as_member(path)
    image = picture_in_memory(item, what, name)
    if image is None and hasattr(item, "__array__"):
        image = array_image(item, what, name)
    if image is None:
        found = "missing" if item is None or item != item else f"a {type(item).__name__}"
        raise ImageSourceError(
            f"{what} is {found}: expected a path, as str or pathlib.Path, or a "
            "picture in memory: bytes, an open file, a Pillow image or an array"
        )
    return image
