"""The race of candidates against the favourite, which only a lead beyond chance can take over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

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

# How many candidates go on, and the rounds that they have had then.
RUNGS = ((12, 2), (6, 5))
ROUNDS = RUNGS[-1][1]

BEYOND_CHANCE = 1.645  # standard errors: luck alone gives that in 5 of 100 cases
WORTH = 0.01  # a gain that may be smaller is not worth slower networks


@dataclass(eq=False)
class Trial:
    """A way from images to labels, and how it did so far.

    Attributes
    ----------
    name : str
        What tells it from the others, such as "resnet50 avg logistic".
    features : Features
        What it learns from.
    classifier : str
        The name of its classifier, with its setting.
    learner : Learner
        The classifier; `train` takes it, too.
    cost : float
        Seconds that the networks take for a new image; infinite if unknown.
    fitted : list of Fitted
        What became of each fold.
    hits : list of ndarray of shape (n,), bool
        Which predictions of each round are right.
    """

    name: str
    features: Features
    classifier: str
    learner: Learner
    cost: float
    fitted: list[Fitted] = field(default_factory=list)
    hits: list[np.ndarray] = field(default_factory=list)

    @property
    def rounds(self) -> int:
        """The rounds that it was judged in."""
        return len(self.hits)

    @property
    def accuracy(self) -> float:
        """The accuracy of its rounds, 0 to 1, with the luck of the choice."""
        return float(np.mean(self.hits))


@dataclass(eq=False)
class Race:
    """Images, splits of them, and a clock.

    Attributes
    ----------
    y : ndarray of shape (n,), str
        The classes.
    splits : Splits
        Of shuffled images, a repeat for each round.
    deadline : float
        When `time.monotonic` says so, nothing new is started.
    n_jobs : int, optional
        As for `fit_all`.
    """

    y: np.ndarray
    splits: Splits
    deadline: float
    n_jobs: int | None = None
    _pace: float = field(default=0.0, init=False)  # seconds of a candidate in one round

    def run(self, trials: Sequence[Trial], round: int) -> list[Trial]:
        """Judge candidates in one more round, one after the other.

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
        for trial in trials:
            if self._pace and time.monotonic() + self._pace > self.deadline:
                break
            self._judge(trial, round)
            judged.append(trial)
        return judged

    def narrow(self, trials: Sequence[Trial]) -> None:
        """Judge those ahead in more rounds, fewer each time, as long as there is time.

        Parameters
        ----------
        trials : sequence of Trial
            Those that were judged in the first round, the favourite first; it always goes on.
        """
        for count, rounds in RUNGS:
            trials = [trials[0], *self._ahead(trials)[: count - 1]]
            for round in range(trials[0].rounds, rounds):
                if time.monotonic() + self._pace * len(trials) > self.deadline:
                    return  # all of them or none, so that the choice is among equals
                for trial in trials:
                    self._judge(trial, round)

    def _ahead(self, trials: Sequence[Trial]) -> list[Trial]:
        """Sort all but the favourite, the best first."""
        return sorted(trials[1:], key=lambda trial: -trial.accuracy)

    def _judge(self, trial: Trial, round: int) -> None:
        """Judge a candidate, and keep the pace."""
        start = time.monotonic()
        first = round * self.splits.folds
        parts = self.splits.parts[first : first + self.splits.folds]
        tasks = tasks_of(trial.features, replace(self.splits, parts=parts), trial.learner)
        fitted = fit_all(tasks, n_jobs=self.n_jobs)
        hits = np.zeros(len(self.y), dtype=bool)
        for (_, test), each in zip(parts, fitted, strict=True):
            hits[test] = each.predicted == self.y[test]
        trial.fitted += fitted
        trial.hits.append(hits)
        self._pace = max(self._pace / 2, time.monotonic() - start)

    def sure_leads(self, trials: Sequence[Trial]) -> np.ndarray:
        """Return by how much each candidate is at least ahead of the first; see `_sure_leads`."""
        return _sure_leads(self._shares(trials), self._size)(np.ones(len(self.y)))

    def ranked(self, trials: Sequence[Trial]) -> list[Trial]:
        """Sort candidates: the chosen one first, then those of more rounds, the best in front.

        Of those of most rounds that with the largest sure lead over the favourite is chosen, the
        favourite itself where no lead is sure; but the one with the fastest networks among those
        that are surely less than a point behind that.

        Parameters
        ----------
        trials : sequence of Trial
            The favourite first.
        """
        most = max(each.rounds for each in trials)
        final = [each for each in trials if each.rounds == most]
        chosen = final[self._chooser(final)(np.ones(len(self.y)))]
        others = sorted(
            (each for each in trials if each is not chosen),
            key=lambda each: (-each.rounds, -each.accuracy, each.cost),
        )
        return [chosen, *others]

    def accuracy(self, trials: Sequence[Trial], chosen: Trial) -> Estimate:
        """Estimate the accuracy of the chosen candidate, without the luck of the choice.

        There is none where the favourite stays: it was settled before anything was measured. Where
        another one took its place, the choice is made again on images drawn with replacement and
        judged on those that were not drawn; see `accuracy_of_best`.

        Parameters
        ----------
        trials : sequence of Trial
            Every candidate that was judged, also those that dropped out, the favourite first.
        chosen : Trial
            The one of these that was chosen.
        """
        value = chosen.accuracy
        if chosen is not trials[0]:
            choose, groups = self._chooser(trials), self.splits.groups
            value = min(value, accuracy_of_best(self._shares(trials), groups, choose))
        return accuracy_interval(value, self._size)

    def leads(self, trials: Sequence[Trial]) -> list[Estimate]:
        """Return by how much the first of some candidates leads each of them."""
        return leads([np.array(each.hits) for each in trials], 0, self._size)

    def validation(self, trial: Trial) -> CrossValidation:
        """Return the predictions of a candidate as a cross-validation."""
        parts = self.splits.parts[: len(trial.fitted)]
        splits = replace(self.splits, parts=parts, repeats=trial.rounds)
        return validation_of(trial.features, splits, trial.fitted)

    @property
    def _size(self) -> float:
        return effective_size(self.splits.groups, self.splits.folds)

    def _shares(self, trials: Sequence[Trial]) -> np.ndarray:
        """Return how often each image was predicted right: an array of (trials, n), 0 to 1."""
        return np.array([np.mean(each.hits, axis=0) for each in trials])

    def _chooser(self, trials: Sequence[Trial]) -> Callable[[np.ndarray], int]:
        leads = _sure_leads(self._shares(trials), self._size)
        costs = np.array([each.cost for each in trials])

        def choose(weights: np.ndarray) -> int:
            found = leads(weights)
            equals = np.flatnonzero(found > found.max() - WORTH)
            return int(equals[np.lexsort((-found[equals], costs[equals]))[0]])

        return choose


def _sure_leads(shares: np.ndarray, size: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that says by how much candidates are at least ahead of the first.

    That is the lower end of a one-sided 95 % interval of the difference of paired outcomes (Agresti
    and Min, Statistics in Medicine 24, 2005).

    Parameters
    ----------
    shares : ndarray of shape (candidates, n), float
        Share of the rounds in which each image was predicted right.
    size : float
        Independent images; see `effective_size`.

    Returns
    -------
    callable
        Takes how often each image counts, of shape (n,), and returns the leads, of shape
        (candidates,), as shares of 1; that of the first is 0.
    """
    differences = shares - shares[0]

    def leads(weights: np.ndarray) -> np.ndarray:
        total = weights.sum()
        measured = differences @ weights / total
        variance = differences**2 @ weights / total - measured**2
        # Half an image more that tells two candidates apart each way, as in `intervals.leads`.
        error = np.sqrt((variance.clip(0) * size + 1) / (size + 2) / (size + 2))
        found: np.ndarray = measured - BEYOND_CHANCE * error
        found[0] = 0.0
        return found

    return leads
