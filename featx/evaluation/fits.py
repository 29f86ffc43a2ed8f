"""Fits of many classifiers, each judged on other rows, side by side where that is quicker."""

from __future__ import annotations

import os
import pickle
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from featx.backbones.framework import import_keras
from featx.errors import FeatxError, get_logger, one_line
from featx.learning.learner import Learner, predict
from featx.learning.memory import Plan
from featx.learning.out_of_core import Table, fit_by_blocks, predict_by_blocks
from featx.progress import progress_bar

WORTH_PROCESSES = 6.0  # seconds of work left; starting processes takes some two

log = get_logger(__name__)


@dataclass(frozen=True, eq=False)
class Task:
    """One classifier to fit on some rows and to judge on others."""

    X: np.ndarray  # features of shape (n, columns), float32; shared by many tasks
    y: np.ndarray  # their classes, of shape (n,)
    train: np.ndarray  # rows to fit on, int
    test: np.ndarray  # rows to predict, int
    learner: Learner
    memory: Any = None  # joblib.Memory, where fitted steps of pipelines are kept for other tasks
    views: tuple[np.ndarray, ...] = ()  # features of augmented views, each of the shape of X
    groups: np.ndarray | None = (
        None  # what searches inside classifiers keep together, of shape (n,)
    )


@dataclass(frozen=True, eq=False)
class Fitted:
    """What became of a task."""

    predicted: np.ndarray  # classes, of shape (n_test,)
    probabilities: np.ndarray | None  # a column for each of the sorted classes of all rows
    seconds: float  # of fitting, on one core; of a network from scratch, on all
    predict_seconds: float


def fit_all(
    tasks: Sequence[Task], *, n_jobs: int | None = None, progress: str | None = None
) -> list[Fitted]:
    """Fit and judge classifiers, in order or in several processes.

    Every fit computes on one core, so the numbers do not depend on how the work was shared out;
    but those of networks from scratch come one after the other, on all cores, in this process.
    There are `n_jobs` processes, by default one per core, once the work proves to be long.
    `progress` is the name of the progress bar, None for none.
    """
    fitted = []
    with progress_bar(progress or "", len(tasks), "fits", shown=progress is not None) as bar:
        for each in _fit_groups(tasks, n_jobs or os.cpu_count() or 1):
            fitted.append(each)
            bar.update()
    return fitted


def fit_all_by_blocks(
    plan: Plan,
    learner: Learner,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    progress: str | None = None,
) -> list[Fitted]:
    """Fit and judge a classifier on each part in turn, none of which is in memory as a whole.

    Every fit computes on all cores. Where there is no room for the probabilities of all images, the
    results have none.
    """
    table, classes = Table.of(plan.features), plan.features.classes
    keep = plan.room_for_probabilities
    fitted = []
    with (
        progress_bar(progress or "", len(parts), "fits", shown=progress is not None) as bar,
        _quiet_fits(),
    ):
        for train, test in parts:
            if len(left := np.unique(table.y[train])) == 1:
                fitted.append(_only(left[0], test, np.array(classes), keep))
                continue
            start = time.perf_counter()
            pipeline, _ = fit_by_blocks(learner, table, train, plan.room)
            after = time.perf_counter()
            predicted, probabilities = predict_by_blocks(
                pipeline, table.matrices, test, classes, keep_probabilities=keep
            )
            done = time.perf_counter()
            fitted.append(Fitted(predicted, probabilities, after - start, done - after))
            bar.update()
    return fitted


def _fit_groups(tasks: Sequence[Task], processes: int) -> Iterator[Fitted]:
    for scratch, group in groupby(tasks, lambda task: task.learner.pixels):
        if scratch:
            import_keras()  # its seconds are not those of the first fit
        yield from _fit_in_turn(list(group), 1 if scratch else processes)


def _fit_in_turn(tasks: Sequence[Task], processes: int) -> Iterator[Fitted]:
    start = time.perf_counter()
    for done, task in enumerate(tasks):
        left = (time.perf_counter() - start) / max(done, 1) * (len(tasks) - done)
        if processes > 1 and left > WORTH_PROCESSES:
            yield from _fit_in_processes(tasks[done:], processes)
            return
        yield _fit(task)


def _fit_in_processes(tasks: Sequence[Task], n: int) -> Iterator[Fitted]:
    """Fit in several processes; where the system kills one of them, one by one in this one."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    done = 0
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        files = [Path(folder) / str(number) for number in range(len(tasks))]
        parallel = Parallel(n_jobs=n, return_as="generator")
        pairs = zip(tasks, files, strict=True)
        try:
            for _ in parallel(delayed(_fit_into)(task, file) for task, file in pairs):
                with files[done].open("rb") as source:
                    fitted = pickle.load(source)
                files[done].unlink()
                done += 1
                yield fitted
        except TerminatedWorkerError as error:
            if "SIGKILL" not in str(error):  # it would happen here, too
                raise FeatxError(
                    f"a process that fits has broken down: {one_line(error)}"
                ) from error
            log.warning(
                "a process that fits was killed, perhaps as memory is short: the others follow one "
                "by one"
            )
    for task in tasks[done:]:
        yield _fit(task)


def _fit_into(task: Task, file: Path) -> None:
    """Fit in another process, and leave what becomes of it in a file.

    A process that is killed in the middle of an answer larger than a pipe holds would be waited
    for without end.
    """
    with file.open("wb") as sink:
        pickle.dump(_fit(task), sink)


@lru_cache(maxsize=1)
def _threads() -> Any:
    """Return what limits the threads of this process; it takes time to look for their libraries."""
    import sklearn.linear_model
    import sklearn.neighbors  # noqa: F401  # both load libraries with threads
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def _quiet_fits() -> Iterator[None]:
    """Keep what scikit-learn warns of at every fit from the screen."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        yield


def _fit(task: Task) -> Fitted:
    from sklearn.pipeline import Pipeline

    X, y = task.X[task.train], task.y[task.train]
    if len(np.unique(y)) == 1:
        return _only(y[0], task.test, np.unique(task.y))
    views = [each[task.train] for each in task.views]
    groups = None if task.groups is None else task.groups[task.train]
    estimator = task.learner.build_for(y, X.shape[1], len(views), groups)
    if task.memory is not None and isinstance(estimator, Pipeline) and estimator.memory is None:
        estimator.set_params(memory=task.memory)
    all_cores = task.learner.pixels
    with nullcontext() if all_cores else _threads().limit(limits=1), _quiet_fits():
        start = time.perf_counter()
        task.learner.fit(estimator, X, y, views, groups)
        seconds = time.perf_counter() - start
        rows, views = task.X[task.test], [each[task.test] for each in task.views]
        start = time.perf_counter()
        predicted, probabilities = predict(estimator, rows, views, np.unique(task.y).tolist())
        predict_seconds = time.perf_counter() - start
    return Fitted(predicted, probabilities, seconds, predict_seconds)


def _only(
    label: Any, test: np.ndarray, classes: np.ndarray, keep_probabilities: bool = True
) -> Fitted:
    """Predict the one class that is left to learn from, which no classifier is needed for."""
    predicted = np.full(len(test), label, dtype=classes.dtype)
    probabilities = (predicted[:, None] == classes).astype(float) if keep_probabilities else None
    return Fitted(predicted, probabilities, 0.0, 0.0)
