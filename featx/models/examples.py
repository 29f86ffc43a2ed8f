"""Examples: training pictures that a model keeps, small, to show beside new ones like them.

A model file holds no picture unless that was asked for: whoever has the file can see them. They are
scaled down and encoded anew, so that nothing of the original file (its name, the place and the time
where it was taken, the camera) goes along. For each class as many are kept as were asked for: those
nearest to the centres of as many groups of its pictures (k-means), so that they show how it varies.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from featx.errors import OptionError
from featx.features.matrix import Features
from featx.images.decode import decode_rgb
from featx.images.digests import read_file
from featx.images.labels import Label
from featx.images.quiet import quiet_pillow
from featx.models.familiarity import MOST_COLUMNS, roots
from featx.text import count, size

SIDE = 96  # pixels along the longer side
_QUALITY = 80
_MOST = 20_000  # pictures of a model
_MOST_BYTES = 1 << 16  # of a picture
_MOST_SEEN = 2000  # pictures of a class that are grouped
_ALIKE = 1e-6  # distance of two pictures that are one
_BEGINS = b"\xff\xd8\xff"  # a JPEG


@dataclass(frozen=True)
class Example:
    """A training picture.

    Attributes
    ----------
    label : str, int or bool
        Its class.
    jpeg : bytes
        The picture as the model file holds it, which may be anything where the file came from
        elsewhere; `pixels` and `data_url` are safe to show.
    similarity : float
        How like the new picture it is: the cosine of their vectors' signed square roots, -1 to 1.
    """

    label: Label
    jpeg: bytes
    similarity: float

    @cached_property
    def pixels(self) -> np.ndarray:
        """The picture, of shape (height, width, 3), uint8; a grey square where it is damaged."""
        with quiet_pillow():
            image, _ = decode_rgb(self.jpeg, most=SIDE)
        return np.full((8, 8, 3), 208, np.uint8) if image is None else np.array(image)

    @property
    def data_url(self) -> str:
        """The picture, encoded anew, as the address of an image in a web page."""
        return "data:image/jpeg;base64," + base64.b64encode(_encoded(self.pixels)).decode()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: label, similarity and the picture as `data_url`."""
        return {"label": self.label, "similarity": self.similarity, "picture": self.data_url}


@dataclass(frozen=True, eq=False)
class Examples:
    """What a model keeps of its training pictures to show.

    Attributes
    ----------
    labels : tuple of (str, int or bool)
        The class of each picture.
    pictures : tuple of bytes
        JPEGs of up to 96 pixels along the longer side.
    vectors : ndarray of shape (n, columns), float16
        Vectors of length 1, of signed square roots of their features, as `Familiarity` has them.
    n_columns : int
        Columns of the features; above 4096 they are added up into as many sums.
    """

    labels: tuple[Label, ...]
    pictures: tuple[bytes, ...]
    vectors: np.ndarray
    n_columns: int

    def __len__(self) -> int:
        return len(self.pictures)

    def __repr__(self) -> str:
        return f"Examples({self.summary})"

    @property
    def n_bytes(self) -> int:
        """What they take in the file."""
        return sum(map(len, self.pictures)) + self.vectors.nbytes

    @property
    def summary(self) -> str:
        """How many pictures there are, in a line."""
        classes = count(len(set(self.labels)), "class")
        return f"{count(len(self), 'small training picture')} of {classes}, {size(self.n_bytes)}"

    def nearest(self, features: Features | np.ndarray, n: int = 3) -> list[list[Example]]:
        """Find the training pictures that are most like new ones.

        Parameters
        ----------
        features : Features, or ndarray of shape (m, n_columns)
            Of the new pictures, by the recipe of the model.
        n : int, default=3
            How many to find for each.

        Returns
        -------
        list of list of Example
            For each new picture the nearest first, as many as there are.

        Raises
        ------
        OptionError
            The features have another number of columns, or `n` is below 1.
        """
        X = features.matrix if isinstance(features, Features) else np.asarray(features)
        if X.ndim != 2 or X.shape[1] != self.n_columns:
            raise OptionError(
                f"features of shape {X.shape}: expected {self.n_columns} columns, as those that "
                "the model learned from"
            )
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise OptionError(f"n is {n!r}: expected how many pictures to find, from 1 up")
        cosines = np.clip(roots(X) @ self.vectors.astype(np.float32).T, -1, 1)
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :n]
        return [
            [Example(self.labels[at], self.pictures[at], float(row[at])) for at in nearest]
            for row, nearest in zip(cosines, order, strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, without the pictures."""
        return {
            "n_pictures": len(self),
            "n_columns": self.n_columns,
            "n_bytes": self.n_bytes,
        }

    def about(self, classes: Sequence[Label]) -> dict[str, Any]:
        """Return what a model file says of them: numbers of their classes, and bytes of each."""
        return {
            "labels": [classes.index(label) for label in self.labels],
            "sizes": list(map(len, self.pictures)),
            "n_columns": self.n_columns,
        }

    @classmethod
    def from_file(
        cls, about: Mapping[str, Any], vectors: np.ndarray, data: bytes, classes: Sequence[Label]
    ) -> Examples:
        """Build them from what a model file holds.

        Raises
        ------
        ValueError, TypeError, KeyError
            A value is missing or cannot be.
        """
        labels, sizes, columns = about["labels"], about["sizes"], about["n_columns"]
        if not isinstance(labels, list) or not isinstance(sizes, list):
            raise ValueError("pictures without labels or sizes")
        if not 0 < len(labels) == len(sizes) <= _MOST:
            raise ValueError(f"{len(labels)} labels and {len(sizes)} sizes of pictures")
        if not all(type(each) is int and 0 <= each < len(classes) for each in labels):
            raise ValueError("a picture of no class of the model")
        if not all(type(each) is int and 0 < each <= _MOST_BYTES for each in sizes):
            raise ValueError("a picture of a size that cannot be")
        if type(columns) is not int or columns < 1 or sum(sizes) != len(data):
            raise ValueError("pictures that are cut off")
        if vectors.dtype != np.float16 or vectors.shape != (
            len(labels),
            min(columns, MOST_COLUMNS),
        ):
            raise ValueError(f"vectors of shape {vectors.shape}, {vectors.dtype}")
        if not bool((np.linalg.norm(vectors.astype(float), axis=1) < 1.01).all()):
            raise ValueError("vectors longer than 1")
        ends = np.cumsum(sizes)
        pictures = tuple(
            data[end - each : end] for end, each in zip(ends.tolist(), sizes, strict=True)
        )
        if not all(each.startswith(_BEGINS) for each in pictures):
            raise ValueError("a picture that is no JPEG")
        return cls(tuple(classes[each] for each in labels), pictures, vectors, columns)


def check_kept(number: int, n_classes: int | None = None) -> None:
    """Raise an `OptionError` for a number of pictures of each class that cannot be kept."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
        raise OptionError(
            f"keep_pictures is {number!r}: expected how many pictures of each class the model "
            "shall keep, such as 3, or 0 for none"
        )
    if number * (n_classes or 1) > _MOST:
        of = f" of {count(n_classes, 'class')}" if n_classes else ""
        raise OptionError(
            f"keep_pictures is {number:,}{of}: expected no more than {_MOST:,} pictures in all"
        )


def choose_examples(features: Features, number: int) -> Examples | None:
    """Choose so many training pictures of each class, and read them; None for 0.

    Raises an `OptionError` for one that is not there or cannot be read, as may be where the
    features were saved.
    """
    check_kept(number, len(features.classes))
    if not number:
        return None
    assert features.y is not None
    rows = [
        row
        for label in features.classes
        for row in _representatives(features.matrix, np.flatnonzero(features.y == label), number)
    ]
    with quiet_pillow():
        pictures = tuple(_small(str(features.paths[row]), features.paths[row]) for row in rows)
    vectors = roots(features.matrix[rows]).astype(np.float16)
    labels = tuple(features.y[rows].tolist())
    return Examples(labels, pictures, vectors, int(features.matrix.shape[1]))


def _representatives(X: np.ndarray, rows: np.ndarray, number: int) -> list[int]:
    """Return those of the rows that are nearest to the centres of as many groups."""
    from sklearn.cluster import KMeans

    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_SEEN)).astype(int)]
    vectors = roots(X[rows])
    different = _different(vectors)
    rows, vectors = rows[different], vectors[different]
    if len(rows) <= number:
        return list(map(int, rows))
    found = KMeans(number, n_init=1, max_iter=20, random_state=0).fit(vectors)
    largest_first = np.argsort(-np.bincount(found.labels_, minlength=number), kind="stable")
    chosen: dict[int, None] = {}
    for centre in found.cluster_centers_[largest_first]:
        order = np.argsort(((vectors - centre) ** 2).sum(axis=1), kind="stable")
        chosen.setdefault(next(each for each in order.tolist() if each not in chosen))
    return [int(rows[each]) for each in chosen]


def _different(vectors: np.ndarray) -> list[int]:
    """Return the first of each group of vectors that are one."""
    found: list[int] = []
    for row, vector in enumerate(vectors):
        if not found or float((vectors[found] @ vector).max()) < 1 - _ALIKE:
            found.append(row)
    return found


def _small(name: str, path: Any) -> bytes:
    """Read a picture and encode it anew, small."""
    try:
        data, _ = read_file(path)
    except OSError as error:
        image, reason = None, error.strerror or str(error)
    else:
        image, outcome = decode_rgb(data, most=SIDE)
        reason = outcome.reason
    if image is None:
        raise OptionError(
            f"keep_pictures: {name} cannot be read ({reason}); train on the pictures themselves, "
            "or keep none"
        )
    return _encoded(np.asarray(image))


def _encoded(pixels: np.ndarray) -> bytes:
    """Encode pixels alone: an image of Pillow may bring a comment of its file along."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return stream.getvalue()
