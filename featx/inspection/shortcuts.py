"""Shortcuts: classes that can be told without looking at what the pictures show.

A decision tree learns from the sizes of the pictures alone, from their files, from the cameras, or
from the colours of their edges, and is cross-validated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from featx.features.matrix import Features
from featx.images.measures import Measures
from featx.inspection.findings import Finding
from featx.inspection.folds import folds_of
from featx.text import listed, percent

_FOLDS = 5
_LEAF = 3  # pictures at least
_FEW = 8  # pictures of a class, below which nothing is said of it
_HALF = 0.5  # of what lies between guessing and certainty, from which up it is a warning
_TOLD = 0.85  # recall and precision of a class that is told from all others


def find_shortcuts(
    features: Features, groups: np.ndarray, measures: Mapping[str, Measures]
) -> list[Finding]:
    """Find what alone tells the classes of labelled pictures apart; copies stand on one side."""
    rows = [row for row, path in enumerate(features.paths) if path in measures]
    labels = features.labels
    classes, y = np.unique([str(labels[row]) for row in rows], return_inverse=True)
    if len(classes) < 2 or len(rows) < _FOLDS * _LEAF or np.bincount(y).min() < 2:
        return []
    every = [measures[features.paths[row]] for row in rows]
    folds = folds_of(y, groups[rows], _FOLDS)
    found = []
    for cue, table in _cues(every).items():
        if (table != table[0]).any():
            found += _told_by(cue, _predicted(table, y, folds), y, classes.tolist())
    return found


def _cues(every: Sequence[Measures]) -> dict[str, np.ndarray]:
    """Return what may tell classes apart, by name: a row a picture."""
    return {
        "the image sizes": np.array([_of_size(each) for each in every]),
        "the files (format, bytes)": np.hstack(
            [
                _one_hot([each.format for each in every]),
                np.log([[each.n_bytes] for each in every]),
            ]
        ),
        "the camera": _one_hot([each.camera for each in every]),
        "the colours of the edges": np.array([each.edges for each in every]),
    }


def _of_size(each: Measures) -> tuple[float, ...]:
    return each.width, each.height, math.log(each.width / each.height), each.width * each.height


def _one_hot(names: Sequence[str]) -> np.ndarray:
    return np.asarray(np.array(names)[:, None] == np.unique(names), dtype=float)


def _predicted(table: np.ndarray, y: np.ndarray, folds: np.ndarray) -> np.ndarray:
    from sklearn.tree import DecisionTreeClassifier

    predicted = np.empty_like(y)
    for number in np.unique(folds):
        train, test = folds != number, folds == number
        tree = DecisionTreeClassifier(
            min_samples_leaf=_LEAF, class_weight="balanced", random_state=0
        )
        predicted[test] = tree.fit(table[train], y[train]).predict(table[test])
    return predicted


def _told_by(
    cue: str, predicted: np.ndarray, y: np.ndarray, classes: Sequence[str]
) -> list[Finding]:
    """Say what a classifier tells by a cue, if that is much more than by chance."""
    n = len(classes)
    right = np.bincount(y[predicted == y], minlength=n)
    size, taken = np.bincount(y, minlength=n), np.bincount(predicted, minlength=n)
    recall, precision = right / size, right / np.maximum(taken, 1)
    balanced = float(recall.mean())
    if (balanced - 1 / n) / (1 - 1 / n) >= _HALF:
        text = f"{percent(balanced, 0)} of each class on the average, {percent(1 / n, 0)} by chance"
        return [Finding("shortcut", f"a classifier on {cue} alone is right for {text}")]
    told = (recall >= _TOLD) & (precision >= _TOLD) & (size >= _FEW)
    names = [
        f"{classes[each]} ({right[each]} of {size[each]})" for each in np.flatnonzero(told).tolist()
    ]
    if not names:
        return []
    return [Finding("shortcut", f"a classifier on {cue} alone finds {listed(names)}")]
