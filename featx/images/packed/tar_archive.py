"""Tar archives: where each picture lies, and the labels beside it as WebDataset writes them.

Members with the same name up to its first dot belong together: 000123.jpg, 000123.cls and
000123.json are a picture with its label. See https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from featx.images.labels import Label, as_label
from featx.images.packed.container_file import ContainerFile
from featx.images.packed.names import is_picture, notes_on_outside, plain_name
from featx.images.regular import check_size
from featx.text import count

_BLOCK = 512  # bytes
_FILES, _LONG_NAME, _EXTENDED, _SPARSE = b"0\x007", b"L", b"x", b"S"  # types of members
_SPARSE_NOTE = "sparse members are left alone: expected those of a tar without --sparse"
_MOST_OF_NAME = 1 << 16  # bytes of a member that tells the name of the next
_MOST_OF_LABEL = 1 << 10  # bytes of a .cls
_MOST_OF_JSON = 1 << 20
_MOST_MEMBERS = 10_000_000
_WHOLE = re.compile("0|[1-9][0-9]{0,17}")
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"\x28\xb5": "zstd"}


class _Entry(NamedTuple):
    """A file within an archive."""

    name: str
    start: int
    size: int


@dataclass
class TarArchive:
    """The pictures of a tar archive.

    Attributes
    ----------
    names : list of str
        Of its pictures, sorted by code points.
    n_other : int
        Other files in it, but for those that tell labels.
    notes : tuple of str
        What a reader should know of it.
    labels : list of labels, or None
        Of each picture, as a file beside it says; None where none does.
    label_column : str
        What a .json beside a picture calls its label.
    """

    names: list[str] = field(default_factory=list)
    n_other: int = 0
    notes: tuple[str, ...] = ()
    labels: list[Label | None] | None = None
    label_column: str = "label"
    _rows: dict[str, int] = field(default_factory=dict)
    _places: array[int] = field(default_factory=lambda: array("Q"))  # start and size of each

    @classmethod
    def of(cls, file: ContainerFile, label_column: str = "label") -> TarArchive:
        """Go through an archive from front to back; an `OSError` where it is none.

        `label_column` is what a .json beside a picture calls its label.
        """
        archive, told = cls(label_column=label_column), dict[str, Label]()
        n_outside, is_divided = 0, False
        notes: list[str] = []
        for entry in _entries(file, notes):
            name = plain_name(entry.name)
            if name is None:
                n_outside += 1
                archive.n_other += 1
            elif is_picture(name):
                archive._rows[name] = len(archive._places) // 2
                archive._places.extend((entry.start, entry.size))
            elif name.lower().endswith((".cls", ".json", ".txt")):
                is_divided = True
                label = _label(file, entry, label_column)
                if label is not None:
                    told[_key(name)] = label
            else:
                archive.n_other += 1
        archive.names = sorted(archive._rows)
        if is_divided:
            notes += archive._leave_companions()
        if told:
            archive.labels = [told.get(_key(name)) for name in archive.names]
        archive.notes = (*notes, *notes_on_outside(n_outside))
        return archive

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, of which `from_dict` makes the same again."""
        rows = [self._rows[name] for name in self.names]
        return {
            "names": self.names,
            "starts": [self._places[2 * row] for row in rows],
            "sizes": [self._places[2 * row + 1] for row in rows],
            "n_other": self.n_other,
            "notes": self.notes,
            "labels": self.labels,
            "label_column": self.label_column,
        }

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> TarArchive:
        """Make an archive of what `to_dict` returned."""
        places = array("Q")
        for place in zip(told.pop("starts"), told.pop("sizes"), strict=True):
            places.extend(place)
        rows = {name: row for row, name in enumerate(told["names"])}
        return cls(**told | {"notes": tuple(told["notes"])}, _rows=rows, _places=places)

    def _leave_companions(self) -> list[str]:
        """Leave out pictures beside others, such as 1.mask.png beside 1.jpg; say how many."""
        whole = {_key(name) for name in self.names if _key(name) == name.rpartition(".")[0]}
        companions = [
            name
            for name in self.names
            if _key(name) in whole and _key(name) != name.rpartition(".")[0]
        ]
        for name in companions:
            del self._rows[name]
        self.names = sorted(self._rows)
        self.n_other += len(companions)
        if not companions:
            return []
        return [
            f"left alone: {count(len(companions), 'picture')} beside others of the same key, "
            f"such as {companions[0]}"
        ]

    def size_of(self, name: str) -> int:
        """Return how many bytes a picture has."""
        return self._places[2 * self._rows[name] + 1]

    def read(self, file: ContainerFile, name: str) -> bytes:
        """Return the bytes of a picture; an `OSError` where they are not all there."""
        row = self._rows[name]
        start, size = self._places[2 * row], self._places[2 * row + 1]
        check_size(size)
        data = file.read(start, size)
        if len(data) < size:
            raise OSError("cut off, as its archive is")
        return data


def _entries(file: ContainerFile, notes: list[str]) -> Iterator[_Entry]:
    """Yield the files of an archive; a note says where what follows is damaged."""
    place, number, name, size = 0, 0, "", -1
    if file.size < _BLOCK:
        raise OSError(_no_archive(file.near(0, _BLOCK)))
    while place + _BLOCK <= file.size:
        header = file.near(place, _BLOCK)
        if not header.strip(b"\0"):
            return
        own = _number(header[124:136])
        if own is None or _number(header[148:156]) != _sum(header):
            if number == 0:
                raise OSError(_no_archive(header))
            notes.append(f"damaged behind its member {number}: what follows is lost")
            return
        kind, start = header[156:157], place + _BLOCK
        place = start
        number += 1
        if number > _MOST_MEMBERS:
            raise OSError(f"more than {_MOST_MEMBERS:,} members")
        if kind in (_LONG_NAME, _EXTENDED):
            told = file.near(start, own) if own <= _MOST_OF_NAME else b""
            if kind == _LONG_NAME:
                name = told.rstrip(b"\0").decode("utf-8", "replace")
            else:
                name, size = _extended(told, name, size)
        elif kind in _FILES:
            own = own if size < 0 else size
            yield _Entry(name or _name(header), start, own)
        elif kind == _SPARSE and _SPARSE_NOTE not in notes:
            notes.append(_SPARSE_NOTE)
        if kind not in (_LONG_NAME, _EXTENDED):
            name, size = "", -1
        place += -(-own // _BLOCK) * _BLOCK


def _no_archive(header: bytes) -> str:
    """Say what a file is that does not begin as an archive does."""
    packed = next((how for mark, how in _COMPRESSED.items() if header.startswith(mark)), None)
    if packed:
        return (
            f"a tar archive that {packed} has compressed, in which nothing is found without "
            "unpacking all of it: expected a plain .tar (pictures are compressed already)"
        )
    return f"no tar archive: it {'begins with something else' if header else 'is empty'}"


def _number(field: bytes) -> int | None:
    """Read a number: octal digits or, where it is large, bytes. None where it is neither."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value if value < 1 << 62 else None
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return None


def _sum(header: bytes) -> int:
    """Return the checksum of a header, in which its own place counts as spaces."""
    return sum(header) - sum(header[148:156]) + 8 * ord(" ")


def _name(header: bytes) -> str:
    """Read the name in a header, and the folders that POSIX puts elsewhere."""
    name = header[:100].partition(b"\0")[0]
    if header[257:263] == b"ustar\0":
        folders = header[345:500].partition(b"\0")[0]
        name = folders + b"/" + name if folders else name
    return name.decode("utf-8", "replace")


def _extended(told: bytes, name: str, size: int) -> tuple[str, int]:
    """Read the name and the size in an extended header, where they are told."""
    while told:
        length, _, _ = told.partition(b" ")
        if not length.isdigit() or not 0 < int(length[:9]) <= len(told):
            break
        key, _, value = told[len(length) + 1 : int(length) - 1].partition(b"=")
        if key == b"path":
            name = value.decode("utf-8", "replace")
        elif key == b"size" and value[:19].isdigit():
            size = int(value[:19])
        told = told[int(length) :]
    return name, size


def _key(name: str) -> str:
    """Return what names of members that belong together have in common: up to the first dot."""
    folders, between, file = name.rpartition("/")
    return folders + between + file.partition(".")[0]


def _label(file: ContainerFile, entry: _Entry, column: str) -> Label | None:
    """Read the label in a file beside a picture; None where it tells none."""
    if entry.name.lower().endswith(".cls") and entry.size <= _MOST_OF_LABEL:
        text = file.near(entry.start, entry.size).decode("utf-8", "replace").strip()
        return int(text) if _WHOLE.fullmatch(text) else text or None
    if entry.name.lower().endswith(".json") and entry.size <= _MOST_OF_JSON:
        try:
            told = json.loads(file.near(entry.start, entry.size))
        except (ValueError, RecursionError):
            return None
        label = told.get(column) if isinstance(told, dict) else None
        return as_label(label) if isinstance(label, str | int) and label != "" else None
    return None
