"""The rejection of pictures that a model is unsure of: calibrated probabilities and a threshold.

Both come from the held-out probabilities of a cross-validation. One temperature (Guo et al., On
calibration of modern neural networks, ICML 2017) makes them honest: the one with the best Brier
score, since log-loss is ruled by the zeros of a nearest-neighbour vote. Then images are answered
in the order of their certainty, the calibrated probability of the predicted class, and the
threshold is the lowest one at which the precision less one standard error (Wilson's, on
independent images) is what was asked for: among many thresholds of few images the best looks
better than it is. That is the selective classification of Geifman and El-Yaniv (NeurIPS 2017)
with a milder bound: theirs holds in 95 % of trainings, and on a hundred images answers little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from featx.errors import OptionError
from featx.evaluation.intervals import Estimate, accuracy_interval
from featx.evaluation.validation import CrossValidation
from featx.learning.learner import Learner

# Measured on 20 halves each of cifar10, grocery20 and mnist with four classifiers on two networks,
# judged on the other halves: without the standard error a precision of 0.9 asked for came out at
# 0.88, with it at 0.92, and fewer than ten answers made thresholds of luck (0.59 for 0.8). The
# temperature took the mean calibration error from 0.17 to 0.06 (to 0.10 by log-loss).
_STANDARD_ERRORS = 1.0
_FEWEST = 10
_LEAST = 1e-6  # probability that a class keeps: a vote of no neighbour is not impossible
_TEMPERATURES = (0.05, 20.0)
_PIECE = 1 << 20  # probabilities that are worked on at once
_ROUNDING = 1e-6  # of probabilities in single precision
_NO_PROBABILITIES = (
    "to reject takes probabilities, which this classifier does not give for these images; "
    "train with another one, such as 'logistic', or without reject"
)


class Unsure(Enum):
    """The type of `UNSURE`, which no name of a class can equal."""

    UNSURE = "unsure"

    def __str__(self) -> str:
        return self.value


#: What a model answers that is unsure. It equals no name of a class, and not None, which stands for
#: a file that cannot be read.
UNSURE = Unsure.UNSURE


@dataclass(frozen=True)
class Rejection:
    """What makes probabilities honest, and from which certainty up a model answers.

    Attributes
    ----------
    target : float
        The precision that was asked for, 0 to 1.
    temperature : float
        Above 1 where the classifier is too sure of itself, below where it is too timid.
    threshold : float
        The least calibrated probability of the predicted class that is answered, 0 to 1.
    precision : Estimate
        Share of right ones among the answers, in cross-validation.
    coverage : Estimate
        Share of the images that are answered, in cross-validation.
    """

    target: float
    temperature: float
    threshold: float
    precision: Estimate
    coverage: Estimate

    def __str__(self) -> str:
        return (
            f"answers where a precision of {self.target:g} is to be expected, from a certainty of "
            f"{100 * self.threshold:.1f} % up: cross-validated precision {self.precision}, "
            f"coverage {self.coverage}"
        )

    def calibrate(self, probabilities: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, of shape (n, n_classes) as the given ones."""
        return _tempered(probabilities, self.temperature)

    def answers(self, certainty: np.ndarray) -> np.ndarray:
        """Say which images are answered, given their calibrated certainties."""
        return np.asarray(certainty >= self.threshold)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "target": self.target,
            "temperature": self.temperature,
            "threshold": self.threshold,
            **self.precision.to_dict("precision"),
            **self.coverage.to_dict("coverage"),
        }

    @classmethod
    def from_file(cls, values: Mapping[str, Any]) -> Rejection:
        """Build a rejection from what a model file holds of it: its fields.

        Raises
        ------
        ValueError, TypeError, KeyError
            A value is missing or cannot be.
        """
        precision, coverage = (
            Estimate(**{key: _between(each, 0, 1) for key, each in values[name].items()})
            for name in ("precision", "coverage")
        )
        return cls(
            target=_between(values["target"], 0, 1),
            temperature=_between(values["temperature"], *_TEMPERATURES),
            threshold=_between(values["threshold"], 0, 1),
            precision=precision,
            coverage=coverage,
        )


def check_rejection(learner: Learner, reject: float | None) -> None:
    """Raise an `OptionError` for no number between 0 and 1, or a learner without probabilities."""
    if reject is None:
        return
    if not isinstance(reject, float | np.floating) or not 0 < reject < 1:
        raise OptionError(
            f"reject is {reject!r}: expected the precision that answers shall have, a number "
            "between 0 and 1 such as 0.95"
        )
    if not learner.gives_probabilities:
        raise OptionError(_NO_PROBABILITIES)


def choose_rejection(
    validation: CrossValidation, target: float, familiar: np.ndarray | None = None
) -> Rejection:
    """Calibrate a classifier and choose from which certainty up it answers.

    `validation` is that of the classifier on its training images, `target` the precision asked for,
    between 0 and 1. Images that are not `familiar`, of shape (n,), are never answered. Raises an
    `OptionError` if the classifier gives no probabilities, or the precision cannot be expected of
    it on as few as ten images; the message says what can be.
    """
    if validation.all_probabilities is None:
        raise OptionError(_NO_PROBABILITIES)
    classes = np.array(validation.classes)
    temperature = _temperature(
        validation.all_probabilities, np.searchsorted(classes, validation.y_true)
    )
    predicted = np.searchsorted(classes, validation.predictions)
    certainty = np.concatenate(
        [
            np.take_along_axis(_tempered(shares, temperature), own[..., None], axis=2)[..., 0]
            for shares, own in _pieces(validation.all_probabilities, predicted)
        ],
        axis=1,
    )
    if familiar is not None:
        certainty = np.where(familiar, certainty, -1.0)
    certainty = certainty.ravel()
    order = np.argsort(-certainty, kind="stable")
    surest = certainty[order]
    step = np.append(surest[:-1] - surest[1:] > _ROUNDING, True)  # equal certainties go together
    surest = surest[step]
    repeats, n = validation.hits.shape
    answered = np.arange(1, len(order) + 1)[step] / repeats
    right = np.cumsum(validation.hits.ravel()[order])[step] / repeats
    independent = validation.size / n
    low = np.array(
        [
            accuracy_interval(hits / images, images * independent, _STANDARD_ERRORS).low
            for hits, images in zip(right, answered, strict=True)
        ]
    )
    low[(answered < _FEWEST) | (surest < 0)] = 0
    reached = np.flatnonzero(low >= target)
    if not len(reached):
        raise OptionError(_out_of_reach(target, n, float(low.max()), answered[low.argmax()] / n))
    at = reached[-1]
    return Rejection(
        target=float(target),
        temperature=temperature,
        threshold=max(0.0, float(surest[at]) - _ROUNDING),
        precision=accuracy_interval(
            float(right[at] / answered[at]), float(answered[at]) * independent
        ),
        coverage=accuracy_interval(float(answered[at] / n), validation.size),
    )


def _temperature(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Return the temperature with the least Brier score.

    The probabilities are of shape (repeats, n, n_classes), and `y`, of shape (n,), has the columns
    of the true classes.
    """
    from scipy.optimize import minimize_scalar

    classes = np.eye(probabilities.shape[-1])

    def brier(logarithm: float) -> float:
        total = sum(
            ((_tempered(shares, np.exp(logarithm)) - classes[own]) ** 2).sum()
            for shares, own in _pieces(probabilities, y[None])
        )
        return float(total / probabilities.size)

    found = minimize_scalar(brier, bounds=np.log(_TEMPERATURES), method="bounded")
    return float(np.clip(np.exp(found.x), *_TEMPERATURES))


def _pieces(shares: np.ndarray, own: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Divide probabilities of shape (repeats, n, n_classes) and a column for each by images."""
    step = max(1, _PIECE // (len(shares) * shares.shape[2]))
    for start in range(0, shares.shape[1], step):
        yield shares[:, start : start + step], own[:, start : start + step]


def _tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    logits = np.log(np.maximum(probabilities, _LEAST, dtype=float)) / temperature
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def _out_of_reach(target: float, n: int, best: float, coverage: float) -> str:
    """Say what these images let a model promise instead."""
    promise = int(100 * best) / 100
    asked = f"a precision of {target:g} is out of reach with these {n} images"
    if promise <= 0:
        return f"{asked}: too few answers are right; add images, or train without reject"
    return (
        f"{asked}: the surest answers, {100 * coverage:.0f} % of the images, reach {promise:g}; "
        "ask for no more, add images, or train without reject"
    )


def _between(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{value!r} is no number from {low} to {high}")
    return float(value)
