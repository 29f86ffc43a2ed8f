"""`featx.tune`: the best way from images to labels that can be found in a given time."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Unpack

from featx.backbones.kinds import PIXELS
from featx.backbones.table import find
from featx.backbones.weights import chosen_backbones
from featx.errors import OptionError, warn_of_images
from featx.evaluation.candidates import Candidate
from featx.evaluation.comparison import Comparison, lines_of
from featx.evaluation.evaluation import Evaluation
from featx.evaluation.groups import Grouping, Groups
from featx.evaluation.intervals import Estimate
from featx.evaluation.scenes import hold_out_scenes
from featx.evaluation.splits import check_counts, split
from featx.evaluation.validation import CrossValidation
from featx.features.duplicates import (
    Contradiction,
    find_contradictions,
    find_duplicates,
    narrowest,
    notes_on,
)
from featx.features.matrix import Features
from featx.features.options import RunOptions, SourceOptions, TuneOptions, options_in, settle, takes
from featx.features.recipe import join
from featx.features.request import joined_names
from featx.features.saved import is_saved, saved_features
from featx.images.decode import Outcome
from featx.images.folder import ImageSource
from featx.images.labels import Labels
from featx.learning.classes import labelled_images, labels_to_learn, require_every_class
from featx.learning.classifiers import SHRINKAGES, TUNED
from featx.learning.learner import Learner, make_classifier
from featx.models.model import ImageClassifier
from featx.models.train import test_images, train
from featx.text import percent, speed
from featx.tuning.budget import Networks, seconds_of
from featx.tuning.race import ROUNDS, Race, Trial

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_POOLINGS = ("avg", "max")
_VIEWS = 2
_JOINED = 4  # networks at most
_EMBEDDING = 0.6  # share of the time after which no network is started
_VIEWING = 0.7  # and no views
_FITTING = 0.95  # and no fits

Settings = Sequence[tuple[str, Learner]]  # classifiers with their settings, by name


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
    test : Evaluation or None
        How good the model is on images that it never saw, where some were given.
    """

    trials: tuple[Trial, ...]
    race: Race
    model: ImageClassifier
    skipped: dict[str, str]
    budget: float
    seconds: float
    test: Evaluation | None = None

    @property
    def best(self) -> Trial:
        """The candidate that was chosen."""
        return self.trials[0]

    @cached_property
    def accuracy(self) -> Estimate:
        """Accuracy to expect on photographs like these, without the luck of the choice."""
        return self.race.accuracy(self.trials, "shuffled")

    @cached_property
    def accuracy_elsewhere(self) -> Estimate:
        """Accuracy to expect on photographs of other scenes, without the luck of the choice."""
        return self.race.accuracy(self.trials, "scenes")

    @cached_property
    def validation(self) -> CrossValidation:
        """Cross-validation of the chosen candidate, on shuffled images; lucky as the choice is."""
        return self.race.validation(self.best)

    @cached_property
    def finalists(self) -> Comparison:
        """The candidates of the last round, by their accuracy on shuffled images."""
        rounds = len(self.best.shuffled)
        candidates = [
            Candidate(
                each.name, each.features, each.classifier, each.learner, self.race.validation(each)
            )
            for each in self.trials
            if len(each.shuffled) == rounds
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

    def to_frame(self) -> pd.DataFrame:
        """Return a table of one row per candidate, the chosen one first, then by rounds and score.

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
                    "accuracy": float(self.race.hits(each, "shuffled").mean()),
                    "accuracy_elsewhere": float(self.race.hits(each, "scenes").mean()),
                    "rounds": len(each.shuffled) // self.race.shuffled.folds,
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
                "like these": [percent(each) for each in frame.accuracy],
                "other scenes": [percent(each) for each in frame.accuracy_elsewhere],
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
        about = (*self.best.features.notes, *self.validation.notes)
        return (*about, *(outcome.failure for outcome in self.failed))

    def to_dict(self) -> dict[str, Any]:
        """Return what was chosen and every candidate as plain values."""
        recipe = self.model.recipe
        return {
            "best": self.best.name,
            "backbone": recipe.backbone,
            "pooling": recipe.pooling,
            "views": self.model.views,
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
            "budget": self.budget,
            "seconds": round(self.seconds, 3),
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the finalists, accuracy against images/s; see `featx.plot_comparison`."""
        return self.finalists.plot(ax)

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
    """Search networks, poolings, views and classifiers for the best model, within a time.

    Networks are embedded while there is time, what the cache has first. Every network and pooling
    is tried with the first classifier; the better half, and the best networks alone or joined, with
    and without augmented views, are tried with every classifier and its settings; then those ahead
    again and again on other splits: 24 of them twice in all, 12 four times, 6 eight times. The
    score to choose by is the mean of the accuracy on shuffled images and that on scenes held out,
    so that what is robust is preferred; of candidates less than one image apart, that with the
    fastest networks.

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
    labels : sequence or array, optional
        As for `embed`, where the images have none.
    groups : sequence, str or mapping, optional
        As for `compare`.
    test : Features, or what `embed` takes, optional
        Labelled images to measure the model on.
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
    settings = list(settings_of(_checked_classifiers(classifiers)))
    names = _checked_backbones(backbones, options.get("weights", "imagenet"))
    reading = options_in(SourceOptions, options)
    if is_saved(source):
        raise OptionError(
            f"{source} holds features, and tune embeds pictures by itself: give their folder or "
            "table, or the features to compare or train"
        )
    images = labelled_images(source, labels, **reading)
    test = test_images(saved_features(test), images.classes, labels, **reading)
    grouping = Grouping.of(groups, images)
    with ExitStack() as stack:
        if options.get("cache") is False:  # no network runs twice, even so
            options["cache"] = stack.enter_context(tempfile.TemporaryDirectory(prefix="featx-"))
        settled = settle(options)
        networks = Networks(images, start + _EMBEDDING * seconds, settled)
        embedded = networks.embed(names, _POOLINGS)
        first = next(iter(embedded.values()))[0]
        require_every_class(images, first)
        warn_of_images(first.losses)
        networks.deadline = start + _VIEWING * seconds
        grouping = grouping and grouping.those_of(first.paths)
        deadline = start + _FITTING * seconds
        race = _race(embedded, grouping, deadline, seed, n_jobs, settled["progress"])
        ranked = race.ranked(_search(race, networks, embedded, settings))
        model = train(ranked[0].features, ranked[0].learner, groups=grouping)
        assert model.training is not None
        found = find_contradictions(ranked[0].features, race.shuffled.copies)
        said = [copy for each in model.training.contradictions for copy in each]  # exact copies
        warn_of_images(notes_on([each for each in found if _adds_to(each, said)]))
        took = time.monotonic() - start
        how, best = options_in(RunOptions, settled), ranked[0].features
        evaluation = None if test is None else model.evaluate(test, training=best, **how)
    return Tuning(tuple(ranked), race, model, networks.skipped, seconds, took, evaluation)


def _adds_to(contradiction: Contradiction, said: Sequence[tuple[str, str]]) -> bool:
    """Whether a picture lies in a class that was not said of it before."""
    known = {label for path, label in contradiction if (path, label) in said}
    return known != {label for _, label in contradiction}


def _race(
    embedded: dict[str, list[Features]],
    grouping: Grouping | None,
    deadline: float,
    seed: int,
    n_jobs: int | None,
    progress: bool,
) -> Race:
    first = next(iter(embedded.values()))[0]
    y = labels_to_learn(first)
    copies = find_duplicates(narrowest([each[0] for each in embedded.values()])).groups
    shuffled = split(y, copies, grouping, repeats=ROUNDS, seed=seed)
    looks = join([each[0].matrix for each in embedded.values()])
    scenes = hold_out_scenes(looks, y, shuffled.groups, repeats=ROUNDS, seed=seed)
    return Race(y, shuffled, scenes, deadline, n_jobs, progress)


def _search(
    race: Race, networks: Networks, embedded: dict[str, list[Features]], settings: Settings
) -> list[Trial]:
    """Judge candidates rung by rung; see `tune`."""
    plain = [each for several in embedded.values() for each in several]
    every = race.run([trial for each in plain for trial in _trials(each, settings[:1])], 0)
    ahead = sorted(every, key=lambda trial: -race.score(trial))
    wide = [trial.features for trial in ahead[: -(-len(ahead) // 2)]]
    best: dict[str, Features] = {}
    for trial in ahead:
        assert trial.features.recipe is not None
        best.setdefault(trial.features.recipe.backbone, trial.features)
    order = list(best)
    counts = [n for n in range(1, _JOINED + 1) if n <= len(order)]
    more = [networks.joined(order[:n], best[order[0]]) for n in counts[1:]]
    more += [networks.joined(order[:n], best[order[0]], _VIEWS) for n in counts]
    known = {trial.features for trial in every}
    wider = [
        trial
        for each in [*wide[:1], *(each for each in more if each), *wide[1:]]
        for trial in _trials(each, settings[1:] if each in known else settings)
    ]
    every += race.run(wider, 0)
    race.narrow(every)
    return every


def _trials(features: Features, settings: Settings) -> list[Trial]:
    recipe = features.recipe
    assert recipe is not None
    views = len(features.views)
    name = f"{recipe.backbone} {recipe.pooling}" + (f" {views} views" if views else "")
    rate = features.images_per_second
    cost = (1 + views) / rate if rate > 0 else math.inf
    return [
        Trial(f"{name} {classifier}", features, classifier, learner, cost)
        for classifier, learner in settings
    ]


def _checked_backbones(backbones: Any, weights: Any) -> list[str]:
    """Return the names of the networks, each once."""
    names = chosen_backbones(backbones, weights)
    for name in names:
        if not isinstance(name, str) or len(joined_names(name, "backbone")) > 1 or name == PIXELS:
            raise OptionError(
                f"backbone {name!r}: expected a name of `featx backbones`; tune joins them itself"
            )
    return list(dict.fromkeys(find(name).name for name in names))


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
    """Yield classifiers with their settings, such as "logistic shrinkage=0.3", defaults first."""
    for name in classifiers:
        if name == "logistic":
            for shrinkage in SHRINKAGES:
                made = make_classifier(name).set_params(discriminants__shrinkage=shrinkage)
                yield f"{name} shrinkage={shrinkage:g}", Learner.of(made)
        else:
            yield name, Learner.of(name)
