"""Linear heads: what a fitted pipeline says of a picture, as a weight for each of its features.

Scaling, centring, rotating and choosing columns are linear; a classifier with a weight for each
feature is, too. Two steps are not: roots and lengths. But for one picture they are factors, since
sqrt(x) is x times 1/sqrt(x), and the length of its vector is a number. So the decision about a
picture is exactly a sum over its features, whose weights go for this picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

import numpy as np

_LEAST = 1e-12  # of a length, as scikit-learn has it


@dataclass(frozen=True, eq=False)
class Weights:
    """The decision about one picture, for every class: features @ factors + constants.

    Attributes
    ----------
    factors : ndarray of shape (columns, n_classes)
        For each feature, and each class.
    constants : ndarray of shape (n_classes,)
        What is left where all features are zero: intercepts, and what centring takes away.
    """

    factors: np.ndarray
    constants: np.ndarray


class _Step(Protocol):
    """A step of a pipeline, for one picture."""

    def forward(self, row: np.ndarray) -> np.ndarray:
        """Return what becomes of a row."""
        ...

    def backward(self, row: np.ndarray, after: Weights, spread: np.ndarray | None) -> Weights:
        """Return the weights of a row from those of what becomes of it.

        `spread` is the mean size of the numbers of which each of the row is the mean, if known.
        """
        ...


@dataclass(frozen=True, eq=False)
class _Affine:
    """Columns times factors, or a matrix of them, plus offsets."""

    factors: np.ndarray  # of shape (columns,), or (columns, columns behind it)
    offsets: np.ndarray | float = 0.0

    def forward(self, row: np.ndarray) -> np.ndarray:
        product = row @ self.factors if self.factors.ndim == 2 else row * self.factors
        return np.asarray(product + self.offsets)

    def backward(self, row: np.ndarray, after: Weights, spread: np.ndarray | None) -> Weights:
        constants = after.constants
        if np.ndim(self.offsets):
            constants = constants + self.offsets @ after.factors
        if self.factors.ndim == 2:
            return Weights(self.factors @ after.factors, constants)
        return Weights(self.factors[:, None] * after.factors, constants)


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Some of the columns."""

    kept: np.ndarray  # of shape (columns,), bool

    def forward(self, row: np.ndarray) -> np.ndarray:
        chosen: np.ndarray = row[self.kept]
        return chosen

    def backward(self, row: np.ndarray, after: Weights, spread: np.ndarray | None) -> Weights:
        factors = np.zeros((len(row), after.factors.shape[1]))
        factors[self.kept] = after.factors
        return Weights(factors, after.constants)


@dataclass(frozen=True, eq=False)
class _Unit:
    """A row brought to length 1, by a norm."""

    norm: Callable[[np.ndarray], float]

    def forward(self, row: np.ndarray) -> np.ndarray:
        return np.asarray(row / self._length(row))

    def backward(self, row: np.ndarray, after: Weights, spread: np.ndarray | None) -> Weights:
        return Weights(after.factors / self._length(row), after.constants)

    def _length(self, row: np.ndarray) -> float:
        return self.norm(row) or 1.0


class _Root:
    """Square roots with their signs.

    A feature that is the mean of large numbers of both signs is small, and a factor of
    1 / sqrt(feature) would blow them up. So the factor is no larger than it would be for the mean
    size of these numbers; what it lacks is part of the constant.
    """

    def forward(self, row: np.ndarray) -> np.ndarray:
        roots: np.ndarray = np.copysign(np.sqrt(np.abs(row)), row)
        return roots

    def backward(self, row: np.ndarray, after: Weights, spread: np.ndarray | None) -> Weights:
        roots = self.forward(row)
        size = np.abs(row) if spread is None else np.maximum(np.abs(row), spread)
        factors = np.abs(roots) / np.where(size > 0, size, 1)
        rest = (roots - factors * row) @ after.factors
        return Weights(factors[:, None] * after.factors, after.constants + rest)


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A pipeline whose decision about a picture is a sum over its features.

    Decisions are those of `decision_function` where the classifier has a weight for each feature
    (logistic regression, ridge, linear discriminants and others of scikit-learn's kind); of two
    classes, the first has that of the second with the sign turned. Of a linear support vector
    machine that tells pairs of classes apart, it is the mean of its decisions between a class and
    each other one. Of the nearest class mean, it is by how much its squared distance is less than
    that of the classes on average. Calibration comes behind the decision.
    """

    steps: tuple[_Step, ...]
    last: Weights

    @classmethod
    def of(cls, pipeline: Any) -> LinearHead | None:
        """Take a fitted pipeline of known steps apart; None where it is not linear."""
        *transformers, classifier = _flat(pipeline)
        last = _last(classifier)
        known = [_known(each) for each in transformers]
        if last is None or None in known:
            return None
        return cls(tuple(step for steps in known for step in steps or ()), last)

    def decisions(self, row: np.ndarray) -> np.ndarray:
        """Return the decision value of each class about a picture, of shape (n_classes,)."""
        row = np.asarray(row, dtype=float)
        for step in self.steps:
            row = step.forward(row)
        return np.asarray(row @ self.last.factors + self.last.constants)

    def weights(self, row: np.ndarray, spread: np.ndarray | None = None) -> Weights:
        """Return the weights that go for a picture.

        Parameters
        ----------
        row : ndarray of shape (columns,)
            Its features.
        spread : ndarray of shape (columns,), optional
            The mean size of the numbers of which each feature is the mean.
        """
        rows = [np.asarray(row, dtype=float)]
        for step in self.steps:
            rows.append(step.forward(rows[-1]))
        weights = self.last
        for number in reversed(range(len(self.steps))):
            own = spread if number == 0 else None
            weights = self.steps[number].backward(rows[number], weights, own)
        return weights


def joined(lengths: np.ndarray, weights: Weights) -> Weights:
    """Return the weights of vectors that are brought to length 1 before they are joined.

    `lengths`, of shape (columns,), has the length of the vector that each feature is of.
    """
    return Weights(weights.factors / lengths[:, None], weights.constants)


def _flat(estimator: Any) -> list[Any]:
    """List the steps of a fitted pipeline, with those of pipelines and searches inside it."""
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, BaseSearchCV):
        return _flat(getattr(estimator, "best_estimator_", None))
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        return [each for step in steps for each in _flat(step)]
    calibrated = _calibrated(estimator)
    return [estimator] if calibrated is None else _flat(calibrated)


def _calibrated(estimator: Any) -> Any:
    """Return the one classifier that a calibration is of; None where there are several."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    if isinstance(estimator, FrozenEstimator):
        return estimator.estimator
    found = getattr(estimator, "calibrated_classifiers_", [])
    if not isinstance(estimator, CalibratedClassifierCV) or len(found) != 1:
        return None
    return found[0].estimator


def _last(estimator: Any) -> Weights | None:
    """Return the weights of a linear classifier; None for anything else."""
    from sklearn.neighbors import NearestCentroid
    from sklearn.svm import SVC, NuSVC

    if isinstance(estimator, SVC | NuSVC):
        return _of_machine(estimator) if estimator.kernel == "linear" else None
    if isinstance(estimator, NearestCentroid):
        return _of_centroids(estimator)
    if not _decides_linearly(estimator):
        return None
    factors = np.atleast_2d(np.asarray(estimator.coef_, float)).T
    constants = np.broadcast_to(np.asarray(estimator.intercept_, float), factors.shape[1])
    return _of_both(Weights(factors, constants))


def _decides_linearly(estimator: Any) -> bool:
    """Whether a fitted classifier is one of scikit-learn's with a weight for each feature."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model._base import LinearClassifierMixin

    own = getattr(type(estimator), "decision_function", None)
    usual = (LinearClassifierMixin.decision_function, LinearDiscriminantAnalysis.decision_function)
    return own in usual and hasattr(estimator, "coef_")


def _of_both(weights: Weights) -> Weights:
    """Give each of two classes its weights, where there are those of the second alone."""
    if weights.factors.shape[1] > 1:
        return weights
    signs = np.array([-1.0, 1.0])
    return Weights(weights.factors * signs, weights.constants * signs)


def _of_machine(machine: Any) -> Weights:
    """Take the mean of the decisions between a class and each other one."""
    factors, constants = np.asarray(machine.coef_, float).T, np.asarray(machine.intercept_, float)
    n = len(machine.classes_)
    if n == 2:
        return _of_both(Weights(factors, constants))
    signs = np.zeros((len(constants), n))
    for row, (one, other) in enumerate(combinations(range(n), 2)):
        signs[row, one], signs[row, other] = 1 / (n - 1), -1 / (n - 1)
    return Weights(factors @ signs, constants @ signs)


def _of_centroids(nearest: Any) -> Weights | None:
    """Take by how much the squared distance to a class mean is less than on average.

    None where other distances count, or classes do not count alike.
    """
    if nearest.metric != "euclidean" or np.ptp(getattr(nearest, "class_prior_", [0.0])) > 0:
        return None
    centres = np.asarray(nearest.centroids_, float)
    squares = (centres**2).sum(axis=1)
    return Weights(2 * (centres - centres.mean(axis=0)).T, squares.mean() - squares)


def _known(step: Any) -> list[_Step] | None:
    """Return what a fitted transformer does to a row; None for one that is not known."""
    from sklearn.feature_selection._base import SelectorMixin

    if isinstance(step, SelectorMixin):
        return [_Chosen(np.asarray(step.get_support()))]
    translate = _translations().get(type(step))
    return None if translate is None else translate(step)


def _translations() -> dict[type, Callable[[Any], list[_Step] | None]]:
    """Return how transformers are translated, by their very types: others may do more."""
    from sklearn import preprocessing
    from sklearn.decomposition import PCA, TruncatedSVD
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    from featx.learning.transformers import Discriminants, SignedRoot

    return {
        SignedRoot: lambda step: [_Root()],
        Discriminants: lambda step: [_centred(step.mean_, step.scalings_)],
        LinearDiscriminantAnalysis: _of_discriminants,
        PCA: _of_components,
        TruncatedSVD: lambda step: [_Affine(np.asarray(step.components_, float).T)],
        preprocessing.Normalizer: _of_normalizer,
        preprocessing.StandardScaler: _of_scaler,
        preprocessing.MaxAbsScaler: lambda step: [_Affine(1 / np.asarray(step.scale_, float))],
    }


def _centred(mean: Any, factors: Any) -> _Affine:
    """Return what takes a mean away first."""
    factors = np.asarray(factors, float)
    product = mean @ factors if factors.ndim == 2 else mean * factors
    return _Affine(factors, -np.asarray(product, float))


def _of_scaler(scaler: Any) -> list[_Step]:
    columns = scaler.n_features_in_
    mean = np.zeros(columns) if scaler.mean_ is None or not scaler.with_mean else scaler.mean_
    scale = np.ones(columns) if scaler.scale_ is None else scaler.scale_
    return [_centred(mean, 1 / scale)]


def _of_components(pca: Any) -> list[_Step]:
    factors = np.asarray(pca.components_, float).T
    if pca.whiten:
        factors = factors / np.sqrt(pca.explained_variance_)
    return [_centred(pca.mean_, factors)]


def _of_discriminants(analysis: Any) -> list[_Step] | None:
    if not hasattr(analysis, "xbar_"):  # "lsqr" gives no directions
        return None
    return [_centred(analysis.xbar_, analysis.scalings_[:, : analysis._max_components])]


def _of_normalizer(normalizer: Any) -> list[_Step]:
    norms: dict[str, Callable[[np.ndarray], float]] = {
        "l1": lambda row: float(np.abs(row).sum()),
        "l2": lambda row: float(np.linalg.norm(row)),
        "max": lambda row: float(np.abs(row).max()),
    }
    return [_Unit(norms[normalizer.norm])]
