"""Quantization of networks to int8: measured once with NNCF, done without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx.backbones.calibration import Calibration
from featx.backbones.engines.engine import EngineRequest

if TYPE_CHECKING:
    import openvino


def calibrate(request: EngineRequest, pictures: np.ndarray) -> Calibration:
    """Measure on pictures what quantizes a network; the same pictures give the same numbers.

    It holds for every pooling: the network is quantized up to the layer that is read.

    Parameters
    ----------
    request : EngineRequest
        The network and its layer; poolings, precision and batch size play no part.
    pictures : ndarray of shape (n, size, size, 3), uint8
        RGB, 0 to 255, as the network will see them.

    Raises
    ------
    OptionError
        NNCF is not installed.
    ConversionError
        The network cannot be converted or quantized.
    """
    raise NotImplementedError


def quantized(network: openvino.Model, calibration: Calibration) -> openvino.Model:
    """Quantize a network by what was measured, without NNCF.

    Parameters
    ----------
    network : openvino.Model
        A converted float network; it stays as it is.

    Raises
    ------
    ConversionError
        The calibration is one of another network.
    """
    raise NotImplementedError
