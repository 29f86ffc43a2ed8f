"""A classifier of images: a recipe and a fitted pipeline, safe to save and load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.backbone import Backbone
from featx.errors import OptionError, RecipeMismatchError, UnknownBackboneError
from featx.features.fusion import Fusion
from featx.features.matrix import Features
from featx.features.plan import Plan
from featx.features.recipe import Recipe
from featx.features.running import embed_plans
from featx.images.folder import ImageFolder
from featx.learning import model_file
from featx.learning.evaluation import Evaluation
from featx.learning.labels import labels_of, per_file, refuse_labels, require_known
from featx.learning.rejection import UNSURE, Rejection
from featx.learning.views import predict

if TYPE_CHECKING:
    import pandas as pd


class ImageClassifier:
    """A trained classifier: images in, labels out.

    `featx.train` makes one and `load` reads one from a file.

    Parameters
    ----------
    pipeline : estimator
        A fitted scikit-learn pipeline over feature vectors.
    recipe : Recipe or Fusion
        How images become these vectors.
    weights : str, default="imagenet"
        Where to find the weights of the recipe again: "imagenet", "random" or a path.
    backbone : Backbone, optional
        The network, where it is one of your own.
    views : int, default=0
        Augmented views of each image that were learned from; predictions are the mean of those of
        the image and of as many views.
    rejection : Rejection, optional
        What calibrates the probabilities, and from which certainty up the model answers.

    Attributes
    ----------
    classes : tuple of str
        The classes, in the order of the columns of `predict_proba`.
    """

    def __init__(
        self,
        pipeline: Any,
        recipe: Recipe | Fusion,
        *,
        weights: str = "imagenet",
        backbone: Backbone | None = None,
        views: int = 0,
        rejection: Rejection | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.recipe = recipe
        self.weights = weights
        self.views = views
        self.rejection = rejection
        self._backbones = {} if backbone is None else {recipe.parts[0]: backbone}

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(str(label) for label in self.pipeline.classes_)

    def __repr__(self) -> str:
        return f"ImageClassifier({len(self.classes)} classes; {self.recipe})"

    def _repr_html_(self) -> str:
        draw = getattr(self.pipeline, "_repr_html_", None)
        drawn = draw() if draw else f"<pre>{escape(repr(self.pipeline))}</pre>"
        return f"<p>{escape(repr(self))}: {escape(', '.join(self.classes[:20]))}</p>{drawn}"

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """The networks, with weights of the very digests that the model was trained on.

        One, or one for each part of a `Fusion`.

        Raises
        ------
        RecipeMismatchError
            The weights found have another digest; the message names both.
        UnknownBackboneError
            The model was trained on a network of your own, and loaded without it.
        WeightsError
            There are no weights.
        """
        return tuple(self._backbone_of(part) for part in self.recipe.parts)

    def _backbone_of(self, part: Recipe) -> Backbone:
        if part not in self._backbones:
            try:
                self._backbones[part] = Backbone.load(part.backbone, self.weights, layer=part.layer)
            except UnknownBackboneError as error:
                raise UnknownBackboneError(
                    f"the model was trained on a network of your own, {part.backbone!r}: "
                    "load it in Python, with backbone= that network"
                ) from error
        if self._backbones[part].digest != part.weights:
            found = self._backbones.pop(part)
            place = found.weights.path if found.weights else found.name
            raise RecipeMismatchError(
                f"the model was trained on {part.backbone} weights {part.weights[:12]}, but the "
                f"weights found ({place}) are {found.digest[:12]}; load the model with weights= "
                "the file it was trained on"
            )
        return self._backbones[part]

    @property
    def history(self) -> pd.DataFrame:
        """How the training of a network went, a row an epoch; see `ScratchNetwork.history`.

        Raises
        ------
        OptionError
            The classifier was not trained in epochs.
        """
        if not hasattr(self.pipeline, "history"):
            raise OptionError(f"{self!r} was not trained in epochs: only 'cnn' has a history")
        return self.pipeline.history

    def features(self, source: Any, **options: Any) -> Features:
        """Embed images by the recipe of the model, or check features that are given.

        Parameters
        ----------
        source
            What `embed` takes, or Features.
        **options
            `engine`, `cache`, `on_error`, `batch_size` and `progress`, as for `embed`.

        Raises
        ------
        RecipeMismatchError
            The features or the weights are not those that the model was trained on, or the
            features have fewer views.
        """
        if isinstance(source, Features):
            self.recipe.require(source.recipe, "these features")
            if len(source.views) < self.views:
                raise RecipeMismatchError(
                    f"these features have {len(source.views)} views, but the model predicts by "
                    f"{self.views}: embed the images with views={self.views}"
                )
            same = len(source.views) == self.views
            return source if same else replace(source, views=source.views[: self.views])
        made_by = Plan(self.backbones, self.recipe, self.views)
        return embed_plans(ImageFolder.of(source), [made_by], **options)[0]

    def predict(self, source: Any, *, answer_all: bool = False, **options: Any) -> np.ndarray:
        """Predict the class of each image.

        Parameters
        ----------
        source, **options
            As for `features`.
        answer_all : bool, default=False
            Give the class of every image, also of those that a model trained with `reject` is
            unsure of.

        Returns
        -------
        ndarray of shape (n,)
            One label per input file; None for a file that cannot be read, and `featx.UNSURE` for
            an image that the model is unsure of.
        """
        features = self.features(source, **options)
        labels, _, answered = self._judged(features)
        if answered is not None and not answer_all:
            labels = labels.astype(object)
            labels[~answered] = UNSURE
        return per_file(features, labels, None)

    def predict_proba(self, source: Any, **options: Any) -> np.ndarray:
        """Predict the probability of each class, calibrated if the model was trained to reject.

        Parameters
        ----------
        source, **options
            As for `predict`.

        Returns
        -------
        ndarray of shape (n, n_classes), float
            One row per input file, columns in the order of `classes`; NaN for a file that cannot
            be read.

        Raises
        ------
        OptionError
            The pipeline gives no probabilities.
        """
        if not hasattr(self.pipeline, "predict_proba"):
            raise OptionError(
                "this classifier gives no probabilities; train with another one, such as 'logistic'"
            )
        features = self.features(source, **options)
        _, probabilities, _ = self._judged(features)
        return per_file(features, probabilities, np.nan)

    def evaluate(self, source: Any, labels: Any = None, **options: Any) -> Evaluation:
        """Predict labelled images and count what is right.

        Parameters
        ----------
        source, **options
            As for `predict`; the images need labels.
        labels : sequence or array, optional
            As for `embed`, where the source has none.

        Returns
        -------
        Evaluation

        Raises
        ------
        ImageSourceError
            The images have no classes, or none that the model knows.
        OptionError
            The labels do not fit the images, or these have labels already.
        """
        if isinstance(source, Features):
            refuse_labels(labels)
        else:
            source = ImageFolder.of(source, labels)
            require_known(source.labels, self.classes)
        features = self.features(source, **options)
        require_known(labels_of(features), self.classes)
        assert features.y is not None
        classes = tuple(sorted({*self.classes, *features.classes}))
        labels, probabilities, answered = self._judged(features)
        if probabilities is not None:
            known = np.searchsorted(np.array(classes), np.array(self.classes))
            spread = np.zeros((len(labels), len(classes)))
            spread[:, known], probabilities = probabilities, spread
        return Evaluation(
            paths=features.paths,
            y_true=features.y,
            y_pred=labels,
            classes=classes,
            n_failed=len(features.failed),
            probabilities=probabilities,
            answered=answered,
        )

    def _judged(self, features: Features) -> tuple[np.ndarray, Any, Any]:
        """Return labels, probabilities in columns of `classes`, and which images are answered."""
        labels, probabilities = predict(
            self.pipeline, features.matrix, features.view_matrices, self.classes
        )
        if self.rejection is None:
            return labels, probabilities, None
        assert probabilities is not None, "a model that rejects has probabilities"
        probabilities = self.rejection.calibrate(probabilities)
        columns = np.searchsorted(np.array(self.classes), labels.astype(str))
        certainty = probabilities[np.arange(len(labels)), columns]
        return labels, probabilities, self.rejection.answers(certainty)

    def save(self, path: str | PathLike[str]) -> None:
        """Save the model to one file, without pickle.

        Parameters
        ----------
        path : str or path
            By custom its name ends in ".featx".

        Raises
        ------
        StorageError
            The file cannot be written; an older one at `path` is left as it was.
        OptionError
            A step of a pipeline of your own cannot be saved without pickle.
        """
        stored = model_file.StoredModel(
            self.pipeline, self.recipe, self.weights, self.views, self.rejection
        )
        model_file.write(Path(path), stored)


def load(
    path: str | PathLike[str],
    *,
    weights: str | PathLike[str] | None = None,
    backbone: Backbone | None = None,
    trusted: Sequence[str] = (),
) -> ImageClassifier:
    """Load a model that `ImageClassifier.save` wrote.

    Nothing in the file is run: the pipeline is rebuilt from a list of audited types, and a file
    with any other type is refused.

    Parameters
    ----------
    path : str or path
        The model file.
    weights : str or path, optional
        Where the weights of the backbone are now, if they have moved.
    backbone : Backbone, optional
        The network, where the model was trained on one of your own.
    trusted : sequence of str, default=()
        Further types to accept, for a pipeline with steps of your own; only from a source that
        you trust.

    Returns
    -------
    ImageClassifier

    Raises
    ------
    ModelFileError
        The file is missing, is no model, or holds types that are not on the list.
    """
    stored = model_file.read(Path(path), tuple(trusted))
    return ImageClassifier(
        stored.pipeline,
        stored.recipe,
        weights=stored.weights if weights is None else str(weights),
        backbone=backbone,
        views=stored.views,
        rejection=stored.rejection,
    )
