"""Intervals of accuracies, of differences, of a chosen best: how far a figure can be trusted.

Each image is predicted once in every repeat of a cross-validation. The folds share most of their
training images, so the predictions are not independent: n images of k folds count as n (k - 1) / k,
the number that each classifier was trained on. That is the correction of Nadeau and Bengio
(Inference for the generalization error, Machine Learning 52, 2003) for many repeats; their further
term for few of them is left out, as every repeat predicts every image, and with it the intervals
cover 99 % in simulations instead of 95 %. Copies of one photograph count as one (Kish's effective
size), and so does a declared group, since a new patient or product is what is to be predicted. What
that many images tell is put into well-known intervals: Wilson's for an accuracy (1927), that of
Agresti and Min for a difference of paired outcomes (2005).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from featx.text import percent

CONFIDENCE = 0.95
Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution
_DRAWS = 20_000  # for the quantile of the largest of several differences
_BOOTSTRAPS = 1_000


@dataclass(frozen=True)
class Estimate:
    """A measured value and its 95 % interval, as shares of 1.

    Attributes
    ----------
    value, low, high : float
        An accuracy from 0 to 1, or a difference of accuracies from -1 to 1.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{percent(self.value)} ({self.range})"

    @property
    def range(self) -> str:
        """The interval in percent, or in points of a difference: 80.6 to 100.0."""
        return f"{100 * self.low:.1f} to {100 * self.high:.1f}"

    @property
    def points(self) -> str:
        """A difference, in points: 4.1 points (95 % interval 1.0 to 7.2)."""
        return f"{100 * self.value:.1f} points (95 % interval {self.range})"

    def __neg__(self) -> Estimate:
        """Return the difference seen from the other side."""
        return Estimate(-self.value, -self.high, -self.low)

    def to_dict(self, name: str) -> dict[str, float]:
        """Return plain values: `name`, `name_low` and `name_high`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def effective_size(groups: np.ndarray, folds: int | None = None) -> float:
    """Return how many independent images a measurement is worth.

    `groups`, of shape (n,), int, says which images are copies or of one declared group; `folds` are
    those of the cross-validation, None for images that no classifier was trained on.
    """
    counts = np.unique(groups, return_counts=True)[1]
    independent = counts.sum() ** 2 / (counts**2).sum()
    return float(independent if folds is None else independent * (folds - 1) / folds)


def accuracy_interval(accuracy: float, size: float, z: float = Z) -> Estimate:
    """Return an accuracy, 0 to 1, with Wilson's interval of z standard errors; by default 95 %.

    It stands on `size` independent images; see `effective_size`.
    """
    square = z**2 / size
    centre = (accuracy + square / 2) / (1 + square)
    half = np.sqrt(square * (accuracy * (1 - accuracy) + square / 4)) / (1 + square)
    low, high = np.clip([centre - half, centre + half], 0, 1)  # at 0 and 1 it rounds beyond
    return Estimate(accuracy, float(min(low, accuracy)), float(max(high, accuracy)))


def leads(hits: Sequence[np.ndarray], leader: int, size: float) -> list[Estimate]:
    """Return by how much the accuracy of a leader among candidates is above that of each of them.

    The intervals hold together: with a chance of 95 % all of them are right at once, however many
    candidates there are (the quantile is that of the largest of the differences, drawn from a
    normal distribution with their correlations).

    Parameters
    ----------
    hits : sequence of ndarray of shape (repeats, n), bool
        Which predictions of each candidate are right, for the same images in the same folds.
    leader : int
        Position of the one that leads; its own lead is 0.
    size : float
        Independent images; see `effective_size`.
    """
    differences = [hits[leader].astype(float) - each for each in hits]
    quantile = _largest_quantile(np.array([each.mean(axis=0) for each in differences]))
    found = []
    for each in differences:
        # Agresti and Min: half an image more in each of the four cells of the paired table.
        value = float(each.mean())
        shrunk = value * size / (size + 2)
        discordant = (np.abs(each).mean() * size + 1) / (size + 2)
        half = quantile * np.sqrt(max(discordant - shrunk**2, 0) / (size + 2))
        found.append(Estimate(value, float(shrunk - half), float(shrunk + half)))
    found[leader] = Estimate(0.0, 0.0, 0.0)
    return found


def _largest_quantile(differences: np.ndarray) -> float:
    """Return the 95 % quantile of the largest of correlated standard normal values."""
    varied = differences[differences.std(axis=1) > 0]
    if len(varied) < 2:
        return Z
    values, vectors = np.linalg.eigh(np.corrcoef(varied))
    root = vectors * np.sqrt(values.clip(0))
    draws = np.random.default_rng(0).normal(size=(_DRAWS, len(varied))) @ root.T
    return float(np.quantile(np.abs(draws).max(axis=1), CONFIDENCE))


def accuracy_of_best(
    hits: np.ndarray, groups: np.ndarray, choose: Callable[[np.ndarray], int] | None = None
) -> float:
    """Estimate the accuracy of the best candidate without the luck that made it the best.

    The candidate is chosen on images drawn with replacement and judged on those that were not
    drawn, a thousand times over (Tsamardinos, Greasidou and Borboudakis, Bootstrapping the
    out-of-sample predictions for efficient and accurate cross-validation, Machine Learning 107,
    2018). Nothing is trained again.

    Parameters
    ----------
    hits : ndarray of shape (candidates, n), float
        Share of the repeats in which each image was predicted right.
    groups : ndarray of shape (n,), int
        Copies of one photograph are drawn together.
    choose : callable, optional
        Says which candidate is chosen where each image counts as often as an array of shape (n,)
        says; by default the one with the most hits.

    Returns
    -------
    float
        At most the accuracy of the candidate that is chosen on all images.
    """
    choose = choose or (lambda weights: int(np.argmax(hits @ weights)))
    best = float(hits[choose(np.ones(hits.shape[1]))].mean())
    if len(hits) < 2:
        return best
    scores = []
    for weights in bootstraps(groups):
        left_out = weights == 0
        if left_out.any():
            scores.append(hits[choose(weights), left_out].mean())
    return min(best, float(np.mean(scores))) if scores else best


def bootstraps(groups: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a thousand times how often each image is drawn, with replacement, groups together."""
    names, group_of = np.unique(groups, return_inverse=True)
    random = np.random.default_rng(0)
    for _ in range(_BOOTSTRAPS):
        drawn = random.integers(len(names), size=len(names))
        yield np.bincount(drawn, minlength=len(names))[group_of]
