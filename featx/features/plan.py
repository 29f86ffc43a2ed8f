"""Settling what will be done to pictures, before any is opened."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np

from featx.backbones.backbone import CLASSIFIER_LAYERS, Backbone
from featx.backbones.engine import PRECISIONS, choose_engine, settle_precision
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import OptionError, check_choice
from featx.features.fusion import Fusion
from featx.features.recipe import Recipe
from featx.images.decode import DECODE_VERSION
from featx.images.fit import DECODES

_MAX_INPUT_SIZE = 4096  # px
MAX_VIEWS = 64


@dataclass(frozen=True)
class Plan:
    """What one feature matrix is made by.

    Attributes
    ----------
    backbones : tuple of Backbone
        One for each part of the recipe.
    recipe : Recipe or Fusion
        How a picture becomes a vector.
    views : int
        How many augmented views go along.
    """

    backbones: tuple[Backbone, ...]
    recipe: Recipe | Fusion
    views: int = 0

    def of_view(self, number: int) -> list[tuple[Backbone, Recipe]]:
        """List the networks and recipes of one view; 0 is the picture as it is."""
        recipes = (part.of_view(number) for part in self.recipe.parts)
        return list(zip(self.backbones, recipes, strict=True))


def plan(
    backbone: str | Backbone = DEFAULT_BACKBONE,
    *,
    layer: str | None = None,
    views: int = 0,
    **options: Any,
) -> Plan:
    """Settle what `embed` would do for one feature matrix, without doing it.

    Parameters and errors are those of `embed`: a "+" joins networks in `backbone`, or layers of
    one network in `layer`.
    """
    if not isinstance(views, int | np.integer) or not 0 <= views <= MAX_VIEWS:
        raise OptionError(f"views {views!r}: expected a whole number from 0 to {MAX_VIEWS}")
    names: list[Any] = _split(backbone, "backbone")
    layers: list[Any] = _split(layer, "layer")
    if len(names) > 1 and len(layers) > 1:
        raise OptionError(
            f"backbone {backbone!r} and layer {layer!r}: join networks or layers of one, not both"
        )
    parts = [prepare(name, layer=each, **options) for name in names for each in layers]
    if len(parts) == 1:
        return Plan((parts[0][0],), parts[0][1], int(views))
    if options.get("pooling", "avg") == "none":
        raise OptionError(
            "pooling 'none' gives maps, which cannot be joined: expected 'avg', 'max' or 'flatten'"
        )
    return Plan(
        tuple(network for network, _ in parts),
        Fusion(tuple(recipe for _, recipe in parts)),
        int(views),
    )


def _split(value: Any, option: str) -> list[Any]:
    if not isinstance(value, str) or "+" not in value:
        return [value]
    names = [name.strip() for name in value.split("+")]
    if not all(names) or len(set(names)) < len(names):
        raise OptionError(f"{option} {value!r}: expected different names with + between")
    return names


def prepare(
    backbone: str | Backbone = DEFAULT_BACKBONE,
    *,
    pooling: str = "avg",
    layer: str | None = None,
    input_size: int | None = None,
    resize: str = "squash",
    interpolation: str = "bilinear",
    decode: str = "full",
    precision: str = "float32",
    fast: bool = False,
    weights: str | PathLike[str] = "imagenet",
    engine: str = "auto",
) -> tuple[Backbone, Recipe]:
    """Settle what `embed` would do, without doing it: find the weights and write the recipe.

    Parameters and errors are those of `embed`.

    Returns
    -------
    backbone : Backbone
    recipe : Recipe
    """
    if isinstance(backbone, str):
        backbone = Backbone.load(backbone, os.fspath(weights), layer=layer)
    elif not isinstance(backbone, Backbone):
        raise OptionError(
            f"backbone is a {type(backbone).__name__}: expected a name of `featx backbones`, or "
            "Backbone.from_keras(model) for a network of your own"
        )
    elif weights != "imagenet" and not backbone.is_pixels:
        raise OptionError("weights go with the name of a backbone; this Backbone has its own")
    layer = layer or backbone.layer
    size = backbone.input_size if input_size is None else input_size
    if not isinstance(size, int | np.integer) or not backbone.min_size <= size <= _MAX_INPUT_SIZE:
        raise OptionError(
            f"input size {size!r} does not fit {backbone.name}: "
            f"expected {backbone.min_size} to {_MAX_INPUT_SIZE} pixels"
        )
    check_choice("decode", decode, DECODES)
    check_choice("precision", precision, PRECISIONS)
    recipe = Recipe(
        backbone=backbone.name,
        weights=backbone.digest,
        input_size=int(size),
        layer=layer,
        pooling=pooling,
        resize=resize,
        interpolation=interpolation,
        preprocessing=backbone.preprocessing,
        decode=f"{'scaled' if fast else decode}/{DECODE_VERSION}",
        precision=settle_precision("bfloat16" if fast else precision, choose_engine(engine)),
    )
    if layer in CLASSIFIER_LAYERS:  # vectors already: no pooling changes them
        recipe = replace(recipe, pooling="none")
    if backbone.is_pixels:
        recipe = replace(recipe, pooling="none", precision="float32")
    return backbone, recipe
