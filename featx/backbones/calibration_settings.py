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
        from the input of the network on; None for all of the kind. ("Convolution", 0)
        is the first convolution. What a network does not have is passed over: it may be cut before.
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


_DEPTHWISE = "GroupConvolution"  # OpenVINO's name for it


def _lite(first: int, count: int) -> CalibrationSettings:
    """Leave the first layers of an EfficientNet-Lite float, and its last depthwise convolutions.

    The first sees few channels, of very different ranges. The last, of the stages 5 to 7, decide
    how photographs fare that are unlike those calibrated on, and are small.
    """
    depthwise = (0, *range(first, count))
    return CalibrationSettings(
        range_estimator="minmax",
        left_out=(("Convolution", 0), *((_DEPTHWISE, order) for order in depthwise)),
    )


#: Of networks that are not named below: the most careful.
DEFAULTS = CalibrationSettings(left_out=((_DEPTHWISE, None),))

# The largest activations of all pictures: the mean over pictures cuts those of objects on white.
_MINMAX = CalibrationSettings(range_estimator="minmax")

#: By the name of the network, as measured by `docs/make_calibrations.py`.
SETTINGS = {
    **dict.fromkeys(("resnet50", "inception_v3", "vgg16", "vgg19"), _MINMAX),
    "xception": DEFAULTS,  # with minmax, white backgrounds would leave few steps to the rest
    "efficientnet_lite0": _lite(8, 16),
    "efficientnet_lite1": _lite(11, 21),
    "efficientnet_lite2": _lite(11, 21),
}


def settings_for(network: str) -> CalibrationSettings:
    """Return the settings of a network by its name."""
    return SETTINGS.get(network, DEFAULTS)
