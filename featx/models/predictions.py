"""The predictions of a model: a label for each image, with its probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.images.decode import Outcome
from featx.images.labels import Label
from featx.text import percent, printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of images, one for each input file.

    Attributes
    ----------
    outcomes : tuple of Outcome
        The files, and what became of them.
    best_guess : ndarray of shape (n,), object
        The most probable class of each; None for a file that cannot be read.
    probability : ndarray of shape (n,), float
        Its probability, 0 to 1; NaN for a file that cannot be read, and where the classifier
        gives none.
    answered : ndarray of shape (n,), bool, or None
        Which images a model that rejects answers; None for one that never does.
    true : list of (str, int, bool or None), or None
        The class that each image is known to have, None for a file that cannot be read; None where
        no image has a class of the model.
    """

    outcomes: tuple[Outcome, ...]
    best_guess: np.ndarray
    probability: np.ndarray
    answered: np.ndarray | None = None
    true: list[Label | None] | None = None

    def __len__(self) -> int:
        return len(self.outcomes)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row for each file, as plain values.

        Keys are `path`, `label` (None where the file cannot be read or the model is unsure),
        `best_guess` where the model rejects, `probability`, `outcome` and `reason`.
        """
        rows = []
        for number, (outcome, guess) in enumerate(zip(self.outcomes, self.best_guess, strict=True)):
            share = float(self.probability[number])
            known = guess.item() if isinstance(guess, np.generic) else guess
            sure = self.answered is None or bool(self.answered[number])
            row: dict[str, Any] = {"path": outcome.path, "label": known if sure else None}
            if self.answered is not None:
                row["best_guess"] = known
            row |= {
                "probability": None if math.isnan(share) else share,
                "outcome": outcome.status,
                "reason": outcome.reason or None,
            }
            rows.append(row)
        return rows

    @property
    def cells(self) -> list[list[str]]:
        """A row for each file as people read it: path, label, probability."""
        cells = []
        for row in self.rows:
            path, guess = printable(row["path"]), row.get("best_guess", row["label"])
            if guess is None:
                cells.append([path, "-", f"failed: {printable(row['reason'])}"])
            else:
                label = printable(f"unsure ({guess}?)" if row["label"] is None else guess)
                share = math.nan if row["probability"] is None else row["probability"]
                cells.append([path, label, percent(share)])
        return cells

    def to_frame(self) -> pd.DataFrame:
        """Return a table of one row per file, with the columns of `rows`."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def plot(self, *, columns: int | None = None) -> Figure:
        """Draw the pictures with their labels; see `featx.plot_gallery`."""
        from featx.charts.gallery import plot_gallery

        read = [number for number, guess in enumerate(self.best_guess) if guess is not None]
        return plot_gallery(
            [self.outcomes[number].path for number in read],
            [self.best_guess[number] for number in read],
            true=None if self.true is None else [self.true[number] for number in read],
            probabilities=[float(self.probability[number]) for number in read],
            answered=None if self.answered is None else self.answered[read].tolist(),
            columns=columns,
        )

    def __repr__(self) -> str:
        return f"Predictions({len(self)} images)"
