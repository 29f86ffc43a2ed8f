"""A backbone: a network with its weights chosen, which a recipe names and an engine runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from featx.backbones.calibration import Calibration
from featx.backbones.framework import imported
from featx.backbones.kinds import PIXELS, kind_of
from featx.backbones.preprocessing import PreprocessLike
from featx.backbones.weights import Weights
from featx.errors import OptionError

if TYPE_CHECKING:
    import keras
    import openvino
    import torch

Preprocess = Callable[[np.ndarray], np.ndarray]


class Source(Protocol):
    """Where the Keras network of a backbone comes from."""

    @property
    def pools_freely(self) -> bool:
        """Whether the network has no pooling of its own; see `Backbone.joins_poolings`."""
        ...

    @property
    def prefix_tokens(self) -> int | None:
        """How many tokens (class token, registers) stand before those of patches, if known."""
        ...

    def network(
        self, layer: str | None, pooling: str | None, input_size: int
    ) -> tuple[keras.Model, Mapping[str, keras.layers.Layer]]:
        """Return the network with its weights, for pictures of a size, and its layers by name.

        `layer` will be read; a network with a pooling of its own ends in `pooling` (avg or max).
        """
        ...

    def digests(self) -> tuple[str, ...]:
        """Return the digest of what the network computes now, then those of earlier versions."""
        ...


class OpenVINOSource(Protocol):
    """Where a network in OpenVINO's form comes from, of a backbone of the kind "openvino"."""

    @property
    def pools_freely(self) -> bool:
        """Whether several poolings can be taken of one run; see `Backbone.joins_poolings`."""
        ...

    @property
    def prefix_tokens(self) -> int | None:
        """How many tokens (class token, registers) stand before those of patches, if known."""
        ...

    def model(self, input_size: int) -> openvino.Model:
        """Return the whole network for pictures of a size, with all its layers, as a fresh copy.

        Its input takes prepared pictures, of shape (n, 3, size, size) or (n, size, size, 3).
        """
        ...

    def digests(self) -> tuple[str, ...]:
        """Return the digest of what the network computes now, then those of earlier versions."""
        ...


@dataclass(frozen=True)
class Backbone:
    """A pretrained network and its weights.

    Make one with `Backbone.load` (a name from the table, or a file), of a network of KerasHub with
    `Backbone.from_keras_hub`, of one of timm with `Backbone.from_timm`, or of one of your own with
    `Backbone.from_keras`, `Backbone.from_torch`, `Backbone.from_onnx` or `Backbone.from_openvino`;
    `embed`, `train` and `ImageEmbedder` take it wherever they take a name.

    Attributes
    ----------
    name : str
        Name of the network.
    digest : str
        Digest of the weights: SHA-256 of their file, in hexadecimal. For a network of your own,
        that of the network as it was when the backbone was made.
    input_size : int
        Side of the pictures that it was made for, in pixels.
    min_size : int
        Smallest side that it takes, in pixels.
    preprocessing : str
        Name and version of the scaling of pixels.
    layer : str or None
        The layer that is read when no other is asked for; None for the last one.
    max_size : int or None
        Largest side that it takes, in pixels; None for any.
    preprocess : callable
        The scaling of pixels itself.
    kind : str
        The kind of network, which says what engines run it; see `featx.backbones.kinds`.
    source : Source, OpenVINOSource or None
        Where the network comes from; None where there is none.
    weights : Weights or None
        Where the weights come from; None for a network of your own.
    calibration : Calibration or None
        The numbers that int8 needs; None where it is not asked for.
    """

    name: str
    digest: str
    input_size: int
    min_size: int
    preprocessing: str
    layer: str | None = None
    max_size: int | None = field(default=None, kw_only=True, compare=False)
    preprocess: Preprocess = field(kw_only=True, compare=False, repr=False)
    kind: str = field(default="keras", compare=False, repr=False)
    source: Source | OpenVINOSource | None = field(default=None, repr=False)
    weights: Weights | None = field(default=None, compare=False, repr=False)
    calibration: Calibration | None = field(default=None, compare=False, repr=False)

    @classmethod
    def load(
        cls,
        name: str,
        weights: str | Path = "imagenet",
        *,
        layer: str | None = None,
        preprocess: PreprocessLike | None = None,
    ) -> Backbone:
        """Take a network by its name and find its weights; the network is not built yet.

        Parameters
        ----------
        name : str
            A name of the table (`featx backbones`), in Keras's spelling too; or "pixels", which
            stands for the pixels themselves, 0 to 255, without any network; or one of a library,
            "timm:NAME", "torchvision:NAME" or "keras_hub:NAME"; or the path of a network in a file
            (`from_onnx`), which holds its own weights.
        weights : str or path, default="imagenet"
            "imagenet", "random", a weights file, or a folder of files under Keras's names. Pixels
            have none.
        layer : str, optional
            The layer to read. "predictions" is the classifier: 1000 ImageNet probabilities.
        preprocess : str, tuple or callable, optional
            What pixels go through before a network in a file, as for `from_onnx`. Other networks
            have their own.

        Returns
        -------
        Backbone

        Raises
        ------
        OptionError
            `preprocess` is unknown, or the network has its own.
        UnknownBackboneError
            No network has this name.
        UnknownLayerError
            A layer of pixels is asked for.
        WeightsError
            The weights are not there and cannot be fetched.
        """
        kind, own = kind_of(name), {}
        if preprocess is not None:
            if not kind.preprocesses:
                raise OptionError(
                    f"preprocess is for networks in files: {name} has its own preprocessing"
                )
            own["preprocess"] = preprocess
        loaded: Backbone = imported(kind.loader)(name, weights, layer, **own)
        return loaded

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
            What its pixels go through first: "caffe", "tf", "torch", "lite", "clip", "unit" or
            "none", or a function from float32 RGB of shape (n, size, size, 3), 0 to 255, to what
            the network takes.
        layer : str, optional
            The layer to read, "inner/name" for one of a network inside it; by default the output
            of the network, which has to be one.
        name : str, optional
            What to call it in recipes; by default the name of the model.

        Returns
        -------
        Backbone
            Its digest covers the architecture, the weights, and what `preprocess` does to a set of
            test pixels. It is taken again whenever pictures are embedded, so that a network that
            was trained on gives its new features.

        Raises
        ------
        OptionError
            The network does not take one RGB picture, or `preprocess` is unknown.
        """
        own_backbone: Callable[..., Backbone] = imported("featx.backbones.keras_model:own_backbone")
        return own_backbone(model, preprocess, layer, name)

    @classmethod
    def from_onnx(
        cls,
        path: str | os.PathLike[str],
        preprocess: PreprocessLike | None = None,
        layer: str | None = None,
        name: str | None = None,
    ) -> Backbone:
        """Use a network in an ONNX file.

        Parameters
        ----------
        path : str or path
            The file. Its network takes RGB pictures, (n, 3, size, size) or (n, size, size, 3).
        preprocess : str, tuple or callable, optional
            What its pixels go through first; by default what the JSON file beside it says,
            `preprocessor_config.json` as Hugging Face writes it, or the name of the file with
            `.json`. "caffe", "tf", "torch", "lite", "clip", "unit" (0 to
            1) or "none"; (mean, std) of each channel for pixels from 0 to 1, or (mean, std, scale)
            for pixels times `scale`, also as text, "0.5,0.5,0.5/0.2,0.2,0.2"; or a function from
            float32 RGB of shape (n, size, size, 3), 0 to 255, to what the network takes, with the
            channels last.
        layer : str, optional
            The layer to read, by the name of its operation or of a tensor that it gives; by
            default the output of the network. Of several outputs that is `image_embeds`, or else
            `last_hidden_state`, or else `pooler_output`.
        name : str, optional
            What to call it in recipes; by default the name of the file.

        Returns
        -------
        Backbone
            Its digest is that of the file, and of what a function `preprocess` does to a set of
            test pixels.

        Raises
        ------
        OptionError
            The network does not take one RGB picture, or `preprocess` is unknown.
        WeightsError
            There is no such file, or it holds no network.
        """
        backbone: Callable[..., Backbone] = imported("featx.backbones.network_file:file_backbone")
        return backbone(path, preprocess, layer, name)

    @classmethod
    def from_openvino(
        cls,
        model: openvino.Model | str | os.PathLike[str],
        preprocess: PreprocessLike | None = None,
        layer: str | None = None,
        name: str | None = None,
    ) -> Backbone:
        """Use a network in OpenVINO's form.

        Parameters
        ----------
        model : openvino.Model, str or path
            The network, or its file (.xml, with the .bin beside it).
        preprocess, layer, name
            As for `from_onnx`.

        Returns
        -------
        Backbone

        Raises
        ------
        OptionError
            The network does not take one RGB picture, or `preprocess` is unknown.
        WeightsError
            There is no such file, or it holds no network.
        """
        if isinstance(model, str | os.PathLike):
            return cls.from_onnx(model, preprocess, layer, name)
        backbone: Callable[..., Backbone] = imported("featx.backbones.network_file:model_backbone")
        return backbone(model, preprocess, layer, name)

    @classmethod
    def from_keras_hub(
        cls,
        name: str | os.PathLike[str],
        weights: str | os.PathLike[str] = "imagenet",
        preprocess: PreprocessLike | None = None,
        layer: str | None = None,
    ) -> Backbone:
        """Use a network of KerasHub, by the name of its preset.

        Parameters
        ----------
        name : str or path
            The name of a preset, such as "resnet_50_imagenet", a handle ("kaggle://...",
            "hf://..."), or the folder of a preset.
        weights : str or path, default="imagenet"
            "imagenet" for those of the preset, "random", a file (.weights.h5), or the folder of a
            preset.
        preprocess : str, tuple or callable, optional
            What its pixels go through first, as for `from_onnx`; by default what the preset says.
        layer : str, optional
            The layer to read; by default the last map or the tokens, and of networks that know
            pictures and texts, such as CLIP, the embedding of the picture.

        Returns
        -------
        Backbone
            Its digest covers the architecture and the weights. KerasHub is imported only where the
            network has to be built.

        Raises
        ------
        OptionError
            KerasHub is needed and not installed, the network does not take one RGB picture, or the
            preset does not say what pixels go through.
        UnknownBackboneError
            KerasHub has no such preset.
        WeightsError
            The preset or its weights are not there and cannot be fetched, or are no preset.
        """
        backbone: Callable[..., Backbone] = imported(
            "featx.backbones.keras_hub_network:hub_backbone"
        )
        return backbone(name, weights, preprocess, layer)

    @classmethod
    def from_timm(
        cls, name: str, weights: str | Path = "imagenet", *, layer: str | None = None
    ) -> Backbone:
        """Use a network of timm (PyTorch Image Models); the same as `load` with "timm:" before it.

        timm and PyTorch are imported the first time only; what they made is kept in the user's
        cache (FEATX_CACHE). Scaling and size of pictures are those that timm says.

        Parameters
        ----------
        name : str
            A name of `timm.list_models()`, such as "vit_small_patch14_dinov2", with or without a
            tag of weights.
        weights : str or path, default="imagenet"
            "imagenet" stands for the weights that timm publishes, whatever they were trained on;
            else "random", or a file (.safetensors, .pth).
        layer : str, optional
            The module to read, such as "blocks.5" or "stages.2"; by default what timm's
            `forward_features` gives.

        Returns
        -------
        Backbone

        Raises
        ------
        UnknownBackboneError
            timm has no network of this name.
        WeightsError
            The weights cannot be found, fetched or fitted to the network.
        OptionError
            timm is not installed, or cannot be imported.
        """
        return cls.load(f"timm:{name}", weights, layer=layer)

    @classmethod
    def from_torch(
        cls,
        module: torch.nn.Module,
        preprocess: PreprocessLike,
        input_size: int = 224,
        layer: str | None = None,
        name: str | None = None,
    ) -> Backbone:
        """Use a PyTorch network of your own.

        It is converted for OpenVINO, as it computes for inference (`module.eval()`), and itself
        left as it is.

        Parameters
        ----------
        module : torch.nn.Module
            A network that takes RGB pictures, (n, 3, input_size, input_size), float32.
        preprocess : str, tuple or callable
            What its pixels go through first, as for `from_onnx`.
        input_size : int, default=224
            Side of the pictures that it was made for, in pixels.
        layer : str, optional
            The module to read, by its name of `module.named_modules()`; by default the output of
            the network. Of several outputs that is `image_embeds`, or else `last_hidden_state`, or
            else `pooler_output`.
        name : str, optional
            What to call it in recipes; by default the name of its class.

        Returns
        -------
        Backbone
            Its digest covers the architecture, the weights, and what a function `preprocess` does
            to a set of test pixels. It is taken again whenever pictures are embedded, so that a
            network that was trained on gives its new features.

        Raises
        ------
        OptionError
            The network does not take such pictures or gives no tensor, or `preprocess` is unknown.
        """
        backbone: Callable[..., Backbone] = imported("featx.backbones.torch_module:own_backbone")
        return backbone(module, preprocess, input_size, layer, name)

    @property
    def is_pixels(self) -> bool:
        """Whether there is no network: pictures stand for themselves."""
        return self.kind == PIXELS

    @property
    def is_own(self) -> bool:
        """Whether it is a network of a user's own, which no file holds."""
        return self.source is not None and self.weights is None

    def current(self, known: str | None = None) -> Backbone:
        """Return the backbone with the digest of today: a network of one's own may have changed.

        `known` is the digest of a recipe, which may go by that of an earlier version of featx.
        """
        digests = self.source.digests() if self.source else (self.digest,)
        digest = known if known in digests else digests[0]
        return self if digest == self.digest else replace(self, digest=digest)

    def joins_poolings(self, layer: str | None) -> bool:
        """Whether one run of the network can give several poolings of a layer.

        Not where the network, read at its end, normalises after a pooling of its own.
        """
        return layer is not None or self.source is None or self.source.pools_freely

    def __deepcopy__(self, memo: dict[int, object]) -> Backbone:
        """Return itself, as it never changes: scikit-learn copies the parameters that it clones."""
        return self
