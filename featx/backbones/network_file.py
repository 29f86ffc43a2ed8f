"""A network in a file, ONNX or OpenVINO's own, as a backbone."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx.backbones.backbone import Backbone, OpenVINOSource, Preprocess
from featx.backbones.framework import import_openvino
from featx.backbones.kinds import OPENVINO, is_network_file
from featx.backbones.network_header import Header, Shape, read_header
from featx.backbones.preprocessing import (
    Preprocessing,
    PreprocessLike,
    preprocessing_of,
    written_name,
)
from featx.backbones.processor import NAME, processor_beside
from featx.backbones.weights import Weights, file_digest
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
    digest: str = field(compare=False)  # of the files alone
    preprocess: Preprocess = field(compare=False)
    input_size: int = field(compare=False)
    pools_freely: bool = field(default=True, compare=False)
    prefix_tokens: int | None = field(default=None, compare=False)

    @property
    def files(self) -> list[Path]:
        """The file, and those beside it that hold weights."""
        return [self.path, *(self.path.with_name(each) for each in read_header(self.path).beside)]

    def model(self, input_size: int) -> openvino.Model:
        """Read the network; see `featx.backbones.backbone.OpenVINOSource`.

        A damaged file may end the process: it is read in one of its own, as
        `featx.backbones.network_child` does.
        """
        header = read_header(self.path)
        if digest_of_files(self.path, header) != self.digest:
            raise WeightsError(
                f"{self.path} was replaced by another file after it was loaded: load it again"
            )
        core = import_openvino().Core()
        try:
            if self.path.suffix.lower() == ".xml":
                return core.read_model(self.path)
            reader = importlib.import_module("openvino.frontend").FrontEndManager()
            onnx = reader.load_by_framework("onnx")  # no other is to try its luck with it
            with _side_by_side(self.files) as path:
                model: openvino.Model = onnx.convert(onnx.load(str(path)))
            return model
        except Exception as error:  # of many types, as the readers have their own
            raise WeightsError(f"cannot read the network {self.path}: {one_line(error)}") from error

    def digests(self) -> tuple[str, ...]:
        """Return the digest of the file now; see `featx.backbones.backbone.OpenVINOSource`."""
        digest = digest_of_files(self.path, read_header(self.path))
        return (digest_with_function(digest, self.preprocess, self.input_size),)


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


@contextmanager
def _side_by_side(files: Sequence[Path]) -> Iterator[Path]:
    """Give the first of some files, beside the others.

    OpenVINO reads no weights that a link leads to elsewhere, as those in the cache of a hub do.
    """
    if not any(each.is_symlink() for each in files[1:]):
        yield files[0]
        return
    with tempfile.TemporaryDirectory(prefix="featx-", ignore_cleanup_errors=True) as folder:
        for each in files:
            target = Path(folder) / each.name
            try:
                os.link(each.resolve(), target)
            except OSError:  # another file system
                shutil.copyfile(each, target)
        yield Path(folder) / files[0].name


def load(
    name: str,
    weights: str | Path,
    layer: str | None,
    preprocess: PreprocessLike | None = None,
) -> Backbone:
    """Take a network by the path of its file; see `Backbone.load`."""
    path = Path(os.path.abspath(os.path.expanduser(name)))
    if is_network_file(str(weights)):
        raise OptionError(
            f"{path.name} has its weights in the file: leave weights={str(weights)!r} out, or give "
            "that file in place of the network"
        )
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
    model: openvino.Model, preprocess: PreprocessLike | None, layer: str | None, name: str | None
) -> Backbone:
    """Make a backbone of a network of a user's own; see `Backbone.from_openvino`."""
    if not isinstance(model, import_openvino().Model):
        raise OptionError(
            f"a {type(model).__name__} is no network in OpenVINO's form: expected an "
            "openvino.Model, or the path of an .xml"
        )
    if preprocess is None:
        raise _unsaid(name or model.get_friendly_name())
    function = preprocessing_of(preprocess)
    name = name or model.get_friendly_name()
    shapes = [each.partial_shape for each in model.inputs]
    size, fixed = _size([_sides(shape) for shape in shapes if shape.rank.is_static], name)
    digest = digest_with_function(_digest_of_model(model), function, size)
    source = OpenVINOModel(model.clone(), digest)
    return _backbone(name, digest, (size, fixed), function, layer, source)


def _backbone_of_file(
    path: Path, preprocess: PreprocessLike | None, layer: str | None, name: str
) -> Backbone:
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path} is no network: expected a file that ends in .onnx or .xml")
    if not os.path.isfile(path):
        raise WeightsError(f"no network at {path}: expected an ONNX file, or OpenVINO's .xml")
    processor = processor_beside(path) if preprocess is None else None
    if processor:
        preprocess = processor.preprocessing
    if preprocess is None:
        raise _unsaid(name, f", and has no {NAME} beside it")
    function = preprocessing_of(preprocess)
    header = read_header(path)
    size, fixed = _size(list(header.inputs.values()), name)
    if processor and processor.input_size and not fixed:
        size = processor.input_size
    files = digest_of_files(path, header)
    digest = digest_with_function(files, function, size)
    source = NetworkFile(path, files, function, size)
    made = _backbone(name, digest, (size, fixed), function, layer, source)
    return replace(made, weights=Weights(str(path), path, digest))


def _backbone(
    name: str,
    digest: str,
    sides: tuple[int, bool],
    function: Preprocess,
    layer: str | None,
    source: OpenVINOSource,
) -> Backbone:
    """Make a backbone for pictures of a size, which may be the only one that it takes."""
    size, fixed = sides
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
        source=source,
    )


def _unsaid(name: str, more: str = "") -> OptionError:
    return OptionError(
        f"{name} does not say what its pixels go through first{more}: give preprocess, such as "
        "'torch', 'clip', or the mean and the standard deviation of each channel, "
        "0.5,0.5,0.5/0.2,0.2,0.2"
    )


def _size(inputs: Sequence[Shape], name: str) -> tuple[int, bool]:
    """Return the side of the pictures that a network is made for, and whether it takes no other."""
    pictures = [shape for shape in inputs if len(shape) == 4 and {shape[1], shape[3]} & {3, None}]
    if len(pictures) != 1:
        shapes = ", ".join(map(_written_shape, inputs)) or "none"
        raise OptionError(
            f"a backbone takes one RGB picture, input shape (n, 3, size, size): {name} has inputs "
            f"of shape {shapes}"
        )
    (shape,) = pictures
    rows, columns = shape[1:3] if shape[3] == 3 and shape[1] != 3 else shape[2:4]
    if None not in (rows, columns) and rows != columns:
        raise OptionError(
            f"a backbone takes square pictures: {name} has input {_written_shape(shape)}"
        )
    fixed = rows or columns
    return fixed or _USUAL_SIZE, fixed is not None


def _written_shape(shape: Shape) -> str:
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"


def _sides(shape: openvino.PartialShape) -> Shape:
    return tuple(None if side.is_dynamic else side.get_length() for side in shape)


def digest_of_files(path: Path, header: Header) -> str:
    """Return the digest of a network in a file: SHA-256 of it, or of those of all its files."""
    digest = file_digest(path)
    if not header.beside:
        return digest
    parts = [digest, *(f"{name} {file_digest(path.with_name(name))}" for name in header.beside)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _digest_of_model(model: openvino.Model) -> str:
    """Digest the architecture and the weights, without names that vary with the session."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        import_openvino().serialize(model, path)
        text = re.sub(r' names?="[^"]*"', "", path.read_text().partition("</edges>")[0])
        digest = file_digest(path.with_suffix(".bin"))
    return hashlib.sha256(f"{digest}\n{text}".encode()).hexdigest()


def digest_with_function(digest: str, preprocess: Preprocess, size: int) -> str:
    """Add to a digest what a function does to a set of pixels, as it has no digest of its own."""
    if isinstance(preprocess, Preprocessing):
        return digest
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    prepared = np.ascontiguousarray(preprocess(pixels), dtype=np.float32)
    return hashlib.sha256(digest.encode() + prepared.tobytes()).hexdigest()
