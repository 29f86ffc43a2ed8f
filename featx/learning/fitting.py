"""Fitting and judging many classifiers, side by side where that is quicker."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np

from featx.backbones.framework import import_keras
from featx.learning.classifiers import network_of
from featx.learning.views import classifier_for, fit, predict

_WORTH_PROCESSES = 6.0  # seconds of work left; starting processes takes some two


@dataclass(frozen=True, eq=False)
class Task:
    """One classifier to fit on some rows and to judge on others.

    Attributes
    ----------
    X : ndarray of shape (n, columns), float32
        Features; shared by many tasks.
    views : tuple of ndarray of the shape of X
        Features of augmented views of the same images.
    y : ndarray of shape (n,), str
        Their classes.
    train, test : ndarray of int
        Rows to fit on, and rows to predict.
    classifier : str or estimator
        As for `make_classifier`.
    memory : joblib.Memory, optional
        Where fitted steps of pipelines are kept for other tasks.
    """

    X: np.ndarray
    y: np.ndarray
    train: np.ndarray
    test: np.ndarray
    classifier: Any
    memory: Any = None
    views: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True, eq=False)
class Fitted:
    """What became of a task.

    Attributes
    ----------
    predicted : ndarray of shape (n_test,), str
        Predicted classes.
    probabilities : ndarray of shape (n_test, n_classes), float, or None
        Columns in the order of the sorted classes of all rows; None if there are none.
    seconds : float
        Time of fitting, on one core; of a network from scratch, on all.
    predict_seconds : float
        Time of predicting.
    """

    predicted: np.ndarray
    probabilities: np.ndarray | None
    seconds: float
    predict_seconds: float


def fit_all(
    tasks: Sequence[Task], *, n_jobs: int | None = None, progress: str | None = None
) -> list[Fitted]:
    """Fit and judge classifiers, in order or in several processes.

    Every fit computes on one core, so the numbers do not depend on how the work was shared out;
    but those of networks from scratch come one after the other, on all cores, in this process.

    Parameters
    ----------
    tasks : sequence of Task
        What to do.
    n_jobs : int, optional
        Processes; by default one per core, once the work proves to be long.
    progress : str, optional
        What to call the progress bar, which appears after a second; None for no bar.

    Returns
    -------
    list of Fitted
        In the order of the tasks.
    """
    from tqdm import tqdm

    bar = tqdm(
        _fit_groups(tasks, n_jobs or os.cpu_count() or 1),
        total=len(tasks),
        desc=progress,
        unit=" fits",
        delay=1,
        disable=progress is None,
    )
    return list(bar)


def _fit_groups(tasks: Sequence[Task], processes: int) -> Iterator[Fitted]:
    for networks, group in groupby(tasks, lambda task: network_of(task.classifier) is not None):
        if networks:
            import_keras()  # its seconds are not those of the first fit
        yield from _fit_in_turn(list(group), 1 if networks else processes)


def _fit_in_turn(tasks: Sequence[Task], processes: int) -> Iterator[Fitted]:
    start = time.perf_counter()
    for done, task in enumerate(tasks):
        left = (time.perf_counter() - start) / max(done, 1) * (len(tasks) - done)
        if processes > 1 and left > _WORTH_PROCESSES:
            from joblib import Parallel, delayed

            parallel = Parallel(n_jobs=processes, return_as="generator")
            yield from parallel(delayed(_fit)(each) for each in tasks[done:])
            return
        yield _fit(task)


@lru_cache(maxsize=1)
def _threads() -> Any:
    """Return what limits the threads of this process; it takes time to look for their libraries."""
    import sklearn.linear_model
    import sklearn.neighbors  # noqa: F401  # both load libraries with threads
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _fit(task: Task) -> Fitted:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import Pipeline

    X, y = task.X[task.train], task.y[task.train]
    views = [each[task.train] for each in task.views]
    classifier = classifier_for(task.classifier, y, X.shape[1], len(views))
    if task.memory is not None and isinstance(classifier, Pipeline) and classifier.memory is None:
        classifier.set_params(memory=task.memory)
    own_threads = network_of(classifier) is not None
    with nullcontext() if own_threads else _threads().limit(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        start = time.perf_counter()
        fit(classifier, X, y, views)
        seconds = time.perf_counter() - start
        rows, views = task.X[task.test], [each[task.test] for each in task.views]
        start = time.perf_counter()
        predicted, probabilities = predict(classifier, rows, views, np.unique(task.y).tolist())
        predict_seconds = time.perf_counter() - start
    return Fitted(predicted, probabilities, seconds, predict_seconds)
