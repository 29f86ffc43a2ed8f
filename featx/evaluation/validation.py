"""Validation of a classifier by predicting each image without having trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx.errors import ImageSourceError, warn_of_images
from featx.evaluation.evaluation import Evaluation
from featx.evaluation.fits import Fitted, Task, fit_all, fit_all_by_blocks
from featx.evaluation.groups import Grouping, Groups
from featx.evaluation.intervals import effective_size
from featx.evaluation.series import Series, find_series
from featx.evaluation.splits import FOLDS, REPEATS, Splits, split
from featx.features.duplicates import (
    exact_copies,
    find_contradictions,
    find_duplicates,
    notes_on,
)
from featx.features.matrix import Features
from featx.images.labels import Label
from featx.learning.classes import labels_to_learn, told_of_numbers
from featx.learning.classifiers import DEFAULT_CLASSIFIER
from featx.learning.learner import Classifier, Learner
from featx.learning.memory import Memory, plan_of
from featx.paths import shortener
from featx.text import count, listed

# What says something where new images were tested.
_OF_TESTS = ("leaks", "accuracy_without_leaks", "unknown_classes", "accuracy_without_unknown")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class CrossValidation(Evaluation):
    """Predictions of images by classifiers that were trained on the others.

    `y_pred` is what an image was predicted to be most often, and `probabilities` are the means
    over the repeats.

    Attributes
    ----------
    all_predictions : ndarray of shape (repeats, n)
        The predictions of each repeat.
    all_probabilities : ndarray of shape (repeats, n, n_classes), float, or None
        The probabilities of each repeat.
    splits : Splits
        What was trained on and what was predicted.
    fit_seconds : float
        Mean time of one fit, on one core; of a network from scratch, on all.
    predict_seconds : float
        Mean time of predicting one image from its features.
    about_series : tuple of str
        What names of files or times tell of groups that nobody declared, a line or none.
    """

    all_predictions: np.ndarray
    all_probabilities: np.ndarray | None
    splits: Splits
    fit_seconds: float
    predict_seconds: float
    about_series: tuple[str, ...] = ()

    @property
    def predictions(self) -> np.ndarray:
        """Every prediction, of shape (repeats, n)."""
        return self.all_predictions

    @property
    def size(self) -> float:
        """How many independent images the accuracy stands on; see `featx.evaluation.intervals`."""
        return effective_size(self.splits.groups, self.splits.folds)

    @property
    def scores(self) -> tuple[float, ...]:
        """Accuracy on each fold of each repeat, 0 to 1."""
        hits, folds = self.hits, self.splits.folds
        parts = enumerate(self.splits.parts)
        return tuple(float(hits[number // folds, test].mean()) for number, (_, test) in parts)

    @property
    def std(self) -> float:
        """Standard deviation of the accuracy between folds."""
        return float(np.std(self.scores))

    @property
    def twins(self) -> tuple[tuple[str, ...], ...]:
        """Paths of the images that are copies of one another, a tuple for each photograph."""
        copies = self.splits.groups if self.splits.copies is None else self.splits.copies
        names, counts = np.unique(copies, return_counts=True)
        return tuple(tuple(self.paths[copies == name].tolist()) for name in names[counts > 1])

    @property
    def unlearned(self) -> tuple[Label, ...]:
        """Classes of a single group: held out, nothing of them is left to learn from."""
        groups, y = self.splits.groups, self.y_true
        return tuple(name for name in self.classes if len(np.unique(groups[y == name])) == 1)

    @property
    def method(self) -> str:
        """How this was measured, in a sentence."""
        splits = self.splits
        repeated = f", repeated {splits.repeats} times" if splits.repeats > 1 else ""
        apart = ", copies of a photograph kept together" if self.twins else ""
        grouping = splits.grouping
        if grouping is not None:
            apart += f", {count(grouping.n_groups, 'group')} by {grouping.rule} kept together"
        return (
            f"{splits.folds}-fold stratified cross-validation{repeated}"
            f"{apart}; 95 % interval by Wilson with the correction of Nadeau and Bengio"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the splits and the images, a line each."""
        several = {tuple(path for path, _ in each) for each in self.contradictions}
        short = shortener(self.paths.tolist())
        twins = [
            " = ".join(short(path) for path in paths)
            for paths in self.twins
            if paths not in several
        ]
        copies = [f"copies of one photograph, kept together: {listed(twins, 6)}"] if twins else []
        about = (*self.about_balance, *self.about_series, *self.splits.notes)
        return (*about, *copies, *notes_on(self.contradictions))

    def shift_to(self, test: Evaluation) -> str | None:
        """Say that test images differ from these, or None where the accuracies agree.

        They differ where each accuracy lies outside the interval of the other. Copies of training
        images do not count, nor classes that the classifier does not know.

        Parameters
        ----------
        test : Evaluation
            Of the same classifier on other images.

        Returns
        -------
        str, or None
            A sentence, with which accuracy to expect of which photographs.
        """
        known = test.without_unknown
        fair = known.without(test.leaks) if known else None
        if fair is None:
            return None
        here, there = self.interval, fair.interval
        if here.low <= there.value <= here.high or there.low <= here.value <= there.high:
            return None
        word = "harder" if there.value < here.value else "easier"
        return (
            f"the two sets differ, the test images are {word} than the training images: expect "
            f"{there.range} % on photographs like the test ones, and {here.range} % on photographs "
            "like the training ones"
        )

    @property
    def summary(self) -> str:
        """The accuracy, how it was measured, and the notes, a line each."""
        splits = self.splits
        times = f"{count(splits.folds, 'fold')}, {count(splits.repeats, 'time')}"
        if splits.grouping is not None:
            times += f", {count(splits.grouping.n_groups, 'group')} kept together"
        return "\n".join([f"cross-validated accuracy {self.interval}, {times}", *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        figures = super().to_dict()
        for name in _OF_TESTS:
            del figures[name]
        return figures | {
            "method": self.method,
            "folds": self.splits.folds,
            "repeats": self.splits.repeats,
            "n_groups": self.splits.grouping and self.splits.grouping.n_groups,
            "std": self.std,
            "twins": [list(paths) for paths in self.twins],
        }

    def __repr__(self) -> str:
        splits = self.splits
        return f"CrossValidation(accuracy {self.interval}, {splits.repeats} x {splits.folds} folds)"


def cross_validate(
    features: Features,
    classifier: Classifier = DEFAULT_CLASSIFIER,
    *,
    groups: Groups = None,
    class_weight: str | None = None,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool = True,
    memory: Memory | None = None,
) -> CrossValidation:
    """Measure a classifier by repeated, stratified cross-validation.

    Copies of a photograph, exact ones and near ones, stay on one side of every split, and so do
    groups. Where names or times tell of groups that nobody declared, it measures with them, too,
    and says so.

    Parameters
    ----------
    features : Features
        Labelled features.
    classifier : str or estimator, default="logistic"
        As for `train`.
    groups : sequence, str or mapping, optional
        Which pictures belong together, as those of one patient, product, plot or video do: a group
        for each image; a regular expression over names of files or paths, whose first part in
        parentheses is the group, such as "patient_(\\d+)"; "burst", for photographs of a class
        taken within seconds of each other; or a mapping from path or name of file to group. They
        are never on both sides of a split, nor are copies of any of them; a search inside the
        classifier keeps them together, too. False for none, and no word about it.
    class_weight : str, optional
        As for `train`.
    folds : int, default=5
        Parts that are predicted in turn; no more than the largest class has different images.
    repeats : int, default=2
        Times that everything is shuffled and predicted anew.
    seed : int, default=0
        Of the shuffling.
    n_jobs : int, optional
        Processes; by default one per core where the work is long.
    progress : bool, default=True
        Show a progress bar on stderr for work of more than a second.
    memory : number or str, optional
        As for `train`, such as "2GB": where the features need more, copies that are exact alone
        are kept together, and names that tell of groups are told and not measured with.

    Returns
    -------
    CrossValidation
        Of a sample of the images, where a classifier that does not learn block by block is to stay
        within the memory.

    Raises
    ------
    ImageSourceError
        There are no classes, or one has a single image.
    OptionError
        The memory is too little; a number of folds or repeats that cannot be, groups that do not
        fit the images, or features that are no pixels for a network from scratch.
    """
    learner = Learner.of(classifier, class_weight)  # a wrong name is told before anything else
    y = labels_to_learn(features)
    grouping = Grouping.of(groups, features)
    bar = "folds" if progress else None
    plan = None if memory is None else plan_of(features, learner, memory)
    if plan is not None and plan.by_blocks:
        copies = exact_copies(features)
        splits = split(y, copies, grouping, folds=folds, repeats=repeats, seed=seed)
        with told_of_numbers(features):
            fitted = fit_all_by_blocks(plan, learner, splits.parts, progress=bar)
        validation = validation_of(features, splits, fitted)
        return _told_of_series(validation, features) if groups is None else validation
    if plan is not None:
        n_jobs = min(n_jobs or plan.jobs, plan.jobs)
    if plan is not None and plan.features is not features:
        features = plan.features
        y, grouping = labels_to_learn(features), grouping and grouping.those_of(features.paths)
    copies = find_duplicates(features).groups
    splits = split(y, copies, grouping, folds=folds, repeats=repeats, seed=seed)
    tasks = tasks_of(features, splits, learner)
    with told_of_numbers(features):
        fitted = fit_all(tasks, n_jobs=n_jobs, progress=bar)
    validation = validation_of(features, splits, fitted)
    if groups is None:
        validation = with_series(validation, features, learner, seed=seed, n_jobs=n_jobs)
    return validation


def with_series(
    validation: CrossValidation,
    features: Features,
    learner: Learner,
    *,
    seed: int = 0,
    n_jobs: int | None = None,
) -> CrossValidation:
    """Look for groups that nobody declared and, where there seem to be some, measure with them.

    Returns the validation with what is to be said of them, and warns of it. Networks from scratch,
    which take minutes, are not measured again.
    """
    series = find_series(features)
    if series is None:
        return validation
    splits, apart = validation.splits, None
    sizes = {"folds": splits.folds, "repeats": min(splits.repeats, REPEATS)}
    with suppress(ImageSourceError):  # copies may join all groups of a class
        if not learner.pixels:
            again = split(validation.y_true, splits.copies, series.grouping, **sizes, seed=seed)
            fitted = fit_all(tasks_of(features, again, learner), n_jobs=n_jobs)
            apart = str(validation_of(features, again, fitted).interval)
    return _told_of(validation, series, apart)


def _told_of_series(validation: CrossValidation, features: Features) -> CrossValidation:
    """Look for groups that nobody declared, and measure nothing with them."""
    series = find_series(features)
    return validation if series is None else _told_of(validation, series, None)


def _told_of(validation: CrossValidation, series: Series, apart: str | None) -> CrossValidation:
    note = series.note(str(validation.interval), apart)
    warn_of_images([note])
    return replace(validation, about_series=(note,))


def tasks_of(
    features: Features, splits: Splits, learner: Learner, memory: Any = None
) -> list[Task]:
    """List the fits of a cross-validation, in the order of the splits."""
    assert features.y is not None
    learner.require_features(features)
    views = features.view_matrices
    return [
        Task(features.matrix, features.y, train, test, learner, memory, views, splits.declared)
        for train, test in splits.parts
    ]


def validation_of(features: Features, splits: Splits, fitted: Sequence[Fitted]) -> CrossValidation:
    """Put the results of `tasks_of` together."""
    y = features.y
    assert y is not None
    classes = np.array(features.classes)
    predictions = np.empty((splits.repeats, len(y)), dtype=classes.dtype)
    for number, ((_, test), each) in enumerate(zip(splits.parts, fitted, strict=True)):
        predictions[number // splits.folds, test] = each.predicted
    shares = _shares(splits, fitted, len(y), len(classes))
    mean = shares[0] if len(shares) == 1 else shares.mean(axis=0)
    judged = all(each.probabilities is not None for each in fitted)
    return CrossValidation(
        paths=features.paths,
        y_true=y,
        y_pred=_voted(predictions, classes, mean),
        classes=features.classes,
        failed=features.failed,
        contradictions=find_contradictions(features, splits.copies),
        probabilities=mean if judged else None,
        all_predictions=predictions,
        all_probabilities=shares if judged else None,
        splits=splits,
        fit_seconds=float(np.mean([each.seconds for each in fitted])),
        predict_seconds=sum(each.predict_seconds for each in fitted) / predictions.size,
    )


def _shares(splits: Splits, fitted: Sequence[Fitted], n: int, classes: int) -> np.ndarray:
    """Return the probabilities of each repeat, 0 where there are none."""
    given = [each.probabilities for each in fitted if each.probabilities is not None]
    kind = np.result_type(*given) if given else np.float16
    shares = np.zeros((splits.repeats, n if given else 1, classes if given else 1), kind)
    for number, ((_, test), each) in enumerate(zip(splits.parts, fitted, strict=True)):
        if each.probabilities is not None:
            shares[number // splits.folds, test] = each.probabilities
    return shares


def _voted(predictions: np.ndarray, classes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return what was predicted most often; of several by their mean probabilities."""
    if len(predictions) == 1:
        return np.asarray(predictions[0])
    # Shares below 1 decide between classes that were predicted equally often.
    votes = (predictions[:, :, None] == classes).sum(axis=0) + shares / 2
    return np.asarray(classes[votes.argmax(axis=1)])
