"""Class maps: the decision about a picture, divided over its places.

Where a vector is the mean of a map, a weighted sum over the vector is the mean of the same sum over
the map, place by place. So the decision of a linear head is the mean of a map of decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx.explanation.linear import LinearHead, Weights, joined


@dataclass(frozen=True, eq=False)
class ClassMap:
    """What each place of a picture says for a class.

    Attributes
    ----------
    parts : tuple of ndarray of shape (height, width)
        The map of each network, without the constant; the mean of each is what its features say.
    constant : float
        What no place says: intercepts, and what centring takes away. It is the decision about a
        picture whose features are all zero.
    """

    parts: tuple[np.ndarray, ...]
    constant: float

    @property
    def decision(self) -> float:
        """The decision value: the means of the parts, and the constant."""
        return self.constant + sum(float(part.mean()) for part in self.parts)

    @property
    def heat(self) -> np.ndarray:
        """The parts on one grid, and the constant evenly over it: its mean is the decision.

        The grid is that of the largest part. Others are resized by area, which keeps their mean.
        """
        height = max(part.shape[0] for part in self.parts)
        width = max(part.shape[1] for part in self.parts)
        total = np.full((height, width), self.constant)
        for part in self.parts:
            total += resized(part, height, width)
        return total


def class_maps(
    head: LinearHead, maps: Sequence[np.ndarray], columns: Sequence[int]
) -> list[ClassMap]:
    """Divide the decision about one picture over its places, for several classes.

    Parameters
    ----------
    head : LinearHead
        What decides.
    maps : sequence of ndarray of shape (height, width, channels)
        Of each network, the map whose mean is its vector.
    columns : sequence of int
        The classes, by their places.
    """
    weights = _weights(head, maps)
    sizes = [each.shape[2] for each in maps]
    factors = np.split(weights.factors[:, list(columns)], np.cumsum(sizes)[:-1])
    parts = [each.astype(float) @ own for each, own in zip(maps, factors, strict=True)]
    return [
        ClassMap(tuple(part[:, :, number] for part in parts), float(weights.constants[column]))
        for number, column in enumerate(columns)
    ]


def _weights(head: LinearHead, maps: Sequence[np.ndarray]) -> Weights:
    """Return the weights that go for a picture, of the means of its maps as they are."""
    vectors = [each.mean(axis=(0, 1), dtype=float) for each in maps]
    spreads = [np.abs(each).mean(axis=(0, 1), dtype=float) for each in maps]
    if len(maps) == 1:
        return head.weights(vectors[0], spreads[0])
    found = [float(np.linalg.norm(vector)) or 1.0 for vector in vectors]
    lengths = np.repeat(found, [len(vector) for vector in vectors])
    row, spread = np.concatenate(vectors) / lengths, np.concatenate(spreads) / lengths
    return joined(lengths, head.weights(row, spread))


def resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a map by area: each place is the mean of what it covers, and the mean stays."""
    rows, columns = _shares(values.shape[0], height), _shares(values.shape[1], width)
    return np.asarray(rows @ values @ columns.T)


def _shares(n: int, m: int) -> np.ndarray:
    """Return how much of each of m intervals, which share a line evenly, lies in each of n."""
    ends = np.linspace(0, 1, n + 1), np.linspace(0, 1, m + 1)
    begin = np.maximum(ends[1][:-1, None], ends[0][None, :-1])
    end = np.minimum(ends[1][1:, None], ends[0][None, 1:])
    return np.asarray(np.maximum(end - begin, 0) * m)
