"""The writing of a folder of features, part by part; one that was begun goes on."""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from featx.errors import OptionError, StorageError, get_logger
from featx.features.columns import texts_of
from featx.features.description import description_of
from featx.features.formats import flat
from featx.features.parts.manifest import PART, Entry, Manifest
from featx.features.parts.part import Part, Rows, found_part, write_part
from featx.features.parts.place import place_of
from featx.features.parts.rows import LazyRows
from featx.features.whereabouts import Whereabouts, common_folder
from featx.images.decode import Outcome
from featx.images.labels import Label
from featx.text import printable

PART_ROWS = 8192

# Tells pictures from others, and from what they were before, given which of them could be read.
Listing = Callable[[Sequence[bool]], str]

log = get_logger(__name__)

_UNFINISHED = re.compile(r"\.(part-[0-9]+|_manifest)-[0-9a-f]{12}\.(parquet|json)")


class FolderWriter:
    """Writes parts in order, and the manifest when all are there.

    Parts that an earlier writer left behind can be kept; `kept` names those that were, with the
    number of pictures that were embedded then.
    """

    def __init__(self, path: str | os.PathLike[str], made_by: str | None = None) -> None:
        """Take the folder, and the fingerprint of the recipe."""
        self.place = place_of(path)
        self.made_by = made_by
        self.kept: dict[str, int] = {}
        self._begun = Manifest({"run": secrets.token_hex(16)}, finished=False)
        self._entries: list[Entry] = []
        self._outcomes: Counter[str] = Counter()
        self._kinds: set[str] = set()  # of labels
        self._unlabelled = 0
        self._files: dict[str, int] = {}  # that were there before
        self._folders: list[str | None] = []  # of the pictures of each part
        self._others_are_told = False

    def start(self) -> None:
        """Make the folder, and check that it can be written; else a `StorageError`."""
        self._files = self.place.files()
        strange = [each for each in self._files if each[0] not in "._" and not _is_part(each)]
        if strange:
            raise StorageError(
                f"{self.place} holds other files, such as {printable(strange[0])}: name a new "
                "folder, or one of features"
            )
        self.place.create()
        self._begun.write(self.place)

    def found(self, listing: Listing) -> tuple[Part, Rows] | None:
        """Return the next part, if it was made of the same pictures by the same recipe; or None.

        The rows are without their vectors.
        """
        part = found_part(self.place, self._next) if self._next in self._files else None
        if part is None:
            return None
        try:
            made_of, rows = part.about.get("made_of"), part.rows()
        except StorageError:  # damaged: it is made again
            return None
        if made_of == [self.made_by, listing(rows.valid.tolist())]:
            return part, rows
        self._tell_of_others(isinstance(made_of, list) and made_of[:1] == [self.made_by])
        return None

    def keep(self, part: Part, rows: Rows) -> None:
        """Keep the next part as it was found."""
        self.kept[part.name] = sum(
            each is not None and each.status == "embedded" for each in rows.outcomes
        )
        self._note(rows, part.about.get("labels_are"), self._files[part.name], part.footer)

    def add(
        self,
        vectors: np.ndarray,
        paths: Sequence[str],
        labels: Sequence[Label | None],
        outcomes: Sequence[Outcome | None],
        digests: Sequence[str | None],
        listing: str | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the next part: pictures in order, and the vectors of those that did not fail."""
        texts, kind = texts_of(labels)
        rows = Rows(vectors, paths, texts or [None] * len(paths), outcomes, digests)
        kind = kind or (None if texts is None else "str")
        known = {**(about or {}), "made_of": [self.made_by, listing], "labels_are": kind}
        name = self._next
        with self.place.written(name) as file:
            footer = write_part(file, rows, known)
            size = file.stat().st_size
            self._check_alone()
        self._note(rows, kind, size, footer)

    def finish(self, fields: Mapping[str, Any], shape: Sequence[int]) -> None:
        """Write the manifest, and remove what else earlier writings left behind.

        `fields` are those of the features by name, `shape` is that of one vector.
        """
        self._check_alone()
        known = {each.name for each in self._entries}
        for name in self._files:
            if _UNFINISHED.fullmatch(name) or (_is_part(name) and name not in known):
                self.place.remove(name)
        inside = [os.path.join(each, "x") for each in self._folders if each is not None]
        place = Whereabouts.of(inside, str(self.place)) if inside else None
        about = description_of(fields, dict(self._outcomes), place)
        labels = next(iter(self._kinds), None) if len(self._kinds) < 2 else "str"
        Manifest(about, tuple(shape), tuple(self._entries), labels, self._unlabelled).write(
            self.place
        )

    def _tell_of_others(self, same_recipe: bool) -> None:
        """Say, once, that the folder was made of something else."""
        if self._others_are_told:
            return
        self._others_are_told = True
        if same_recipe:
            log.warning(
                "%s was made of other pictures or labels, or they have changed: from %s on, what "
                "differs is made anew",
                *(self.place, self._next),
            )
        else:
            log.warning("%s has features of another recipe: they are replaced", self.place)

    def _check_alone(self) -> None:
        """Check that no run has begun to write here since: parts of two would be mixed."""
        if self._begun.is_replaced(self.place):
            raise StorageError(
                f"another run has begun to write {self.place} since this one: let it end, or name "
                "another folder"
            )

    def _note(self, rows: Rows, kind: str | None, size: int, footer: int | None) -> None:
        valid = rows.valid
        entry = Entry(self._next, len(valid), int((~valid).sum()), size, footer)
        self._entries.append(entry)
        self._outcomes.update(each.status for each in rows.outcomes if each is not None)
        if kind is not None:
            self._kinds.add(kind)
        self._unlabelled += sum(
            sound and label is None
            for label, sound in zip(rows.labels, valid.tolist(), strict=True)
        )
        self._folders.append(common_folder(rows.paths))

    @property
    def _next(self) -> str:
        return f"part-{len(self._entries):05d}.parquet"


def save_folder(features: Any, path: str | os.PathLike[str]) -> None:
    """Write features, whatever holds their vectors, into a folder; see `Features.save`."""
    writer = FolderWriter(path, features.recipe and features.recipe.fingerprint)
    if isinstance(features.X, LazyRows) and features.X.is_in(writer.place):
        raise OptionError(f"{writer.place} holds these features: name another folder")
    if features.views:
        raise OptionError(
            f"{writer.place}: a folder of features keeps no augmented views; name a file, such as "
            "photos.npz, or embed without views"
        )
    writer.start()
    lines = _lines(features)
    done = 0
    for start in range(0, len(lines), PART_ROWS):
        some = lines[start : start + PART_ROWS]
        paths, labels, outcomes, digests = zip(*some, strict=True)
        n = sum(each is None or each.ok for each in outcomes)
        vectors = flat(features.X[done : done + n])
        writer.add(vectors, paths, labels, outcomes, digests)
        done += n
    writer.finish(vars(features), features.X.shape[1:])


_Line = tuple[str, Label | None, Outcome | None, str | None]


def _lines(features: Any) -> list[_Line]:
    """List the pictures of features in order, those that failed where they stood."""
    digests = features.digests
    keys = (
        [None] * len(features) if digests is None else [each.decode() for each in digests.tolist()]
    )
    rows = zip(features.paths.tolist(), features.labels, keys, strict=True)
    sound = [each.path for each in features.outcomes if each.ok]
    if sound == features.paths.tolist():
        return [_line(each, rows) for each in features.outcomes]
    by_path = {each.path: each for each in features.outcomes}
    lines: list[_Line] = [
        (path, label, by_path.get(path), key or None) for path, label, key in rows
    ]
    return lines + [(each.path, None, each, None) for each in features.failed]


def _line(outcome: Outcome, rows: Iterator[tuple[str, Label | None, str | None]]) -> _Line:
    if not outcome.ok:
        return outcome.path, None, outcome, None
    path, label, key = next(rows)
    return path, label, outcome, key or None


def _is_part(name: str) -> bool:
    return PART.fullmatch(name) is not None
