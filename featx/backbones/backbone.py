"""A network with its weights chosen: what a recipe names and an engine runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx.backbones import table
from featx.backbones.pixels import PIXELS, PIXELS_DIGEST, PIXELS_SIZE, SMALLEST_SIZE
from featx.backbones.preprocessing import PREPROCESSING_VERSION, PREPROCESSINGS
from featx.backbones.table import BackboneSpec
from featx.backbones.weights import Weights, locate
from featx.errors import OptionError, UnknownLayerError

if TYPE_CHECKING:
    import keras

CLASSIFIER_LAYERS = ("predictions", "fc1", "fc2")
_FALLBACK_SIZE = 224  # px, for a user's network that takes pictures of any size

Preprocess = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Backbone:
    """A pretrained network and its weights.

    Make one with `Backbone.load` (a name from the table) or `Backbone.from_keras` (a network of
    your own); `embed`, `train` and `ImageEmbedder` take it wherever they take a name.

    Attributes
    ----------
    name : str
        Name of the network.
    digest : str
        Digest of the weights: SHA-256 of their file, in hexadecimal.
    input_size : int
        Side of the pictures that it was made for, in pixels.
    min_size : int
        Smallest side that it takes, in pixels.
    preprocessing : str
        Name and version of the scaling of pixels.
    layer : str or None
        The layer that is read when no other is asked for; None for the last one.
    """

    name: str
    digest: str
    input_size: int
    min_size: int
    preprocessing: str
    layer: str | None = None
    preprocess: Preprocess = field(kw_only=True, compare=False, repr=False)
    spec: BackboneSpec | None = field(default=None, compare=False, repr=False)
    weights: Weights | None = field(default=None, compare=False, repr=False)
    model: keras.Model | None = field(default=None, compare=False, repr=False)

    @classmethod
    def load(
        cls, name: str, weights: str | Path = "imagenet", *, layer: str | None = None
    ) -> Backbone:
        """Take a network from the table and find its weights; the network is not built yet.

        Parameters
        ----------
        name : str
            A name of the table (`featx backbones`), in Keras's spelling too; or "pixels", which
            is no network: every picture stands for itself, 0 to 255.
        weights : str or path, default="imagenet"
            "imagenet", "random", a weights file, or a folder of files under Keras's names. Pixels
            have none.
        layer : str, optional
            The layer to read. "predictions" is the classifier: 1000 ImageNet probabilities.

        Returns
        -------
        Backbone

        Raises
        ------
        UnknownBackboneError
            No network has this name.
        UnknownLayerError
            A layer of pixels is asked for.
        WeightsError
            The weights are not there and cannot be fetched.
        """
        if name == PIXELS:
            return _pixels(layer)
        spec = table.find(name)
        found = locate(spec, weights, top=layer in CLASSIFIER_LAYERS)
        return cls(
            name=spec.name,
            digest=found.digest,
            input_size=spec.input_size,
            min_size=spec.min_size,
            preprocessing=f"{spec.preprocessing}/{PREPROCESSING_VERSION}",
            layer=layer,
            preprocess=PREPROCESSINGS[spec.preprocessing],
            spec=spec,
            weights=found,
        )

    @classmethod
    def from_keras(
        cls,
        model: keras.Model,
        preprocess: str | Preprocess = "none",
        layer: str | None = None,
        name: str | None = None,
    ) -> Backbone:
        """Use a network of your own.

        Parameters
        ----------
        model : keras.Model
            A functional or sequential network with one input of shape (size, size, 3).
        preprocess : str or callable, default="none"
            What its pixels go through first: "caffe", "tf", "torch", "lite" or "none", or a
            function from float32 RGB of shape (n, size, size, 3), 0 to 255, to what the network
            takes.
        layer : str, optional
            The layer to read; by default the output of the network.
        name : str, optional
            What to call it in recipes; by default the name of the model.

        Returns
        -------
        Backbone
            Its digest covers the architecture, the weights, and what `preprocess` does to a set of
            test pixels; change one of them and make the backbone anew.

        Raises
        ------
        OptionError
            The network does not take one RGB picture, or `preprocess` is unknown.
        """
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
        return cls(
            name=name or model.name,
            digest=_digest(model, function, size),
            input_size=size,
            min_size=shape[1] or 1,
            preprocessing=preprocess if isinstance(preprocess, str) else "custom",
            layer=layer,
            preprocess=function,
            model=model,
        )

    @property
    def is_pixels(self) -> bool:
        """Whether there is no network: pictures stand for themselves."""
        return self.digest == PIXELS_DIGEST

    def __deepcopy__(self, memo: dict[int, object]) -> Backbone:
        """Return itself, as it never changes: scikit-learn copies the parameters that it clones."""
        return self


def _pixels(layer: str | None) -> Backbone:
    if layer is not None:
        raise UnknownLayerError(f"pixels have no layer {layer!r}: leave the layer out")
    return Backbone(
        name=PIXELS,
        digest=PIXELS_DIGEST,
        input_size=PIXELS_SIZE,
        min_size=SMALLEST_SIZE,
        preprocessing=f"none/{PREPROCESSING_VERSION}",
        preprocess=PREPROCESSINGS["none"],
    )


def _digest(model: keras.Model, preprocess: Preprocess, size: int) -> str:
    """Digest what a network computes: its architecture, its weights and its preprocessing.

    A function has no digest of its own, so what it does to a fixed set of pixels stands for it.
    """
    total = hashlib.sha256()
    total.update(
        repr([(type(layer).__name__, layer.get_config()) for layer in model.layers]).encode()
    )
    for array in model.get_weights():
        total.update(repr((array.shape, str(array.dtype))).encode())
        total.update(np.ascontiguousarray(array).tobytes())
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    total.update(np.ascontiguousarray(preprocess(pixels.copy()), dtype=np.float32).tobytes())
    return total.hexdigest()
