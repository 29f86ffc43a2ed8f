"""Quantization of exported files to int8, on pictures.

The head stays float, but in LiteRT files, whose converter leaves nothing out: its roots and
discriminants are a few numbers, and rounding them costs accuracy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.engines.engine import EngineRequest
from featx.backbones.engines.quantization import calibrate, import_nncf, quiet_nncf
from featx.backbones.framework import import_keras
from featx.errors import ConversionError, one_line
from featx.export.held import Held
from featx.export.original import Original
from featx.export.whole import Part
from featx.features.store.calibrations import known_calibration
from featx.files import cache_folder
from featx.text import count, percent

if TYPE_CHECKING:
    import onnx

_OF_HEAD = re.compile(r"(^|/)head(_\d+)?/")  # names of the operations behind the networks


@dataclass(frozen=True)
class Int8Comparison:
    """How a file in int8 differs from the model in float32, on pictures held out of calibration.

    Attributes
    ----------
    n : int
        How many pictures.
    agreement : float
        Share of the pictures that get the same label.
    largest, mean : float
        Difference of the probabilities.
    n_known : int
        Pictures whose true class is known.
    accuracy, accuracy_float : float or None
        Of the file and of the model, on these; None where there are none.
    """

    n: int
    agreement: float
    largest: float
    mean: float
    n_known: int = 0
    accuracy: float | None = None
    accuracy_float: float | None = None

    @classmethod
    def of(
        cls, actual: np.ndarray, expected: np.ndarray, truth: np.ndarray | None
    ) -> Int8Comparison:
        """Compare probabilities of shape (n, n_classes); `truth` is that of `Held`."""
        labels, others = actual.argmax(axis=1), expected.argmax(axis=1)
        difference = np.abs(actual - expected)
        found = cls(
            len(actual),
            float((labels == others).mean()),
            float(difference.max()),
            float(difference.mean()),
        )
        known = None if truth is None else truth >= 0
        if known is None or not known.any():
            return found
        return cls(
            **{
                **asdict(found),
                "n_known": int(known.sum()),
                "accuracy": float((labels == truth)[known].mean()),
                "accuracy_float": float((others == truth)[known].mean()),
            }
        )

    def __str__(self) -> str:
        text = (
            f"int8: {percent(self.agreement)} of {count(self.n, 'picture')} held out get the label "
            f"that float32 gives; probabilities differ by {self.mean:.4f} on average, by "
            f"{self.largest:.3f} at most"
        )
        if self.accuracy is None or self.accuracy_float is None:
            return text
        return (
            f"{text}; accuracy on {self.n_known} of them {percent(self.accuracy)}, in float32 "
            f"{percent(self.accuracy_float)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def quantized_onnx(model: onnx.ModelProto, pictures: Held) -> onnx.ModelProto:
    """Quantize an ONNX model by NNCF.

    Raises
    ------
    OptionError
        NNCF is not installed.
    ConversionError
        It cannot quantize the model.
    """
    nncf = import_nncf()
    floats = [node.name for node in model.graph.node if _OF_HEAD.search(node.name)]
    try:
        with quiet_nncf():
            quantized: onnx.ModelProto = nncf.quantize(
                model,
                nncf.Dataset(list(pictures.batches())),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(pictures),
                ignored_scope=nncf.IgnoredScope(names=floats),
            )
    except Exception as error:  # whatever NNCF meets in a network of the user's own
        raise ConversionError(f"the network cannot be quantized: {one_line(error)}") from error
    return quantized


def calibrated_parts(original: Original, pictures: Held) -> list[Part]:
    """Give each network of a model its calibration: its own, one that is known, or a new one.

    Raises
    ------
    OptionError
        One has to be measured, and NNCF is not installed.
    ConversionError
        A network cannot be quantized.
    """
    cache = cache_folder(original.cache)
    pixels = {original.inputs[name]: each for name, each in pictures.pixels.items()}
    parts = []
    for (backbone, part), own in zip(
        original.exported.of_view(0), original.request.backbones, strict=True
    ):
        calibration = own.calibration
        if calibration is None and not backbone.is_pixels:
            int8 = replace(part, cut=replace(part.cut, precision="int8"))
            calibration = known_calibration(cache, backbone, int8)
        if calibration is None and not backbone.is_pixels:
            size = part.square.size
            request = EngineRequest(backbone, part.cut, (part.cut.pooling,), size, cache)
            calibration = calibrate(request, pixels[part.square])
        parts.append((replace(backbone, calibration=calibration), part))
    return parts


def litert_settings(pictures: Held) -> dict[str, Any]:
    """Return what LiteRT's converter takes to quantize a model."""
    import_keras()  # starts TensorFlow without what it prints
    import tensorflow

    def dataset() -> Iterator[Any]:
        yield from (list(batch.values()) for batch in pictures.batches())

    found: dict[str, Any] = {
        "optimizations": [tensorflow.lite.Optimize.DEFAULT],
        "representative_dataset": dataset,
    }
    return found
