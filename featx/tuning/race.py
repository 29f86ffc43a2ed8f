"""The race of candidates: all start, those behind drop out, and the choice is judged honestly."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from featx.evaluation.fits import Fitted, fit_all
from featx.evaluation.intervals import (
    Estimate,
    accuracy_interval,
    accuracy_of_best,
    effective_size,
    leads,
)
from featx.evaluation.splits import Splits
from featx.evaluation.validation import CrossValidation, tasks_of, validation_of
from featx.features.matrix import Features
from featx.learning.learner import Learner

# How many candidates go on, and the rounds that they have had then: each time half as many, twice
# as long, so that a rung costs no more than the one before.
RUNGS = ((24, 2), (12, 4), (6, 8))
ROUNDS = RUNGS[-1][1]


@dataclass(eq=False)
class Trial:
    """A way from images to labels, and how it did so far.

    Attributes
    ----------
    name : str
        What tells it from the others, such as "resnet50 avg knn".
    features : Features
        What it learns from.
    classifier : str
        The name of its classifier, with its setting.
    learner : Learner
        The classifier with its setting; `train` takes it, too.
    cost : float
        Seconds that the networks take for a new image, views included; infinite if unknown.
    shuffled, scenes : list of Fitted
        What became of each fold: those of shuffled images, and those that hold out scenes.
    """

    name: str
    features: Features
    classifier: str
    learner: Learner
    cost: float
    shuffled: list[Fitted] = field(default_factory=list)
    scenes: list[Fitted] = field(default_factory=list)


@dataclass(eq=False)
class Race:
    """Images, two kinds of splits of them, and a clock.

    A candidate's score is the mean of two accuracies: on shuffled images, which asks how it does
    on photographs like these, and on scenes held out, which asks how it does on others.

    Attributes
    ----------
    y : ndarray of shape (n,), str
        The classes.
    shuffled, scenes : Splits
        Of shuffled images, and those that hold out scenes; as many repeats of each.
    deadline : float
        When `time.monotonic` says so, nothing new is started.
    n_jobs : int, optional
        As for `fit_all`.
    progress : bool
        Whether to show progress bars.
    """

    y: np.ndarray
    shuffled: Splits
    scenes: Splits
    deadline: float
    n_jobs: int | None = None
    progress: bool = False
    _pace: float = field(default=0.0, init=False)  # seconds of a candidate in one round

    def narrow(self, trials: Sequence[Trial]) -> None:
        """Judge those ahead in more rounds, fewer each time, as long as there is time.

        Parameters
        ----------
        trials : sequence of Trial
            Those that were judged in the first round.
        """
        for count, rounds in RUNGS:
            trials = sorted(trials, key=lambda trial: -self.score(trial))[:count]
            for round in range(len(trials[0].shuffled) // self.shuffled.folds, rounds):
                if time.monotonic() + self._pace * len(trials) > self.deadline:
                    return  # all of them or none, so that the choice is among equals
                for together in _by_features(trials):
                    self._judge(together, round)

    def run(self, trials: Sequence[Trial], round: int) -> list[Trial]:
        """Judge candidates in one more round, those of the same features together.

        The very first of a race is judged whatever it takes; others only if the time left would
        do for them, going by those before.

        Parameters
        ----------
        trials : sequence of Trial
            The most promising first.
        round : int
            From 0: the repeat of the splits.

        Returns
        -------
        list of Trial
            Those that were judged.
        """
        judged: list[Trial] = []
        for together in _by_features(trials):
            if self._pace and time.monotonic() + self._pace * len(together) > self.deadline:
                break
            self._judge(together, round)
            judged += together
        return judged

    def _judge(self, trials: Sequence[Trial], round: int) -> None:
        """Judge candidates of the same features, and keep the pace."""
        from joblib import Memory

        start = time.monotonic()
        both = [_round_of(self.shuffled, round), _round_of(self.scenes, round)]
        with tempfile.TemporaryDirectory(prefix="featx-") as place:
            # Penalties share what comes before the regression.
            memory = Memory(place, verbose=0) if len(trials) > 1 else None
            tasks = [
                task
                for trial in trials
                for each in both
                for task in tasks_of(trial.features, each, trial.learner, memory)
            ]
            some = [task for task in tasks if len(task.test)]
            label = trials[0].name if self.progress else None
            fitted = iter(fit_all(some, n_jobs=self.n_jobs, progress=label))
        results = (next(fitted) if len(task.test) else _NOTHING for task in tasks)
        for trial in trials:
            trial.shuffled += islice(results, self.shuffled.folds)
            trial.scenes += islice(results, self.scenes.folds)
        self._pace = max(self._pace / 2, (time.monotonic() - start) / len(trials))

    def hits(self, trial: Trial, kind: str | None = None) -> np.ndarray:
        """Say which predictions of a candidate are right.

        Parameters
        ----------
        trial : Trial
        kind : {"shuffled", "scenes"}, optional
            Of which splits; by default of both.

        Returns
        -------
        ndarray of shape (rounds or twice as many, n), bool
        """
        out = []
        for each in ("shuffled", "scenes") if kind is None else (kind,):
            splits, fitted = getattr(self, each), getattr(trial, each)
            hits = np.zeros((len(fitted) // splits.folds, len(self.y)), dtype=bool)
            for number, result in enumerate(fitted):
                test = splits.parts[number][1]
                hits[number // splits.folds, test] = result.predicted == self.y[test]
            out.append(hits)
        return np.concatenate(out)

    def score(self, trial: Trial) -> float:
        """Return the mean of both accuracies, 0 to 1."""
        return float(self.hits(trial).mean())

    def ranked(self, trials: Sequence[Trial]) -> list[Trial]:
        """Sort candidates: those of more rounds first, the best of them in front.

        A candidate less than one image behind the best counts as its equal, and the equal with
        the fastest networks is the one in front.
        """
        most = max(len(each.shuffled) for each in trials)
        final = [each for each in trials if len(each.shuffled) == most]
        chosen = final[self._chooser(final)(np.ones(len(self.y)))]
        others = [each for each in trials if each is not chosen]
        others.sort(key=lambda each: (-len(each.shuffled), -self.score(each), each.cost))
        return [chosen, *others]

    def accuracy(self, trials: Sequence[Trial], kind: str) -> Estimate:
        """Estimate the accuracy of the first of ranked candidates, without the luck of the choice.

        The choice, by the scores of both kinds, is made again on images drawn with replacement,
        scenes drawn whole, and judged on those that were not drawn; see `accuracy_of_best`.

        Parameters
        ----------
        trials : sequence of Trial
            Every candidate that was judged, also those that dropped out, in the order of `ranked`.
        kind : {"shuffled", "scenes"}
            What to estimate: the accuracy on shuffled images, or on scenes held out.
        """
        hits = np.array([self.hits(each, kind).mean(axis=0) for each in trials])
        value = accuracy_of_best(hits, self.scenes.groups, self._chooser(trials))
        splits = self.shuffled if kind == "shuffled" else self.scenes
        size = effective_size(splits.groups, splits.folds)
        return accuracy_interval(min(value, float(hits[0].mean())), size)

    def leads(self, trials: Sequence[Trial]) -> list[Estimate]:
        """Return by how much the first of ranked candidates leads each of the same rounds."""
        size = effective_size(self.scenes.groups, self.scenes.folds)
        final = [each for each in trials if len(each.shuffled) == len(trials[0].shuffled)]
        return leads([self.hits(each) for each in final], 0, size)

    def validation(self, trial: Trial) -> CrossValidation:
        """Return the predictions of a candidate on shuffled images as a cross-validation."""
        rounds = len(trial.shuffled) // self.shuffled.folds
        parts = self.shuffled.parts[: len(trial.shuffled)]
        return validation_of(
            trial.features, replace(self.shuffled, parts=parts, repeats=rounds), trial.shuffled
        )

    def _chooser(self, trials: Sequence[Trial]) -> Callable[[np.ndarray], int]:
        scores = np.array([self.hits(each).mean(axis=0) for each in trials])
        costs = np.array([each.cost for each in trials])

        def choose(weights: np.ndarray) -> int:
            means = scores @ weights / weights.sum()
            equals = np.flatnonzero(means > means.max() - 1 / len(weights))
            return int(equals[np.lexsort((-means[equals], costs[equals]))[0]])

        return choose


_NOTHING = Fitted(np.array([], dtype=str), None, 0.0, 0.0)  # of a fold that has nothing to predict


def _by_features(trials: Sequence[Trial]) -> list[list[Trial]]:
    groups: dict[Features, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.features, []).append(trial)
    return list(groups.values())


def _round_of(splits: Splits, round: int) -> Splits:
    first = round * splits.folds
    return replace(splits, parts=splits.parts[first : first + splits.folds], repeats=1)
