"""`featx.tune`: the best way from images to labels that can be found in a given time."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Unpack

from featx.backbones.backbone import Backbone
from featx.backbones.kinds import PIXELS, kind_of
from featx.backbones.weights import chosen_backbones
from featx.errors import OptionError, warn_of_images
from featx.evaluation.candidates import Candidate
from featx.evaluation.comparison import Comparison, lines_of
from featx.evaluation.evaluation import Evaluation
from featx.evaluation.groups import Grouping, Groups, shared_with
from featx.evaluation.intervals import Estimate
from featx.evaluation.scenes import accuracy_on_scenes
from featx.evaluation.splits import check_counts
from featx.evaluation.validation import CrossValidation, with_series
from featx.features.duplicates import (
    Contradiction,
    find_contradictions,
    notes_on,
)
from featx.features.matrix import Features
from featx.features.options import (
    EmbedOptions,
    RunOptions,
    SourceOptions,
    TuneOptions,
    options_in,
    settle,
    takes,
)
from featx.features.request import check_preprocess, joined_names
from featx.features.saved import is_saved, saved_features
from featx.images.decode import Outcome
from featx.images.labels import Labels
from featx.images.source import ImageSource
from featx.learning.classes import images_and_test
from featx.learning.classifiers import SHRINKAGES, TUNED
from featx.learning.learner import Learner, make_classifier
from featx.models.card import Card, Measurement
from featx.models.model import ImageClassifier
from featx.models.train import test_images, told_of_groups, train
from featx.progress import time_bar
from featx.text import count, percent, speed
from featx.tuning.budget import Networks, seconds_of
from featx.tuning.race import Race, Trial
from featx.tuning.search import Search

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_EMBEDDING = 0.7  # share of the time after which no network is started
_FITTING = 0.95  # and no fits


@dataclass(frozen=True, eq=False)
class Tuning:
    """The outcome of `featx.tune`.

    Attributes
    ----------
    trials : tuple of Trial
        Every candidate that was judged, the chosen one first.
    favourite : Trial
        The candidate to choose unless another one is ahead beyond chance.
    race : Race
        The splits on which they were judged.
    model : ImageClassifier
        The chosen candidate, trained on all images.
    accuracy_elsewhere : Estimate
        Accuracy of the chosen candidate where groups of pictures that look alike are held out
        whole; a pessimistic view, see `docs/tuning.md`.
    skipped : dict of str to str
        Networks that there was no time for, and why.
    budget : float
        The time that was given, in seconds.
    seconds : float
        The time that was taken.
    test : Evaluation or None
        How good the model is on images that it never saw, where some were given.
    about_series : tuple of str
        What names of files or times tell of groups that nobody declared, a line or none.
    """

    trials: tuple[Trial, ...]
    favourite: Trial
    race: Race
    model: ImageClassifier
    accuracy_elsewhere: Estimate
    skipped: dict[str, str]
    budget: float
    seconds: float
    test: Evaluation | None = None
    about_series: tuple[str, ...] = ()

    @property
    def best(self) -> Trial:
        """The candidate that was chosen."""
        return self.trials[0]

    @property
    def _favourite_first(self) -> list[Trial]:
        return [self.favourite, *(each for each in self.trials if each is not self.favourite)]

    @cached_property
    def accuracy(self) -> Estimate:
        """Accuracy to expect on photographs like the training ones, without the choice's luck."""
        return self.race.accuracy(self._favourite_first, self.best)

    @cached_property
    def validation(self) -> CrossValidation:
        """Cross-validation of the chosen candidate; lucky as the choice is."""
        return self.race.validation(self.best)

    @property
    def _final(self) -> list[Trial]:
        """The candidates of the last round, the chosen one first."""
        return [each for each in self.trials if each.rounds == self.best.rounds]

    @cached_property
    def finalists(self) -> Comparison:
        """The candidates of the last round; tables and charts mark the chosen one."""
        candidates = [
            Candidate(
                each.name,
                each.features,
                each.classifier,
                each.learner,
                self.race.validation(each),
            )
            for each in self._final
        ]
        ranked = tuple(sorted(candidates, key=lambda each: -each.accuracy.value))
        return Comparison(ranked, chosen=candidates[0])

    @property
    def verdict(self) -> str:
        """What was chosen, and whether something faster may be as good, in a sentence."""
        chosen = f"{self.best.name} was chosen among {count(len(self.trials), 'candidate')}: "
        lead = self.race.sure_leads([self.favourite, self.best])[1]
        if self.best is self.favourite:
            chosen += "no other is ahead of it beyond chance"
        elif lead > 0:
            chosen += f"it is ahead of {self.favourite.name} beyond chance"
        else:
            chosen += f"about as good as {self.favourite.name}, and faster"
        leads = self.race.leads(self._final)
        rivals = [pair for pair in zip(self._final, leads, strict=True) if pair[1].low <= 0]
        rival, lead = min(rivals, key=lambda pair: pair[0].cost)
        known = math.isfinite(self.best.cost)
        if rival is self.best or not known or rival.cost >= 0.9 * self.best.cost:
            return chosen
        return (
            f"{chosen}; {rival.name} is {_points(-lead.value)}, which may be chance, and its "
            f"networks are {self.best.cost / rival.cost:.1f} times as fast"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a table of one row per candidate, the chosen one first, then by rounds.

        Columns are `candidate`, `backbone`, `pooling`, `classifier`, `accuracy` (cross-validated,
        0 to 1, with the luck of the choice), `lead_low` (by how much it is at least ahead of the
        favourite, to 95 %), `rounds`, and `images_per_second` of the networks.
        """
        import pandas as pd

        order = self._favourite_first
        leads = dict(zip(map(id, order), self.race.sure_leads(order), strict=True))
        rows = []
        for each in self.trials:
            recipe = each.features.recipe
            assert recipe is not None
            rows.append(
                {
                    "candidate": each.name,
                    "backbone": recipe.backbone,
                    "pooling": recipe.pooling,
                    "classifier": each.classifier,
                    "accuracy": each.accuracy,
                    "lead_low": float(leads[id(each)]),
                    "rounds": each.rounds,
                    "images_per_second": 1 / each.cost if math.isfinite(each.cost) else math.nan,
                }
            )
        return pd.DataFrame(rows)

    @property
    def table(self) -> pd.DataFrame:
        """The first ten rows of the frame as people read them."""
        import pandas as pd

        frame = self.to_frame().head(10)
        return pd.DataFrame(
            {
                "candidate": frame.candidate,
                "accuracy": [percent(each) for each in frame.accuracy],
                "lead, at least": [
                    "favourite" if name == self.favourite.name else f"{100 * lead:+.1f}"
                    for name, lead in zip(frame.candidate, frame.lead_low, strict=True)
                ],
                "rounds": frame.rounds,
                "images/s": [speed(each) for each in frame.images_per_second],
            }
        )

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The outcomes of the files that could not be read."""
        return self.best.features.failed

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of images and splits, and the files that were lost."""
        about = (*self.best.features.notes, *self.about_series, *self.validation.notes)
        return (*about, *(outcome.failure for outcome in self.failed))

    def to_dict(self) -> dict[str, Any]:
        """Return what was chosen and every candidate as plain values."""
        recipe = self.model.recipe
        return {
            "best": self.best.name,
            "favourite": self.favourite.name,
            "backbone": recipe.backbone,
            "pooling": recipe.pooling,
            "classifier": self.best.classifier,
            "verdict": self.verdict,
            **self.accuracy.to_dict("accuracy"),
            **self.accuracy_elsewhere.to_dict("accuracy_elsewhere"),
            "classes": list(self.model.classes),
            "n_images": len(self.best.features),
            "n_failed": len(self.best.features.failed),
            "candidates": self.to_frame().to_dict(orient="records"),
            "skipped": self.skipped,
            "notes": list(self.notes),
            "test": self.test.to_dict() if self.test else None,
            "dataset_shift": self.dataset_shift,
            "budget": self.budget,
            "seconds": round(self.seconds, 3),
        }

    @property
    def dataset_shift(self) -> str | None:
        """Whether test and training images differ, in a sentence; None where nothing shows it."""
        return self.validation.shift_to(self.test) if self.test else None

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the finalists, accuracy against images/s; see `featx.plot_comparison`."""
        return self.finalists.plot(ax)

    @property
    def summary(self) -> str:
        """The verdict and what to expect, a line each."""
        lines = [
            self.verdict,
            f"expect {self.accuracy} on photographs like the training ones, "
            f"{percent(self.accuracy_elsewhere.value)} on such as look like none of them",
            *(f"no time for {name}: {why}" for name, why in self.skipped.items()),
            f"took {self.seconds:.0f} s of {self.budget:.0f}",
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        more = len(self.trials) - len(self.table)
        rest = f"\nand {more} more, see to_frame()" if more > 0 else ""
        return f"{lines_of(self.table)}{rest}\n{self.summary}"

    def _repr_html_(self) -> str:
        text = escape(self.summary).replace("\n", "<br>")
        return f"{self.table.to_html(index=False)}<p>{text}</p>"


@takes(TuneOptions)
def tune(
    source: ImageSource,
    budget: str | float = "5m",
    *,
    backbones: str | Sequence[str] = "all",
    classifiers: str | Sequence[str] = TUNED,
    labels: Labels = None,
    groups: Groups = None,
    test: ImageSource = None,
    seed: int = 0,
    n_jobs: int | None = None,
    **options: Unpack[TuneOptions],
) -> Tuning:
    """Search networks, alone and joined, poolings and classifiers for the best model, in a time.

    What the cache has comes first, in whatever pooling, then the networks that take least time.
    The favourite is what did best on other sets of photographs: all networks joined, with the
    first classifier. Networks alone and fewer of them joined, other poolings and other classifiers
    are judged beside it on the same splits, and take its place only where they are ahead by more
    than what chance gives; of those that are
    surely as good, to a point, that with the fastest networks is chosen.

    Parameters
    ----------
    source : what `embed` takes
        Labelled images.
    budget : str or float, default="5m"
        The time for it: "90s", "5m", "1h" or seconds. The first network, the first fits and the
        training of the model take what they take, however little it is.
    backbones : str or sequence of str, default="all"
        Names of networks; "all" means those whose weights are on this machine.
    classifiers : str or sequence of str, default=("logistic", "svm", "knn", "centroid")
        Names of `featx.CLASSIFIERS` that learn from features; the first is tried on everything.
        "logistic" is tried with several shrinkages.
    labels : sequence, array, DataFrame or path of a table, optional
        As for `embed`, where the images have none.
    groups : sequence, str or mapping, optional
        As for `compare`.
    test : Features, or what `embed` takes, optional
        Labelled images to measure the model on. By default those that the source has for it: of a
        folder called test, or of such rows of a column `split`.
    seed : int, default=0
        Of the splits.
    n_jobs : int, optional
        Processes; by default one per core where the work is long.
    **options
        Further options of `embed`, but for `pooling`, `views` and `layer`, which are searched or
        the same for all networks.

    Returns
    -------
    Tuning

    Raises
    ------
    ImageSourceError
        There are no classes, or one has a single image.
    OptionError
        An option has a value that it cannot have.
    UnknownBackboneError, UnknownClassifierError
        There is no network or no classifier of this name.
    WeightsError
        The weights of a network are not there and cannot be fetched.
    """
    start = time.monotonic()
    seconds = seconds_of(budget)
    check_counts(seed=seed)
    learners = list(settings_of(_checked_classifiers(classifiers)))
    asked = _checked_backbones(backbones, options)
    reading = options_in(SourceOptions, options)
    if is_saved(source):
        raise OptionError(
            f"{source} holds features, and tune embeds pictures by itself: give their folder or "
            "table, or the features to compare or train"
        )
    images, test = images_and_test(source, labels, test, **reading)
    test = test_images(saved_features(test), images.classes, labels, **reading)
    grouping = Grouping.of(groups, images)
    with ExitStack() as stack:
        if options.get("cache") is False:  # no network runs twice, even so
            options["cache"] = stack.enter_context(tempfile.TemporaryDirectory(prefix="featx-"))
        settled = settle(options)
        step = stack.enter_context(time_bar("tune", seconds, shown=settled["progress"]))
        quiet: EmbedOptions = {**settled, "progress": False}
        networks = Networks(images, asked, start + _EMBEDDING * seconds, quiet, step)
        search = Search(networks, learners, start + _FITTING * seconds, grouping, seed, n_jobs)
        race, trials = search.run()
        ranked = race.ranked(trials)
        step("training")
        grouping = grouping and grouping.those_of(ranked[0].features.paths)
        model = train(ranked[0].features, ranked[0].learner, groups=grouping)
        _warn_of_contradictions(model, ranked[0].features, race)
        elsewhere = accuracy_on_scenes(
            ranked[0].features, ranked[0].learner, race.splits.groups, seed=seed, n_jobs=n_jobs
        )
        series = () if groups is not None else _about_series(ranked[0], race, seed, n_jobs)
        took = time.monotonic() - start
    how, best = options_in(RunOptions, settled), ranked[0].features
    evaluation = None if test is None else model.evaluate(test, training=best, **how)
    if evaluation is not None:
        evaluation = told_of_groups(evaluation, shared_with(grouping, groups, test))
    tuning = Tuning(
        tuple(ranked),
        trials[0],
        race,
        model,
        elsewhere,
        networks.skipped,
        seconds,
        took,
        evaluation,
        series,
    )
    model.card = _card(tuning)
    return tuning


def _card(tuning: Tuning) -> Card:
    """Return the card of the model with what the search and the test measured."""
    measured = replace(
        Measurement.of(tuning.validation),
        accuracy=tuning.accuracy,
        n_candidates=len(tuning.trials),
    )
    test = Measurement.of_test(tuning.test) if tuning.test else None
    return replace(tuning.model.card, validation=measured, test=test)


def _about_series(best: Trial, race: Race, seed: int, n_jobs: int | None) -> tuple[str, ...]:
    validation = race.validation(best)
    told = with_series(validation, best.features, best.learner, seed=seed, n_jobs=n_jobs)
    return told.about_series


def _warn_of_contradictions(model: ImageClassifier, features: Features, race: Race) -> None:
    """Warn of pictures in several classes that training, which finds exact copies, did not tell."""
    assert model.training is not None
    found = find_contradictions(features, race.splits.copies)
    said = [copy for each in model.training.contradictions for copy in each]
    warn_of_images(notes_on([each for each in found if _adds_to(each, said)]))


def _adds_to(contradiction: Contradiction, said: Sequence[tuple[str, str]]) -> bool:
    """Whether a picture lies in a class that was not said of it before."""
    known = {label for path, label in contradiction if (path, label) in said}
    return known != {label for _, label in contradiction}


def _points(lead: float) -> str:
    return f"{100 * abs(lead):.1f} points {'behind' if lead < 0 else 'ahead'}"


def _checked_backbones(backbones: Any, options: TuneOptions) -> dict[str, str]:
    """Return the networks, each once: what recipes call it, and the name that was given."""
    weights, preprocess = options.get("weights", "imagenet"), options.get("preprocess")
    names = chosen_backbones(backbones, weights)
    check_preprocess(names, preprocess)
    asked: dict[str, str] = {}
    found: dict[str, Backbone] = {}
    for name in names:
        if not isinstance(name, str) or len(joined_names(name, "backbone")) > 1 or name == PIXELS:
            raise OptionError(
                f"backbone {name!r}: expected a name of `featx backbones`; tune joins them itself"
            )
        own = preprocess if kind_of(name).preprocesses else None
        backbone = Backbone.load(name, os.fspath(weights), preprocess=own)
        if found.setdefault(backbone.name, backbone) != backbone:
            raise OptionError(
                f"{asked[backbone.name]} and {name} are different networks of one name, "
                f"{backbone.name}: rename one of the files"
            )
        asked.setdefault(backbone.name, name)
    return asked


def _checked_classifiers(classifiers: Any) -> list[str]:
    """Return the names of classifiers of features, each once."""
    names = [classifiers] if isinstance(classifiers, str) else classifiers
    listed = isinstance(names, list | tuple) and len(names)
    if not listed or not all(isinstance(name, str) for name in names):
        raise OptionError("classifiers: expected names of featx.CLASSIFIERS, such as 'logistic'")
    for name in names:
        if Learner.of(name).pixels:
            raise OptionError(
                f"classifier {name!r} learns from pixels: tune chooses among those that learn from "
                "features; use compare for it"
            )
    return list(dict.fromkeys(names))


def settings_of(classifiers: Sequence[str]) -> Iterator[tuple[str, Learner]]:
    """Yield classifiers by name, then their other settings, such as "logistic shrinkage=0.1"."""
    for name in classifiers:
        yield name, Learner.of(name)
    if "logistic" in classifiers:
        for shrinkage in SHRINKAGES[1:]:
            made = make_classifier("logistic").set_params(discriminants__shrinkage=shrinkage)
            yield f"logistic shrinkage={shrinkage:g}", Learner.of(made)
