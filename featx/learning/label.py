"""`featx.label`: ImageNet names for pictures, by the classifier that a network came with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Unpack

import numpy as np

from featx.backbones.imagenet import classes
from featx.backbones.kinds import KINDS, kind_of
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import OptionError
from featx.features.options import (
    LABEL_RESIZE,
    LabelOptions,
    SourceOptions,
    options_in,
    settle,
    takes,
)
from featx.features.request import Request, check_preprocess, joined_names
from featx.features.run import run
from featx.images.decode import Outcome
from featx.images.folder import ImageFolder
from featx.images.source import ImageSource


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
    """A picture with its most probable labels.

    Attributes
    ----------
    path : str
        The file.
    labels : tuple of Label
        The most probable ones, best first; none if the file cannot be read.
    outcome : Outcome
        What became of the file.
    """

    path: str
    labels: tuple[Label, ...]
    outcome: Outcome

    def to_dict(self) -> dict[str, Any]:
        """Return the labels and the outcome as plain values."""
        return {
            "path": self.path,
            "labels": [asdict(each) for each in self.labels],
            "outcome": self.outcome.status,
            "reason": self.outcome.reason or None,
        }


@takes(LabelOptions, resize=LABEL_RESIZE)
def label(
    source: ImageSource,
    top: int = 3,
    *,
    backbone: str = DEFAULT_BACKBONE,
    **options: Unpack[LabelOptions],
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
    **options
        As for `embed`. By default `resize` is "crop": the networks were trained on the centre of
        pictures, and squashing costs about one label in ten.

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
    one = len(joined_names(backbone, "backbone")) == 1
    if not one or kind_of(backbone) is not KINDS[-1]:
        raise OptionError(
            f"backbone {backbone!r}: expected one network of the table of `featx backbones`, which "
            "brings the classifier of ImageNet along"
        )
    settled = settle({"resize": "crop", "layer": "predictions", **options})
    check_preprocess([backbone], settled["preprocess"])
    request = Request.of(backbone, settled)
    images = ImageFolder.of(source, **options_in(SourceOptions, settled))
    features = run(images, [request], settled)[0]
    if features.matrix.shape[1] != len(classes()):
        raise OptionError(
            f"{request.recipe.backbone} tells {features.matrix.shape[1]} classes apart: expected "
            f"the {len(classes())} of ImageNet"
        )
    rows = iter(features.matrix)
    return [
        Labelled(outcome.path, _best(next(rows), top) if outcome.ok else (), outcome)
        for outcome in features.outcomes
    ]


def _best(probabilities: np.ndarray, top: int) -> tuple[Label, ...]:
    order = np.argsort(-probabilities, kind="stable")[:top]
    return tuple(Label(**asdict(classes()[i]), probability=float(probabilities[i])) for i in order)
