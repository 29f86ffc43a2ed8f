"""Networks of a model: with the very weights and calibrations that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration
from featx.errors import RecipeMismatchError, UnknownBackboneError
from featx.features.recipe import RecipePart
from featx.features.request import calibration_of


def loaded_network(part: RecipePart, weights: str) -> Backbone:
    """Load the network of a part of a recipe by its name, from where its weights are."""
    try:
        return Backbone.load(part.backbone, weights, layer=part.cut.layer)
    except UnknownBackboneError as error:
        raise UnknownBackboneError(
            f"the model was trained on a network of your own, {part.backbone!r}: "
            "load it in Python, with backbone= that network"
        ) from error


def trained_network(
    part: RecipePart, backbone: Backbone, calibrations: Sequence[Calibration]
) -> Backbone:
    """Return a network as it was trained on, or raise a `RecipeMismatchError` if it is another."""
    found = backbone.current(part.weights)
    if found.digest == part.weights:
        return replace(found, calibration=calibration_of(part, calibrations))
    trained = f"the model was trained on {part.backbone} weights {part.weights[:12]}, but the"
    if found.is_own:
        raise RecipeMismatchError(
            f"{trained} network given ({found.name}) has {found.digest[:12]}: it was trained "
            "or changed since, or is another; train the model again, or give it the network as "
            "it was"
        )
    place = found.weights.path if found.weights else found.name
    raise RecipeMismatchError(
        f"{trained} weights found ({place}) are {found.digest[:12]}; load the model with "
        "weights= the file it was trained on"
    )
