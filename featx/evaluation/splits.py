"""Splits for a fair cross-validation: stratified, repeated, and copies of a picture together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.errors import ImageSourceError, OptionError
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
        Images of one group, copies of one photograph, are on the same side of every split.
    notes : tuple of str
        What a reader should know of these splits, a line each.
    """

    parts: tuple[tuple[np.ndarray, np.ndarray], ...]
    folds: int
    repeats: int
    groups: np.ndarray
    notes: tuple[str, ...] = ()


def split(
    y: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Splits:
    """Divide images for cross-validation, with the parameters of `cross_validate`.

    `y` has at least two images of each class. Images of one group stay together; by default each is
    on its own. Raises an `ImageSourceError` if all images of every class are copies of one.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    check_counts(folds=folds, repeats=repeats, seed=seed)
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    counts = {label: len(np.unique(groups[y == label])) for label in np.unique(y)}
    k = int(min(folds, max(counts.values())))
    if k < 2:
        raise ImageSourceError(
            "the images of each class are copies of a single photograph: expected at least two "
            "different ones; add photographs"
        )
    alone = len(np.unique(groups)) == len(y)
    kind = StratifiedKFold if alone else StratifiedGroupKFold
    parts = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for repeat in range(repeats):
            splitter = kind(k, shuffle=True, random_state=seed + repeat)
            parts += list(splitter.split(np.zeros(len(y)), y, None if alone else groups))
    return Splits(tuple(parts), k, int(repeats), groups, tuple(_notes(counts, k, folds)))


def check_counts(folds: Any = FOLDS, repeats: Any = REPEATS, seed: Any = 0) -> None:
    """Raise an `OptionError` for fewer than two folds, no repeat, or a seed below 0."""
    for name, value, least in (("folds", folds, 2), ("repeats", repeats, 1), ("seed", seed, 0)):
        if not isinstance(value, int | np.integer) or value < least:
            raise OptionError(f"{name} {value!r}: expected a whole number from {least} up")


def _notes(counts: dict[str, int], k: int, asked: int) -> list[str]:
    notes = []
    if k < asked:
        notes.append(f"{k} folds instead of {asked}: no class has more than {k} different images")
    few = [f"{label} ({count})" for label, count in counts.items() if 1 < count < k]
    if few:
        notes.append(
            f"classes with fewer different images than the {k} folds: {listed(few)}; "
            "some folds test none of theirs, and every image is still predicted once a repeat"
        )
    single = [str(label) for label, count in counts.items() if count == 1]
    if single:
        notes.append(
            f"all images of {listed(single)} are copies of one photograph: they count as wrong, "
            "since nothing else of the class is there to learn from; add photographs"
        )
    return notes
