"""The recommendation: the fastest candidate that is as good as the best, but for a margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.evaluation.candidates import Candidate
from featx.evaluation.intervals import Estimate, accuracy_interval, accuracy_of_best
from featx.evaluation.shortfalls import Shortfalls
from featx.text import count, printable

_AS_FAST = 1.1  # times; less is within the noise of a measured speed


@dataclass(frozen=True, eq=False)
class Recommendation:
    """The candidate to take, and how sure it is that it is good enough.

    Attributes
    ----------
    candidate : Candidate
        The fastest that is shown to be within the margin of the best; where none is, the most
        accurate.
    within : float
        The margin: how far behind the best is good enough, as a share of 1.
    shown : bool
        Whether it is 95 % sure that the candidate is within the margin of the best, whichever
        candidate that is.
    probability : float
        How probable that is.
    behind_high : float
        How far behind the best it is at most, 95 % sure, as a share of 1.
    accuracy : Estimate
        What to expect of it, without the luck of having been chosen.
    needed : int or None
        Where nothing is shown, about how many photographs would show it for this candidate, if the
        accuracies stayed as they are; None where it is shown, or no number would.
    reason : str
        Why it is this one, in a few words.
    """

    candidate: Candidate
    within: float
    shown: bool
    probability: float
    behind_high: float
    accuracy: Estimate
    needed: int | None
    reason: str

    @property
    def name(self) -> str:
        """The name of the candidate."""
        return self.candidate.name

    @property
    def verdict(self) -> str:
        """What to take and why, in a sentence."""
        return f"take {printable(self.name)}: {self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "candidate": self.name,
            "within": self.within,
            "shown": self.shown,
            "probability": self.probability,
            "behind_high": self.behind_high,
            **self.accuracy.to_dict("accuracy"),
            "needed": self.needed,
            "verdict": self.verdict,
        }

    def __repr__(self) -> str:
        return f"Recommendation({self.verdict})"


def recommend(
    candidates: Sequence[Candidate], shortfalls: Shortfalls, within: float
) -> Recommendation:
    """Recommend one of the candidates, which are sorted by accuracy; see `Comparison.recommend`."""
    validation = candidates[0].validation
    hits = np.array([each.validation.hits.mean(axis=0) for each in candidates])
    speeds = np.nan_to_num([each.images_per_second for each in candidates])
    highs = shortfalls.highs()
    chosen = _choose(hits.mean(axis=1), highs, speeds, within)
    few = shortfalls.few()

    def choose_again(weights: np.ndarray) -> int:
        accuracies = hits @ weights / weights.sum()
        return _choose(accuracies, few.highs(accuracies), speeds, within)

    # The first of a choice on all images need not be what fewer draws choose: it is judged alone.
    accuracy = min(
        accuracy_of_best(hits, validation.splits.groups, choose_again), float(hits[chosen].mean())
    )
    shown = bool(highs[chosen] <= within)
    times = None if shown else shortfalls.times_needed(chosen, within)
    needed = None if times is None else _about(times * hits.shape[1])
    if shown:
        reason = _reason(candidates, chosen, highs, speeds, points(within))
    else:
        reason = _doubt(candidates, highs, speeds, within, needed)
    return Recommendation(
        candidate=candidates[chosen],
        within=within,
        shown=shown,
        probability=float(shortfalls.probabilities(within)[chosen]),
        behind_high=float(highs[chosen]),
        accuracy=accuracy_interval(accuracy, validation.size),
        needed=needed,
        reason=reason,
    )


def _choose(accuracies: np.ndarray, highs: np.ndarray, speeds: np.ndarray, within: float) -> int:
    """Choose the fastest that is shown to be good enough; of as fast ones the most accurate."""
    shown = np.flatnonzero(highs <= within)
    if not len(shown):
        return int(np.argmax(accuracies))
    fast = shown[_AS_FAST * speeds[shown] >= speeds[shown].max()]
    return int(fast[np.argmax(accuracies[fast])])


def _reason(
    candidates: Sequence[Candidate], chosen: int, highs: np.ndarray, speeds: np.ndarray, margin: str
) -> str:
    """Say why a candidate is taken that is shown to be within a margin of the best."""
    if len(candidates) == 1:
        return "the only candidate"
    high = f"at most {points(highs[chosen])} behind the best (95 % sure)"
    if chosen > 0:
        faster = _faster(speeds, chosen)
        return f"{high}, and {faster} as {printable(candidates[0].name)}, the most accurate"
    first = "the most accurate" if highs[0] < 0.0005 else f"the most accurate, {high}"
    if (speeds > _AS_FAST * speeds[0]).any():
        return f"{first}; no faster one is shown to be within {margin}"
    return f"{first}, and none is faster"


def _doubt(
    candidates: Sequence[Candidate],
    highs: np.ndarray,
    speeds: np.ndarray,
    within: float,
    needed: int | None,
) -> str:
    """Say that the images show no candidate to be within a margin of the best, and what would."""
    measured = np.array([each.validation.accuracy for each in candidates])
    images = count(candidates[0].validation.hits.shape[1], "image")
    more = f" (about {needed:,} would)" if needed else ""
    text = f"the most accurate; {images} cannot tell which are within {points(within)} of the best"
    close = (measured >= measured[0] - within) & (speeds > _AS_FAST * speeds[0])
    if not close.any():
        return text + more
    other = int(np.argmax(np.where(close, speeds, 0)))
    faster = f"{printable(candidates[other].name)} is {_faster(speeds, other)}"
    return f"{text}{more}; {faster}, and may be up to {points(highs[other])} behind"


def _faster(speeds: np.ndarray, position: int) -> str:
    """Say how many times as fast as the first a candidate is, where that is known."""
    ratio = speeds[position] / speeds[0] if speeds[0] else 0
    if not ratio:
        return "faster"
    return f"{ratio:.0f} times as fast" if ratio >= 10 else f"{ratio:.1f} times as fast"


def points(share: float) -> str:
    """Write a difference of accuracies in points: 2 points, 1.4 points."""
    text = f"{100 * share:.1f}".removesuffix(".0")
    return f"{text} point" if text == "1" else f"{text} points"


def _about(number: float) -> int:
    """Round a number up to two digits, or to tens, as nothing more is known of it."""
    step = 10 ** max(1, len(str(int(number))) - 2)
    return int(-(-number // step) * step)
