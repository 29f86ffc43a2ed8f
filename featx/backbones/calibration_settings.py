"""Settings of calibration: how the ranges of each network of the table are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CalibrationSettings:
    """How a network is calibrated.

    Attributes
    ----------
    preset : {"mixed", "performance"}
        Whether activations that can be negative have a range of their own on both sides, which is
        more exact, or a symmetric one.
    range_estimator : {"default", "minmax", "mean_minmax", "median_minmax", "mean_quantile", \
"histogram"}
        How a range comes from those of many pictures, as NNCF defines it.
    left_out : tuple of (str, int or None)
        Operations that stay float, by OpenVINO's kind and their order among those of that kind,
        from the input of the network on; None for all of the kind. ("Convolution", 0) is the first
        convolution.
    """

    preset: str = "mixed"
    range_estimator: str = "default"
    left_out: tuple[tuple[str, int | None], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {
            "preset": self.preset,
            "range_estimator": self.range_estimator,
            "left_out": [list(each) for each in self.left_out],
        }


_MINMAX = CalibrationSettings(range_estimator="minmax")

#: By the name of the network; others are calibrated by the defaults.
SETTINGS = {
    "resnet50": _MINMAX,
    "inception_v3": _MINMAX,
    "xception": CalibrationSettings(left_out=(("GroupConvolution", None),)),
    "efficientnet_lite0": CalibrationSettings(
        left_out=(("Convolution", 0), ("GroupConvolution", 0))
    ),
}


def settings_for(network: str) -> CalibrationSettings:
    """Return the settings of a network by its name."""
    return SETTINGS.get(network, CalibrationSettings())
