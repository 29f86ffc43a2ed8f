"""Groups: pictures of one patient, product, plot or video, on one side of every split."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeAlias

import numpy as np

from featx.errors import OptionError
from featx.features.duplicates import find_duplicates
from featx.features.matrix import Features
from featx.images.folder import ImageFolder
from featx.images.times import taken_at
from featx.paths import plain_path
from featx.storage.address import common_folder
from featx.text import count, listed

#: What says which pictures belong together: a group for each picture (a sequence or a column of a
#: table), the name of a column, a pattern over file names, a mapping from path to group, False for
#: none at all, or a `Grouping`. Any object, as numpy takes sequences.
Groups: TypeAlias = Any

BURST = "burst"  # instead of a pattern: shots of a class within seconds of each other
_GAP = timedelta(seconds=5)  # between two shots of a burst, at most
_NONE = "none"  # what False is at the shell
_EXPECTED = (
    r"a pattern with a part in parentheses that names the group, such as patient_(\d+), "
    "or a column of the table of images"
)


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which pictures belong together, since somebody said so.

    Attributes
    ----------
    names : ndarray of shape (n,), object
        The group of each picture as text; None for one that belongs to no other.
    rule : str
        Where the groups come from, such as "the pattern patient_(\\d+)".
    paths : tuple of str
        The pictures.
    """

    names: np.ndarray
    rule: str
    paths: tuple[str, ...]

    @classmethod
    def of(cls, groups: Groups, images: ImageFolder | Features) -> Grouping | None:
        """Take groups of images from whatever says which they are; None where nothing does.

        Parameters
        ----------
        groups : sequence, str, mapping, bool, Grouping or None
            A group for each image, in order, also for those that cannot be read; the name of a
            column of the table of images; a regular expression, whose first part in parentheses is
            the group, and which is searched for in the names of the files, or in their paths from
            the folder down that all share if no name has it; "burst", for photographs of a class
            that were taken within five seconds of each other, as EXIF says; or a mapping from the
            path, or the name of the file, to the group. What is missing (None, NaN, an empty text)
            is no group: such an image counts as its own. False and "none" are no groups at all.
        images : ImageFolder or Features
            The images.

        Returns
        -------
        Grouping or None

        Raises
        ------
        OptionError
            There are not as many groups as images, no image has one, or a text is neither a
            pattern nor a column.
        """
        if groups is None or groups is False:
            return None
        if isinstance(groups, cls):
            return groups.those_of(images.paths)
        paths = tuple(str(path) for path in images.paths)
        if isinstance(groups, str):
            table = images.table if isinstance(images, ImageFolder) else None
            column = None if table is None else table.column(groups)
            if column is not None:
                names, rule = column.tolist(), f"the column {column.name}"
            elif groups == _NONE:
                return None
            elif groups == BURST:
                names, rule = _bursts(paths, images.labels), "the times they were taken at"
            else:
                names = _matched(_pattern(groups, table.columns if table else ()), paths)
                rule = f"the pattern {groups}"
        elif isinstance(groups, Mapping):
            names = [
                groups.get(path, groups.get(os.path.basename(plain_path(path)))) for path in paths
            ]
            rule = "a mapping of paths"
        else:
            names, rule = _sequence(groups, images), "a group for each image"
        return cls._named(names, rule, paths)

    @classmethod
    def _named(cls, names: Sequence[Any], rule: str, paths: Sequence[str]) -> Grouping:
        texts = np.array([*map(_name, names), None], dtype=object)[:-1]
        if not any(text is not None for text in texts):
            raise OptionError(
                f"groups: {rule} gives none of {count(len(paths), 'image')} a group, such as "
                f"{paths[0]}: expected {_EXPECTED}"
            )
        return cls(texts, rule, tuple(paths))

    def those_of(self, paths: Sequence[str] | np.ndarray) -> Grouping:
        """Return the grouping of some of the pictures, such as those that could be read.

        Raises an `OptionError` for a picture that it does not know.
        """
        if tuple(paths) == self.paths:
            return self
        known = dict(zip(self.paths, self.names, strict=True))
        strange = next((path for path in paths if path not in known), None)
        if strange is not None:
            raise OptionError(f"groups are of other images: {strange} is not among them")
        names = np.array([*(known[path] for path in paths), None], dtype=object)[:-1]
        return replace(self, names=names, paths=tuple(paths))

    @property
    def alone(self) -> tuple[str, ...]:
        """Pictures without a group, each of which counts as its own."""
        pairs = zip(self.paths, self.names, strict=True)
        return tuple(path for path, name in pairs if name is None)

    @property
    def numbers(self) -> np.ndarray:
        """The number of the group of each picture, of shape (n,), int."""
        keys = [(0, row) if name is None else (1, name) for row, name in enumerate(self.names)]
        numbers: dict[tuple[int, Any], int] = {}
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys])

    @property
    def n_groups(self) -> int:
        """The number of groups, pictures on their own counted too."""
        return len(np.unique(self.numbers))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the groups, a line each."""
        alone = self.alone
        if not alone:
            return ()
        share = f"{len(alone)} of {count(len(self.names), 'image')}"
        have, each = ("has", "it counts") if len(alone) == 1 else ("have", "each counts")
        return (
            f"{share} {have} no group by {self.rule}, so that {each} as its own: "
            f"{listed(alone, 3)}",
        )

    def __repr__(self) -> str:
        return f"Grouping({count(self.n_groups, 'group')} by {self.rule})"


def together(
    features: Features, grouping: Grouping | None, copies: np.ndarray | None = None
) -> np.ndarray | None:
    """Number what stays together where groups were declared: these, joined with copies.

    `copies` numbers the latter; by default they are looked for.
    """
    if grouping is None:
        return None
    copies = find_duplicates(features).groups if copies is None else copies
    return merged(copies, grouping.numbers)


def shared_with(
    training: Grouping | None, groups: Groups, test: ImageFolder | Features
) -> dict[str, str]:
    """Find the test images of groups that were trained on: path and group of each.

    `groups` is what said so of the training images. None for a group for each of those, which says
    nothing of others.
    """
    if training is None or not isinstance(groups, str | Mapping) or groups == BURST:
        return {}
    with suppress(OptionError):  # the pattern or the column is not there
        found = Grouping.of(groups, test)
        learned = {name for name in training.names if name is not None}
        pairs = zip(found.paths, found.names, strict=True) if found else ()
        return {path: name for path, name in pairs if name in learned}
    return {}


def merged(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Number groups anew such that rows of one group, by either numbering, are of one group.

    Both are of shape (n,). A group of one that shares a row with a group of the other joins it.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one = np.unique(first, return_inverse=True)[1]
    two = np.unique(second, return_inverse=True)[1] + one.max(initial=-1) + 1
    n = int(two.max(initial=-1)) + 1
    links = coo_array((np.ones(len(one), np.int8), (one, two)), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1][one])


def _pattern(text: str, columns: Sequence[str]) -> re.Pattern[str]:
    """Read a pattern, and tell it from a column that is not there."""
    known = f" (the columns are {listed(columns)})" if columns else ""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise OptionError(
            f"groups {text!r} is no pattern ({error}){known}: expected {_EXPECTED}"
        ) from error
    if not pattern.groups:
        what = "is no column, and has" if columns else "has"
        raise OptionError(
            f"groups {text!r} {what} no part in parentheses{known}: expected {_EXPECTED}"
        )
    return pattern


def _matched(pattern: re.Pattern[str], paths: Sequence[str]) -> list[str | None]:
    """Return what a pattern finds in the names of files or, if in none, in their paths."""
    paths = [plain_path(path) for path in paths]
    for texts in ([os.path.basename(path) for path in paths], _from_common_folder(paths)):
        found = [pattern.search(text) for text in texts]
        if any(found):
            return [next(filter(None, each.groups()), None) if each else None for each in found]
    return [None] * len(paths)


def _from_common_folder(paths: Sequence[str]) -> list[str]:
    """Write paths from the folder down that all share, with "/" between names."""
    try:
        common = common_folder(paths)
    except ValueError:  # some are absolute and some are not
        common = ""
    return [path.removeprefix(common).replace(os.sep, "/").lstrip("/") for path in paths]


def _bursts(paths: Sequence[str], labels: Sequence[Any]) -> list[str | None]:
    """Group photographs of a class that were taken within seconds of the one before."""
    times = taken_at(paths)
    names: list[str | None] = [None] * len(paths)
    known = [(str(labels[row]), time, row) for row, time in enumerate(times) if time is not None]
    known.sort()
    for before, (label, time, row) in zip([None, *known], known, strict=False):
        goes_on = before is not None and before[0] == label and time - before[1] <= _GAP
        names[row] = names[before[2]] if before and goes_on else f"{label} {time}"
    return names


def _sequence(groups: Any, images: ImageFolder | Features) -> list[Any]:
    """Return a group for each image out of a sequence, an array or a column of a table.

    One for each image that went into features will do, too: that of what cannot be read is gone.
    """
    try:
        array = np.asarray(groups, dtype=object)
    except ValueError:  # rows of different lengths
        array = np.empty((0, 0))
    if array.ndim != 1:
        raise OptionError(
            f"groups are a {type(groups).__name__}: expected a group for each image, a mapping "
            f"from path to group, {_EXPECTED}"
        )
    if isinstance(images, Features) and len(array) == len(images.outcomes):
        array = array[[outcome.ok for outcome in images.outcomes]]
    if len(array) != len(images):
        raise OptionError(
            f"groups has {len(array)} entries for {count(len(images), 'image')}: expected one for "
            "each"
        )
    return list(array)


def _name(group: Any) -> str | None:
    """Write a group as text, and what is missing as None."""
    if group is None or type(group).__name__ == "NAType" or group != group:
        return None
    if isinstance(group, float | np.floating) and float(group).is_integer():
        group = int(group)  # a column of whole numbers, some of which are missing
    return str(group) or None
