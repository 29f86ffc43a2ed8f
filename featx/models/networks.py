"""Networks of a model, found again: with the very weights and calibrations of its training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration
from featx.backbones.kinds import is_network_file, kind_of
from featx.backbones.preprocessing import Preprocessing, preprocessing_in
from featx.backbones.weights import sources_of, written_sources
from featx.errors import OptionError, RecipeMismatchError, UnknownBackboneError, WeightsError
from featx.features.recipe import RecipePart
from featx.features.request import calibration_of
from featx.text import listed


class Maker(NamedTuple):
    """What a message says of a network that cannot be found again, and of what to do."""

    made: str = "the model was trained on"
    own: str = "load it in Python, with backbone= that network"
    again: str = "load the model with weights= the file it was trained on"
    beside: str = "the model"


_MODEL = Maker()


def find_network(
    part: RecipePart,
    source: str,
    model: str | os.PathLike[str] | None,
    maker: Maker = _MODEL,
) -> Backbone:
    """Return the network of a part of a recipe, by where its weights were when it was written.

    A network in a file that is not there any more is looked for beside the file of the model.

    Raises
    ------
    UnknownBackboneError
        It is a network of a user's own.
    WeightsError
        There are no weights.
    """
    if not is_network_file(source):
        try:
            own = _preprocessing(part, maker) if kind_of(part.backbone).preprocesses else None
            return Backbone.load(part.backbone, source, layer=part.cut.layer, preprocess=own)
        except UnknownBackboneError as error:
            raise UnknownBackboneError(
                f"{maker.made} a network of your own, {part.backbone!r}: {maker.own}"
            ) from error
    preprocess = _preprocessing(part, maker)
    path = Path(source)
    if model is not None and not os.path.isfile(path):
        path = Path(model).parent / path.name
    if not os.path.isfile(path):
        raise WeightsError(
            f"{maker.made} the network in {source}, which is no longer there: give weights= "
            f"(--weights) where it is now, or put it beside {maker.beside}"
        )
    return Backbone.from_onnx(path, preprocess, part.cut.layer, part.backbone)


def _preprocessing(part: RecipePart, maker: Maker) -> Preprocessing:
    """Return the scaling of pixels that a network was used with, of one that has several."""
    preprocess = preprocessing_in(part.preprocessing)
    if preprocess is None:
        raise UnknownBackboneError(
            f"{maker.made} {part.backbone} with a function that prepares pixels: {maker.own}"
        )
    return preprocess


def moved_sources(written: str, weights: str, parts: Sequence[RecipePart]) -> str:
    """Say where the weights of the parts of a recipe are, once a user has named a new place.

    The file of a network stands for the networks in files alone, of several for that of its name;
    a folder holds them.
    """
    sources = sources_of(written, len(parts))
    files = [is_network_file(source) for source in sources]
    if not any(files):
        return written_sources([weights] * len(parts)) if os.path.exists(weights) else weights
    if is_network_file(weights):
        alone = len({source for source in sources if is_network_file(source)}) == 1
        return written_sources(
            [
                os.path.abspath(weights)
                if file and (alone or os.path.basename(source) == os.path.basename(weights))
                else source
                for source, file in zip(sources, files, strict=True)
            ]
        )
    if os.path.isfile(weights):
        if all(files):
            raise OptionError(
                f"{weights} is no network: expected the file of the one that the model was "
                f"trained on ({listed(sources)}), or the folder that holds it"
            )
        return written_sources(
            [source if file else weights for source, file in zip(sources, files, strict=True)]
        )
    return written_sources(
        [
            os.path.join(os.path.abspath(weights), os.path.basename(source)) if file else weights
            for source, file in zip(sources, files, strict=True)
        ]
    )


def trained_network(
    part: RecipePart,
    backbone: Backbone,
    calibrations: Sequence[Calibration],
    maker: Maker = _MODEL,
) -> Backbone:
    """Return a network as it was trained on, or raise a `RecipeMismatchError` if it is another."""
    found = backbone.current(part.weights)
    if found.digest == part.weights:
        return replace(found, calibration=calibration_of(part, calibrations))
    trained = f"{maker.made} {part.backbone} weights {part.weights[:12]}, but the"
    if found.is_own:
        raise RecipeMismatchError(
            f"{trained} network given ({found.name}) has {found.digest[:12]}: it was trained "
            "or changed since, or is another; train the model again, or give it the network as "
            "it was"
        )
    place = found.weights.path if found.weights else found.name
    raise RecipeMismatchError(
        f"{trained} weights found ({place}) are {found.digest[:12]}; {maker.again}"
    )
