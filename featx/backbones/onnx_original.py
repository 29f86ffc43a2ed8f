"""The original of a converted ONNX network, run by ONNX Runtime where that is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.openvino_network import network_up_to
from featx.backbones.openvino_trial import computed
from featx.errors import ConversionError, get_logger, one_line

# Networks in 8 bits are rounded in another order by each; a mistake is far below.
_LEAST_COSINE = 0.99

log = get_logger(__name__)


def check_original(backbone: Backbone, path: Path, layer: str | None, input_size: int) -> None:
    """Check that a network gives in OpenVINO's form what it gives on ONNX Runtime.

    Nothing is checked where that is not installed or does not run it, or where a layer within the
    network is read. Raises a `ConversionError` if the outputs differ.
    """
    if path.suffix.lower() != ".onnx" or find_spec("onnxruntime") is None:
        return
    network = network_up_to(backbone, layer, input_size)
    shape = tuple(network.input(0).shape)
    pictures = np.random.default_rng(0).normal(size=shape)
    pictures = pictures.astype(network.input(0).get_element_type().to_dtype())
    names = network.output(0).get_names()
    try:
        expected = _computed_by_runtime(path, names, pictures)
    except Exception as error:  # whatever it does not know
        log.info("ONNX Runtime does not run %s: %s", path, one_line(error))
        return
    if expected is None:
        return
    actual = computed(network, pictures).ravel().astype(np.float64)
    lengths = np.linalg.norm(actual) * np.linalg.norm(expected)
    cosine = float(actual @ expected / (lengths or 1))
    if lengths and cosine < _LEAST_COSINE:
        raise ConversionError(
            f"{backbone.name} gives other features on OpenVINO than on ONNX Runtime (cosine "
            f"{cosine:.3f}): export it again, with another opset"
        )


def _computed_by_runtime(path: Path, names: set[str], pictures: np.ndarray) -> np.ndarray | None:
    """Run a network for its output of one of these names; None where it has none."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found = [each.name for each in session.get_outputs() if each.name in names]
    (entry,) = session.get_inputs()
    if not found:
        return None
    return np.asarray(session.run(found[:1], {entry.name: pictures})[0], np.float64).ravel()
