"""A Keras model of a user's own as a backbone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from featx.backbones.backbone import Backbone, Preprocess
from featx.backbones.graph import wiring
from featx.backbones.preprocessing import PREPROCESSINGS
from featx.errors import OptionError

if TYPE_CHECKING:
    import keras

_FALLBACK_SIZE = 224  # px, for a network that takes pictures of any size


@dataclass(frozen=True)
class KerasModel:
    """A network as it was given, as `featx.backbones.backbone.Source` says.

    An engine may run it as it is, so one is equal to itself only: another of the same weights may
    be trained on while the engine is open.
    """

    model: keras.Model
    preprocess: Preprocess = field(compare=False)
    input_size: int = field(compare=False)  # side of the pictures that it was made for, in pixels
    pools_freely: bool = field(default=True, compare=False)
    prefix_tokens: int | None = field(default=None, compare=False)

    def network(
        self, layer: str | None, pooling: str | None, input_size: int
    ) -> tuple[keras.Model, dict[str, keras.layers.Layer]]:
        """Return the network; see `featx.backbones.backbone.Source`."""
        return self.model, {each.name: each for each in self.model.layers}

    def digests(self) -> tuple[str, ...]:
        """Digest what the network computes now: architecture, weights and preprocessing.

        A function has no digest of its own, so what it does to a fixed set of pixels stands for it.
        The second digest, of networks that are no chain of layers, leaves out how these hang
        together: model files of earlier versions know such a network by it.
        """
        model, total = self.model, hashlib.sha256()
        total.update(
            repr([(type(layer).__name__, layer.get_config()) for layer in model.layers]).encode()
        )
        for array in model.get_weights():
            total.update(repr((array.shape, str(array.dtype))).encode())
            total.update(np.ascontiguousarray(array).tobytes())
        shape = (2, self.input_size, self.input_size, 3)
        pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
        prepared = np.ascontiguousarray(self.preprocess(pixels), dtype=np.float32)
        total.update(prepared.tobytes())
        former = total.hexdigest()
        if (wired := wiring(model)) is None:
            return (former,)
        total.update(wired.encode())
        return total.hexdigest(), former


def own_backbone(
    model: keras.Model, preprocess: str | Preprocess, layer: str | None, name: str | None
) -> Backbone:
    """Make a backbone of a network of a user's own; see `Backbone.from_keras`."""
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3:
        raise OptionError(
            f"a backbone takes one RGB picture, input shape (None, size, size, 3): "
            f"got a model with input shape {shape}"
        )
    if shape[1] != shape[2]:
        raise OptionError(f"a backbone takes square pictures: got input shape {shape}")
    if isinstance(preprocess, str) and preprocess not in PREPROCESSINGS:
        raise OptionError(
            f"unknown preprocess {preprocess!r}: expected a function or one of "
            f"{', '.join(PREPROCESSINGS)}"
        )
    function = PREPROCESSINGS[preprocess] if isinstance(preprocess, str) else preprocess
    size = shape[1] or _FALLBACK_SIZE
    source = KerasModel(model, function, size)
    return Backbone(
        name=name or model.name,
        digest=source.digests()[0],
        input_size=size,
        min_size=shape[1] or 1,
        preprocessing=preprocess if isinstance(preprocess, str) else "custom",
        layer=layer,
        preprocess=function,
        source=source,
    )
