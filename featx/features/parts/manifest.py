"""The manifest of a folder of features: what made them, and which parts there are.

It is a JSON file whose name begins with "_", so that programs which read a folder of Parquet files
pass it over. It is written first, as unfinished, and last, when all parts are there.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from featx.errors import FeatxError, StorageError, one_line
from featx.features.parts.part import STATUSES
from featx.features.parts.place import Place

NAME = "_manifest.json"
FORMAT = 1
PART = re.compile(r"part-[0-9]{5,9}\.parquet")
_KIND = "featx features"
_MOST_BYTES = 256 << 20
_MOST_WIDTH = 1 << 28  # columns of a vector
_MOST = 1 << 48  # of what is counted
_MOST_PACKED = 64  # times smaller than they are, vectors that another program compressed


@dataclass(frozen=True)
class Entry:
    """A part as the manifest lists it: its pictures, those of them that failed, and its bytes.

    `footer` is the checksum of its footer, by which it is told from parts of other folders; None in
    manifests that do not have it yet.
    """

    name: str
    pictures: int
    failed: int
    bytes: int
    footer: int | None = None


@dataclass(frozen=True)
class Manifest:
    """What a folder of features holds.

    Attributes
    ----------
    about : dict
        The description, as `featx.features.description` writes it.
    shape : tuple of int
        Of one vector; empty as long as the folder is not finished.
    parts : tuple of Entry
    labels : str or None
        The type of labels: "str", "int", "bool"; None where there are none.
    unlabelled : int
        Rows without a label.
    """

    about: dict[str, Any]
    shape: tuple[int, ...] = ()
    parts: tuple[Entry, ...] = ()
    labels: str | None = None
    unlabelled: int = 0
    finished: bool = True

    @property
    def width(self) -> int:
        """Columns of a vector."""
        return math.prod(self.shape)

    def write(self, place: Place) -> None:
        """Put the manifest into its folder."""
        document: dict[str, Any] = {
            "kind": _KIND,
            "format": FORMAT,
            "finished": self.finished,
            "shape": list(self.shape),
            "dtype": "float32",
            "labels": self.labels,
            "unlabelled": self.unlabelled,
            "about": self.about,
            "parts": [asdict(each) for each in self.parts],
        }
        document["checksum"] = _checksum(document)
        with place.written(NAME) as file:
            file.write_text(json.dumps(document, indent=1))

    def is_replaced(self, place: Place) -> bool:
        """Whether the folder holds another manifest by now, one of another `about`."""
        try:
            with place.opened(NAME) as file:
                return bool(json.loads(_whole(file, _MOST_BYTES))["about"] != self.about)
        except (KeyError, TypeError, ValueError):
            return True
        except OSError:  # it is gone: whoever writes there says why
            return False

    def check(self, place: Place, files: Mapping[str, int]) -> None:
        """Check that the parts are there, and large enough to hold what is said of them."""
        for each in self.parts:
            if each.name not in files:
                raise StorageError(
                    f"{place} lacks {each.name}, which its manifest names; copy the whole folder"
                )
            least = 4 * (each.pictures - each.failed) * self.width // _MOST_PACKED
            if files[each.name] < max(least, each.pictures // _MOST_PACKED):
                raise StorageError(
                    f"{each.name} of {place} has {files[each.name]:,} bytes, {each.bytes:,} were "
                    "written: copy it again"
                )

    @classmethod
    def read(cls, place: Place) -> Manifest:
        """Read the manifest of a folder; what is missing or damaged is a `StorageError`."""
        files = place.files()
        size = files.get(NAME)
        if size is None:
            lacks = f"has no {NAME}" if files else "is not there, or is empty"
            raise StorageError(f"{place} {lacks}: expected a folder of features that featx wrote")
        try:
            if size > _MOST_BYTES:
                raise ValueError(f"{size:,} bytes, at most {_MOST_BYTES:,}")
            with place.opened(NAME) as file:
                document = json.loads(_whole(file, size))
            manifest = _manifest(place, document)
            manifest.check(place, files)
            return manifest
        except FeatxError:
            raise
        except Exception as error:  # whatever damaged bytes are read as
            raise StorageError(
                f"{NAME} of {place} is damaged ({one_line(error)}); copy it again, or embed into "
                "the same folder again, which keeps the parts that are there"
            ) from error


def _whole(file: Any, size: int) -> bytes:
    data = bytearray()
    while len(data) <= size and (block := file.read(size + 1 - len(data))):
        data += block
    return bytes(data)


def _checksum(document: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(document, sort_keys=True).encode())


def _manifest(place: Place, document: Any) -> Manifest:
    """Check what a manifest says; whatever it cannot say is an error of any kind."""
    if not isinstance(document, dict) or document.get("kind") != _KIND:
        raise ValueError("not one of features")
    if document["format"] != FORMAT:
        raise StorageError(
            f"{place} is of format {document['format']!r}, expected {FORMAT}; update featx or "
            "embed the images again"
        )
    if document.pop("checksum") != _checksum(document):
        raise ValueError("it was changed: its checksum does not match")
    parts = tuple(_entry(each) for each in document["parts"])
    if [each.name for each in parts] != sorted({each.name for each in parts}):
        raise ValueError("the parts are not in order")
    shape = tuple(_number(each, _MOST_WIDTH) for each in document["shape"])
    if math.prod(shape) > _MOST_WIDTH or (bool(shape) < bool(document["finished"])):
        raise ValueError(f"the shape is {shape}")
    labels = document["labels"]
    if labels not in (None, "str", "int", "bool") or not isinstance(document["about"], dict):
        raise ValueError(f"labels of type {labels!r}")
    return Manifest(
        document["about"],
        shape,
        parts,
        labels,
        _number(document["unlabelled"]),
        document["finished"] is True,
    )


def _entry(told: dict[str, Any]) -> Entry:
    footer = told.get("footer")
    pictures, failed, size = (_number(told[name]) for name in ("pictures", "failed", "bytes"))
    entry = Entry(
        str(told["name"]), pictures, failed, size, None if footer is None else _number(footer)
    )
    if not PART.fullmatch(entry.name) or entry.failed > entry.pictures:
        raise ValueError(f"{entry.name!r} is no part")
    return entry


def _number(told: Any, most: int = _MOST) -> int:
    if type(told) is not int or not 0 <= told <= most:
        raise ValueError(f"{told!r} is no count")
    return told


def counts_of(about: dict[str, Any], parts: Sequence[Entry]) -> dict[str, int]:
    """Return how many pictures had which outcome, as the description says."""
    told = about["outcomes"]
    counts = {status: _number(told.get(status, 0)) for status in STATUSES}
    if counts["failed"] != sum(each.failed for each in parts):
        raise ValueError(f"{counts['failed']:,} pictures failed")
    return counts
