"""From labelled images or features to a trained classifier."""

from __future__ import annotations

from typing import Any

from featx.backbones.backbone import Backbone
from featx.backbones.pixels import PIXELS
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import OptionError, RecipeMismatchError
from featx.features.embed import embed
from featx.features.matrix import Features
from featx.images.folder import ImageFolder
from featx.learning.classifiers import DEFAULT_CLASSIFIER, network_of
from featx.learning.labels import (
    labels_to_learn,
    refuse_labels,
    require_every_class,
    require_learnable,
)
from featx.learning.model import ImageClassifier
from featx.learning.rejection import check_classifier, choose_rejection, settled
from featx.learning.validation import CrossValidation, cross_validate
from featx.learning.views import classifier_for, fit


def train(
    source: Any,
    classifier: str | Any = DEFAULT_CLASSIFIER,
    *,
    labels: Any = None,
    backbone: str | Backbone = DEFAULT_BACKBONE,
    reject: float | None = None,
    validation: CrossValidation | None = None,
    **embedding: Any,
) -> ImageClassifier:
    """Train a classifier on a folder of images or on features.

    Parameters
    ----------
    source : Features, or what `embed` takes
        Labelled images: a folder with a sub-folder for each class, a table with `path` and
        `label`, a list of paths or an array of pictures with `labels`, or features of them.
    classifier : str or estimator, default="logistic"
        A name of `featx.CLASSIFIERS`, or a scikit-learn classifier or pipeline of your own. "cnn"
        is a small network from scratch, the baseline; a compiled Keras model takes its place,
        which is given float32 pixels from 0 to 255: let it begin with Rescaling(1 / 255).
    labels : sequence or array, optional
        As for `embed`, where the images have none.
    backbone : str or Backbone, default="efficientnet_lite0"
        The network, where `source` is images; with features, a network of your own that made them.
        A network from scratch has "pixels" instead.
    reject : float, optional
        The precision that answers shall have, such as 0.95: the model answers `featx.UNSURE` where
        less is to be expected, and its probabilities are calibrated. Both are learned by
        cross-validation.
    validation : CrossValidation, optional
        That of the same features and classifier, which `reject` need not compute again then,
        unless the classifier searches for a setting: it is cross-validated with the one found.
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
    OptionError
        The precision asked for cannot be reached, or the classifier gives no probabilities; the
        labels do not fit the images, or these have labels already; a network from scratch is to
        learn from something else than pixels.
    """
    check_classifier(classifier, reject)  # a mistake is told before the images are embedded
    network = network_of(classifier)
    if network and backbone == DEFAULT_BACKBONE:
        backbone = PIXELS
    if not isinstance(backbone, str | Backbone):
        raise OptionError(f"a classifier stands on one backbone: got {backbone!r}; name one")
    own = backbone if isinstance(backbone, Backbone) else None
    if isinstance(source, Features):
        refuse_labels(labels)
        if embedding:
            raise OptionError(
                f"features are embedded already: {', '.join(embedding)} would change nothing"
            )
        features = source
    else:
        if network:
            embedding.setdefault("input_size", network.input_size)
        images = ImageFolder.of(source, labels)
        require_learnable(images.paths, images.labels)  # told before the images are embedded, too
        if network:
            network.require(own.name if own else str(backbone), len(images.classes))
        features = embed(images, backbone, **embedding)
        require_every_class(images, features)
    if features.recipe is None:
        raise RecipeMismatchError(
            "these features carry no recipe, so new images could not be embedded alike; "
            "embed the images with featx"
        )
    y = labels_to_learn(features)
    if network:
        network.require(features.recipe.backbone, len(features.classes))
    X, views = features.matrix, features.view_matrices
    pipeline = fit(classifier_for(classifier, y, X.shape[1], len(views)), X, y, views)
    rejection = None
    if reject is not None:
        if validation is not None and validation.paths.tolist() != features.paths.tolist():
            raise OptionError("the validation is of other images: expected one of these features")
        final = settled(classifier, pipeline)
        if validation is None or final is not classifier:
            validation = cross_validate(features, final)
        rejection = choose_rejection(validation, reject)
    return ImageClassifier(
        pipeline,
        features.recipe,
        weights=features.weights,
        backbone=own,
        views=len(views),
        rejection=rejection,
    )
