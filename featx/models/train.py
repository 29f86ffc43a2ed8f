"""`featx.train`: from labelled images or features to a trained classifier."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.kinds import PIXELS
from featx.errors import OptionError, RecipeMismatchError, warn_of_images
from featx.evaluation.evaluation import Evaluation
from featx.evaluation.groups import Grouping, Groups, shared_with, together
from featx.evaluation.validation import CrossValidation, cross_validate
from featx.features.duplicates import (
    exact_copies,
    exact_leaks,
    find_contradictions,
    leaked_contradictions,
    notes_on,
)
from featx.features.embed import embed
from featx.features.matrix import Features
from featx.features.options import (
    EmbedOptions,
    RunOptions,
    SourceOptions,
    options_in,
    takes,
)
from featx.features.saved import features_given, root_of_pictures, saved_features
from featx.images.exclusion import NOTHING
from featx.images.labels import Label, Labels
from featx.images.source import ImageSource
from featx.images.table import is_table
from featx.learning.classes import (
    divided_images,
    images_and_test,
    labels_to_learn,
    options_of_test,
    require_classes,
    require_every_class,
    require_known,
    told_of_numbers,
)
from featx.learning.classifiers import DEFAULT_CLASSIFIER
from featx.learning.learner import Classifier, Learner
from featx.learning.memory import Memory, Plan, bytes_of, plan_of
from featx.learning.out_of_core import Table, fit_by_blocks
from featx.models.card import Card
from featx.models.examples import check_kept, choose_examples
from featx.models.familiarity import Familiarity, learn_familiarity
from featx.models.model import ImageClassifier
from featx.models.rejection import Rejection, check_rejection, choose_rejection
from featx.models.training import Training
from featx.text import count, listed


@takes(EmbedOptions)
def train(
    source: ImageSource,
    classifier: Classifier = DEFAULT_CLASSIFIER,
    *,
    labels: Labels = None,
    groups: Groups = None,
    class_weight: str | None = None,
    backbone: str | Backbone | None = None,
    reject: float | None = None,
    validation: bool | CrossValidation = False,
    test: ImageSource = None,
    keep_pictures: int = 0,
    memory: Memory | None = None,
    **options: Unpack[EmbedOptions],
) -> ImageClassifier:
    """Train a classifier on a folder of images or on features.

    Parameters
    ----------
    source : Features, or what `embed` takes
        Labelled images: a folder with a sub-folder for each class, a table with `path` and
        `label`, a list of paths or an array of pictures with `labels`, or features of them.
    classifier : str or estimator, default="logistic"
        A name of `featx.CLASSIFIERS`, or a scikit-learn classifier or pipeline of your own, which
        is cloned, with 0 in place of each `random_state` that is None, so that the same data gives
        the same result. "cnn" is a small network from scratch, the baseline; a compiled Keras model
        takes its place, which is given float32 pixels from 0 to 255: let it begin with
        Rescaling(1 / 255).
    labels : sequence, array, DataFrame or path of a table, optional
        As for `embed`, where the images have none. Features take the labels of a table alone.
    groups : sequence, str or mapping, optional
        As for `cross_validate`, or the name of a column of the table of images: kept together in
        the validation, in what `reject` learns, and in a search inside the classifier. By default
        those of `validation`, if it is given.
    class_weight : str, optional
        "balanced": each class counts alike, however many images it has, so that small ones are
        found as well as large ones. "logistic", "svm" and "svd-svm" take it.
    backbone : str or Backbone, optional
        The network, where `source` is images; with features, a network of your own that made them.
        By default "efficientnet_lite0"; for a network from scratch "pixels".
    reject : float, optional
        The precision that answers shall have, such as 0.95: the model answers `featx.UNSURE` where
        less is to be expected, and its probabilities are calibrated. Both are learned by
        cross-validation.
    validation : bool or CrossValidation, default=False
        Whether to cross-validate the classifier, too; or its cross-validation on the same
        features, which is not computed again then. `reject` needs one; if the classifier searches
        for a setting, one with the setting found.
    test : Features, or what `embed` takes, optional
        Labelled images to measure the model on. By default those that the source has for it: of a
        folder called test, or of such rows of a column `split`.
    keep_pictures : int, default=0
        How many pictures of each class the model keeps, 96 pixels wide or high, to show beside new
        ones that are like them. Whoever has the model file can see them.
    memory : number or str, optional
        Bytes that training may take above what Python and its libraries do, or a text such as
        "2GB". Where the features need more, "logistic", "centroid" and "pca-mlp" learn from all of
        them, block by block, other classifiers from a sample; `training.fit` says which it was.
        Only exact copies of pictures are found then, and the validation is not repeated.
    **options
        Further options of `embed`; with features, only `progress` and `exclude`.

    Returns
    -------
    ImageClassifier
        Its `training` holds the features, the cross-validation and the evaluation of the test.

    Raises
    ------
    ImageSourceError
        There are no classes, only one, or one with a single readable image.
    UnknownClassifierError
        No classifier has this name.
    OptionError
        The precision asked for cannot be reached, or the classifier gives no probabilities; the
        labels do not fit the images, or these have labels already; a network from scratch is to
        learn from something else than pixels; the memory is too little.
    """
    learner = Learner.of(
        classifier, class_weight
    )  # a mistake is told before the images are embedded
    check_rejection(learner, reject)
    if memory is not None:
        bytes_of(memory)
    check_kept(keep_pictures)
    start = time.perf_counter()
    if not isinstance(backbone, str | Backbone | None):
        raise OptionError(f"a classifier stands on one backbone: got {backbone!r}; name one")
    own = backbone if isinstance(backbone, Backbone) else None
    root, others = root_of_pictures(source, labels, options)
    source, test = saved_features(source, root), saved_features(test)
    if isinstance(source, Features):
        named = {"backbone": backbone} if isinstance(backbone, str) else {}
        asked = {name: each for name, each in others.items() if name != "progress"} | named
        features, listed = features_given(source, labels, **asked)
        grouping = Grouping.of(groups, listed)
        test = test_images(test, features.classes, None)
    else:
        network, options = learner.embedding(backbone, options)
        reading = options_in(SourceOptions, options)
        images, test = images_and_test(source, labels, test, **reading)
        grouping = Grouping.of(groups, images)
        learner.require(own.name if own else str(network), len(images.classes))
        test = test_images(test, images.classes, labels, **reading)
        features = embed(images, network, **options)
        require_every_class(images, features)
        grouping = grouping and grouping.those_of(features.paths)
    recipe = features.recipe
    if recipe is None:
        raise RecipeMismatchError(
            "these features carry no recipe, so new images could not be embedded alike; "
            "embed the images with featx (the recipe of a table in .csv is in the .json beside it, "
            "under the same name)"
        )
    labels_to_learn(features)
    learner.require_features(features)
    plan = None
    if memory is not None:
        plan = plan_of(features, learner, memory)
        if plan.features is not features:  # a sample
            features, grouping = plan.features, grouping and grouping.those_of(plan.features.paths)
    by_blocks = plan is not None and plan.by_blocks
    measuring: dict[str, Any] = {}
    if plan is not None:
        measuring = {"repeats": 1, "memory": memory} if by_blocks else {"n_jobs": plan.jobs}
    if validation is True:
        given = groups if grouping is None else grouping
        progress = options.get("progress", True)
        validation = cross_validate(features, learner, groups=given, progress=progress, **measuring)
    measured = validation or None
    if grouping is None and groups is None and measured:
        grouping = measured.splits.grouping
    contradictions = measured.contradictions if measured else find_contradictions(features)
    warn_of_images(notes_on(contradictions))
    copies = exact_copies(features) if by_blocks else None
    kept = together(features, grouping, copies)
    with told_of_numbers(features):
        pipeline, fit = _fitted(features, learner, kept, plan)
    familiarity, familiar = _familiarity(features, learner, kept, copies, plan)
    rejection = _rejection(
        features, learner, pipeline, measured, reject, grouping, familiar, measuring
    )
    examples = choose_examples(features, keep_pictures)
    model = ImageClassifier(
        pipeline,
        recipe,
        weights=features.weights,
        backbone=own,
        views=len(features.views),
        rejection=rejection,
        familiarity=familiarity,
        calibrations=features.calibrations,
        examples=examples,
    )
    how = options_in(RunOptions, options)
    evaluation = None
    if test is not None and plan is not None:
        evaluation = _evaluated_within(plan, model, test, how)
    elif test is not None:
        evaluation = model.evaluate(test, training=features, **how)
    if evaluation is not None:
        evaluation = told_of_groups(evaluation, shared_with(grouping, groups, test))
    seconds = time.perf_counter() - start
    model.training = Training(
        features,
        learner.name,
        rejection,
        measured,
        evaluation,
        seconds,
        contradictions,
        learner.without_search(pipeline),
        familiarity=familiarity,
        examples=examples,
        fit=fit,
    )
    model.card = Card.of(model.training)
    return model


def test_images(
    test: ImageSource, classes: Sequence[Label], labels: Labels, **options: Any
) -> ImageSource:
    """Take images to test with, and check that a model of these classes can be judged by them.

    `labels` and options are those of the images to learn from: a table of labels may name those of
    a test without classes, too, and where relative paths begin does not matter to a folder.
    """
    if test is None or isinstance(test, Features):
        return test
    folder = divided_images(test, **options_of_test(test, options)).to_measure()
    if is_table(labels) and not any(label is not None for label in folder.labels):
        folder = divided_images(test, labels, **options).to_measure()
    # A list of what to leave out may be one of training images alone.
    folder = replace(
        folder, notes=tuple(note for note in folder.notes if not note.startswith(NOTHING))
    )
    require_classes(folder)
    require_known(folder.paths, folder.labels, classes)
    return folder


def told_of_groups(evaluation: Evaluation, shared: Mapping[str, str]) -> Evaluation:
    """Say of an evaluation which of its images are of groups that were trained on, and warn.

    `shared` has the path and the group of each; see `shared_with`.
    """
    found = [str(path) for path in evaluation.paths if path in shared]
    if not found:
        return evaluation
    names = sorted({shared[path] for path in found})
    fair = evaluation.without(found)
    rest = f"accuracy without them: {fair.interval}" if fair else "that is all of them"
    note = (
        f"{len(found)} of {count(len(evaluation.paths), 'test image')} are of groups that were "
        f"trained on ({listed(names)}); {rest}"
    )
    warn_of_images([note])
    return replace(evaluation, about_images=(*evaluation.about_images, note))


def _fitted(
    features: Features, learner: Learner, kept: np.ndarray | None, plan: Plan | None
) -> tuple[Any, str | None]:
    """Fit the classifier as planned, and say how, if that was planned."""
    if plan is not None and plan.by_blocks:
        table = Table.of(features)
        pipeline, told = fit_by_blocks(learner, table, np.arange(len(features)), plan.room)
        return pipeline, f"{plan.note}: {told}"
    X, y, views = features.matrix, features.y, features.view_matrices
    assert y is not None
    unfitted = learner.build_for(y, X.shape[1], len(views), kept)
    return learner.fit(unfitted, X, y, views, kept), None if plan is None else plan.note


def _evaluated_within(
    plan: Plan, model: ImageClassifier, test: ImageSource, how: Mapping[str, Any]
) -> Evaluation:
    """Measure a model on a test; without much room only exact copies of training pictures count."""
    training, features = plan.features, model.labelled_features(test, **how)
    if plan.has_room_to_compare(features):
        return model.evaluate(features, training=training)
    evaluation = model.evaluate(features)
    leaks = exact_leaks(training, features)
    several = leaked_contradictions(leaks, features, training)
    contradictions = (*evaluation.contradictions, *several)
    return replace(evaluation, leaks=leaks, contradictions=contradictions)


def _familiarity(
    features: Features,
    learner: Learner,
    kept: np.ndarray | None,
    copies: np.ndarray | None,
    plan: Plan | None,
) -> tuple[Familiarity | None, np.ndarray]:
    """Learn what the training images look like; pixels alone do not tell that."""
    if learner.pixels or (features.recipe and features.recipe.backbone == PIXELS):
        return None, np.ones(len(features), bool)
    return learn_familiarity(features, kept, copies, None if plan is None else plan.room)


def _rejection(
    features: Features,
    learner: Learner,
    pipeline: Any,
    validation: CrossValidation | None,
    reject: float | None,
    grouping: Grouping | None,
    familiar: np.ndarray,
    measuring: Mapping[str, Any],
) -> Rejection | None:
    """Choose the rejection of a fitted pipeline, by the cross-validation of its very settings."""
    if reject is None:
        return None
    if validation is not None and validation.paths.tolist() != features.paths.tolist():
        learned = count(len(features), "image")
        raise OptionError(
            f"the validation is of other images, {len(validation.paths):,}: expected one of the "
            f"{learned} that are learned from (a sample, if the memory is limited: give "
            "cross_validate the same)"
        )
    final = learner.without_search(pipeline)
    if validation is None or final is not learner:
        groups = False if grouping is None else grouping
        validation = cross_validate(features, final, groups=groups, progress=False, **measuring)
    return choose_rejection(validation, reject, familiar)
