"""Scenes held out whole: how a classifier does on photographs unlike those it saw."""

from __future__ import annotations

import numpy as np

from featx.evaluation.fits import fit_all
from featx.evaluation.intervals import Estimate, accuracy_interval, effective_size
from featx.evaluation.splits import REPEATS, Splits
from featx.evaluation.validation import tasks_of
from featx.features.matrix import Features
from featx.learning.learner import Learner

SCENES = 3  # of each class


def accuracy_on_scenes(
    features: Features,
    learner: Learner,
    copies: np.ndarray,
    *,
    seed: int = 0,
    n_jobs: int | None = None,
) -> Estimate:
    """Measure the accuracy of a classifier on scenes that are held out whole.

    Parameters
    ----------
    features : Features
        Images with classes.
    learner : Learner
        The classifier.
    copies : ndarray of shape (n,), int
        Images of one number stay together.
    seed : int, default=0
        Of the splits.
    n_jobs : int, optional
        As for `fit_all`.
    """
    assert features.y is not None
    splits = hold_out_scenes(features.matrix, features.y, copies, seed=seed)
    tasks = [each for each in tasks_of(features, splits, learner) if len(each.test)]
    fitted = fit_all(tasks, n_jobs=n_jobs)
    hits = [
        each.predicted == features.y[task.test] for task, each in zip(tasks, fitted, strict=True)
    ]
    size = effective_size(splits.groups, splits.folds)
    return accuracy_interval(float(np.concatenate(hits).mean()) if hits else 0.0, size)


def hold_out_scenes(
    X: np.ndarray, y: np.ndarray, copies: np.ndarray, *, repeats: int = REPEATS, seed: int = 0
) -> Splits:
    """Divide images so that those which look alike within a class are predicted together.

    Photographs of a class come in series: one shelf, one day, one camera. Shuffled, each has
    neighbours of its series to learn from, which new photographs will not have. So each class is
    clustered by looks (Ward's method) into three scenes, fewer where there are fewer different
    images, and each of three folds holds out one scene of every class; each repeat combines them
    anew. That is leave-one-cluster-out (Meredig and others, Can machine learning identify the next
    high-temperature superconductor?, Molecular Systems Design & Engineering 3, 2018). There is no
    distance to set.

    `X`, of shape (n, columns), tells how alike images look. Those of one group in `copies`, of
    shape (n,), show one photograph and stay on one side, too. The groups of the splits are the
    scenes. A class of copies of one photograph has one scene, and nothing of it is there to learn
    from when that is predicted.
    """
    labels, class_of = np.unique(y, return_inverse=True)
    scene_of = np.zeros(len(y), dtype=int)
    for label in range(len(labels)):
        rows = np.flatnonzero(class_of == label)
        scene_of[rows] = _clusters(X[rows], copies[rows])
    parts = []
    random = np.random.default_rng(seed)
    for _ in range(repeats):
        order = np.array([random.permutation(SCENES) for _ in labels])
        fold_of = order[class_of, scene_of]
        for fold in range(SCENES):
            test = fold_of == fold
            train = ~test & ~np.isin(copies, copies[test])
            if test.any() and len(np.unique(y[train])) > 1:
                parts.append((np.flatnonzero(train), np.flatnonzero(test)))
            else:  # nothing to predict, or nothing to tell apart
                parts.append((np.arange(len(y)), np.arange(0)))
    groups = np.unique(class_of * SCENES + scene_of, return_inverse=True)[1]
    return Splits(tuple(parts), SCENES, repeats, groups)


def _clusters(X: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Number the clusters of some images from 0, copies counted once."""
    from scipy.cluster.hierarchy import fcluster, linkage

    names, group_of = np.unique(copies, return_inverse=True)
    if len(names) <= SCENES:
        return group_of
    means = np.array([X[group_of == group].mean(axis=0) for group in range(len(names))])
    return np.asarray(fcluster(linkage(means, "ward"), SCENES, "maxclust")[group_of] - 1)
