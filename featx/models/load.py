"""Loading of a model from its file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from featx.backbones.backbone import Backbone
from featx.errors import ModelFileError
from featx.models import model_file
from featx.models.model import ImageClassifier
from featx.models.networks import moved_sources
from featx.storage.address import is_address


def load(
    path: str | PathLike[str],
    *,
    weights: str | PathLike[str] | None = None,
    backbone: Backbone | None = None,
    trusted: Sequence[str] = (),
) -> ImageClassifier:
    """Load a model that `ImageClassifier.save` wrote.

    Nothing in the file is run: the pipeline is rebuilt from a list of audited types, whose numbers
    are checked, and a file with any other type is refused.

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
    if is_address(os.fspath(path)):
        raise ModelFileError(f"{path} is an address: expected a model file of this machine")
    stored = model_file.read(Path(path), trusted)
    place = stored.weights
    if weights is not None:
        place = moved_sources(place, str(weights), stored.recipe.parts)
    model = ImageClassifier(
        stored.pipeline,
        stored.recipe,
        weights=place,
        backbone=backbone,
        views=stored.views,
        rejection=stored.rejection,
        familiarity=stored.familiarity,
        calibrations=stored.calibrations,
        examples=stored.examples,
    )
    model._path = path
    if stored.card is not None:
        model.card = stored.card
    return model
