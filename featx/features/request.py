"""The request for a feature matrix: its networks, recipe and views, settled before work begins."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration
from featx.backbones.engines.choice import settle_precision
from featx.backbones.kinds import divided, kind_of
from featx.backbones.network import CLASSIFIER_LAYERS, JOINT_POOLINGS, Cut
from featx.backbones.weights import written_sources
from featx.errors import OptionError, RecipeMismatchError
from featx.features.options import EmbedOptions
from featx.features.recipe import Recipe, RecipePart
from featx.features.store.calibrations import known_calibration
from featx.files import cache_folder
from featx.images.square import Square

_MAX_INPUT_SIZE = 4096  # px
NEAR = 0.99  # the least mean cosine of int8 to float32 that `fast` takes


@dataclass(frozen=True)
class Request:
    """What one feature matrix is made by."""

    backbones: tuple[Backbone, ...]  # one for each part of the recipe
    recipe: Recipe
    views: int = 0  # augmented ones that go along

    @classmethod
    def of(cls, backbone: str | Backbone, settled: EmbedOptions) -> Request:
        """Find the weights of a backbone, as `embed` takes one, and write the recipe.

        `settled` is what `featx.features.options.settle` gave. A network in int8 whose calibration
        is not known has none yet; see `featx.features.calibration.calibrated`. It raises what
        `embed` does.
        """
        names = joined_names(backbone, "backbone")
        layers = joined_names(settled["layer"], "layer")
        if len(names) > 1 and len(layers) > 1:
            raise OptionError(
                f"backbone {backbone!r} and layer {settled['layer']!r}: join networks or layers of "
                "one, not both"
            )
        parts = [_part(name, layer, settled) for name in names for layer in layers]
        if len(parts) > 1 and settled["pooling"] == "none":
            raise OptionError(
                "pooling 'none' gives maps, which cannot be joined: expected 'avg', 'max' or "
                "'flatten'"
            )
        backbones, recipes = zip(*parts, strict=True)
        return cls(backbones, Recipe(recipes), int(settled["views"]))

    @classmethod
    def again(
        cls, backbones: Sequence[Backbone], recipe: Recipe, views: int, engine: str
    ) -> Request:
        """Ask for features by the recipe of an earlier day, in a precision of this machine.

        Raises
        ------
        RecipeMismatchError
            The recipe says something else than what these backbones do.
        """
        asked = {part.cut.precision for part in recipe.parts}
        precisions = {each: settle_precision(each, engine) for each in asked}
        parts = tuple(
            replace(part, cut=replace(part.cut, precision=precisions[part.cut.precision]))
            for part in recipe.parts
        )
        for backbone, part in zip(backbones, parts, strict=True):
            _require_done(backbone, part)
        return cls(tuple(backbones), Recipe(parts), views)

    @classmethod
    def joined(cls, requests: Sequence[Request]) -> Request:
        """Ask for the vectors of several requests side by side, as `Request.of` does with "+"."""
        backbones = tuple(each for request in requests for each in request.backbones)
        parts = tuple(each for request in requests for each in request.recipe.parts)
        return cls(backbones, Recipe(parts), requests[0].views)

    def of_view(self, number: int) -> list[tuple[Backbone, RecipePart]]:
        """List the networks and parts of one view; 0 is the picture as it is."""
        parts = (part.of_view(number) for part in self.recipe.parts)
        return list(zip(self.backbones, parts, strict=True))

    @property
    def weights(self) -> str:
        """What to ask for to get the weights again, as features name it."""
        sources = [each.weights.source if each.weights else "imagenet" for each in self.backbones]
        return sources[0] if len(sources) == 1 else written_sources(sources)

    @property
    def parts(self) -> list[tuple[Backbone, RecipePart]]:
        """The networks and parts of all views."""
        return [part for view in range(self.views + 1) for part in self.of_view(view)]


def passes(
    parts: Sequence[tuple[Backbone, RecipePart]],
) -> dict[tuple[Backbone, RecipePart], tuple[str, ...]]:
    """List each network once, with the poolings, sorted, that one pass of pictures gives."""
    found: dict[tuple[Backbone, RecipePart], set[str]] = {}
    for backbone, part in parts:
        joins = part.cut.pooling in JOINT_POOLINGS and backbone.joins_poolings(part.cut.layer)
        network = with_pooling(part, JOINT_POOLINGS[0]) if joins else part
        found.setdefault((backbone, network), set()).add(part.cut.pooling)
    return {network: tuple(sorted(poolings)) for network, poolings in found.items()}


def with_pooling(part: RecipePart, pooling: str) -> RecipePart:
    """Return a part of a recipe with another pooling."""
    return replace(part, cut=replace(part.cut, pooling=pooling))


def cosine_of(calibration: Calibration) -> float:
    """Return how near features in int8 are to those in float32: their mean cosine, if known."""
    cosine = calibration.settings.get("cosine", 1.0)
    return cosine if isinstance(cosine, float) else 1.0


def with_calibration(
    backbone: Backbone, part: RecipePart, calibration: Calibration
) -> tuple[Backbone, RecipePart]:
    """Give a network its calibration, and let its part of the recipe name it."""
    cut = replace(part.cut, calibration=calibration.digest)
    return replace(backbone, calibration=calibration), replace(part, cut=cut)


def calibration_of(part: RecipePart, calibrations: Sequence[Calibration]) -> Calibration | None:
    """Return the calibration that a part of a recipe names, None where it names none.

    Raises a `RecipeMismatchError` if it is not among these.
    """
    digest = part.cut.calibration
    known = {each.digest: each for each in calibrations}
    if digest is not None and digest not in known:
        raise RecipeMismatchError(
            f"the calibration {digest[:12]} of these int8 features of {part.backbone} is not "
            "there: embed the images again, and train on that"
        )
    return None if digest is None else known[digest]


def calibrations_in(backbones: Sequence[Backbone], recipe: Recipe) -> tuple[Calibration, ...]:
    """Return the calibrations of networks that a recipe names."""
    named = {part.cut.calibration for part in recipe.parts}
    known = (backbone.calibration for backbone in backbones)
    return tuple(dict.fromkeys(each for each in known if each and each.digest in named))


def joined_names(value: Any, option: str) -> list[Any]:
    """Return the names that a "+" joins, all different; what is no text stays as it is.

    The path of a file may have a "+" in it.
    """
    if not isinstance(value, str) or "+" not in value:
        return [value]
    names = divided(value, "+")
    if not all(names) or len(set(names)) < len(names):
        raise OptionError(f"{option} {value!r}: expected different names with + between")
    return names


def _part(
    backbone: str | Backbone, layer: str | None, settled: EmbedOptions
) -> tuple[Backbone, RecipePart]:
    weights = settled["weights"]
    if isinstance(backbone, str):
        preprocess = settled["preprocess"] if kind_of(backbone).preprocesses else None
        backbone = Backbone.load(backbone, os.fspath(weights), layer=layer, preprocess=preprocess)
    elif not isinstance(backbone, Backbone):
        raise OptionError(
            f"backbone is a {type(backbone).__name__}: expected a name of `featx backbones`, or "
            "Backbone.from_keras(model) or from_torch for a network of your own"
        )
    elif weights != "imagenet" and not backbone.is_pixels:
        raise OptionError("weights go with the name of a backbone; this Backbone has its own")
    else:
        backbone = backbone.current()
    size = settled["input_size"]
    size = backbone.input_size if size is None else size
    settings = settled | {"input_size": size, "layer": layer or backbone.layer}
    part = _written(backbone, settings)
    known = None
    if part.cut.precision == "int8":
        known = known_calibration(cache_folder(settled["cache"]), backbone, part)
    if known is None or (settled["fast"] and cosine_of(known) < NEAR):
        return backbone, part
    return with_calibration(backbone, part, known)


def check_preprocess(backbones: Sequence[Any], preprocess: str | None) -> None:
    """Check that one of the networks asked for together takes the preprocessing that is given."""
    names = [name for each in backbones for name in joined_names(each, "backbone")]
    if preprocess is not None and not any(
        isinstance(name, str) and kind_of(name).preprocesses for name in names
    ):
        raise OptionError(
            f"preprocess {preprocess!r} is for networks in files, such as net.onnx: the others "
            "have their own; leave it out"
        )


def _written(backbone: Backbone, settings: Mapping[str, Any]) -> RecipePart:
    """Write what is done with a backbone where these settings, by name, are asked for."""
    size, layer = settings["input_size"], settings["layer"]
    least, most = backbone.min_size, backbone.max_size or _MAX_INPUT_SIZE
    if not isinstance(size, int | np.integer) or not least <= size <= most:
        expected = f"{least}" if least == most else f"{least} to {most}"
        raise OptionError(
            f"input size {size!r} does not fit {backbone.name}: expected {expected} pixels"
        )
    own: dict[str, Any] = {"view": 0}
    if layer in CLASSIFIER_LAYERS:  # vectors already: no pooling changes them
        own["pooling"] = "none"
    if backbone.is_pixels:
        own |= {"pooling": "none", "precision": "float32", "calibration": None}
    settings = {**settings, **own}
    names = {*Square.__dataclass_fields__, *Cut.__dataclass_fields__} & settings.keys()
    return RecipePart.of(
        backbone.name,
        backbone.digest,
        int(size),
        backbone.preprocessing,
        **{name: settings[name] for name in names},
    )


def _require_done(backbone: Backbone, part: RecipePart) -> None:
    """Check that a recipe says what is done with a backbone, whatever this one is called."""
    done, said = _written(backbone, part.settings).settings, part.settings
    differences = [
        f"{name} {said[name]!r}, not {done[name]!r}"
        for name in said
        if said[name] != done[name] and name != "backbone"
    ]
    if differences:
        raise RecipeMismatchError(
            f"the recipe says what {backbone.name} does not do: {'; '.join(differences)}; make "
            "the features or the model again"
        )
