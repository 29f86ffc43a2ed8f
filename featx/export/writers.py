"""The writers of exported files, one a format: of the networks of a model and its pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from featx.errors import OptionError
from featx.export.head import keras_head
from featx.export.held import Held
from featx.export.litert_file import write_litert
from featx.export.onnx_file import onnx_of, write_onnx
from featx.export.onnx_network import is_onnx_network, onnx_with_head
from featx.export.openvino_file import openvino_whole, write_openvino
from featx.export.original import Original
from featx.export.quantization import calibrated_parts, litert_settings, quantized_onnx
from featx.export.whole import are_keras, keras_whole
from featx.files import cache_folder
from featx.text import listed

if TYPE_CHECKING:
    import keras
    import onnx


def onnx_writer(original: Original, path: Path, pictures: Held | None) -> None:
    """Write an ONNX file, in int8 where there are pictures to calibrate on."""
    model = _onnx_model(original)
    write_onnx(quantized_onnx(model, pictures) if pictures else model, path)


def openvino_writer(original: Original, path: Path, pictures: Held | None) -> None:
    """Write a file of OpenVINO, in int8 where there are pictures to calibrate on."""
    parts = original.exported.of_view(0)
    if pictures:
        parts = calibrated_parts(original, pictures)
    cache = cache_folder(original.cache)
    model = openvino_whole(parts, original.pipeline, original.temperature, cache)
    write_openvino(model, path)


def litert_writer(original: Original, path: Path, pictures: Held | None) -> None:
    """Write a LiteRT file, in int8 where there are pictures to calibrate on."""
    settings = litert_settings(pictures) if pictures else {}
    write_litert(_keras_model(original), path, **settings)


def keras_writer(original: Original, path: Path, pictures: Held | None) -> None:
    """Write a Keras file."""
    _keras_model(original).save(path)


def _keras_model(original: Original) -> keras.Model:
    return keras_whole(original.exported.of_view(0), original.pipeline, original.temperature)


def _onnx_model(original: Original) -> onnx.ModelProto:
    parts = original.exported.of_view(0)
    if are_keras(parts):
        return onnx_of(_keras_model(original))
    (backbone, part), *others = parts
    if others or not is_onnx_network(backbone):
        names = listed([each.name for each, _ in parts])
        raise OptionError(
            f"{names} cannot be exported to ONNX: expected networks of Keras, or one in an ONNX "
            "file; export to openvino (.xml)"
        )
    head = keras_head(original.pipeline, original.columns, original.temperature)
    return onnx_with_head(backbone, part.cut, part.square.size, head)
