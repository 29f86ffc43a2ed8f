"""Balance: the accuracy that counts every class alike, and the class that does worst."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.evaluation.intervals import Estimate, accuracy_interval
from featx.images.labels import Label
from featx.text import printable

UNEQUAL = 1.5  # times as many images as the smallest class make the largest one worth a word


@dataclass(frozen=True)
class Balance:
    """How a classifier does class by class, which the accuracy hides where sizes differ.

    Of 20 cats and 4 dogs, one that names every picture a cat is right in 83 %, its balanced
    accuracy is 50 %, and the recall of dogs, its weakest class, is 0.

    Attributes
    ----------
    balanced_accuracy : Estimate
        Mean of the recalls of the classes, with its 95 % interval.
    weakest_class : str, int or bool
        The class with the lowest recall; of several the smallest.
    weakest_recall : Estimate
        The share of its images that are recognised, with its 95 % interval.
    weakest_size : int
        Images of that class.
    other_recall : float
        Mean of the recalls of the other classes, 0 to 1; NaN where there is none.
    smallest, largest : int
        Images in the smallest and in the largest class.
    """

    balanced_accuracy: Estimate
    weakest_class: Label
    weakest_recall: Estimate
    weakest_size: int
    other_recall: float
    smallest: int
    largest: int

    @classmethod
    def of(cls, y: np.ndarray, hits: np.ndarray, size: float) -> Balance:
        """Sum up predictions.

        Parameters
        ----------
        y : ndarray of shape (n,)
            The true classes.
        hits : ndarray of shape (repeats, n), bool
            Which predictions are right.
        size : float
            How many independent images they are worth; see `featx.evaluation.intervals`.
        """
        names, class_of, counts = np.unique(y, return_inverse=True, return_counts=True)
        recalls = np.bincount(class_of, hits.mean(axis=0)) / counts
        sizes = counts * size / len(y)
        weakest = np.lexsort((counts, recalls))[0]
        others = np.delete(recalls, weakest)
        return cls(
            balanced_accuracy=_mean(recalls, sizes),
            weakest_class=names.tolist()[weakest],
            weakest_recall=accuracy_interval(float(recalls[weakest]), float(sizes[weakest])),
            weakest_size=int(counts[weakest]),
            other_recall=float(others.mean()) if len(others) else math.nan,
            smallest=int(counts.min()),
            largest=int(counts.max()),
        )

    @property
    def unequal(self) -> bool:
        """Whether the largest class has at least half as many images again as the smallest."""
        return self.largest >= UNEQUAL * self.smallest

    @property
    def note(self) -> str | None:
        """What a reader should know beside the accuracy; None where classes are of one size."""
        if not self.unequal:
            return None
        return (
            f"classes of {self.smallest:,} to {self.largest:,} images: balanced accuracy "
            f"{self.balanced_accuracy}, lowest recall {self.weakest_recall}, of "
            f"{printable(self.weakest_class)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            **self.balanced_accuracy.to_dict("balanced_accuracy"),
            "weakest_class": self.weakest_class,
            **self.weakest_recall.to_dict("weakest_recall"),
        }


def _mean(recalls: np.ndarray, sizes: np.ndarray) -> Estimate:
    """Return the mean of recalls with Wilson's interval for as many images as it is worth.

    So many images of one accuracy would vary as much as the mean does. Each recall is first drawn
    half an image of each kind towards the middle, or four right ones of four would not vary.
    """
    drawn = (recalls * sizes + 0.5) / (sizes + 1)
    variance = float((drawn * (1 - drawn) / sizes).sum()) / len(recalls) ** 2
    mean = float(drawn.mean())
    return accuracy_interval(float(recalls.mean()), mean * (1 - mean) / variance)
