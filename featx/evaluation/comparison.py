"""The comparison of backbones, poolings and classifiers on the same images and splits."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from featx.backbones.backbone import Backbone
from featx.errors import check_choice, warn_of_images
from featx.evaluation.candidates import (
    Candidate,
    embedded_pairs,
    names_of,
    on_pixels,
    paired,
    timed_alike,
)
from featx.evaluation.difference import Difference, difference, named
from featx.evaluation.fits import fit_all
from featx.evaluation.groups import Grouping, Groups
from featx.evaluation.intervals import Estimate, accuracy_interval, accuracy_of_best, leads
from featx.evaluation.margin import WITHIN, check_within
from featx.evaluation.recommendation import Recommendation, recommend
from featx.evaluation.shortfalls import Shortfalls
from featx.evaluation.splits import FOLDS, REPEATS, check_counts, split
from featx.evaluation.validation import tasks_of, validation_of, with_series
from featx.features.duplicates import find_contradictions, find_duplicates, narrowest, notes_on
from featx.features.matrix import Features
from featx.features.options import (
    CompareOptions,
    SourceOptions,
    options_in,
    takes,
)
from featx.features.saved import features_given, root_of_pictures, several_saved
from featx.features.several import same_images
from featx.images.decode import Outcome
from featx.images.labels import Labels
from featx.images.source import ImageSource
from featx.learning.classes import labelled_images, labels_to_learn
from featx.learning.classifiers import DEFAULT_CLASSIFIER
from featx.learning.learner import Classifier, learners_of
from featx.text import listed, percent, size, speed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Comparison:
    """Candidates on the same images and splits, the most accurate first.

    Attributes
    ----------
    candidates : tuple of Candidate
        Sorted by accuracy; of two that are equal, the faster network is first.
    within : float, default=0.02
        How far behind the best is good enough, as a share of 1, for what is recommended.
    chosen : Candidate, optional
        What a search chose by rules of its own, and tables and charts mark as recommended.
    """

    candidates: tuple[Candidate, ...]
    within: float = WITHIN
    chosen: Candidate | None = None

    @property
    def best(self) -> Candidate:
        """The most accurate candidate, whether its lead is clear or not."""
        return self.candidates[0]

    @cached_property
    def best_accuracy(self) -> Estimate:
        """Accuracy to expect of the best candidate: corrected for having been chosen as the best.

        By bootstrapping the predictions; see `featx.evaluation.intervals.accuracy_of_best`.
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

    @cached_property
    def _shortfalls(self) -> Shortfalls:
        """How far each candidate may be behind the best, whichever that is."""
        hits = [each.validation.hits for each in self.candidates]
        return Shortfalls.of(hits, self.best.validation.size)

    def recommend(self, within: float | None = None) -> Recommendation:
        """Recommend the fastest candidate that is good enough.

        That is the fastest of which it is 95 % sure that it is no further behind the best than a
        margin, whichever candidate the best is; of networks that are about as fast the most
        accurate. Where the images show this of none, it is the most accurate, and the verdict says
        so, and how many images would be enough.

        Parameters
        ----------
        within : float, optional
            The margin, as a share of 1; by default that of this comparison, 0.02: two points.

        Returns
        -------
        Recommendation

        Raises
        ------
        OptionError
            The margin is no share of 1.
        """
        margin = self.within if within is None else check_within(within)
        if margin == self.within:
            return self._recommendation
        return recommend(self.candidates, self._shortfalls, margin)

    @cached_property
    def _recommendation(self) -> Recommendation:
        return recommend(self.candidates, self._shortfalls, check_within(self.within))

    def difference(self, a: str | Candidate, b: str | Candidate) -> Difference:
        """Test two candidates of your choice on the photographs that both predicted.

        Parameters
        ----------
        a, b : str or Candidate
            Two of `candidates`, or their names.

        Returns
        -------
        Difference
            By how much a is more accurate than b, with a 95 % interval, and p.

        Raises
        ------
        OptionError
            There is no candidate of this name, or there are several.
        """
        return difference(named(self.candidates, a), named(self.candidates, b))

    @property
    def verdict(self) -> str:
        """Whether there is a clear winner, and which candidate to take, in one sentence."""
        if len(self.candidates) == 1:
            return f"{self.best.name} scores {self.best.accuracy}; there is nothing to compare with"
        advice = self._advice
        return "; ".join([self.lead_verdict, *([advice] if advice else [])])

    @property
    def _advice(self) -> str | None:
        """What to take; nothing where a search chose otherwise."""
        taken = self.recommend()
        return taken.verdict if self.chosen in (None, taken.candidate) else None

    @property
    def lead_verdict(self) -> str:
        """Whether there is a clear winner, in one sentence."""
        rivals = [each.name for each in self.rivals]
        if len(rivals) == 1:
            return f"{self.best.name} leads by {self.leads[1].points}"
        if len(rivals) == len(self.candidates) > 2:
            return f"no clear winner among the {len(rivals)} candidates"
        return f"no clear winner among {listed(rivals, 6)}"

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
        several = sum(each.learner.pixels for each in self.candidates) > 1
        from_scratch = f"{scratch}, a network from scratch" if several else "a network from scratch"
        more, gain = ("more", lead) if lead.value >= 0 else ("fewer", -lead)
        unclear = "; that may be chance" if lead.low <= 0 <= lead.high else ""
        points = gain.points.replace("points", f"points {more} than {from_scratch}")
        return f"transfer learning ({learned}) scores {points}{unclear}"

    @property
    def _transfer_pair(self) -> tuple[int, int] | None:
        """Positions of the best on features of a network and of the best from scratch."""
        scratch = [row for row, each in enumerate(self.candidates) if each.learner.pixels]
        learned = [row for row, each in enumerate(self.candidates) if not on_pixels(each.features)]
        return (learned[0], scratch[0]) if scratch and learned else None

    def to_frame(self) -> pd.DataFrame:
        """Return a table of one row per candidate, the most accurate first.

        Columns are `rank`, `backbone`, `pooling`, `classifier`, `accuracy`, `accuracy_low` and
        `accuracy_high` (0 to 1), `behind` (by how much it is behind the first), `behind_low` and
        `behind_high` (how far it is at least and at most behind the best, whichever that is, 95 %
        sure), `rival` (it may be as good as the first),
        `images_per_second` (of the network, when the features were made; on pixels of the
        classifier), `fit_seconds` (one fit on one core; of a network from scratch, on all),
        `n_features`, `feature_bytes`, `unbeaten` (no other candidate is both as fast and more
        accurate, or as accurate and faster), `recommended`, `balanced_accuracy`, `weakest_class`
        and `weakest_recall` (see `Balance`).
        """
        import pandas as pd

        rows = []
        found = zip(self.candidates, self.leads, self._shortfalls.highs().tolist(), strict=True)
        for rank, (each, lead, high) in enumerate(found, 1):
            recipe, width = each.features.recipe, each.features.matrix.shape[1]
            rows.append(
                {
                    "rank": rank,
                    "backbone": recipe.backbone if recipe else each.features.name or each.name,
                    "pooling": recipe.pooling if recipe else "",
                    "classifier": each.classifier,
                    **each.accuracy.to_dict("accuracy"),
                    "behind": lead.value,
                    "behind_low": lead.low,
                    "behind_high": max(lead.value, high),
                    "rival": lead.low <= 0,
                    "images_per_second": each.images_per_second,
                    "fit_seconds": each.validation.fit_seconds,
                    "n_features": width,
                    "feature_bytes": 4 * width * len(each.features),
                }
            )
        frame = pd.DataFrame(rows)
        frame["unbeaten"] = _unbeaten(frame.accuracy, frame.images_per_second)
        marked = self.chosen or self.recommend().candidate
        frame["recommended"] = [each is marked for each in self.candidates]
        balances = [each.validation.balance for each in self.candidates]
        frame["balanced_accuracy"] = [each.balanced_accuracy.value for each in balances]
        frame["weakest_class"] = [each.weakest_class for each in balances]
        frame["weakest_recall"] = [each.weakest_recall.value for each in balances]
        frame.insert(0, "candidate", [each.name for each in self.candidates])
        return frame

    @property
    def table(self) -> pd.DataFrame:
        """The frame as people read it: rounded, with units."""
        import pandas as pd

        frame = self.to_frame()
        unequal = self.best.validation.balance.unequal
        columns = ("balanced_accuracy", "weakest_recall") if unequal else ()
        balance = {
            name.partition("_")[0]: [percent(each) for each in frame[name]] for name in columns
        }
        return pd.DataFrame(
            {
                "rank": frame["rank"].astype(str) + np.where(frame.rival, " *", ""),
                "candidate": frame.candidate,
                "accuracy": [percent(each) for each in frame.accuracy],
                "95 % interval": [each.accuracy.range for each in self.candidates],
                **balance,
                "behind": [f"{100 * each:.1f}" for each in frame.behind],
                "at most": [f"{100 * each:.1f}" for each in frame.behind_high],
                "images/s": [speed(each) for each in frame.images_per_second],
                "fit s": [f"{each:.2f}" for each in frame.fit_seconds],
                "features": [f"{each:,}" for each in frame.n_features],
                "size": [size(each) for each in frame.feature_bytes],
                "unbeaten": np.where(frame.unbeaten, "yes", ""),
            }
        )

    @property
    def summary(self) -> str:
        """The verdict, what to expect of the best and of what to take, what transfer buys."""
        count, taken = len(self.candidates), self.recommend()
        if count == 1:
            return self.verdict
        lines = [
            self.lead_verdict,
            *([self._advice] if self._advice else []),
            f"{self.best.name} was chosen as the best of {count}: without that luck, expect "
            f"{self.best_accuracy}",
        ]
        if taken.candidate is not self.best:
            lines.append(f"of {taken.name}, expect {taken.accuracy}")
        return "\n".join([*lines, *filter(None, [self.transfer_verdict])])

    def plot(self, ax: Axes | None = None, *, kind: str = "speed", width: float = 6.6) -> Axes:
        """Draw the candidates.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a figure of its own.
        kind : str, default="speed"
            "speed" for accuracy against images/s (`featx.plot_comparison`), "forest" for a row for
            each candidate with its interval (`featx.plot_forest`).
        width : float, default=6.6
            Inches of a figure of its own; 3.5 is a column of a journal.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from featx.charts.comparison import plot_comparison
        from featx.charts.forest import plot_forest

        check_choice("kind", kind, ("speed", "forest"))
        draw = plot_forest if kind == "forest" else plot_comparison
        return draw(self, ax, width=width)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The outcomes of the files that could not be read."""
        return self.best.validation.failed

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of images and splits, and the files that were lost."""
        about = (*self.best.features.notes, *self.best.validation.notes)
        return (*about, *(outcome.failure for outcome in self.failed))

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict and every candidate as plain values."""
        return {
            "verdict": self.verdict,
            "transfer_verdict": self.transfer_verdict,
            "best": self.best.name,
            **self.best_accuracy.to_dict("best_accuracy"),
            "recommendation": self.recommend().to_dict(),
            "method": self.best.validation.method,
            "notes": list(self.notes),
            **self.best.validation.balance.to_dict(),
            "n_images": len(self.best.features),
            "n_failed": len(self.best.features.failed),
            "candidates": self.to_frame().to_dict(orient="records"),
        }

    def __repr__(self) -> str:
        lines = lines_of(self.table).splitlines()
        return "\n".join([*(line.rstrip() for line in lines), self.summary])

    def _repr_html_(self) -> str:
        text = escape(self.summary).replace("\n", "<br>")
        return f"{self.table.to_html(index=False)}<p>{text}</p>"


def lines_of(table: pd.DataFrame) -> str:
    """Return a table as text, its columns in line also where names have wide letters."""
    import pandas as pd

    with pd.option_context("display.unicode.east_asian_width", True):
        return table.to_string(index=False)


@takes(CompareOptions)
def compare(
    source: ImageSource,
    backbones: str | Backbone | Sequence[str | Backbone] = "all",
    poolings: str | Sequence[str] = "avg",
    classifiers: Classifier = DEFAULT_CLASSIFIER,
    *,
    labels: Labels = None,
    groups: Groups = None,
    class_weight: str | None = None,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
    n_jobs: int | None = None,
    **options: Unpack[CompareOptions],
) -> Comparison:
    """Compare backbones, poolings and classifiers on labelled images.

    Every candidate is cross-validated on the same splits. Each picture is decoded once, each
    network runs once, and nothing runs at all where the cache has the features.

    Parameters
    ----------
    source : Features, sequence of Features, or what `embed` takes
        Labelled images, or several features of the same images.
    backbones : str, Backbone or sequence of them, default="all"
        The networks; "all" means those whose weights are on this machine.
    poolings : str or sequence of str, default="avg"
        As for `embed`.
    classifiers : str, estimator, sequence or mapping of them, default="logistic"
        Names of `featx.CLASSIFIERS`, or classifiers of your own; the keys of a mapping name them.
        "cnn" and compiled Keras models are networks from scratch: each is one candidate, on
        pixels, whatever the backbones.
    labels : sequence, array, DataFrame or path of a table, optional
        As for `embed`, where the images have none. Features take the labels of a table alone.
    groups : sequence, str or mapping, optional
        As for `cross_validate`, or the name of a column of the table of images.
    class_weight : str, optional
        As for `train`.
    folds, repeats, seed : int
        As for `cross_validate`.
    n_jobs : int, optional
        Processes; by default one per core where the work is long.
    **options
        Further options of `embed`; with features, only `progress` and `exclude`. `input_size` is
        that of the backbones; it is that of networks from scratch where nothing else is compared.

    Returns
    -------
    Comparison

    Raises
    ------
    ImageSourceError
        There are no classes, or features of different images are given.
    OptionError
        An option has a value that it cannot have.
    UnknownBackboneError, UnknownClassifierError
        There is no network or no classifier of this name.
    WeightsError
        The weights of a network are not there and cannot be fetched.
    """
    check_counts(folds, repeats, seed)
    learners = learners_of(classifiers, class_weight)
    progress = options.get("progress", True)
    root, rest = root_of_pictures(source, labels, options)
    source = several_saved(source, root)
    given = [source] if isinstance(source, Features) else source
    if isinstance(given, list | tuple) and given and isinstance(given[0], Features):
        chosen = {} if backbones == "all" else {"backbones": backbones}
        chosen |= {} if poolings in ("avg", ["avg"]) else {"poolings": poolings}
        own = {name: each for name, each in rest.items() if name != "progress"} | chosen
        both = [features_given(each, labels, **own) for each in given]
        grouping = Grouping.of(groups, both[0][1])
        pairs = paired([each for each, _ in both], learners)
    else:
        images = labelled_images(source, labels, **options_in(SourceOptions, options))
        grouping = Grouping.of(groups, images)
        pairs = embedded_pairs(images, backbones, poolings, learners, options)
    features = list(dict.fromkeys(each for each, _ in pairs))
    every = timed_alike(same_images(features))
    same = dict(zip(features, every, strict=True))
    pairs = [(same[each], name) for each, name in pairs]
    y, copies = labels_to_learn(every[0]), find_duplicates(narrowest(every)).groups
    warn_of_images(notes_on(find_contradictions(every[0], copies)))
    grouping = grouping and grouping.those_of(every[0].paths)
    splits = split(y, copies, grouping, folds=folds, repeats=repeats, seed=seed)
    with tempfile.TemporaryDirectory(prefix="featx-") as place:
        from joblib import Memory

        memory = Memory(place, verbose=0)
        tasks = [
            task for each, name in pairs for task in tasks_of(each, splits, learners[name], memory)
        ]
        fitted = iter(fit_all(tasks, n_jobs=n_jobs, progress="fitting" if progress else None))
    candidates = []
    for title, (each, name) in zip(names_of(pairs, learners), pairs, strict=True):
        validation = validation_of(each, splits, list(islice(fitted, len(splits.parts))))
        candidates.append(Candidate(title, each, name, learners[name], validation))
    candidates.sort(
        key=lambda each: (-each.validation.accuracy, -np.nan_to_num(each.images_per_second))
    )
    if groups is None:
        candidates[0] = _with_series(candidates[0], seed, n_jobs)
    return Comparison(tuple(candidates))


def _with_series(best: Candidate, seed: int, n_jobs: int | None) -> Candidate:
    told = with_series(best.validation, best.features, best.learner, seed=seed, n_jobs=n_jobs)
    return replace(best, validation=told)


def _unbeaten(accuracy: Any, speed: Any) -> np.ndarray:
    """Whether no other candidate is at least as good in both and better in one."""
    a, s = np.asarray(accuracy), np.nan_to_num(np.asarray(speed))
    as_good = (a >= a[:, None]) & (s >= s[:, None])
    better = (a > a[:, None]) | (s > s[:, None])
    return np.asarray(~(as_good & better).any(axis=1))
