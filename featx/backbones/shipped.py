"""Calibrations that come with featx: of networks whose weights are known, measured once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration

FOLDER = Path(__file__).with_name("calibrations")
SUFFIX = ".calibration"  # behind the name of the network


def shipped_calibration(
    backbone: Backbone, layer: str | None, input_size: int
) -> Calibration | None:
    """Return the calibration that featx has for a network, of these very weights; None for none."""
    for path in FOLDER.glob(f"*{SUFFIX}"):
        if path.stem == backbone.name and fits(_read(path), backbone, layer, input_size):
            return _read(path)
    return None


def fits(calibration: Calibration, backbone: Backbone, layer: str | None, input_size: int) -> bool:
    """Whether a calibration is of a network, read at a layer, for pictures of a size."""
    measured = calibration.weights, calibration.layer, calibration.input_size
    return measured == (backbone.digest, layer, input_size)


@cache
def _read(path: Path) -> Calibration:
    return Calibration.from_bytes(path.read_bytes())
