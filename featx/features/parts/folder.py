"""A folder of features: opened to read what is asked for, or written part by part."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from featx.errors import OptionError, StorageError, one_line
from featx.features.columns import as_paths, labels_from_texts
from featx.features.description import fields_of
from featx.features.formats import FOLDER_SUFFIX
from featx.features.parts.manifest import NAME, Manifest, counts_of
from featx.features.parts.part import Part, Rows
from featx.features.parts.place import place_of
from featx.features.parts.rows import LazyRows
from featx.features.whereabouts import Whereabouts
from featx.images.decode import Outcome
from featx.storage.address import is_address, local_path, text_of
from featx.storage.deadline import request_threads


def names_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a path names a folder of features: it ends in ".features" or "/", or is one."""
    text = os.fspath(path)
    by_name = text.lower().endswith((FOLDER_SUFFIX, "/", os.sep))
    return by_name or (not is_address(text) and is_folder(path))


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder of features at a path.

    An address is looked at only where its name says so.
    """
    place = place_of(path)
    if place.folder is not None:
        return os.path.isfile(place.folder / NAME)
    return str(place).lower().endswith(FOLDER_SUFFIX) and NAME in place.files()


def check_outside(path: str | os.PathLike[str]) -> None:
    """Check that what is to be written is in no folder of features; else an `OptionError`."""
    text = local_path(text_of(path)).rstrip("/")
    if is_address(text):
        above = [text[:end] for end, each in enumerate(text) if each == "/"]
        above = [each for each in above if each.lower().endswith(FOLDER_SUFFIX)]
    else:
        above = [str(each) for each in Path(os.path.abspath(os.path.expanduser(text))).parents]
    for folder in above:
        if is_folder(folder):
            raise OptionError(
                f"cannot write {text}: {folder} is a folder of features, whose files are its own; "
                "name a place outside of it"
            )


class FeatureFolder:
    """A finished folder of features.

    Whatever is missing, damaged or not finished is a `StorageError`, if need be when it is read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        root: str | os.PathLike[str] | None = None,
        kept: Mapping[str, int] | None = None,
    ) -> None:
        """Open the folder; `root` is where the pictures are, if that is told.

        `kept` names the parts that a run kept of an earlier one, with the pictures of each that
        were embedded then: these count as cached.
        """
        self.place = place_of(path)
        self.manifest = manifest = Manifest.read(self.place)
        if not manifest.finished:
            raise StorageError(
                f"{self.place} is not finished: run the command that makes it again, which goes on"
            )
        self._parts = [
            Part(self.place, each.name, each.pictures, each.failed, manifest.width, each.footer)
            for each in manifest.parts
        ]
        self.rows = LazyRows(self._parts, manifest.shape, self.place.folder)
        try:
            self.counts = counts_of(manifest.about, manifest.parts)
            self.fields = fields_of(manifest.about)
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            raise StorageError(f"{self.place} cannot be used: {one_line(error)}") from error
        self._kept = kept or {}
        for status, n in (("embedded", -1), ("cached", 1)):
            self.counts[status] += n * sum(self._kept.values())
        self._root = root
        self._last: tuple[int, Rows] | None = None

    @property
    def paths(self) -> np.ndarray:
        """The picture of each row, where it is now."""
        return as_paths([self.found(path or "") for path in self._texts("path")])

    @property
    def y(self) -> np.ndarray | None:
        """The label of each row."""
        return None if self.manifest.labels is None else self._as_labels(self._texts("label"))

    @property
    def digests(self) -> np.ndarray | None:
        """The key of each row, None where no key is known."""
        with request_threads(self.place.threads, "featx-parts") as pool:
            keys = np.concatenate([np.empty(0, "S64"), *pool.map(Part.keys, self._parts)])
        return keys if keys.any() else None

    @property
    def outcomes(self) -> Iterator[Outcome]:
        """The outcome of each picture, also of those that have no row."""
        for number in range(len(self._parts)):
            yield from self._moved(self._rows_of(number).outcomes)

    @property
    def failed(self) -> Iterator[Outcome]:
        """The outcomes of the pictures that failed; parts in which none did are not read."""
        for number, part in enumerate(self._parts):
            if part.failed:
                outcomes = self._rows_of(number).outcomes
                yield from self._moved([each for each in outcomes if each and not each.ok])

    def columns(self, start: int, stop: int) -> dict[str, Any]:
        """Return all but the vectors of consecutive rows, as fields of features."""
        lines: list[tuple[Any, ...]] = []
        first = 0
        for number, part in enumerate(self._parts):
            if first < stop and start < first + len(part):
                rows = self._rows_of(number)
                columns = zip(rows.paths, rows.labels, rows.digests, rows.outcomes, strict=True)
                sound = [line for line in columns if line[3] is None or line[3].ok]
                lines += sound[max(0, start - first) : stop - first]
            first += len(part)
        paths, labels, digests, outcomes = zip(*lines, strict=True) if lines else ((),) * 4
        keys = np.array([each or "" for each in digests], dtype="S64")
        return {
            "paths": as_paths([self.found(path) for path in paths]),
            "y": None if self.manifest.labels is None else self._as_labels(labels),
            "digests": keys if keys.any() else None,
            "outcomes": tuple(self._moved(outcomes)),
        }

    def _texts(self, name: str) -> list[str | None]:
        return [text for part in self._parts for text in part.texts(name)]

    def _as_labels(self, texts: Sequence[str | None]) -> np.ndarray:
        """Return labels in the type that those of all rows have."""
        labels = labels_from_texts(texts, self.manifest.labels)
        if labels is None:
            return np.full(len(texts), None, dtype=object)
        return labels.astype(object) if self.manifest.unlabelled else labels

    def _moved(self, outcomes: Iterable[Outcome | None]) -> Iterator[Outcome]:
        for each in outcomes:
            if each is not None:
                yield replace(each, path=self.found(each.path))

    def found(self, path: str) -> str:
        """Return where a picture is now."""
        return path if self._find is None else self._find(path)

    @cached_property
    def _find(self) -> Callable[[str], str] | None:
        """What says where a picture is now; None if it is where its path says."""
        some = list(self._rows_of(0).paths) if self._parts else []
        try:
            place = Whereabouts.from_dict(self.manifest.about.get("pictures"), some)
        except (KeyError, TypeError) as error:
            raise StorageError(f"{self.place} cannot be used: {one_line(error)}") from error
        return None if place is None else place.finder(some, Path(str(self.place)), self._root)

    def _rows_of(self, number: int) -> Rows:
        """Read all but the vectors of a part; the last one read is remembered."""
        if self._last is None or self._last[0] != number:
            part = self._parts[number]
            rows = part.rows()
            self._last = number, rows.as_kept() if part.name in self._kept else rows
        return self._last[1]
