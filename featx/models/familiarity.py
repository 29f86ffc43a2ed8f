"""Familiarity: how unlike its training pictures a new one is, by the vectors of a few of these.

A model keeps prototypes: means of one to eight groups of the training pictures of each class, by
k-means. How strange a picture is, is its distance (1 less the cosine, of signed square roots) to
the nearest prototype, over a threshold. That is the nearest neighbour of Sun et al. (Out-of-
distribution detection with deep nearest neighbors, ICML 2022), with means in place of all pictures:
they are a third as large, and judge pictures between the training ones better.

The threshold is the distance that one in twenty pictures like those of training exceeds. It comes
from the training pictures, each left out of its own prototype: of a hundred or more by counting, of
fewer, there may be four, as the one-sided bound for another one by Student's t.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.evaluation.evaluation import UNFAMILIAR_SHARE
from featx.features.blocks import row_blocks
from featx.features.duplicates import find_duplicates
from featx.features.matrix import Features
from featx.learning.classes import rows_by_class

# Measured by tests/benchmarks/unfamiliar.py, on classes that were left out of grocery20 and
# caltech15 (the hard case) and five networks: the mean area under the curve was 0.949 for these
# prototypes, 0.945 for all pictures, 0.943 for the means of classes, 0.952 for Mahalanobis
# distances, which take a matrix of columns x columns, and fail with three pictures a class (0.4).
# Square roots gain where vectors are sparse.
_GROUP = 3  # pictures a prototype
_MOST_OF_CLASS = 8  # prototypes
_MOST = 1000  # prototypes of a model, but for one a class
_MOST_PICTURES = 5000  # of all classes that are looked at, but for twenty a class
_FEWEST_PICTURES = 20
_ENOUGH_TO_COUNT = 100
_LEAST = 1e-5  # threshold; pictures that differ by less are the same
MOST_COLUMNS = 4096  # of a prototype; wider features are added up
CHUNK = 1024  # pictures that are judged at once
_PER_VALUE = 16  # bytes, of the vectors that are looked at and of their prototypes


@dataclass(frozen=True, eq=False)
class Familiarity:
    """What a model keeps of its training pictures to tell strange ones.

    Attributes
    ----------
    prototypes : ndarray of shape (n_prototypes, columns), float16
        Vectors of length 1, of signed square roots of features.
    threshold : float
        The distance to the nearest prototype from which on a picture is unfamiliar, above 0.
    n_columns : int
        Columns of the features; above 4096 they are added up into as many sums.
    """

    prototypes: np.ndarray
    threshold: float
    n_columns: int

    def unfamiliarity(self, X: np.ndarray) -> np.ndarray:
        """Say how strange pictures are, of shape (n,), float: above 1 they are unfamiliar.

        `X` holds their features, of shape (n, n_columns); a memory map is read in blocks.
        """
        prototypes = _unit(self.prototypes.astype(np.float32))
        nearest = [
            (roots(values) @ prototypes.T).max(axis=1) for _, values in row_blocks(X, most=CHUNK)
        ]
        return np.asarray((1 - np.concatenate(nearest)) / self.threshold, dtype=float)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, without the prototypes."""
        return {
            "threshold": self.threshold,
            "n_columns": self.n_columns,
            "n_prototypes": len(self.prototypes),
        }

    @classmethod
    def from_file(cls, values: Mapping[str, Any], prototypes: np.ndarray) -> Familiarity:
        """Build one from what a model file holds of it.

        Raises
        ------
        ValueError, TypeError, KeyError
            A value is missing or cannot be.
        """
        threshold, columns = values["threshold"], values["n_columns"]
        if type(threshold) is not float or not _LEAST <= threshold <= 2:
            raise ValueError(f"{threshold!r} is no threshold of familiarity")
        if type(columns) is not int or columns < 1:
            raise ValueError(f"{columns!r} is no number of columns")
        shape = (values["n_prototypes"], min(columns, MOST_COLUMNS))
        if prototypes.dtype != np.float16 or prototypes.shape != shape or not len(prototypes):
            raise ValueError(f"prototypes of shape {prototypes.shape}, {prototypes.dtype}")
        lengths = np.linalg.norm(prototypes.astype(float), axis=1)
        if not bool((lengths < 1.01).all()):  # 0 of a picture whose features all are 0
            raise ValueError("prototypes longer than 1")
        return cls(prototypes, threshold, columns)


def learn_familiarity(
    features: Features,
    kept: np.ndarray | None = None,
    copies: np.ndarray | None = None,
    room: int | None = None,
) -> tuple[Familiarity, np.ndarray]:
    """Learn what training pictures look like.

    `copies` numbers which are copies of one another; by default these are looked for. `room` is how
    many bytes that may take. Returns also which of the pictures are familiar, of shape (n,), bool,
    each judged without itself and, where `kept` numbers what goes together, such as pictures of one
    patient, without these.
    """
    X, y = features.X, features.y
    assert y is not None
    width = min(features.width, MOST_COLUMNS)
    most = None if room is None else room // (_PER_VALUE * width)
    rows = _sample(y, find_duplicates(features).groups if copies is None else copies, most)
    if not _have_others(y[rows]).any():  # each class is one picture, copied or nearly so
        rows = _sample(y, np.arange(len(y)), most)
    vectors = np.empty((len(rows), width), np.float32)
    start = 0
    for _, values in row_blocks(X, rows, CHUNK):
        vectors[start : start + len(values)] = roots(values)
        start += len(values)
    classes = y[rows]
    groups = _groups(vectors, classes)
    sums = np.zeros((groups.max() + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, groups, vectors)
    together = np.arange(len(y)) if kept is None else kept
    distances = _distances_without(vectors, groups, sums, together[rows])
    familiarity = Familiarity(
        _unit(sums).astype(np.float16),
        _threshold(distances[_have_others(classes)]),
        int(np.prod(X.shape[1:])),
    )
    strange = familiarity.unfamiliarity(X)
    strange[rows] = distances / familiarity.threshold
    return familiarity, strange <= 1


def _have_others(y: np.ndarray) -> np.ndarray:
    """Say which pictures are not the only one of their class: these tell how it varies."""
    _, classes, sizes = np.unique(y, return_inverse=True, return_counts=True)
    return np.asarray(sizes[classes] > 1)


def _sample(y: np.ndarray, copies: np.ndarray, limit: int | None) -> np.ndarray:
    """Choose the rows to learn from: one of each group of copies, and not all of large classes.

    There are no more than the limit, if there is one, but for two a class.
    """
    _, first = np.unique(copies, return_index=True)
    classes = rows_by_class(y[first])
    most = max(_FEWEST_PICTURES, _MOST_PICTURES // len(np.unique(y)))
    if limit is not None:
        most = max(2, min(most, limit // len(classes)))
    kept = [
        first[own[np.linspace(0, len(own) - 1, min(most, len(own))).astype(int)]] for own in classes
    ]
    return np.sort(np.concatenate(kept))


def _groups(vectors: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Divide the pictures of each class into groups of like ones; return the group of each."""
    from sklearn.cluster import KMeans

    classes = rows_by_class(y)
    most = max(1, min(_MOST_OF_CLASS, _MOST // len(classes)))
    groups = np.zeros(len(y), int)
    before = 0
    for own in classes:
        found = np.zeros(len(own), int)
        if (number := min(most, len(own) // _GROUP)) > 1:
            found = KMeans(number, n_init=1, max_iter=20, random_state=0).fit(vectors[own]).labels_
        numbers, of_own = np.unique(found, return_inverse=True)
        groups[own] = before + of_own
        before += len(numbers)
    return groups


def _distances_without(
    vectors: np.ndarray, prototypes: np.ndarray, sums: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """Return how far each picture is from the nearest prototype of other pictures.

    `prototypes`, of shape (n,), has the prototype of each picture, and `kept` the number of what
    goes with it: prototypes are made without these.
    """
    units, sizes = _unit(sums), np.bincount(prototypes)
    order = np.argsort(kept, kind="stable")
    numbers = kept[order]
    nearest = np.empty(len(vectors))
    for start in range(0, len(order), CHUNK):
        chunk = slice(start, start + CHUNK)
        cosines = vectors[order[chunk]] @ units.T
        for number in np.unique(numbers[chunk]):
            rows = order[slice(*np.searchsorted(numbers, [number, number + 1]))]
            here = numbers[chunk] == number
            for prototype in np.unique(prototypes[rows]):
                own = rows[prototypes[rows] == prototype]
                rest = sums[prototype] - vectors[own].sum(axis=0)
                is_left = sizes[prototype] > len(own)
                judged = vectors[order[chunk][here]]
                cosines[here, prototype] = judged @ _unit(rest[None])[0] if is_left else -1
        nearest[order[chunk]] = cosines.max(axis=1)
    return 1 - nearest


def _threshold(distances: np.ndarray) -> float:
    """Return the distance that one in twenty new pictures exceeds, given those of n others."""
    from scipy.stats import t

    n = len(distances)
    if n >= _ENOUGH_TO_COUNT:
        return max(float(np.quantile(distances, 1 - UNFAMILIAR_SHARE, method="higher")), _LEAST)
    spread = distances.std(ddof=1) * np.sqrt(1 + 1 / n)
    bound = float(distances.mean() + t.ppf(1 - UNFAMILIAR_SHARE, n - 1) * spread)
    return min(max(bound, _LEAST), 2.0)


def roots(X: np.ndarray) -> np.ndarray:
    """Return signed square roots of features, of length 1, in no more than so many columns."""
    X = np.asarray(X, dtype=np.float32)
    if X.shape[1] > MOST_COLUMNS:
        padded = np.pad(X, ((0, 0), (0, -X.shape[1] % MOST_COLUMNS)))
        X = padded.reshape(len(X), -1, MOST_COLUMNS).sum(axis=1)
    return _unit(np.sign(X) * np.sqrt(np.abs(X)))


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12))
