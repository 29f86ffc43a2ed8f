"""What a search found: the model, how good it is to be expected to be, and what else was tried."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

from featx.learning.comparison import Candidate, Comparison
from featx.learning.halving import Race, Trial
from featx.learning.intervals import Estimate
from featx.learning.model import ImageClassifier
from featx.learning.validation import CrossValidation

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Tuning:
    """The outcome of `featx.tune`.

    Attributes
    ----------
    trials : tuple of Trial
        Every candidate that was judged, the chosen one first.
    race : Race
        The splits on which they were judged.
    model : ImageClassifier
        The chosen candidate, trained on all images.
    skipped : dict of str to str
        Networks and views that there was no time for, and why.
    budget : float
        The time that was given, in seconds.
    seconds : float
        The time that was taken.
    """

    trials: tuple[Trial, ...]
    race: Race
    model: ImageClassifier
    skipped: dict[str, str]
    budget: float
    seconds: float

    @property
    def best(self) -> Trial:
        """The candidate that was chosen."""
        return self.trials[0]

    @cached_property
    def accuracy(self) -> Estimate:
        """Accuracy to expect on photographs like these, without the luck of the choice."""
        return self.race.accuracy(self.trials, "alike")

    @cached_property
    def accuracy_elsewhere(self) -> Estimate:
        """Accuracy to expect on photographs of other scenes, without the luck of the choice."""
        return self.race.accuracy(self.trials, "apart")

    @cached_property
    def validation(self) -> CrossValidation:
        """Cross-validation of the chosen candidate, on shuffled images; lucky as the choice is."""
        return self.race.validation(self.best)

    @cached_property
    def finalists(self) -> Comparison:
        """The candidates of the last round, by their accuracy on shuffled images."""
        rounds = len(self.best.alike)
        candidates = [
            Candidate(
                each.name,
                each.features,
                each.classifier,
                each.estimator,
                self.race.validation(each),
            )
            for each in self.trials
            if len(each.alike) == rounds
        ]
        return Comparison(tuple(sorted(candidates, key=lambda each: -each.accuracy.value)))

    @property
    def verdict(self) -> str:
        """What was chosen, and whether something faster may be as good, in a sentence."""
        leads = self.race.leads(self.trials)
        rivals = [
            (each, lead) for each, lead in zip(self.trials, leads, strict=False) if lead.low <= 0
        ]
        chosen = f"{self.best.name} was chosen as the best of {len(self.trials)}"
        rival, lead = min(rivals, key=lambda pair: pair[0].cost, default=(self.best, leads[0]))
        known = math.isfinite(self.best.cost)
        if rival is self.best or not known or rival.cost >= 0.9 * self.best.cost:
            return chosen
        behind = f"{100 * abs(lead.value):.1f} points {'behind' if lead.value >= 0 else 'ahead'}"
        return (
            f"{chosen}; {rival.name} is {behind}, which may be chance, and its networks are "
            f"{self.best.cost / rival.cost:.1f} times as fast"
        )

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per candidate, the chosen one first, then by rounds and score.

        Columns are `candidate`, `backbone`, `pooling`, `views`, `classifier`, `score` (the mean of
        the next two), `accuracy` (on shuffled images), `accuracy_elsewhere` (on scenes held out),
        all 0 to 1 and with the luck of the choice, `rounds`, and `images_per_second` of the
        networks, views included.
        """
        import pandas as pd

        rows = []
        for each in self.trials:
            recipe = each.features.recipe
            assert recipe is not None
            rows.append(
                {
                    "candidate": each.name,
                    "backbone": recipe.backbone,
                    "pooling": recipe.pooling,
                    "views": len(each.features.views),
                    "classifier": each.classifier,
                    "score": self.race.score(each),
                    "accuracy": float(self.race.hits(each, "alike").mean()),
                    "accuracy_elsewhere": float(self.race.hits(each, "apart").mean()),
                    "rounds": len(each.alike) // self.race.alike.folds,
                    "images_per_second": 1 / each.cost if math.isfinite(each.cost) else math.nan,
                }
            )
        return pd.DataFrame(rows)

    @property
    def table(self) -> pd.DataFrame:
        """The first ten rows of the frame as people read them."""
        import pandas as pd

        frame = self.frame.head(10)
        return pd.DataFrame(
            {
                "candidate": frame.candidate,
                "like these": [f"{100 * each:.1f} %" for each in frame.accuracy],
                "other scenes": [f"{100 * each:.1f} %" for each in frame.accuracy_elsewhere],
                "rounds": frame.rounds,
                "images/s": [
                    "-" if each != each else f"{each:.3g}" for each in frame.images_per_second
                ],
            }
        )

    @property
    def summary(self) -> str:
        """The verdict and what to expect, a line each."""
        lines = [
            self.verdict,
            f"expect {self.accuracy} on photographs like these, "
            f"{self.accuracy_elsewhere} on those of other scenes",
            *(f"no time for {name}: {why}" for name, why in self.skipped.items()),
            f"took {self.seconds:.0f} s of {self.budget:.0f}",
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        more = len(self.trials) - len(self.table)
        rest = f"\nand {more} more, see frame" if more > 0 else ""
        return f"{self.table.to_string(index=False)}{rest}\n{self.summary}"

    def _repr_html_(self) -> str:
        text = escape(self.summary).replace("\n", "<br>")
        return f"{self.table.to_html(index=False)}<p>{text}</p>"
