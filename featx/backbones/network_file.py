"""A network in a file, ONNX or OpenVINO's own, as a backbone."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_openvino
from featx.backbones.kinds import OPENVINO
from featx.backbones.openvino_network import channels_first
from featx.backbones.preprocessing import (
    Preprocessing,
    PreprocessLike,
    preprocessing_of,
    written_name,
)
from featx.backbones.processor import NAME, processor_beside
from featx.backbones.weights import Weights
from featx.errors import OptionError, WeightsError, one_line

if TYPE_CHECKING:
    import openvino

SUFFIXES = (".onnx", ".xml")
_USUAL_SIZE = 224  # px, for a network that takes pictures of any size


@dataclass(frozen=True)
class NetworkFile:
    """A network in a file, as `featx.backbones.backbone.OpenVINOSource` says.

    All are equal: the name and the digest of the backbone tell them apart.
    """

    path: Path = field(compare=False)
    digest: str = field(compare=False)
    pools_freely: bool = field(default=True, compare=False)
    prefix_tokens: int | None = field(default=None, compare=False)

    def model(self, input_size: int) -> openvino.Model:
        """Read the network; see `featx.backbones.backbone.OpenVINOSource`."""
        return _read(self.path)

    def digests(self) -> tuple[str, ...]:
        """Return the digest of the file; see `featx.backbones.backbone.OpenVINOSource`."""
        return (self.digest,)


@dataclass(frozen=True, eq=False)
class OpenVINOModel:
    """A network of a user's own, as `featx.backbones.backbone.OpenVINOSource` says."""

    given: openvino.Model
    digest: str
    pools_freely: bool = True
    prefix_tokens: int | None = None

    def model(self, input_size: int) -> openvino.Model:
        """Copy the network; see `featx.backbones.backbone.OpenVINOSource`."""
        return self.given.clone()

    def digests(self) -> tuple[str, ...]:
        """Return the digest of the network; see `featx.backbones.backbone.OpenVINOSource`."""
        return (self.digest,)


def load(
    name: str,
    weights: str | Path,
    layer: str | None,
    preprocess: PreprocessLike | None = None,
) -> Backbone:
    """Take a network by the path of its file; see `Backbone.load`."""
    path = Path(os.path.abspath(os.path.expanduser(name)))
    return _backbone_of_file(path, preprocess, layer, path.name)


def file_backbone(
    path: str | os.PathLike[str],
    preprocess: PreprocessLike | None,
    layer: str | None,
    name: str | None,
) -> Backbone:
    """Make a backbone of a file; see `Backbone.from_onnx`."""
    path = Path(os.path.abspath(os.path.expanduser(path)))
    return _backbone_of_file(path, preprocess, layer, name or path.name)


def model_backbone(
    model: openvino.Model, preprocess: PreprocessLike, layer: str | None, name: str | None
) -> Backbone:
    """Make a backbone of a network of a user's own; see `Backbone.from_openvino`."""
    function = preprocessing_of(preprocess)
    name = name or model.get_friendly_name()
    size, fixed = _size(model, name)
    digest = digest_with_function(_digest_of_model(model), function, size)
    return Backbone(
        name=name,
        digest=digest,
        input_size=size,
        min_size=size if fixed else 1,
        max_size=size if fixed else None,
        preprocessing=written_name(function),
        layer=layer,
        preprocess=function,
        kind=OPENVINO,
        source=OpenVINOModel(model.clone(), digest),
    )


def _backbone_of_file(
    path: Path, preprocess: PreprocessLike | None, layer: str | None, name: str
) -> Backbone:
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path} is no network: expected a file that ends in .onnx or .xml")
    if not path.is_file():
        raise WeightsError(f"no network at {path}: expected an ONNX file, or OpenVINO's .xml")
    processor = processor_beside(path) if preprocess is None else None
    if processor:
        preprocess = processor.preprocessing
    if preprocess is None:
        raise OptionError(
            f"{name} does not say what its pixels go through first, and has no {NAME} beside it: "
            "give preprocess, such as 'torch', 'clip', or the mean and the standard deviation of "
            "each channel, 0.5,0.5,0.5/0.2,0.2,0.2"
        )
    function = preprocessing_of(preprocess)
    size, fixed = _size(_read(path), name)
    if processor and processor.input_size and not fixed:
        size = processor.input_size
    digest = digest_with_function(_digest_of_file(path), function, size)
    return Backbone(
        name=name,
        digest=digest,
        input_size=size,
        min_size=size if fixed else 1,
        max_size=size if fixed else None,
        preprocessing=written_name(function),
        layer=layer,
        preprocess=function,
        kind=OPENVINO,
        source=NetworkFile(path, digest),
        weights=Weights(str(path), path, digest),
    )


def _read(path: Path) -> openvino.Model:
    try:
        return import_openvino().Core().read_model(path)
    except RuntimeError as error:
        raise WeightsError(f"cannot read the network {path}: {one_line(error)}") from error


def _size(model: openvino.Model, name: str) -> tuple[int, bool]:
    """Return the side of the pictures that a network is made for, and whether it takes no other."""
    shapes = [each.partial_shape for each in model.inputs]
    pictures = [shape for shape in shapes if shape.rank.is_static and len(shape) == 4]
    if len(pictures) != 1:
        raise OptionError(
            f"a backbone takes one RGB picture, input shape (n, 3, size, size): {name} has inputs "
            f"of shape {', '.join(map(str, shapes)) or 'none'}"
        )
    first = 2 if channels_first(pictures[0]) else 1
    sides = [pictures[0][axis] for axis in (first, first + 1)]
    if all(side.is_static for side in sides) and sides[0] != sides[1]:
        raise OptionError(f"a backbone takes square pictures: {name} has input {pictures[0]}")
    fixed = next((side.get_length() for side in sides if side.is_static), None)
    return fixed or _USUAL_SIZE, fixed is not None


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of_model(model: openvino.Model) -> str:
    """Digest the architecture and the weights, without names that vary with the session."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        import_openvino().serialize(model, path)
        text = re.sub(r' names?="[^"]*"', "", path.read_text().partition("</edges>")[0])
        digest = _digest_of_file(path.with_suffix(".bin"))
    return hashlib.sha256(f"{digest}\n{text}".encode()).hexdigest()


def digest_with_function(
    digest: str, preprocess: Callable[[np.ndarray], np.ndarray], size: int
) -> str:
    """Add what a function does to a fixed set of pixels, as it has no digest of its own."""
    if isinstance(preprocess, Preprocessing):
        return digest
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    prepared = np.ascontiguousarray(preprocess(pixels), dtype=np.float32)
    return hashlib.sha256(digest.encode() + prepared.tobytes()).hexdigest()
