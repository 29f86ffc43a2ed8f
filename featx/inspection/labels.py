"""Labels that may be wrong: pictures that look like another class to whoever knows the others."""

from __future__ import annotations

import numpy as np

from featx.features.matrix import Features
from featx.inspection.findings import Finding
from featx.inspection.folds import folds_of

_FOLDS = 10
_PENALTY = 0.1  # of the ridge, for vectors of length 1
# How much more a picture must be of another class, where 1 is certainty. Wrong labels planted in
# two sets of photographs have 0.3 to 0.9. Where the classifier is often wrong, its own mistakes
# reach further: with 15 % (digits) up to 0.4, with 40 % (pictures of 32 pixels) up to 0.65.
_MARGIN, _MARGIN_BESIDE_MISTAKES = 0.3, 0.25
_MOST_MISTAKES = 0.5  # of all; a classifier that is wrong more often accuses nobody


def find_mislabelled(features: Features, groups: np.ndarray) -> list[Finding]:
    """Find pictures whose label is likely wrong, the clearest first.

    A ridge regression on the square roots of the features, brought to length 1, predicts each
    class from 0 to 1 for pictures that it has not learned from; copies stand on one side. It takes
    a moment for thousands of pictures, and its doubts are as good as those of slower classifiers.
    """
    labels, y = features.labels, features.y
    if y is None or len(features.classes) < 2:
        return []
    classes = np.array(features.classes)
    own = np.searchsorted(classes, y)
    scores = _held_out_scores(_prepared(features.matrix), own, len(classes), groups)
    rows = np.arange(len(own))
    mine = scores[rows, own]
    scores[rows, own] = -np.inf
    margins = scores.max(axis=1) - mine
    looks = classes[scores.argmax(axis=1)].tolist()
    mistakes = float((margins > 0).mean())
    margin = max(_MARGIN, _MARGIN_BESIDE_MISTAKES + mistakes)
    if mistakes > _MOST_MISTAKES:
        return []
    found = [row for row in np.argsort(-margins, kind="stable").tolist() if margins[row] > margin]
    return [
        Finding(
            "mislabelled",
            "looks like",
            features.paths[row],
            labels[row],
            other_label=looks[row],
        )
        for row in found
    ]


def _prepared(matrix: np.ndarray) -> np.ndarray:
    """Return signed square roots, centred, of length 1."""
    rows = np.sqrt(np.abs(matrix), dtype=np.float32)
    np.copysign(rows, matrix, out=rows)
    rows -= rows.mean(axis=0)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def _held_out_scores(
    X: np.ndarray, own: np.ndarray, n_classes: int, groups: np.ndarray
) -> np.ndarray:
    """Return how much each picture is of each class, as seen by those of other folds."""
    targets = np.eye(n_classes, dtype=np.float32)[own]
    scores = np.zeros((len(X), n_classes))
    wide = X.shape[1] >= len(X)
    products = X @ X.T if wide else X.T @ X
    fold = folds_of(own, groups, _FOLDS)
    for number in np.unique(fold):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        mean = targets[train].mean(axis=0)
        goals = targets[train] - mean
        if wide:
            weights = _solved(products[np.ix_(train, train)], goals)
            scores[test] = products[np.ix_(test, train)] @ weights + mean
        else:
            weights = _solved(products - X[test].T @ X[test], X[train].T @ goals)
            scores[test] = X[test] @ weights + mean
    return scores


def _solved(products: np.ndarray, goals: np.ndarray) -> np.ndarray:
    from scipy.linalg import cho_factor, cho_solve
    from threadpoolctl import threadpool_limits

    products = products + _PENALTY * np.eye(len(products), dtype=products.dtype)
    with threadpool_limits(1):  # where the cores are busy, threads would wait for one another
        return np.asarray(cho_solve(cho_factor(products, overwrite_a=True), goals))
