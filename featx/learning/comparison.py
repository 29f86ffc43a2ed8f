"""What a comparison of candidates says: ranks, intervals, cost, and whether there is a winner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.pixels import PIXELS
from featx.features.matrix import Features
from featx.learning.classifiers import network_of
from featx.learning.intervals import Estimate, accuracy_interval, accuracy_of_best, leads
from featx.learning.validation import CrossValidation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way from images to labels, and how it did.

    Attributes
    ----------
    name : str
        What tells it from the other candidates, such as "resnet50 max mlp".
    features : Features
        What it learned from.
    classifier : str
        The name of its classifier.
    estimator : str or estimator
        What `train` takes to fit it.
    validation : CrossValidation
        Its predictions.
    """

    name: str
    features: Features
    classifier: str
    estimator: Any
    validation: CrossValidation

    @property
    def accuracy(self) -> Estimate:
        """Cross-validated accuracy with its 95 % interval."""
        return self.validation.interval

    @property
    def is_scratch(self) -> bool:
        """Whether it is a network from scratch."""
        return network_of(self.estimator) is not None

    @property
    def images_per_second(self) -> float:
        """How fast the network was when the features were made, views included.

        On pixels, which cost nothing to make, how fast the classifier predicts.
        """
        recipe = self.features.recipe
        if recipe is not None and recipe.backbone == PIXELS:
            return 1 / max(self.validation.predict_seconds, 1e-9)
        return self.features.images_per_second / (1 + len(self.features.views))

    def __repr__(self) -> str:
        return f"Candidate({self.name}: {self.accuracy})"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Candidates on the same images and splits, the most accurate first.

    Attributes
    ----------
    candidates : tuple of Candidate
        Sorted by accuracy; of two that are equal, the faster network is first.
    """

    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The most accurate candidate, whether its lead is clear or not."""
        return self.candidates[0]

    @cached_property
    def best_accuracy(self) -> Estimate:
        """Accuracy to expect of the best candidate: corrected for having been chosen as the best.

        By bootstrapping the predictions; see `featx.learning.intervals.accuracy_of_best`.
        """
        validation = self.best.validation
        hits = np.array([each.validation.hits.mean(axis=0) for each in self.candidates])
        accuracy = accuracy_of_best(hits, validation.splits.groups)
        return accuracy_interval(accuracy, validation.size)

    @cached_property
    def leads(self) -> tuple[Estimate, ...]:
        """By how much the best leads each candidate, with intervals that hold together."""
        hits = [each.validation.hits for each in self.candidates]
        return tuple(leads(hits, 0, self.best.validation.size))

    @property
    def rivals(self) -> tuple[Candidate, ...]:
        """Candidates that may be as good as the best, which is among them."""
        return tuple(
            each for each, lead in zip(self.candidates, self.leads, strict=True) if lead.low <= 0
        )

    @property
    def verdict(self) -> str:
        """Whether there is a clear winner, in one sentence."""
        rivals = [each.name for each in self.rivals]
        if len(self.candidates) == 1:
            return f"{self.best.name} reads {self.best.accuracy}; there is nothing to compare with"
        if len(rivals) == 1:
            lead = self.leads[1]
            return (
                f"{self.best.name} leads by {100 * lead.value:.1f} points "
                f"(95 % interval {100 * lead.low:.1f} to {100 * lead.high:.1f})"
            )
        if len(rivals) == len(self.candidates) > 2:
            return f"no clear winner among the {len(rivals)} candidates"
        named = ", ".join(rivals[:6]) + (f" and {len(rivals) - 6} more" if len(rivals) > 6 else "")
        return f"no clear winner among {named}"

    @cached_property
    def transfer(self) -> Estimate | None:
        """By how much the best on features of a network leads the best network from scratch.

        Its interval holds together with those of all other candidates; None where there is no
        such pair.
        """
        pair = self._transfer_pair
        if pair is None:
            return None
        hits = [each.validation.hits for each in self.candidates]
        return leads(hits, pair[0], self.best.validation.size)[pair[1]]

    @property
    def transfer_verdict(self) -> str | None:
        """What transfer learning buys here, in one sentence; None as for `transfer`."""
        lead, pair = self.transfer, self._transfer_pair
        if lead is None or pair is None:
            return None
        learned, scratch = (self.candidates[position].name for position in pair)
        several = sum(each.is_scratch for each in self.candidates) > 1
        from_scratch = f"{scratch}, a network from scratch" if several else "a network from scratch"
        interval = f"(95 % interval {100 * lead.low:.1f} to {100 * lead.high:.1f})"
        more = "more" if lead.value >= 0 else "fewer"
        if lead.value < 0:
            interval = f"(95 % interval {-100 * lead.high:.1f} to {-100 * lead.low:.1f})"
        unclear = "; that may be chance" if lead.low <= 0 <= lead.high else ""
        return (
            f"transfer learning ({learned}) reads {100 * abs(lead.value):.1f} points {more} than "
            f"{from_scratch} {interval}{unclear}"
        )

    @property
    def _transfer_pair(self) -> tuple[int, int] | None:
        """Positions of the best on features of a network and of the best from scratch."""
        scratch = [row for row, each in enumerate(self.candidates) if each.is_scratch]
        learned = [
            row
            for row, each in enumerate(self.candidates)
            if each.features.recipe is None or each.features.recipe.backbone != PIXELS
        ]
        return (learned[0], scratch[0]) if scratch and learned else None

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per candidate, the most accurate first.

        Columns are `rank`, `backbone`, `pooling`, `classifier`, `accuracy`, `accuracy_low` and
        `accuracy_high` (0 to 1), `behind`, `behind_low` and `behind_high` (by how much it is
        behind the first, with simultaneous intervals), `rival` (it may be as good as the first),
        `images_per_second` (of the network, when the features were made; on pixels of the
        classifier), `fit_seconds` (one fit on one core; of a network from scratch, on all),
        `n_features`, `feature_bytes` and `efficient` (no other candidate is both as fast and more
        accurate, or as accurate and faster).
        """
        import pandas as pd

        rows = []
        for rank, (each, lead) in enumerate(zip(self.candidates, self.leads, strict=True), 1):
            recipe, width = each.features.recipe, each.features.matrix.shape[1]
            rows.append(
                {
                    "rank": rank,
                    "backbone": recipe.backbone if recipe else each.name,
                    "pooling": recipe.pooling if recipe else "",
                    "classifier": each.classifier,
                    "accuracy": each.accuracy.value,
                    "accuracy_low": each.accuracy.low,
                    "accuracy_high": each.accuracy.high,
                    "behind": lead.value,
                    "behind_low": lead.low,
                    "behind_high": lead.high,
                    "rival": lead.low <= 0,
                    "images_per_second": each.images_per_second,
                    "fit_seconds": each.validation.fit_seconds,
                    "n_features": width,
                    "feature_bytes": 4 * width * len(each.features),
                }
            )
        frame = pd.DataFrame(rows)
        frame["efficient"] = _unbeaten(frame.accuracy, frame.images_per_second)
        frame.insert(0, "candidate", [each.name for each in self.candidates])
        return frame

    @property
    def table(self) -> pd.DataFrame:
        """The frame as people read it: rounded, with units."""
        import pandas as pd

        frame = self.frame
        return pd.DataFrame(
            {
                "rank": frame["rank"].astype(str) + np.where(frame.rival, " *", ""),
                "candidate": frame.candidate,
                "accuracy": [f"{100 * each:.1f} %" for each in frame.accuracy],
                "95 % interval": [
                    f"{100 * low:.1f} to {100 * high:.1f}"
                    for low, high in zip(frame.accuracy_low, frame.accuracy_high, strict=True)
                ],
                "images/s": [
                    "-" if np.isnan(each) else f"{each:.0f}" if each >= 10 else f"{each:.1f}"
                    for each in frame.images_per_second
                ],
                "fit s": [f"{each:.2f}" for each in frame.fit_seconds],
                "features": [f"{each:,}" for each in frame.n_features],
                "MB": [f"{each / 1e6:.1f}" for each in frame.feature_bytes],
                "unbeaten": np.where(frame.efficient, "yes", ""),
            }
        )

    @property
    def summary(self) -> str:
        """The verdict, what to expect of the best, and what transfer buys, a line each."""
        count = len(self.candidates)
        chosen = (
            f"\n{self.best.name} was chosen as the best of {count}: without that luck, expect "
            f"{self.best_accuracy}"
        )
        transfer = f"\n{self.transfer_verdict}" if self.transfer else ""
        return self.verdict + (chosen if count > 1 else "") + transfer

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw accuracy against images/s; see `featx.plot_comparison`."""
        import featx

        return featx.plot_comparison(self, ax)

    def __repr__(self) -> str:
        return f"{self.table.to_string(index=False)}\n{self.summary}"

    def _repr_html_(self) -> str:
        return f"{self.table.to_html(index=False)}<p>{self.summary.replace(chr(10), '<br>')}</p>"


def _unbeaten(accuracy: Any, speed: Any) -> np.ndarray:
    """Whether no other candidate is at least as good in both and better in one."""
    a, s = np.asarray(accuracy), np.nan_to_num(np.asarray(speed))
    beaten = [
        bool(((a >= x) & (s >= v) & ((a > x) | (s > v))).any()) for x, v in zip(a, s, strict=True)
    ]
    return ~np.array(beaten)
