"""Zip archives: where each picture lies, and what it holds.

Python's `zipfile` takes a thousand bytes of memory for each member, and unpacks whatever a member
claims to be. Here the list of members is bounded, members that share bytes are refused, and no
member gives more than the list says.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from featx.images.packed.container_file import ContainerFile
from featx.images.packed.names import is_picture, notes_on_outside, plain_name
from featx.images.regular import check_size

# See https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3
_LOCAL = struct.Struct("<4s5H3I2H")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCATOR64 = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LONGEST_COMMENT = 0xFFFF  # bytes
_MOST_LIST = 1 << 29  # bytes: some five million members
_IN_EXTRA = 0xFFFFFFFF  # in place of a number that stands in 64 bits in the extra field
_EXTRA64 = 1
_ENCRYPTED, _IS_UNICODE = 1, 1 << 11
_STORED, _DEFLATED = 0, 8
_LINK, _KIND_OF_FILE, _UNIX = 0o120000, 0o170000, 3
_SLACK = 512  # bytes that a header may be longer at the member than in the list

_DAMAGED = "a damaged zip archive: its list of members is not whole"


class _Entry(NamedTuple):
    """What the list of members says of one."""

    header: int  # where it begins, in bytes
    packed: int  # bytes in the archive
    size: int  # bytes
    checksum: int
    method: int  # how it is packed
    flags: int
    name: int  # bytes of its name


@dataclass(frozen=True)
class ZipArchive:
    """The pictures of a zip archive.

    Attributes
    ----------
    names : list of str
        Of its pictures, sorted by code points.
    n_other : int
        Other files in it.
    notes : tuple of str
        What a reader should know of it.
    """

    names: list[str]
    n_other: int
    notes: tuple[str, ...]
    _rows: dict[str, int]
    _table: np.ndarray  # a row a picture, the columns those of an `_Entry`

    @classmethod
    def of(cls, file: ContainerFile) -> ZipArchive:
        """Read the list of members; an `OSError` where it is damaged."""
        try:
            start, size, shift = _directory(file)
            return _listed(file.read(start, size), shift, start)
        except (struct.error, OverflowError) as error:
            raise OSError(_DAMAGED) from error

    def size_of(self, name: str) -> int:
        """Return how many bytes a picture has, as the list says."""
        return self._of(name).size

    def read(self, file: ContainerFile, name: str) -> bytes:
        """Return the bytes of a picture; an `OSError` where they are not what the list says."""
        entry = self._of(name)
        check_size(max(entry.size, entry.packed))
        if entry.flags & _ENCRYPTED:
            raise OSError("encrypted: unpack the archive with its password")
        if entry.method not in (_STORED, _DEFLATED):
            raise OSError(
                f"packed by method {entry.method} of zip: expected members that are stored or "
                "deflated; pack the archive again"
            )
        data = file.read(entry.header, _LOCAL.size + entry.name + _SLACK + entry.packed)
        if len(data) < _LOCAL.size or not data.startswith(b"PK\3\4"):
            raise OSError("not where the list of its archive says: the archive is damaged")
        *_, n, n_extra = _LOCAL.unpack_from(data)
        start = _LOCAL.size + n + n_extra
        held = memoryview(data)[start : start + entry.packed]
        if len(held) < entry.packed:
            held = memoryview(file.read(entry.header + start, entry.packed))
        return _unpacked(held, entry)

    def _of(self, name: str) -> _Entry:
        return _Entry(*self._table[self._rows[name]].tolist())


def _unpacked(held: memoryview, entry: _Entry) -> bytes:
    """Unpack a member, no further than its size."""
    if entry.method == _DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(held, entry.size + 1)
        except zlib.error as error:
            raise OSError("damaged: it cannot be unpacked") from error
    else:
        data = bytes(held)
    if len(data) != entry.size or zlib.crc32(data) != entry.checksum:
        raise OSError("damaged: it is not what the list of its archive says")
    return data


def _directory(file: ContainerFile) -> tuple[int, int, int]:
    """Find the list of members: its place, its bytes, and how far all places are shifted.

    They are where something stands before the archive, such as a program that unpacks it.
    """
    tail = min(file.size, _LOCATOR64.size + _END64.size + _END.size + _LONGEST_COMMENT)
    ending = file.read(file.size - tail, tail)
    place = ending.rfind(b"PK\5\6")
    if place < 0:
        raise OSError("no zip archive, or one that is cut off: its list of members is missing")
    *_, size, start, _ = _END.unpack_from(ending, place)
    end = file.size - tail + place
    if ending[max(0, place - _LOCATOR64.size) : place].startswith(b"PK\6\7"):
        end -= _LOCATOR64.size + _END64.size
        mark, *_, size, start = _END64.unpack(file.read(end, _END64.size))
        if mark != b"PK\6\6":
            raise OSError(_DAMAGED)
    shift = end - size - start
    if shift < 0 or size > _MOST_LIST:
        raise OSError(_DAMAGED)
    return start + shift, size, shift


def _listed(directory: bytes, shift: int, end: int) -> ZipArchive:
    """Read the list of members; their contents lie before `end`."""
    starts, spans, values = array("Q"), array("Q"), array("Q")
    rows: dict[str, int] = {}
    n_files = n_outside = position = 0
    while position < len(directory):
        raw, is_link, entry, position = _entry(directory, position)
        entry = entry._replace(header=entry.header + shift)
        starts.append(entry.header)
        spans.append(_LOCAL.size + entry.name + entry.packed)
        if raw.endswith((b"/", b"\\")):  # a folder
            continue
        n_files += 1
        name = plain_name(_decoded(raw, entry.flags))
        n_outside += name is None
        if name is None or is_link or not is_picture(name):
            continue
        rows[name] = len(values) // len(entry)
        values.extend(entry)
    _check_apart(np.array(starts), np.array(spans), end)
    table = np.array(values).reshape(-1, len(_Entry._fields))
    return ZipArchive(sorted(rows), n_files - len(rows), notes_on_outside(n_outside), rows, table)


def _entry(directory: bytes, position: int) -> tuple[bytes, bool, _Entry, int]:
    """Read an entry: its name, whether it is a link, what it says, and where the next one is."""
    mark, system, _, flags, method, _, _, checksum, packed, size, n, n_extra, n_comment, *rest = (
        _ENTRY.unpack_from(directory, position)
    )
    _, _, attributes, header = rest
    name_end = position + _ENTRY.size + n
    following = name_end + n_extra + n_comment
    if mark != b"PK\1\2" or following > len(directory):
        raise OSError(_DAMAGED)
    if _IN_EXTRA in (size, packed, header):
        extra = directory[name_end : name_end + n_extra]
        size, packed, header = _in_64_bits(extra, size, packed, header)
    is_link = system >> 8 == _UNIX and attributes >> 16 & _KIND_OF_FILE == _LINK
    entry = _Entry(header, packed, size, checksum, method, flags, n)
    return directory[position + _ENTRY.size : name_end], is_link, entry, following


def _in_64_bits(extra: bytes, *numbers: int) -> list[int]:
    """Return the numbers of an entry; those that did not fit stand in its extra field, in order."""
    position = 0
    while True:
        kind, size = struct.unpack_from("<2H", extra, position)
        position += 4
        if kind == _EXTRA64:
            break
        position += size
    longer = iter(struct.unpack_from(f"<{numbers.count(_IN_EXTRA)}Q", extra, position))
    return [next(longer) if number == _IN_EXTRA else number for number in numbers]


def _decoded(raw: bytes, flags: int) -> str:
    """Return a name; many programs write UTF-8 and do not say so."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8" if flags & _IS_UNICODE else "cp437", "replace")


def _check_apart(starts: np.ndarray, spans: np.ndarray, end: int) -> None:
    """Raise an `OSError` where members share bytes: so a small archive unpacks to a huge one."""
    if not len(starts):
        return
    if max(starts.max(), spans.max()) > end:
        raise OSError("a damaged zip archive, or one that is cut off: members lie beyond its end")
    order = np.argsort(starts)
    ends = starts[order] + spans[order]
    if ends[-1] > end or (ends[:-1] > starts[order][1:]).any():
        raise OSError("a damaged zip archive: its members share bytes")
