"""Calibrations that come with featx: of networks whose weights are known, measured once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration
from featx.backbones.table import BACKBONES
from featx.backbones.weights import is_published

FOLDER = Path(__file__).with_name("calibrations")
SUFFIX = ".calibration"  # behind the name of the network

#: Measured with weights of another training, or scaled otherwise, than those that are published.
_OF_OTHER_WEIGHTS = ("inception_v3", "vgg19")


def shipped_calibration(
    backbone: Backbone, layer: str | None, input_size: int
) -> Calibration | None:
    """Return the calibration that featx has for a network with these weights; None for none."""
    for path in FOLDER.glob(f"*{SUFFIX}"):
        if path.stem == backbone.name:
            known = _read(path)
            same = (known.layer, known.input_size) == (layer, input_size)
            of_weights = known.weights == backbone.digest or _is_published(backbone)
            return known if same and of_weights else None
    return None


def _is_published(backbone: Backbone) -> bool:
    """Whether the weights are those that all have, in whichever of the two files of them.

    One has the weights of the classifier, too, and so another digest.
    """
    spec, weights = BACKBONES.get(backbone.name), backbone.weights
    if spec is None or weights is None or weights.path is None or weights.rescaled:
        return False
    if backbone.name in _OF_OTHER_WEIGHTS:
        return False
    return is_published(spec, weights.path)


def fits(calibration: Calibration, backbone: Backbone, layer: str | None, input_size: int) -> bool:
    """Whether a calibration is of a network, read at a layer, for pictures of a size."""
    measured = calibration.weights, calibration.layer, calibration.input_size
    return measured == (backbone.digest, layer, input_size)


@cache
def _read(path: Path) -> Calibration:
    return Calibration.from_bytes(path.read_bytes())
