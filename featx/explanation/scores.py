"""Scores: what a fitted pipeline says for a class, in numbers that tell similar pictures apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from featx.images.labels import Label
from featx.learning.learner import probabilities_of

_LEAST = 1e-6  # of probabilities, where logarithms are taken


def scores_of(pipeline: Any, classes: Sequence[Label], column: int, X: np.ndarray) -> np.ndarray:
    """Return what a pipeline says for a class about features, of shape (n,).

    That is the logarithm of the odds of the class. Probabilities of neighbours are 0 for most
    classes, so there it is by how much nearer the nearest pictures of the class are than those of
    the others. Where there are no probabilities it is the decision, or 1 for what is predicted to
    be of the class and else 0.
    """
    near = _nearness(pipeline, classes[column], X)
    if near is not None:
        return near
    shares = probabilities_of(pipeline, X, classes)
    if shares is not None:
        own = np.clip(shares[:, column], _LEAST, 1 - _LEAST)
        return np.asarray(np.log(own / (1 - own)))
    if not hasattr(pipeline, "decision_function"):
        return np.asarray(pipeline.predict(X) == classes[column], float)
    decisions = np.asarray(pipeline.decision_function(X), float)
    if decisions.ndim == 2:
        return np.asarray(decisions[:, column])
    return decisions if column else -decisions


def _nearness(pipeline: Any, label: Label, X: np.ndarray) -> np.ndarray | None:
    """Return by how much nearer the neighbours of a class are; None for another classifier."""
    from sklearn.metrics import pairwise_distances
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import Pipeline

    steps = [step for _, step in pipeline.steps] if isinstance(pipeline, Pipeline) else [pipeline]
    nearest = steps[-1]
    if type(nearest) is not KNeighborsClassifier:
        return None
    rows = pipeline[:-1].transform(X) if len(steps) > 1 else X
    distances = pairwise_distances(
        rows, nearest._fit_X, metric=nearest.effective_metric_, **nearest.effective_metric_params_
    )
    own = np.asarray(nearest.classes_)[nearest._y] == label
    others, mine = (_mean_of_least(distances[:, of], nearest.n_neighbors) for of in (~own, own))
    return np.asarray(others - mine)


def _mean_of_least(distances: np.ndarray, n: int) -> np.ndarray:
    """Return the mean of the n smallest numbers of each row."""
    return np.asarray(np.sort(distances, axis=1)[:, :n].mean(axis=1))
