"""Calibration of decision values as a stage, as scikit-learn does it to classifiers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from featx.backbones.framework import import_keras
from featx.errors import OptionError
from featx.export.affine import Stage
from featx.export.classifiers import both_classes, softmax


def calibration(calibrated: Any) -> Stage:
    """Return what makes probabilities of the decision values that a fitted calibration takes.

    `calibrated` is one of `CalibratedClassifierCV.calibrated_classifiers_`.
    """
    calibrators, n = calibrated.calibrators, len(calibrated.classes)
    if calibrated.method == "temperature":
        return partial(_tempered, beta=float(calibrators[0].beta_), n=n)
    if calibrated.method == "sigmoid":
        slopes = np.array([each.a_ for each in calibrators], np.float32)
        shifts = np.array([each.b_ for each in calibrators], np.float32)
        return partial(_sigmoid, slopes=slopes, shifts=shifts)
    if calibrated.method == "isotonic":
        return partial(_isotonic, knots=_knots(calibrators))
    raise OptionError(f"a calibration by {calibrated.method!r} cannot be exported")


def _tempered(x: Any, beta: float, n: int) -> Any:
    return both_classes(x * (2 * beta)) if n == 2 else softmax(x * beta)  # of two, (-x, x)


def _sigmoid(x: Any, slopes: np.ndarray, shifts: np.ndarray) -> Any:
    logits = -(x * slopes + shifts)
    if len(slopes) == 1:
        return both_classes(logits)
    return _shares(import_keras().ops.sigmoid(logits))


def _knots(calibrators: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return knots and values of isotonic calibrators, each (classes, most), the last repeated."""
    most = max(2, *(len(each.X_thresholds_) for each in calibrators))

    def table(name: str) -> np.ndarray:
        rows = [getattr(each, name) for each in calibrators]
        return np.array([np.pad(row, (0, most - len(row)), "edge") for row in rows])

    return table("X_thresholds_"), table("y_thresholds_")


def _isotonic(x: Any, knots: tuple[np.ndarray, np.ndarray]) -> Any:
    """Interpolate between knots: each interval adds its part of the rise."""
    ops = import_keras().ops
    places, values = knots
    widths, rises = np.diff(places, axis=1), np.diff(values, axis=1)
    inverse = np.divide(1, widths, out=np.zeros_like(widths), where=widths > 0)
    left = ops.expand_dims(x, -1) - places[:, :-1].astype(np.float32)
    parts = ops.clip(left * inverse.astype(np.float32), 0, 1)
    heights = ops.sum(parts * rises.astype(np.float32), axis=-1) + values[:, 0].astype(np.float32)
    if len(places) == 1:
        return ops.concatenate([1 - heights, heights], axis=-1)
    return _shares(heights)


def _shares(x: Any) -> Any:
    """Divide by the sum over the classes; where that is 0, all are as probable."""
    ops = import_keras().ops
    total = ops.sum(x, axis=-1, keepdims=True)
    even = ops.ones_like(x) / x.shape[-1]
    return ops.where(total > 0, x / ops.where(total > 0, total, ops.ones_like(total)), even)
