"""Pictures in memory: each is a name, and the bytes that its file has or would have."""

from __future__ import annotations

import io
import os
import stat
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ImageSourceError, one_line
from featx.images import netpbm

if TYPE_CHECKING:
    from PIL import Image

_LAZY = ("JPEG", "MPO", "PNG")  # formats whose images are sure to be untouched until they are read
_loading = threading.Lock()  # one image may be given twice, and Pillow reads it once


class MemoryImage(str):
    """A picture in memory, which stands wherever the path of a file does.

    As a text it is a name, such as "array[12]" or "image[3]". It is equal to another one of the
    same name and content, so that those of two arrays are told apart; and to its name alone, which
    is what features that were saved know of it. The content must not be changed while in use.
    """

    __slots__ = ("content",)
    content: Any

    def __new__(cls, name: str, content: Any) -> MemoryImage:
        self = super().__new__(cls, name)
        self.content = content
        return self

    def read(self) -> bytes:
        """Return the picture as a file holds it; what cannot be read is an `OSError`."""
        raise NotImplementedError

    def _same(self, content: Any) -> bool:
        return bool(self.content == content)

    def __eq__(self, other: object) -> bool:
        if self is other or not str.__eq__(self, other):
            return self is other
        if not isinstance(other, MemoryImage):
            return True
        return type(self) is type(other) and self._same(other.content)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.content)


class EncodedImage(MemoryImage):
    """The bytes of a file."""

    __slots__ = ()

    def read(self) -> bytes:
        content: bytes = self.content
        return content


class PillowImage(MemoryImage):
    """An image of Pillow: its pixels, upright, as 8-bit grey or RGB."""

    __slots__ = ()

    def read(self) -> bytes:
        from featx.images.decode import upright
        from featx.images.depth import depth_of
        from featx.images.rgb import to_8_bit

        image: Image.Image = self.content
        try:
            depth = partial(depth_of, image, b"")  # its file is not there any more
            with _loading:
                image.load()
                image = upright(image)
            plain = image.mode in ("L", "RGB") and not image.has_transparency_data
            return netpbm.encoded(np.asarray(image if plain else to_8_bit(image, [], depth)))
        except Exception as error:  # Pillow raises anything for a damaged file
            raise OSError(one_line(error)) from error


def picture_in_memory(item: Any, what: str, name: str) -> str | None:
    """Take bytes, an open file, an image of Pillow, or what came of one; None for anything else.

    It becomes an image of this name, or a path where it is a file that can be read from the disk.
    An error, an `ImageSourceError`, begins with `what`.
    """
    if isinstance(item, MemoryImage):
        return item
    if isinstance(item, bytes | bytearray | memoryview):
        return EncodedImage(name, bytes(item))
    if hasattr(item, "read"):
        return _path_of(item) or EncodedImage(name, _read(item, what))
    if hasattr(item, "getexif"):  # not to import Pillow for every list of paths
        source = _unread(item)
        return PillowImage(name, item) if source is None else picture_in_memory(source, what, name)
    return None


def _read(stream: Any, what: str) -> bytes:
    """Read an open file from its beginning, as Pillow does, and leave it where it was."""
    try:
        place = stream.tell() if getattr(stream, "seekable", bool)() else None
        if place is not None:
            stream.seek(0)
        data = stream.read()
        if place is not None:
            stream.seek(place)
    except (OSError, ValueError) as error:  # a file that is closed is a ValueError
        raise ImageSourceError(f"{what} cannot be read ({one_line(error)})") from error
    if not isinstance(data, bytes):
        raise ImageSourceError(
            f"{what} is a {type(stream).__name__} whose read() gives no bytes: expected a file "
            'that is open in binary mode, such as open(path, "rb")'
        )
    return data


def _path_of(stream: Any) -> str | None:
    """Return the path of a file on the disk that is open for reading, which is read only in time.

    One that is open for writing as well is read at once: it may be gone or changed by then.
    """
    if not isinstance(stream, io.BufferedReader) or not isinstance(stream.raw, io.FileIO):
        return None
    with suppress(OSError, ValueError, TypeError):
        path, status = os.fsdecode(stream.name), os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode) and os.path.samestat(status, os.stat(path)):
            return path
    return None


def _unread(image: Any) -> Any:
    """Return the open file of an image that Pillow has opened and not decoded yet, or None.

    Until then it is what its file holds, and need not be decoded as a whole nor kept in memory.
    """
    lazy = getattr(image, "tile", None) and image.format in _LAZY
    if not lazy or image.tell() or image.decoderconfig:  # another frame, or a reduced size
        return None
    return None if image.fp is None or image.fp.closed else image.fp
