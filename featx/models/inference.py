"""The inference of a model: what its pipeline says of features, a row for each readable image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np

from featx.errors import FeatxError, ModelFileError, NoImagesError, RecipeMismatchError, one_line
from featx.features.columns import as_paths
from featx.features.matrix import Features
from featx.features.recipe import Recipe
from featx.files import MEMORY_MAP_BYTES
from featx.images.labels import Label
from featx.images.memory import MemoryImage
from featx.learning.learner import predict
from featx.learning.out_of_core import predict_by_blocks
from featx.models.familiarity import Familiarity
from featx.models.rejection import Rejection
from featx.paths import file_of

LARGE_BYTES = MEMORY_MAP_BYTES  # of features, from which on they are predicted block by block


@dataclass(frozen=True, eq=False)
class Inference:
    """What a model says of images that can be read.

    Attributes
    ----------
    classes : tuple of (str, int or bool)
        The classes of the model.
    labels : ndarray of shape (n,)
        The class of each image.
    probabilities : ndarray of shape (n, n_classes), float, or None
        Calibrated where the model rejects; None where the classifier gives none.
    answered : ndarray of shape (n,), bool, or None
        Which images a model that rejects answers: those that it is sure of and that are familiar.
    unfamiliarity : ndarray of shape (n,), float, or None
        How unlike the training pictures each image is; above 1 it is unfamiliar. None where the
        model does not know.
    """

    classes: tuple[Label, ...]
    labels: np.ndarray
    probabilities: np.ndarray | None
    answered: np.ndarray | None = None
    unfamiliarity: np.ndarray | None = None

    @property
    def unfamiliar(self) -> np.ndarray | None:
        """Which images are unfamiliar, of shape (n,), bool; None where the model does not know."""
        return None if self.unfamiliarity is None else np.asarray(self.unfamiliarity > 1)

    @property
    def columns(self) -> np.ndarray:
        """The column of `probabilities` of each label."""
        return np.searchsorted(np.array(self.classes), self.labels)

    @property
    def certainty(self) -> np.ndarray:
        """The probability of each label, of shape (n,); NaN where there is none."""
        if self.probabilities is None:
            return np.full(len(self.labels), np.nan)
        return np.asarray(self.probabilities[np.arange(len(self.labels)), self.columns])


def infer(
    pipeline: Any,
    features: Features,
    rejection: Rejection | None = None,
    familiarity: Familiarity | None = None,
    path: str | PathLike[str] | None = None,
) -> Inference:
    """Let a fitted pipeline say what features are of.

    `path` is the file that it was loaded from. Raises a `ModelFileError` where it cannot predict
    since that file is damaged.
    """
    classes = tuple(np.asarray(pipeline.classes_).tolist())
    if not len(features):
        return _of_nothing(pipeline, classes, rejection, familiarity)
    columns, width = getattr(pipeline, "n_features_in_", None), features.width
    if columns not in (None, width):
        raise ModelFileError(
            f"this model learned from {columns} columns, but its recipe gives {width}: the "
            "file is damaged; train it again"
        )
    try:
        labels, probabilities = _predicted(pipeline, features, classes)
    except FeatxError:
        raise
    except Exception as error:
        if path is None:
            raise
        raise ModelFileError(
            f"the model in {path} cannot predict these images ({one_line(error)}); if "
            "they are sound, it is damaged: train it again"
        ) from error
    strange = None if familiarity is None else familiarity.unfamiliarity(features.X)
    if rejection is None:
        return Inference(classes, labels, probabilities, unfamiliarity=strange)
    assert probabilities is not None, "a model that rejects has probabilities"
    inferred = Inference(classes, labels, rejection.calibrate(probabilities), unfamiliarity=strange)
    answered = rejection.answers(inferred.certainty)
    if inferred.unfamiliar is not None:
        answered &= ~inferred.unfamiliar
    return replace(inferred, answered=answered)


def _predicted(
    pipeline: Any, features: Features, classes: Sequence[Label]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predict features, large ones block by block."""
    if features.X.nbytes < LARGE_BYTES:
        return predict(pipeline, features.matrix, features.view_matrices, classes)
    matrices = (features.X, *features.views)
    return predict_by_blocks(pipeline, matrices, np.arange(len(features)), classes)


def _of_nothing(
    pipeline: Any,
    classes: Sequence[Label],
    rejection: Rejection | None,
    familiarity: Familiarity | None,
) -> Inference:
    """Return what is said of no image; scikit-learn predicts at least one."""
    return Inference(
        tuple(classes),
        np.array([], dtype=np.asarray(pipeline.classes_).dtype),
        np.empty((0, len(classes))) if hasattr(pipeline, "predict_proba") else None,
        None if rejection is None else np.zeros(0, bool),
        None if familiarity is None else np.zeros(0),
    )


def fitting(features: Features, recipe: Recipe, views: int) -> Features:
    """Return features as a model of this recipe takes them, with so many views.

    Raises a `RecipeMismatchError` for features of another recipe, or with fewer views.
    """
    recipe.require(features.recipe, "these features")
    if len(features.views) < views:
        raise RecipeMismatchError(
            f"these features have {len(features.views)} views, but the model predicts by "
            f"{views}: embed the images with views={views}"
        )
    same = len(features.views) == views
    return features if same else replace(features, views=features.views[:views])


def features_of_nothing(error: NoImagesError) -> Features:
    """Return features without a row, of files that cannot be read or of none at all.

    Raises the error again if there is none of these files: whoever named them was mistaken.
    """
    paths = [each.path for each in error.outcomes]
    if paths and not any(
        isinstance(each, MemoryImage) or os.path.lexists(file_of(each)) for each in paths
    ):
        raise error
    return Features(
        X=np.empty((0, 0), np.float32),
        y=None,
        paths=as_paths([]),
        outcomes=error.outcomes,
        notes=() if error.outcomes else (str(error),),
    )
