"""Transformers of scikit-learn and featx as stages: what a pipeline does before it classifies."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)

from featx.backbones.framework import import_keras
from featx.errors import OptionError
from featx.export.affine import Linear, Scaling, Stage
from featx.learning.transformers import Discriminants, SignedRoot

_LEAST_NORM = 10 * float(np.finfo(np.float32).eps)  # rows of less are zero to scikit-learn


def _standard(step: Any) -> list[Stage]:
    centre = step.mean_ if step.with_mean else 0.0
    return [_divided(step, centre, step.scale_ if step.with_std else 1.0)]


def _robust(step: Any) -> list[Stage]:
    centre = step.center_ if step.with_centering else 0.0
    return [_divided(step, centre, step.scale_ if step.with_scaling else 1.0)]


def _greatest(step: Any) -> list[Stage]:
    return [_divided(step, 0.0, step.scale_)]


def _least_and_greatest(step: Any) -> list[Stage]:
    if step.clip:
        raise OptionError("MinMaxScaler(clip=True) cannot be exported: train with clip=False")
    return [_divided(step, -step.min_ / step.scale_, 1 / step.scale_)]


def _divided(step: Any, centre: Any, scale: Any) -> Scaling:
    return Scaling.of(centre, 1 / np.asarray(scale, np.float64), step.n_features_in_)


def _selected(step: Any) -> list[Stage]:
    return [Scaling.selection(step.get_support(indices=True), step.n_features_in_)]


def _rotated(step: Any) -> list[Stage]:
    weights = step.components_.T.astype(np.float64)
    if step.whiten:
        spread = np.sqrt(step.explained_variance_)
        weights = weights / np.maximum(spread, np.finfo(spread.dtype).eps)
    return [Linear.of(weights, centre=step.mean_)]


def _components(step: Any) -> list[Stage]:
    return [Linear.of(step.components_.T)]


def _discriminants(step: Any) -> list[Stage]:
    return [Linear.of(step.scalings_, centre=step.mean_)]


def _analysis(step: Any) -> list[Stage]:
    if step.solver == "lsqr":
        raise OptionError("LinearDiscriminantAnalysis(solver='lsqr') does not transform")
    weights = step.scalings_[:, : step._max_components]
    return [Linear.of(weights, centre=step.xbar_ if step.solver == "svd" else 0.0)]


def _rooted(step: Any) -> list[Stage]:
    return [_root]


def _root(x: Any) -> Any:
    ops = import_keras().ops
    return ops.sign(x) * ops.sqrt(ops.abs(x))


def _normalized(step: Any) -> list[Stage]:
    return [partial(_unit, norm=step.norm)]


def _unit(x: Any, norm: str) -> Any:
    """Divide each row by its norm, as scikit-learn's `Normalizer` does."""
    ops = import_keras().ops
    if norm == "l2":
        norms = ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True))
    else:
        norms = (ops.sum if norm == "l1" else ops.max)(ops.abs(x), axis=-1, keepdims=True)
    return ops.divide(x, ops.where(norms < _LEAST_NORM, ops.ones_like(norms), norms))


_SELECTORS = (
    GenericUnivariateSelect,
    RFE,
    RFECV,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)

#: What each type of transformer does, by type.
TRANSFORMERS: dict[type, Callable[[Any], list[Stage]]] = {
    Discriminants: _discriminants,
    IncrementalPCA: _rotated,
    LinearDiscriminantAnalysis: _analysis,
    MaxAbsScaler: _greatest,
    MinMaxScaler: _least_and_greatest,
    Normalizer: _normalized,
    PCA: _rotated,
    RobustScaler: _robust,
    SignedRoot: _rooted,
    StandardScaler: _standard,
    TruncatedSVD: _components,
    **dict.fromkeys(_SELECTORS, _selected),
}
