"""The judgement of a model: what it says of labelled images, beside what they are."""

from __future__ import annotations

import numpy as np

from featx.evaluation.evaluation import Evaluation
from featx.features.duplicates import find_contradictions, find_leaks, leaked_contradictions
from featx.features.matrix import Features
from featx.images.labels import classes_of, in_terms_of, of_one_type
from featx.models.inference import Inference


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
