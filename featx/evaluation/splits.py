"""Splits for a fair cross-validation: stratified, repeated, copies and groups together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.errors import ImageSourceError, OptionError
from featx.evaluation.groups import Grouping, merged
from featx.text import listed

FOLDS = 5
REPEATS = 2


@dataclass(frozen=True, eq=False)
class Splits:
    """Which images are trained on and which are predicted, time after time.

    Attributes
    ----------
    parts : tuple of (ndarray, ndarray)
        Rows to train on and rows to predict; the first `folds` parts are the first repeat.
    folds, repeats : int
        Within a repeat every image is predicted once.
    groups : ndarray of shape (n,), int
        Images of one group are on the same side of every split: copies of one photograph, and
        those that were declared to belong together.
    notes : tuple of str
        What a reader should know of these splits, a line each.
    copies : ndarray of shape (n,), int, or None
        Which images are copies of one photograph; None where they are the groups.
    grouping : Grouping or None
        The groups that were declared.
    """

    parts: tuple[tuple[np.ndarray, np.ndarray], ...]
    folds: int
    repeats: int
    groups: np.ndarray
    notes: tuple[str, ...] = ()
    copies: np.ndarray | None = None
    grouping: Grouping | None = None

    @property
    def declared(self) -> np.ndarray | None:
        """What a search inside a classifier keeps together: the groups, if some were declared."""
        return None if self.grouping is None else self.groups


def split(
    y: np.ndarray,
    copies: np.ndarray | None = None,
    grouping: Grouping | None = None,
    *,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Splits:
    """Divide images for cross-validation, with the parameters of `cross_validate`.

    `y` has at least two images of each class. Copies of a photograph stay together, and so do
    declared groups; by default each image is on its own. Raises an `ImageSourceError` if every
    class is a single group.
    """
    check_counts(folds=folds, repeats=repeats, seed=seed)
    copies = np.arange(len(y)) if copies is None else np.asarray(copies)
    groups = copies if grouping is None else merged(copies, grouping.numbers)
    counts = {label: len(np.unique(groups[y == label])) for label in np.unique(y)}
    k = int(min(folds, max(counts.values())))
    if k < 2:
        raise ImageSourceError(_single(grouping))
    parts = _parts(y, groups, k, repeats, seed)
    notes = (*_notes(counts, k, folds, grouping), *(grouping.notes if grouping else ()))
    return Splits(parts, k, int(repeats), groups, notes, copies, grouping)


def _parts(
    y: np.ndarray, groups: np.ndarray, k: int, repeats: int, seed: int
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    alone = len(np.unique(groups)) == len(y)
    kind = StratifiedKFold if alone else StratifiedGroupKFold
    parts = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for repeat in range(repeats):
            splitter = kind(k, shuffle=True, random_state=seed + repeat)
            parts += list(splitter.split(np.zeros(len(y)), y, None if alone else groups))
    return tuple(parts)


def check_counts(folds: Any = FOLDS, repeats: Any = REPEATS, seed: Any = 0) -> None:
    """Raise an `OptionError` for fewer than two folds, no repeat, or a seed below 0."""
    for name, value, least in (("folds", folds, 2), ("repeats", repeats, 1), ("seed", seed, 0)):
        if not isinstance(value, int | np.integer) or value < least:
            raise OptionError(f"{name} {value!r}: expected a whole number from {least} up")


def _notes(counts: dict[Any, int], k: int, asked: int, grouping: Grouping | None) -> list[str]:
    different = "different images" if grouping is None else "groups"
    notes = []
    if k < asked:
        notes.append(f"{k} folds instead of {asked}: no class has more than {k} {different}")
    few = [f"{label} ({count})" for label, count in counts.items() if 1 < count < k]
    if few:
        notes.append(
            f"classes with fewer {different} than the {k} folds: {listed(few)}; "
            "some folds test none of theirs, and every image is still predicted once a repeat"
        )
    single = [str(label) for label, count in counts.items() if count == 1]
    if single:
        what = "are copies of one photograph" if grouping is None else "are of one group"
        notes.append(
            f"all images of {listed(single)} {what}: they count as wrong, since nothing else of "
            f"the class is there to learn from; add {_more(grouping)}"
        )
    return notes


def _single(grouping: Grouping | None) -> str:
    """Say that no class can be learned while a part of it is held out."""
    if grouping is None:
        return (
            "the images of each class are copies of a single photograph: expected at least two "
            "different ones; add photographs"
        )
    return (
        f"the images of each class are of a single group by {grouping.rule}, so that nothing of a "
        "class is left to learn from when its group is held out: expected at least two groups of "
        f"a class; add {_more(grouping)}, or name smaller groups"
    )


def _more(grouping: Grouping | None) -> str:
    return "photographs" if grouping is None else "photographs of other groups"
