"""Candidates of a comparison: ways from images to labels, of features and what learns from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.kinds import PIXELS
from featx.backbones.weights import chosen_backbones
from featx.errors import OptionError, warn_of_images
from featx.evaluation.intervals import Estimate
from featx.evaluation.validation import CrossValidation
from featx.features.matrix import Features
from featx.features.options import CompareOptions, EmbedOptions, settle
from featx.features.request import Request, check_preprocess
from featx.features.run import run
from featx.features.several import distinct_names
from featx.images.folder import ImageFolder
from featx.learning.classes import require_every_class
from featx.learning.learner import Learner

Pairs = list[tuple[Features, str]]  # features, and the name of what learns from them


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way from images to labels, and how it did.

    Attributes
    ----------
    name : str
        What tells it from the other candidates, such as "resnet50 max mlp".
    features : Features
        What it learned from.
    classifier : str
        The name of its classifier.
    learner : Learner
        The classifier; `train` takes it, too.
    validation : CrossValidation
        Its predictions.
    """

    name: str
    features: Features
    classifier: str
    learner: Learner
    validation: CrossValidation

    @property
    def accuracy(self) -> Estimate:
        """Cross-validated accuracy with its 95 % interval."""
        return self.validation.interval

    @property
    def images_per_second(self) -> float:
        """How fast the network was when the features were made, views included.

        On pixels, which cost nothing to make, how fast the classifier predicts.
        """
        if on_pixels(self.features):
            return 1 / max(self.validation.predict_seconds, 1e-9)
        return self.features.images_per_second / (1 + len(self.features.views))

    def __repr__(self) -> str:
        return f"Candidate({self.name}: {self.accuracy})"


def embedded_pairs(
    images: ImageFolder,
    backbones: str | Backbone | Sequence[str | Backbone],
    poolings: str | Sequence[str],
    learners: dict[str, Learner],
    options: CompareOptions,
) -> Pairs:
    """Embed images with every backbone and pooling, each network once, and as pixels."""
    for learner in learners.values():
        learner.require(None, len(images.classes))
    settled = settle(options)
    others = [name for name, learner in learners.items() if not learner.pixels]
    scratch = [name for name in learners if name not in others]
    wanted = [poolings] if isinstance(poolings, str) else list(poolings)
    if not wanted:
        raise OptionError("poolings is empty: expected at least one, such as 'avg'")
    chosen = chosen_backbones(backbones, settled["weights"]) if others else []
    check_preprocess(chosen, settled["preprocess"])
    requests = [
        Request.of(backbone, {**settled, "pooling": pooling})
        for backbone in chosen
        for pooling in wanted
    ]
    alone = None if others else settled["input_size"]
    on_pixels: EmbedOptions = {**settled, "layer": None, "weights": "imagenet"}
    sizes = [alone or learners[name].input_size for name in scratch]
    pixels = [Request.of(PIXELS, {**on_pixels, "input_size": each}) for each in sizes]
    features = run(images, [*requests, *pixels], settled)
    require_every_class(images, features[0])
    warn_of_images(features[0].losses)
    pairs = [(each, name) for each in features[: len(requests)] for name in others]
    return pairs + list(zip(features[len(requests) :], scratch, strict=True))


def paired(given: Sequence[Features], learners: dict[str, Learner]) -> Pairs:
    """Pair features with what learns from them; networks from scratch with pixels."""
    pairs = [
        (each, name) for each in given for name, learner in learners.items() if not learner.pixels
    ]
    pixels = [each for each in given if on_pixels(each)]
    for name, learner in learners.items():
        if not learner.pixels:
            continue
        if not pixels:
            raise OptionError(
                "a network from scratch learns from pixels, and none of the features are: add "
                f"featx.embed(photos, 'pixels', input_size={learner.input_size}) to them"
            )
        fitting = [each for each in pixels if each.X.shape[1] == learner.input_size]
        pairs.append(((fitting or pixels)[0], name))
    return pairs


def timed_alike(several: Sequence[Features]) -> list[Features]:
    """Give features that differ in their pooling alone one speed: the highest that was measured.

    A pooling costs nothing, and whatever else a machine does only makes a network look slower.
    """
    speeds: dict[tuple[Any, ...], float] = {}
    for each in several:
        known = speeds.get(_network_of(each), math.nan)
        speeds[_network_of(each)] = float(np.fmax(known, each.images_per_second))
    timed = []
    for each in several:
        fastest = speeds[_network_of(each)]
        same = math.isnan(fastest) or fastest == each.images_per_second
        timed.append(each if same else replace(each, images_per_second=fastest))
    return timed


def _network_of(features: Features) -> tuple[Any, ...]:
    """Return what a speed is of: all settings but the pooling, and the number of views."""
    if features.recipe is None:
        return (id(features),)
    settings = {key: each for key, each in features.recipe.settings.items() if key != "pooling"}
    return (*settings.items(), len(features.views))


def names_of(pairs: Pairs, learners: dict[str, Learner]) -> list[str]:
    """Name candidates by what tells them apart: their features, their classifiers."""
    learned = dict.fromkeys(each for each, name in pairs if not learners[name].pixels)
    told = dict(zip(learned, distinct_names(list(learned)), strict=True))
    one_classifier = sum(not learner.pixels for learner in learners.values()) == 1
    names = []
    for features, name in pairs:
        pixels = learners[name].pixels
        parts = [] if pixels or (len(learned) == 1 and not one_classifier) else [told[features]]
        if len(learners) > 1 or pixels:
            parts.append(name)
        names.append(" ".join(parts))
    return names


def on_pixels(features: Features) -> bool:
    return features.recipe is not None and features.recipe.backbone == PIXELS
