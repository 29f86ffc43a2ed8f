"""The tally of predictions: how many pictures were given which label, and what became of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from featx.images.labels import Label
from featx.text import count, listed


@dataclass(frozen=True)
class Tally:
    """How many pictures were given which label, and what became of the others.

    Attributes
    ----------
    n_images : int
        All pictures.
    labels : mapping of label to int
        Those that were labelled.
    n_unsure : int
        Those that the model is unsure of, but for unfamiliar ones.
    n_refused : int
        Those that were not labelled since they are unfamiliar.
    n_failed : int
        Files that could not be read.
    n_unfamiliar : int
        All that are unlike the training pictures, labelled or not.
    """

    n_images: int = 0
    labels: Mapping[Label, int] = field(default_factory=dict)
    n_unsure: int = 0
    n_refused: int = 0
    n_failed: int = 0
    n_unfamiliar: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.n_images + other.n_images,
            Counter(self.labels) + Counter(other.labels),
            self.n_unsure + other.n_unsure,
            self.n_refused + other.n_refused,
            self.n_failed + other.n_failed,
            self.n_unfamiliar + other.n_unfamiliar,
        )

    @property
    def summary(self) -> str:
        """All of it in a line, the most frequent label first."""
        told = []
        if self.labels:
            labels = listed([f"{name} {n:,}" for name, n in Counter(self.labels).most_common()])
            told.append(f"{sum(self.labels.values()):,} labelled ({labels})")
        told += [f"{self.n_unsure:,} unsure"] if self.n_unsure else []
        told += [f"{self.n_refused:,} unfamiliar"] if self.n_refused else []
        told += [f"{self.n_failed:,} failed"] if self.n_failed else []
        line = count(self.n_images, "picture") + (f": {', '.join(told)}" if told else "")
        if marked := self.n_unfamiliar - self.n_refused:
            line += f"; {marked:,} of these unfamiliar, unlike the training pictures"
        return line
