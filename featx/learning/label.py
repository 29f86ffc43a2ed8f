"""ImageNet names for pictures: the classifier that a network came with."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from featx.backbones.imagenet import classes
from featx.backbones.pixels import PIXELS
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import OptionError
from featx.features.plan import prepare
from featx.features.running import embed_images
from featx.images.decode import Outcome
from featx.images.folder import ImageFolder


@dataclass(frozen=True)
class Label:
    """One guess at what a picture shows.

    Attributes
    ----------
    index : int
        The ImageNet class, 0 to 999.
    wnid : str
        Its WordNet number, such as "n02099601".
    name : str
        Its name in English.
    probability : float
        0 to 1.
    """

    index: int
    wnid: str
    name: str
    probability: float


@dataclass(frozen=True)
class Labelled:
    """A picture with its most probable labels, best first; none if it cannot be read."""

    path: str
    labels: tuple[Label, ...]
    outcome: Outcome


def label(
    source: Any,
    top: int = 3,
    *,
    backbone: str = DEFAULT_BACKBONE,
    weights: str | PathLike[str] = "imagenet",
    resize: str = "crop",
    interpolation: str = "bilinear",
    fast: bool = False,
    **options: Any,
) -> list[Labelled]:
    """Say what pictures show, in the 1000 classes of ImageNet.

    Parameters
    ----------
    source
        What `embed` takes: a folder, a picture, a list or an array of pictures.
    top : int, default=3
        Labels for each picture, 1 to 1000.
    backbone : str, default="efficientnet_lite0"
        A network of the table; its weights need to hold the classifier.
    weights : str or path, default="imagenet"
        As for `embed`.
    resize : {"crop", "squash", "pad"}, default="crop"
        The networks were trained on the centre of pictures; squashing costs about one label in
        ten.
    interpolation : str, default="bilinear"
    fast : bool, default=False
        As for `embed`.
    **options
        `engine`, `cache`, `on_error`, `batch_size` and `progress`, as for `embed`.

    Returns
    -------
    list of Labelled
        One for each file.

    Raises
    ------
    OptionError
        `top` is out of range, or the backbone is no single network with the classifier of
        ImageNet.
    WeightsError
        There are no weights with the classifier.
    """
    if not isinstance(top, int | np.integer) or not 1 <= top <= len(classes()):
        raise OptionError(f"top {top!r}: expected a whole number from 1 to {len(classes())}")
    if isinstance(backbone, str) and ("+" in backbone or backbone == PIXELS):
        raise OptionError(
            f"backbone {backbone!r}: expected one network of `featx backbones`, which brings its "
            "classifier along"
        )
    network, recipe = prepare(
        backbone,
        layer="predictions",
        weights=weights,
        resize=resize,
        interpolation=interpolation,
        fast=fast,
        engine=options.get("engine", "auto"),
    )
    images = ImageFolder.of(source)
    features = embed_images(images, network, recipe, **options)
    if features.matrix.shape[1] != len(classes()):
        raise OptionError(
            f"{network.name} tells {features.matrix.shape[1]} classes apart: expected the "
            f"{len(classes())} of ImageNet"
        )
    rows = iter(features.matrix)
    return [
        Labelled(outcome.path, _best(next(rows), top) if outcome.ok else (), outcome)
        for outcome in features.outcomes
    ]


def _best(probabilities: np.ndarray, top: int) -> tuple[Label, ...]:
    table = classes()
    order = np.argsort(-probabilities, kind="stable")[:top]
    return tuple(
        Label(table[i].index, table[i].wnid, table[i].name, float(probabilities[i])) for i in order
    )
