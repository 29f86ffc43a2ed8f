"""A classifier of images: a recipe and a fitted pipeline, safe to save and load."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import ImageSourceError, ModelFileError, OptionError, RecipeMismatchError
from featx.features.embed import embed, embed_images
from featx.features.matrix import Features
from featx.features.recipe import Recipe
from featx.files import written
from featx.images.folder import ImageFolder
from featx.learning.classifiers import DEFAULT_CLASSIFIER, make_classifier
from featx.learning.evaluation import Evaluation, labels_to_learn

FORMAT = 1  # of a model file; raised when its layout changes

# Types in the named classifiers beyond those that skops itself trusts, each looked at: they hold
# numbers and settings, and building them runs no code that the file could choose.
TRUSTED_TYPES: tuple[str, ...] = ()


class ImageClassifier:
    """A trained classifier: images in, labels out.

    `train` makes one and `load` reads one from a file.

    Parameters
    ----------
    pipeline : estimator
        A fitted scikit-learn pipeline over feature vectors.
    recipe : Recipe
        How images become these vectors.
    weights : str, default="imagenet"
        Where to find the weights of the recipe again: "imagenet", "random" or a path.
    backbone : Backbone, optional
        The network, where it is one of your own.

    Attributes
    ----------
    classes : tuple of str
        The classes, in the order of the columns of `predict_proba`.
    """

    def __init__(
        self,
        pipeline: Any,
        recipe: Recipe,
        *,
        weights: str = "imagenet",
        backbone: Backbone | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.recipe = recipe
        self.weights = weights
        self._backbone = backbone

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(str(label) for label in self.pipeline.classes_)

    def __repr__(self) -> str:
        return f"ImageClassifier({len(self.classes)} classes; {self.recipe})"

    @property
    def backbone(self) -> Backbone:
        """The network, with weights of the very digest that the model was trained on.

        Raises
        ------
        RecipeMismatchError
            The weights found have another digest; the message names both.
        WeightsError
            There are no weights.
        """
        if self._backbone is None:
            self._backbone = Backbone.load(
                self.recipe.backbone, self.weights, layer=self.recipe.layer
            )
        if self._backbone.digest != self.recipe.weights:
            found, self._backbone = self._backbone, None
            place = found.weights.path if found.weights else found.name
            raise RecipeMismatchError(
                f"the model was trained on {self.recipe.backbone} weights "
                f"{self.recipe.weights[:12]}, but the weights found ({place}) are "
                f"{found.digest[:12]}; load the model with weights= the file it was trained on"
            )
        return self._backbone

    def features(self, source: Any, **options: Any) -> Features:
        """Embed images by the recipe of the model, or check features that are given.

        Parameters
        ----------
        source
            What `embed` takes, or Features.
        **options
            `cache`, `on_error`, `batch_size` and `progress`, as for `embed`.

        Raises
        ------
        RecipeMismatchError
            The features or the weights are not those that the model was trained on.
        """
        if isinstance(source, Features):
            self.recipe.require(source.recipe, "these features")
            return source
        return embed_images(
            ImageFolder.of(source),
            self.backbone,
            self.recipe,
            **options,
        )

    def predict(self, source: Any, **options: Any) -> np.ndarray:
        """Predict the class of each image.

        Parameters
        ----------
        source
            What `embed` takes, or Features.
        **options
            `cache`, `on_error`, `batch_size` and `progress`, as for `embed`.

        Returns
        -------
        ndarray of shape (n,)
            One label per input file; None for a file that cannot be read.
        """
        features = self.features(source, **options)
        return _per_file(features, self.pipeline.predict(features.matrix), None)

    def predict_proba(self, source: Any, **options: Any) -> np.ndarray:
        """Predict the probability of each class.

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
                f"the classifier {type(self.pipeline).__name__} gives no probabilities; "
                "train with another classifier, such as 'logistic'"
            )
        features = self.features(source, **options)
        return _per_file(features, self.pipeline.predict_proba(features.matrix), np.nan)

    def evaluate(self, source: Any, **options: Any) -> Evaluation:
        """Predict labelled images and count what is right.

        Parameters
        ----------
        source, **options
            As for `predict`; the images need labels.

        Returns
        -------
        Evaluation

        Raises
        ------
        ImageSourceError
            The images have no classes, or none that the model knows.
        """
        features = self.features(source, **options)
        if features.y is None or any(label is None for label in features.y):
            raise ImageSourceError(
                "some images have no class: expected a sub-folder for each class, named as in "
                f"training ({', '.join(self.classes)})"
            )
        if not set(features.classes) & set(self.classes):
            raise ImageSourceError(
                f"the model knows none of the classes {', '.join(features.classes)}: "
                f"expected {', '.join(self.classes)}"
            )
        return Evaluation(
            paths=features.paths,
            y_true=features.y,
            y_pred=np.asarray(self.pipeline.predict(features.matrix)),
            classes=tuple(sorted({*self.classes, *features.classes})),
            n_failed=len(features.failed),
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Save the model to one file, without pickle.

        Parameters
        ----------
        path : str or path
            By custom its name ends in ".featx".

        Raises
        ------
        StorageError
            The file cannot be written.
        """
        import sklearn
        import skops.io

        about = {
            "format": FORMAT,
            "recipe": self.recipe.to_dict(),
            "weights": self.weights,
            "classes": list(self.classes),
            "scikit-learn": sklearn.__version__,
        }
        pipeline = skops.io.dumps(self.pipeline)
        with written(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("model.json", json.dumps(about, indent=2))
            archive.writestr("pipeline.skops", pipeline)


def train(
    source: Any,
    classifier: str | Any = DEFAULT_CLASSIFIER,
    *,
    backbone: str | Backbone = DEFAULT_BACKBONE,
    **embedding: Any,
) -> ImageClassifier:
    """Train a classifier on a folder of images or on features.

    Parameters
    ----------
    source : Features, or what `embed` takes
        Labelled images: a folder with a sub-folder for each class, a table with `path` and
        `label`, or features of them.
    classifier : str or estimator, default="logistic"
        "logistic", "mlp", "pca-mlp", "svm", "knn", "centroid", or a scikit-learn classifier or
        pipeline of your own.
    backbone : str or Backbone, default="efficientnet_lite0"
        The network, where `source` is images; with features, a network of your own that made them.
    **embedding
        Further options of `embed`, where `source` is images.

    Returns
    -------
    ImageClassifier

    Raises
    ------
    ImageSourceError
        There are no classes, only one, or one with a single readable image.
    UnknownClassifierError
        No classifier has this name.
    """
    make_classifier(classifier)  # a wrong name is told before the images are embedded
    own = backbone if isinstance(backbone, Backbone) else None
    if isinstance(source, Features):
        if embedding:
            raise OptionError(
                f"features are embedded already: {', '.join(embedding)} would change nothing"
            )
        features = source
    else:
        features = embed(source, backbone, **embedding)
    if features.recipe is None:
        raise RecipeMismatchError(
            "these features carry no recipe, so new images could not be embedded alike; "
            "embed the images with featx"
        )
    y = labels_to_learn(features)
    pipeline = make_classifier(classifier, min(Counter(y.tolist()).values()))
    pipeline.fit(features.matrix, y)
    return ImageClassifier(pipeline, features.recipe, weights=features.weights, backbone=own)


def load(
    path: str | PathLike[str],
    *,
    weights: str | PathLike[str] | None = None,
    backbone: Backbone | None = None,
    trusted: tuple[str, ...] = (),
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
    trusted : tuple of str, default=()
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
    import skops.io

    source = Path(path)
    if not source.is_file():
        raise ModelFileError(f"no model file {source}: expected one that `featx train` wrote")
    try:
        with zipfile.ZipFile(source) as archive:
            about = json.loads(archive.read("model.json"))
            data = archive.read("pipeline.skops")
        if about["format"] != FORMAT:
            raise ModelFileError(
                f"{source} is a model of format {about['format']}, expected {FORMAT}; "
                "update featx or train again"
            )
        recipe = Recipe.from_dict(about["recipe"])
        allowed = {*TRUSTED_TYPES, *trusted}
        strange = sorted(set(skops.io.get_untrusted_types(data=data)) - allowed)
        if strange:
            raise ModelFileError(
                f"{source} holds types that are not known to be safe: {', '.join(strange)}; "
                "if you trust its source, load it with trusted=[these names]"
            )
        pipeline = skops.io.loads(data, trusted=sorted(allowed))
    except (ModelFileError, MemoryError):
        raise
    except Exception as error:  # whatever zip, JSON and skops make of another or a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelFileError(
            f"{source} is no featx model, or a damaged one ({reason[:160]}); train it again"
        ) from error
    return ImageClassifier(
        pipeline,
        recipe,
        weights=str(weights) if weights is not None else about["weights"],
        backbone=backbone,
    )


def _per_file(features: Features, values: np.ndarray, missing: Any) -> np.ndarray:
    """Spread the rows of readable images over all input files, in order."""
    values = np.asarray(values)
    if not features.failed:
        return values
    dtype = object if missing is None else values.dtype
    out = np.full((len(features.outcomes), *values.shape[1:]), missing, dtype=dtype)
    out[[outcome.ok for outcome in features.outcomes]] = values
    return out
