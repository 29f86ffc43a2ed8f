"""Affine steps of a pipeline, folded in double precision before they become layers of Keras.

Numbers are computed in single precision behind that, so what is subtracted stays a step of its own:
of a feature that is large and varies little, the product with a weight would lose the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from featx.backbones.framework import import_keras

#: What makes a Keras tensor of another, each with a row for each picture.
Stage: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Scaling:
    """`(x[:, columns] - centre) * scale`, column by column.

    Attributes
    ----------
    centre, scale : ndarray of shape (kept,), float64
        What is subtracted, and what the rest is multiplied by.
    width : int
        Columns of x.
    columns : ndarray of shape (kept,), int, or None
        Those that are kept; None for all.
    """

    centre: np.ndarray
    scale: np.ndarray
    width: int
    columns: np.ndarray | None = None

    @classmethod
    def of(cls, centre: Any, scale: Any, width: int) -> Scaling:
        """Make one of all columns; centre and scale may be single numbers."""
        return cls(_vector(centre, width), _vector(scale, width), width)

    @classmethod
    def selection(cls, columns: np.ndarray, width: int) -> Scaling:
        """Make one that keeps some columns as they are."""
        kept = len(columns)
        return cls(np.zeros(kept), np.ones(kept), width, None if kept == width else columns)

    @property
    def kept(self) -> np.ndarray:
        """The columns that are kept, of shape (kept,), int."""
        return np.arange(self.width) if self.columns is None else self.columns

    def __call__(self, x: Any) -> Any:
        ops = import_keras().ops
        if self.columns is not None:
            x = ops.take(x, self.columns.astype(np.int32), axis=-1)
        if self.centre.any():
            x = ops.subtract(x, _single(self.centre))
        if (self.scale != 1).any():
            x = ops.multiply(x, _single(self.scale))
        return x


@dataclass(frozen=True, eq=False)
class Linear:
    """`(x - centre) @ weights + bias`.

    Attributes
    ----------
    weights : ndarray of shape (width, outputs), float64
    bias : ndarray of shape (outputs,), float64
    centre : ndarray of shape (width,), float64
    """

    weights: np.ndarray
    bias: np.ndarray
    centre: np.ndarray

    @classmethod
    def of(cls, weights: Any, bias: Any = 0.0, centre: Any = 0.0) -> Linear:
        """Make one; bias and centre may be single numbers."""
        weights = np.asarray(weights, np.float64)
        width, outputs = weights.shape
        return cls(weights, _vector(bias, outputs), _vector(centre, width))

    def __call__(self, x: Any) -> Any:
        if self.centre.any():
            x = import_keras().ops.subtract(x, _single(self.centre))
        return dense(self.weights, self.bias)(x)


def dense(weights: np.ndarray, bias: Any = 0.0) -> Any:
    """Return a layer that multiplies by weights of shape (width, outputs) and adds a bias."""
    width, outputs = weights.shape
    layer = import_keras().layers.Dense(outputs)
    layer.build((None, width))
    layer.set_weights([_single(weights), _single(_vector(bias, outputs))])
    return layer


def folded(stages: Sequence[Stage]) -> list[Stage]:
    """Join affine stages that follow each other."""
    joined: list[Stage] = []
    for stage in stages:
        last = joined[-1] if joined else None
        if isinstance(last, Scaling) and isinstance(stage, Scaling):
            joined[-1] = _rescaled(last, stage)
        elif isinstance(last, Scaling) and isinstance(stage, Linear):
            joined[-1] = _scaled_weights(last, stage)
        elif isinstance(last, Linear) and isinstance(stage, Scaling | Linear):
            joined[-1] = _multiplied(last, stage)
        else:
            joined.append(stage)
    return joined


def _rescaled(first: Scaling, second: Scaling) -> Scaling:
    kept = second.kept
    scale = first.scale[kept]
    columns = first.kept[kept]
    whole = len(columns) == first.width and first.columns is None and second.columns is None
    return Scaling(
        first.centre[kept] + second.centre / scale,
        scale * second.scale,
        first.width,
        None if whole else columns,
    )


def _scaled_weights(first: Scaling, second: Linear) -> Linear:
    weights = np.zeros((first.width, second.weights.shape[1]))
    weights[first.kept] = first.scale[:, None] * second.weights
    centre = np.zeros(first.width)
    centre[first.kept] = first.centre + second.centre / first.scale
    return Linear(weights, second.bias, centre)


def _multiplied(first: Linear, second: Scaling | Linear) -> Linear:
    bias = first.bias[second.kept] if isinstance(second, Scaling) else first.bias
    bias = bias - second.centre
    if isinstance(second, Scaling):
        weights = first.weights[:, second.kept] * second.scale
        return Linear(weights, bias * second.scale, first.centre)
    return Linear(first.weights @ second.weights, bias @ second.weights + second.bias, first.centre)


def _vector(values: Any, length: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(values, np.float64), (length,)).copy()


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)
