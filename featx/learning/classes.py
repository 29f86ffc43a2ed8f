"""Classes that a classifier can learn and be judged by, checked before any work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from featx.errors import ImageSourceError, OptionError
from featx.features.matrix import Features
from featx.images.folder import ImageFolder, ImageSource
from featx.images.labels import Labels
from featx.text import listed

_MOST = 12  # classes that a message names


def labels_to_learn(features: Features) -> np.ndarray:
    """Return the labels of features if a classifier can learn from them.

    Raises
    ------
    ImageSourceError
        As for `require_learnable`.
    """
    require_learnable(features.paths.tolist(), features.labels)
    assert features.y is not None
    return features.y


def labelled_images(source: ImageSource, labels: Labels = None) -> ImageFolder:
    """Take images with labels that a classifier can learn.

    Raises
    ------
    ImageSourceError, OptionError
        As for `ImageFolder.of` and `require_learnable`.
    """
    images = ImageFolder.of(source, labels)
    require_learnable(images.paths, images.labels)
    return images


def require_learnable(paths: Sequence[str], labels: Sequence[str | None]) -> None:
    """Check that a classifier can learn these labels, which may be done before embedding.

    Raises
    ------
    ImageSourceError
        There are no labels, some are missing, there is one class only, or a class has one image.
    """
    unlabelled = [path for path, label in zip(paths, labels, strict=True) if label is None]
    if len(unlabelled) == len(labels):
        raise ImageSourceError(
            "the images have no classes: expected a sub-folder for each class, such as "
            "photos/cat and photos/dog, a table with a column `label`, or labels="
        )
    if unlabelled:
        raise ImageSourceError(
            f"{len(unlabelled)} of {len(labels)} images are in no class folder, such as "
            f"{unlabelled[0]}; move them into one, or out of the folder"
        )
    counts = Counter(map(str, labels))
    if len(counts) < 2:
        raise ImageSourceError(
            f"all images are of one class, {next(iter(counts))!r}: expected at least two classes"
        )
    single = [label for label, count in sorted(counts.items()) if count == 1]
    if single:
        has = "class {} has" if len(single) == 1 else "classes {} have"
        raise ImageSourceError(
            f"{has.format(listed(single, _MOST))} only one readable image: expected at least two "
            "of each class; add images or remove the class"
        )


def require_every_class(images: ImageFolder, features: Features) -> None:
    """Check that some image of every class could be read; the features are those of the images.

    Raises
    ------
    ImageSourceError
        A class has no image left.
    """
    lost = sorted(set(images.classes) - set(features.classes))
    if lost:
        has = "class {} has" if len(lost) == 1 else "classes {} have"
        first = features.outcomes[images.labels.index(lost[0])]
        raise ImageSourceError(
            f"{has.format(listed(lost, _MOST))} no readable image ({first.path}: {first.reason}): "
            "expected at least two of each class; add images or remove the class"
        )


def refuse_labels(labels: Labels) -> None:
    """Raise an `OptionError` for labels that are given beside features."""
    if labels is not None:
        raise OptionError("features carry their labels: give labels= to embed, which makes them")


def require_known(labels: Sequence[str | None], classes: Sequence[str]) -> None:
    """Check that a classifier of `classes` can be judged by these labels.

    Raises
    ------
    ImageSourceError
        Labels are missing, or none of them is one of the classes.
    """
    if any(label is None for label in labels):
        raise ImageSourceError(
            "some images have no class: expected a sub-folder for each class, named as in "
            f"training ({listed(classes, _MOST)}), or give labels="
        )
    if not set(labels) & set(classes):
        found = sorted({str(label) for label in labels})
        raise ImageSourceError(
            f"the model knows none of the classes {listed(found, _MOST)}: expected "
            f"{listed(classes, _MOST)}"
        )


def per_file(features: Features, values: np.ndarray, missing: Any) -> np.ndarray:
    """Spread the rows of readable images over all input files, in order."""
    values = np.asarray(values)
    if not features.failed:
        return values
    dtype = object if missing is None else values.dtype
    out = np.full((len(features.outcomes), *values.shape[1:]), missing, dtype=dtype)
    out[[outcome.ok for outcome in features.outcomes]] = values
    return out
