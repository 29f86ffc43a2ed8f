"""Classifiers of scikit-learn as stages: what gives decision values, and what probabilities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    PassiveAggressiveClassifier,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC

from featx.backbones.framework import import_keras
from featx.errors import OptionError
from featx.export.affine import Linear, Scaling, Stage, dense
from featx.learning.balanced import BalancedLogisticRegression

# Squared, of the size of features: by so little those of one picture differ between two runtimes.
_SAME = 1e-10


def softmax(x: Any) -> Any:
    """Return probabilities of several classes, given a logit for each."""
    return import_keras().ops.softmax(x, axis=-1)


def both_classes(x: Any) -> Any:
    """Return probabilities of two classes, given the one logit of the second."""
    ops = import_keras().ops
    return ops.concatenate([ops.sigmoid(-x), ops.sigmoid(x)], axis=-1)


# -- Decision values -------------------------------------------------------------------------------


def _linear(fitted: Any) -> list[Stage]:
    return [Linear.of(np.atleast_2d(fitted.coef_).T, fitted.intercept_)]


def _machine(fitted: Any) -> list[Stage]:
    """Give the decision of a support vector machine: one value, or one for each of more classes."""
    if fitted.kernel == "linear":
        stages = _linear(fitted)
    elif fitted.kernel == "rbf":
        kernel = partial(_exponential, gamma=float(fitted._gamma))
        stages = [*_squared_distances(fitted.support_vectors_), kernel, _pairwise(fitted)]
    else:
        raise OptionError(
            f"SVC with kernel {fitted.kernel!r} cannot be exported: expected 'linear' or 'rbf'"
        )
    n = len(fitted.classes_)
    if n == 2:
        return stages
    if fitted.decision_function_shape != "ovr":
        raise OptionError("SVC with decision_function_shape='ovo' cannot be exported: take 'ovr'")
    return [*stages, partial(_votes, n=n)]


def _exponential(x: Any, gamma: float) -> Any:
    return import_keras().ops.exp(x * -gamma)


def _pairwise(fitted: Any) -> Linear:
    """Weigh the support vectors for each pair of classes, in the order of `_votes`."""
    counts = fitted.n_support_
    ends = np.cumsum(counts)
    of_class = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
    pairs = list(combinations(range(len(fitted.classes_)), 2))
    weights = np.zeros((ends[-1], len(pairs)))
    for column, (i, j) in enumerate(pairs):
        weights[of_class[i], column] = fitted.dual_coef_[j - 1, of_class[i]]
        weights[of_class[j], column] = fitted.dual_coef_[i, of_class[j]]
    return Linear.of(weights, fitted.intercept_)


def _votes(x: Any, n: int) -> Any:
    """Count which class wins of each pair; ties go by the sum of the decisions.

    That is the decision of one class against the rest, as scikit-learn makes it of one against one.
    """
    ops = import_keras().ops
    sides = np.zeros((n * (n - 1) // 2, n))
    for row, (i, j) in enumerate(combinations(range(n), 2)):
        sides[row, i], sides[row, j] = 1, -1
    total = dense(sides)
    confidences, won = total(x), total(ops.where(x < 0, -ops.ones_like(x), ops.ones_like(x)))
    votes = (won + (n - 1)) / 2  # won less lost ones, of n - 1
    return votes + confidences / (3 * (ops.abs(confidences) + 1))


def _squared_distances(rows: np.ndarray) -> list[Stage]:
    """Give the squared distance to each row; near the mean of the rows few digits cancel."""
    rows = np.asarray(rows, np.float64)
    centre = rows.mean(axis=0)
    return [Scaling.of(centre, 1.0, rows.shape[1]), partial(_distances, rows=rows - centre)]


def _distances(x: Any, rows: np.ndarray) -> Any:
    ops = import_keras().ops
    products = dense(-2 * rows.T, (rows**2).sum(axis=1))(x)
    # In this order: of as many rows as columns, Keras 3.15 on TensorFlow takes a column for a bias.
    return ops.relu(ops.add(ops.sum(ops.square(x), axis=-1, keepdims=True), products))


# -- Probabilities ---------------------------------------------------------------------------------


def _probable(fitted: Any) -> Stage:
    return both_classes if len(fitted.classes_) == 2 else softmax


def _regression(fitted: Any) -> list[Stage]:
    return [*_linear(fitted), _probable(fitted)]


def _perceptron(fitted: Any) -> list[Stage]:
    stages: list[Stage] = []
    for weights, bias in zip(fitted.coefs_, fitted.intercepts_, strict=True):
        stages += [Linear.of(weights, bias), partial(_activated, name=fitted.activation)]
    return [*stages[:-1], _probable(fitted)]


def _activated(x: Any, name: str) -> Any:
    keras = import_keras()
    names = {"logistic": "sigmoid", "identity": "linear"}
    return keras.activations.get(names.get(name, name))(x)


def _centroid(fitted: Any) -> list[Stage]:
    """Give what scikit-learn's discriminant scores differ by: the square of x is in all of them."""
    spread = np.asarray(fitted.within_class_std_dev_, np.float64)
    if fitted.metric != "euclidean" or not np.isfinite(spread).all():
        raise OptionError(
            "this NearestCentroid gives no probabilities, which are what a file gives: expected "
            "the Euclidean metric and several pictures of a class"
        )
    centroids = np.asarray(fitted.centroids_, np.float64)
    centre = centroids.mean(axis=0)
    scale = np.where(spread == 0, 1.0, spread)
    scaled = (centroids - centre) / scale
    bias = 2 * np.log(fitted.class_prior_) - (scaled**2).sum(axis=1)
    return [Scaling.of(centre, 1 / scale, len(centre)), Linear.of(2 * scaled.T, bias), softmax]


def _neighbors(fitted: Any) -> list[Stage]:
    if fitted.effective_metric_ != "euclidean":
        raise OptionError(
            f"KNeighborsClassifier with the metric {fitted.effective_metric_!r} cannot be "
            "exported: expected 'euclidean'"
        )
    if fitted.weights not in ("uniform", "distance", None):
        raise OptionError(
            "KNeighborsClassifier with weights of your own cannot be exported: expected 'uniform' "
            "or 'distance'"
        )
    rows = np.asarray(fitted._fit_X, np.float64)
    centre = rows.mean(axis=0)
    nearest = partial(
        _nearest,
        rows=rows - centre,
        truth=np.eye(len(fitted.classes_))[fitted._y],
        k=fitted.n_neighbors,
        weighted=fitted.weights == "distance",
    )
    return [Scaling.of(centre, 1.0, len(centre)), nearest]


def _nearest(x: Any, rows: np.ndarray, truth: np.ndarray, k: int, weighted: bool) -> Any:
    """Let the nearest rows vote, those at no distance alone.

    They are found by products, where digits cancel, and their distances are taken of differences.
    """
    keras = import_keras()
    ops = keras.ops
    _, numbers = ops.top_k(-_distances(x, rows), k)
    votes = ops.ones_like(numbers, dtype="float32")
    if weighted:
        near = ops.expand_dims(x, 1) - _table(rows)(numbers)
        squares = ops.sum(ops.square(near), axis=-1)
        least = _SAME * float((rows**2).sum(axis=1).mean())
        same = ops.cast(squares <= least, "float32")
        inverse = 1 / ops.sqrt(ops.maximum(squares, max(least, 1e-30)))
        votes = ops.where(ops.max(same, axis=-1, keepdims=True) > 0, same, inverse)
    counted = ops.sum(_table(truth)(numbers) * ops.expand_dims(votes, -1), axis=1)
    return counted / ops.sum(votes, axis=-1, keepdims=True)


def _table(rows: np.ndarray) -> Any:
    """Return a layer that gives rows by their numbers."""
    layer = import_keras().layers.Embedding(*rows.shape)
    layer.build()
    layer.set_weights([rows.astype(np.float32)])
    return layer


#: What gives the values of `decision_function`, by type; to be calibrated.
DECISIONS: dict[type, Callable[[Any], list[Stage]]] = {
    SVC: _machine,
    **dict.fromkeys(
        (
            BalancedLogisticRegression,
            LinearDiscriminantAnalysis,
            LinearSVC,
            LogisticRegression,
            LogisticRegressionCV,
            PassiveAggressiveClassifier,
            Perceptron,
            RidgeClassifier,
            RidgeClassifierCV,
            SGDClassifier,
        ),
        _linear,
    ),
}

#: What gives the values of `predict_proba`, by type.
PROBABILITIES: dict[type, Callable[[Any], list[Stage]]] = {
    BalancedLogisticRegression: _regression,
    KNeighborsClassifier: _neighbors,
    LinearDiscriminantAnalysis: _regression,
    LogisticRegression: _regression,
    LogisticRegressionCV: _regression,
    MLPClassifier: _perceptron,
    NearestCentroid: _centroid,
}
