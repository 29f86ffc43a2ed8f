"""The judgement of a model: what it says of labelled images, beside what they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx.evaluation.evaluation import Evaluation
from featx.features.duplicates import find_contradictions, find_leaks, leaked_contradictions
from featx.features.matrix import Features
from featx.features.options import RunOptions, SourceOptions, options_in
from featx.features.saved import features_given, root_of_pictures, saved_features
from featx.images.folder import ImageFolder
from featx.images.labels import Label, Labels, classes_of, in_terms_of, of_one_type
from featx.images.source import ImageSource
from featx.learning.classes import divided_images, require_classes, require_known
from featx.models.inference import Inference


def source_to_judge(
    source: ImageSource, labels: Labels, classes: Sequence[Label], options: RunOptions
) -> Features | ImageFolder:
    """Return labelled images, or features, that a model of these classes can be judged by."""
    reading = options_in(SourceOptions, options)
    root, rest = root_of_pictures(source, labels, reading)
    source = saved_features(source, root)
    if isinstance(source, Features):
        if labels is None:
            rest = {name: each for name, each in rest.items() if name == "exclude"}
        return features_given(source, labels, **rest)[0]
    images = divided_images(source, labels, **reading).to_measure()
    require_classes(images)
    require_known(images.paths, images.labels, classes)
    return images


def evaluation_of(
    features: Features,
    inferred: Inference,
    *,
    target: float | None = None,
    training: Features | None = None,
) -> Evaluation:
    """Put what a model says of labelled features beside their labels.

    `target` is the accuracy that the model answers for, and `training` what it was trained on.
    """
    known = of_one_type([*inferred.classes, *in_terms_of(inferred.classes, features.labels)])
    own, true = known[: len(inferred.classes)], known[len(inferred.classes) :]
    classes = classes_of(known)
    leaks = find_leaks(training, features) if training is not None else {}
    probabilities = inferred.probabilities
    if probabilities is not None:
        columns = [classes.index(name) for name in own]
        spread = np.zeros((len(features), len(classes)))
        spread[:, columns], probabilities = probabilities, spread
    return Evaluation(
        paths=features.paths,
        y_true=np.array(true),
        y_pred=np.array(own)[inferred.columns],
        classes=classes,
        failed=features.failed,
        probabilities=probabilities,
        answered=inferred.answered,
        unfamiliar=inferred.unfamiliar,
        target=target,
        leaks=leaks,
        contradictions=find_contradictions(features)
        + leaked_contradictions(leaks, features, training),
        known=classes_of(own),
        about_images=features.notes,
    )
