"""Folds of the searches inside classifiers, in which views and groups of images stay together."""

from __future__ import annotations

from typing import Any

import numpy as np

_FOLDS = 5  # what scikit-learn takes None for

Parts = list[tuple[np.ndarray, np.ndarray]]  # rows to train on and rows to predict


def inner_folds(cv: Any, y: np.ndarray, views: int = 0, groups: np.ndarray | None = None) -> Parts:
    """Split images by what scikit-learn takes as `cv`, and let their views follow them.

    Parameters
    ----------
    cv : int, splitter, iterable or None
        A splitter of a user's own decides itself what it makes of the groups.
    y : ndarray of shape (n,)
        The classes of the images.
    views : int, default=0
        Views of each image, whose rows come after those of all images, view by view.
    groups : ndarray of shape (n,), int, optional
        Images of one group stay together.
    """
    from sklearn.model_selection import check_cv

    if groups is not None and isinstance(cv, int | None):
        parts = _grouped(_FOLDS if cv is None else cv, y, groups)
    else:
        parts = list(check_cv(cv, y, classifier=True).split(y, y, groups))
    later = len(y) * np.arange(views + 1)[:, None]
    return [((train + later).ravel(), (test + later).ravel()) for train, test in parts]


def let_search(
    estimator: Any, y: np.ndarray, views: int = 0, groups: np.ndarray | None = None
) -> None:
    """Give the searches of an estimator of a user's own splits that keep views and groups."""
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps:
            let_search(step, y, views, groups)
    elif hasattr(estimator, "cv") and estimator.cv != "prefit":
        estimator.set_params(cv=inner_folds(estimator.cv, y, views, groups))


def _grouped(folds: int, y: np.ndarray, groups: np.ndarray) -> Parts:
    """Split images by class with groups together, into fewer folds where there are few groups.

    A class of one group would be gone whenever that is held out: its images are divided as if each
    were on its own.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    names = np.unique(y)
    _, kept = np.unique(groups, return_inverse=True)
    single = [name for name in names if len(np.unique(groups[y == name])) == 1]
    lone = np.isin(y, single)
    kept[lone] = len(y) + np.flatnonzero(lone)
    most = min(len(np.unique(kept[y == name])) for name in names)
    for k in range(min(folds, most), 1, -1):
        splitter = StratifiedGroupKFold(k, shuffle=True, random_state=0)
        parts = list(splitter.split(y, y, kept))
        if all(len(test) and len(np.unique(y[train])) == len(names) for train, test in parts):
            return parts
    smallest = int(np.unique(y, return_counts=True)[1].min())
    return list(StratifiedKFold(max(2, min(folds, smallest))).split(y, y))
