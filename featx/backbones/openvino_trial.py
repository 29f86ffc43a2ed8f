"""A trial of a network in OpenVINO's form: that it runs, and gives each picture its features."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from featx.backbones.framework import import_openvino
from featx.errors import ConversionError, get_logger, one_line

if TYPE_CHECKING:
    import openvino

TOLERANCE = 1e-3  # of the scale of the features, between one run and another

log = get_logger(__name__)


def tried(network: openvino.Model, name: str) -> openvino.Model:
    """Return a network that gives each picture its own features, which is tried on a few.

    One that was exported for one picture may mix up several without an error; it takes one at a
    time from here on. Raises a `ConversionError` if it cannot be run, or gives no features.
    """
    entry = network.input(0)
    size = entry.partial_shape[1].get_length()
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    pixels = pixels.astype(entry.get_element_type().to_dtype())
    try:
        run = _runner(network)
        alone = np.concatenate([run(pixels[[number]]) for number in (0, 1, 0)])
    except RuntimeError as error:
        raise ConversionError(f"{name} cannot be run: {one_line(error)}") from error
    if not np.isfinite(alone).all():
        raise ConversionError(f"{name} gives features that are no finite numbers")
    if not _alike(alone[2], alone[0]):
        raise ConversionError(
            f"{name} gives other features of the same picture each time: export it for inference, "
            "not for training"
        )
    if entry.partial_shape[0].is_dynamic:
        try:
            varies = _alike(run(pixels[:2]), alone[:2])
        except RuntimeError as error:
            log.info("%s takes one picture at a time: %s", name, one_line(error))
            varies = False
        if not varies:
            network.reshape([1, size, size, 3])
    return network


def computed(network: openvino.Model, pixels: np.ndarray) -> np.ndarray:
    """Run a network, as it stands, in float32."""
    return _runner(network)(pixels)


def _runner(network: openvino.Model) -> Callable[[np.ndarray], np.ndarray]:
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = import_openvino().Core().compile_model(network, "CPU", precise)
    return lambda pixels: compiled([pixels])[0]


def _alike(actual: np.ndarray, expected: np.ndarray) -> bool:
    difference = np.abs(actual - expected).max() / (np.abs(expected).max() or 1)
    return bool(difference < TOLERANCE)
