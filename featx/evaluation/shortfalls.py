"""Shortfalls of candidates: how far each may be behind the best of them, whichever that is.

What the predictions tell of the true accuracies is taken for a normal distribution around the
measured ones. Its covariance is that of the predictions of the same photographs, so candidates that
fail on the same ones are told apart by few; it is what a bootstrap over photographs gives (Rubin,
The Bayesian bootstrap, Annals of Statistics 9, 1981). The shortfall from the largest of all is then
judged at once, however many candidates there are. Two images more, on which each candidate is right
by the toss of a coin, keep a few photographs from showing too much: they are the ones that Agresti
and Min add to a single difference (2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx.evaluation.intervals import CONFIDENCE

_DRAWS = 10_000
_MOST_TIMES = 1e4  # as many photographs as there are, looked at by `times_needed`


@dataclass(frozen=True, eq=False)
class Shortfalls:
    """How far candidates may be behind the best of them.

    Attributes
    ----------
    accuracies : ndarray of shape (candidates,), float
        Measured, and drawn towards one half where there are few images.
    errors : ndarray of shape (draws, candidates), float
        What the measured accuracies may be wrong by, drawn at random.
    """

    accuracies: np.ndarray
    errors: np.ndarray

    @classmethod
    def of(cls, hits: Sequence[np.ndarray], size: float) -> Shortfalls:
        """Return the shortfalls of candidates.

        Parameters
        ----------
        hits : sequence of ndarray of shape (repeats, n), bool
            Which predictions of each candidate are right, for the same images in the same folds.
        size : float
            Independent images; see `featx.evaluation.intervals.effective_size`.
        """
        shares = np.array([each.mean(axis=0) for each in hits])
        count, n = shares.shape
        accuracies = (size * shares.mean(axis=1) + 1) / (size + 2)
        tossed = np.full((count, count), 0.25) + 0.25 * np.eye(count)
        products = (size * (shares @ shares.T) / n + 2 * tossed) / (size + 2)
        covariance = (products - np.outer(accuracies, accuracies)) / (size + 2)
        values, vectors = np.linalg.eigh(covariance)
        normal = np.random.default_rng(0).normal(size=(_DRAWS, count))
        return cls(accuracies, normal @ (vectors * np.sqrt(values.clip(0))).T)

    def highs(self, accuracies: np.ndarray | None = None, times: float = 1.0) -> np.ndarray:
        """Return how far behind the best each candidate is at most, 95 % sure, 0 to 1.

        Where other `accuracies` are given, of shape (candidates,), if those had been measured; with
        `times` as many photographs, if those had the same accuracies.
        """
        measured = self.accuracies if accuracies is None else accuracies
        drawn = measured + self.errors / np.sqrt(times)
        behind = drawn.max(axis=1, keepdims=True) - drawn
        return np.asarray(np.quantile(behind, CONFIDENCE, axis=0))

    def probabilities(self, within: float) -> np.ndarray:
        """Return how probable it is that each candidate is no further behind the best than that."""
        drawn = self.accuracies + self.errors
        return np.asarray(np.mean(drawn.max(axis=1, keepdims=True) - drawn <= within, axis=0))

    def times_needed(self, candidate: int, within: float) -> float | None:
        """Return how many times as many photographs would show a candidate to be within so far.

        If all accuracies stayed as measured; None where no number of photographs would.
        """
        low, high = 1.0, _MOST_TIMES
        if self.highs(times=high)[candidate] > within:
            return None
        while high / low > 1.05:
            middle = float(np.sqrt(low * high))
            if self.highs(times=middle)[candidate] <= within:
                high = middle
            else:
                low = middle
        return high

    def few(self, draws: int = 500) -> Shortfalls:
        """Return the same with fewer draws, for what is asked a thousand times."""
        return Shortfalls(self.accuracies, self.errors[:draws])
