"""Times at which photographs were taken, as the EXIF blocks of their files say."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from io import BytesIO

from featx.images.memory import MemoryImage
from featx.images.packed.container import read_member
from featx.images.quiet import quiet_pillow
from featx.paths import member_of, plain_path
from featx.storage.address import is_address
from featx.storage.deadline import request_threads
from featx.storage.objects import AT_ONCE, read

_HEAD = 1 << 16  # bytes of a file, in which EXIF and its length are
_EXIF_BLOCK = 0x8769
_TAKEN = 0x9003  # DateTimeOriginal
_JPEG = (".jpg", ".jpeg")
_PROBES = 24  # files that are looked at first


def taken_at(paths: Sequence[str]) -> list[datetime | None]:
    """Return when each photograph was taken, None where its file does not say.

    Only JPEGs are asked, and only their first 64 kB are read. Where most of a few files do not say,
    the others are not opened.

    Parameters
    ----------
    paths : sequence of str
        The photographs.
    """
    probes = range(0, len(paths), max(1, len(paths) // _PROBES))
    with quiet_pillow():
        known = dict(zip(probes, _all_taken_at([paths[row] for row in probes]), strict=True))
        if sum(each is not None for each in known.values()) <= len(known) / 2:
            return [None] * len(paths)
        others = [row for row in range(len(paths)) if row not in known]
        found = _all_taken_at([paths[row] for row in others])
        known |= dict(zip(others, found, strict=True))
        return [known[row] for row in range(len(paths))]


def _all_taken_at(paths: Sequence[str]) -> list[datetime | None]:
    """Ask photographs one by one; many at once where they are in a store that is slow to answer."""
    if not any(map(is_address, paths)):
        return [_taken_at(path) for path in paths]
    with request_threads(AT_ONCE, "featx-times") as pool:
        return list(pool.map(_taken_at, paths))


def _taken_at(path: str) -> datetime | None:
    from PIL import Image

    if isinstance(path, MemoryImage) or not plain_path(path).lower().endswith(_JPEG):
        return None
    with suppress(Exception):  # a broken EXIF block, or no file any more, says nothing
        head = _head(path)
        with Image.open(BytesIO(head), formats=["JPEG"]) as image:
            text = image.getexif().get_ifd(_EXIF_BLOCK)[_TAKEN]
        return datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    return None


def _head(path: str) -> bytes:
    """Read the beginning of a file or an object, or all of a picture in an archive."""
    if (member := member_of(path)) is not None:
        return read_member(member)[0]
    if is_address(path):
        return read(path, 0, _HEAD)
    with open(path, "rb") as file:
        return file.read(_HEAD)
