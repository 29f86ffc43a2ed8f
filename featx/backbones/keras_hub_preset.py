"""Presets of KerasHub: the folders it publishes networks in, read without KerasHub or Keras.

A preset is a folder of `config.json` (the architecture), `model.weights.h5`, and
`image_converter.json` (what pixels go through first, and their number).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.backbones.preprocessing import PreprocessLike
from featx.backbones.weights import file_digest
from featx.errors import OptionError, WeightsError
from featx.text import shortened

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
CONVERTERS = ("image_converter.json", "preprocessor.json")
_MOST_BYTES = 1 << 20  # of a file of settings
_USUAL_SIZE = 224  # px, where nothing says it
# What builds a network: classes of KerasHub, and the number formats of layers. Keras itself refuses
# other packages; this list refuses layers that run Python, such as Lambda, and whole models too.
_BUILDS = re.compile(
    r"keras_hub\.src\.models\.\w+\.\w+ \w+(Backbone|Encoder)"
    r"|keras(\.dtype_policies|\.src\.dtype_policies\.dtype_policy)? (DTypePolicy|FloatDTypePolicy)"
)
_ONE_SIZE = ("ViT", "DeiT", "SwinTransformer", "CLIP", "MetaCLIP2", "SigLIP")
_SESSION = ("name", "trainable", "dtype")  # of a layer's settings, what changes no feature


@dataclass(frozen=True)
class Preset:
    """What a folder says of a network.

    Attributes
    ----------
    folder : Path
        Where it lies.
    network : str
        The class of the network without "Backbone", such as "ResNet".
    config : mapping
        Its settings.
    input_size : int
        Side of the pictures that it was made for, in pixels.
    scaling : tuple or None
        What its pixels go through first, as `preprocess=` takes it; None where nothing says it.
    """

    folder: Path
    network: str
    config: Mapping[str, Any]
    input_size: int
    scaling: PreprocessLike | None

    @property
    def weights(self) -> Path:
        """The file of its weights."""
        return self.folder / WEIGHTS

    @property
    def takes_one_size(self) -> bool:
        """Whether it takes pictures of its own size only: its positions are counted."""
        return self.network in _ONE_SIZE

    @property
    def prefix_tokens(self) -> int | None:
        """How many tokens stand before those of patches; None where there are no tokens."""
        match self.network:
            case "ViT":
                return int(self.config.get("use_class_token", True))
            case "DeiT":
                return 2  # the second one learned from a teacher
            case "DINOV2" | "DINOV3":
                return 1 + int(self.config.get("num_register_tokens", 0))
            case "CLIP" | "MetaCLIP2":
                return 1
            case "SigLIP" | "SwinTransformer":
                return 0
        return None

    def digest(self, weights: str) -> str:
        """Digest the architecture and the weights, which have a digest of their own."""
        text = json.dumps([self.network, _lasting(self.config)], sort_keys=True)
        return hashlib.sha256(f"{text} {weights}".encode()).hexdigest()

    def weights_digest(self) -> str:
        """Return the digest of the file of weights; `WeightsError` where there is none."""
        if not self.weights.is_file():
            raise WeightsError(
                f"{self.folder} has no weights: expected {WEIGHTS} beside {CONFIG}, or a file of "
                "them as weights="
            )
        return file_digest(self.weights)


def is_preset(folder: Path) -> bool:
    """Whether a folder may be a preset."""
    return os.path.isfile(folder / CONFIG)


def read_preset(folder: Path) -> Preset:
    """Read what a folder says of its network.

    Raises
    ------
    OptionError
        The network takes no pictures.
    WeightsError
        The folder is no preset, or asks for what no network of KerasHub needs.
    """
    about = _read(folder / CONFIG)
    network, config = _architecture(folder, about)
    converter = _converter(folder)
    shape = config.get("image_shape") or _settings(config.get("vision_encoder")).get("image_shape")
    if shape is None and "vocabulary_size" in config:
        raise OptionError(f"{folder} holds a network that takes text ({network}), no pictures")
    size = _side(folder, converter.get("image_size")) if converter else None
    return Preset(
        folder=folder,
        network=network,
        config=config,
        input_size=size or _side(folder, shape) or _USUAL_SIZE,
        scaling=None if converter is None else _scaling(folder, converter),
    )


def _read(path: Path) -> dict[str, Any]:
    """Read a file of settings."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError("it is too large")
        about = json.loads(data)
        if not isinstance(about, dict):
            raise ValueError("it holds no settings")
        return about
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or shortened(error, 80)
        raise WeightsError(
            f"cannot read {path} as part of a preset of KerasHub: {reason}"
        ) from error


def _architecture(folder: Path, about: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the class of a network without "Backbone", and its settings, once they are safe."""
    kind = about.get("class_name")
    if "registered_name" not in about or not isinstance(kind, str) or not kind.endswith("Backbone"):
        other = "timm:NAME" if "architecture" in about else "a folder that KerasHub saved"
        raise WeightsError(f"{folder} holds no backbone of KerasHub: expected {other}")
    for each in _built(about):
        if not _BUILDS.fullmatch(each):
            raise WeightsError(
                f"{folder} is refused: its network would be built with {shortened(each, 80)!r}, "
                "which no network of KerasHub needs"
            )
    return kind.removesuffix("Backbone"), _settings(about)


def _built(value: Any) -> Iterator[str]:
    """Give the module and class of everything that Keras would build of settings."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value or "module" in value:
                yield f"{value.get('module')} {value.get('class_name')}"
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _settings(about: Any) -> dict[str, Any]:
    config = about.get("config") if isinstance(about, dict) else None
    return config if isinstance(config, dict) else {}


def _lasting(value: Any) -> Any:
    """Leave out of settings what changes no feature."""
    if isinstance(value, dict):
        return {name: _lasting(each) for name, each in value.items() if name not in _SESSION}
    return [_lasting(each) for each in value] if isinstance(value, list) else value


def _converter(folder: Path) -> dict[str, Any] | None:
    """Return the settings of what prepares pictures; None where the folder does not say."""
    path = next((folder / name for name in CONVERTERS if (folder / name).is_file()), None)
    if path is None:
        return None
    config = _settings(_read(path))
    return _settings(config["image_converter"]) if "image_converter" in config else config


def _side(folder: Path, shape: Any) -> int | None:
    """Return the side of pictures of a shape, (height, width) or more; None where it is open."""
    if not shape or shape[0] is None:
        return None
    height, width, *_ = shape
    if not isinstance(height, int) or not 0 < height < 1 << 15:
        raise WeightsError(f"{folder} says that pictures have a side of {shortened(height)} pixels")
    if height != width:
        raise OptionError(f"a backbone takes square pictures: {folder} has {height} x {width}")
    return height


def _scaling(folder: Path, converter: Mapping[str, Any]) -> PreprocessLike:
    """Return (mean, std) of pixels from 0 to 1 that do what pixel * scale + offset does."""
    try:
        scale = _channels(converter.get("scale"), 1.0)
        offset = _channels(converter.get("offset"), 0.0)
        if "variance" in converter and "mean" in converter:  # as presets once were
            std = [math.sqrt(each) for each in _channels(converter["variance"], 1.0)]
            offset = [-m / s for m, s in zip(_channels(converter["mean"], 0.0), std, strict=True)]
            scale = [a / s for a, s in zip(scale, std, strict=True)]
        stds = [1 / (255 * each) for each in scale]
        means = [-shift * each for shift, each in zip(offset, stds, strict=True)]
        if not all(map(math.isfinite, (*means, *stds))) or min(stds) <= 0:
            raise ValueError("numbers that scale nothing")
    except (TypeError, ValueError, ArithmeticError) as error:
        raise WeightsError(f"{folder} says no sensible scaling of pixels") from error
    return tuple(map(_short, means)), tuple(map(_short, stds))


def _channels(value: Any, usual: float) -> list[float]:
    """Return a number for each channel, of one for all or three."""
    numbers = [usual if value is None else value] * 3 if not isinstance(value, list) else value
    if len(numbers) != 3:
        raise ValueError("not one number or three")
    return [float(each) for each in numbers]


def _short(number: float) -> float:
    """Round away what arithmetic adds to a number that somebody wrote: 0.485, not 0.48499999."""
    return float(f"{number:.9g}") + 0.0
