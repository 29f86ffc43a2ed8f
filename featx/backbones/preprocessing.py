"""Preprocessing of pixels by each family of networks, as numbers that an engine can fold in.

The modes "caffe", "tf" and "torch" are those of `keras.applications.imagenet_utils`; "none" is
for networks that hold their own preprocessing, "lite" is that of EfficientNet-Lite, "clip" that of
CLIP, and "unit" brings pixels to 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from featx.errors import OptionError
from featx.text import shortened

PREPROCESSING_VERSION = 1  # raise it where a change below changes a value


@dataclass(frozen=True)
class Preprocessing:
    """A linear scaling of each channel: (channel - mean) / scale."""

    name: str
    bgr: bool  # whether the channels are turned around, before all else
    mean: tuple[float, float, float]  # of each channel that comes out, in 0 to 255
    scale: tuple[float, float, float]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Scale RGB images, 0 to 255, of shape (..., 3): a fresh float32 array of that shape.

        Its channels are in the network's order.
        """
        images = np.asarray(images)
        if images.shape[-1:] != (3,):
            raise OptionError(
                f"images have shape {images.shape}: expected (n, height, width, 3), RGB"
            )
        scaled = images[..., :: -1 if self.bgr else 1].astype(np.float32, order="C")
        scaled -= np.asarray(self.mean, np.float32)
        scaled /= np.asarray(self.scale, np.float32)
        return scaled


PREPROCESSINGS = {
    each.name: each
    for each in (
        Preprocessing("caffe", True, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
        Preprocessing("tf", False, (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
        Preprocessing("torch", False, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        Preprocessing("none", False, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        Preprocessing("lite", False, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
        Preprocessing(
            "clip",
            False,
            (122.7709383, 116.7460125, 104.09373615),
            (68.5005327, 66.6321579, 70.32316305),
        ),
        Preprocessing("unit", False, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    )
}
_PER_LEVEL = 1 / 255  # what brings pixels to 0 to 1, before mean and std count

#: What `preprocess=` takes: a name, numbers as text or as (mean, std[, scale]), or a function.
PreprocessLike = (
    str
    | tuple[Sequence[float] | float, Sequence[float] | float]
    | tuple[Sequence[float] | float, Sequence[float] | float, float]
    | Callable[[np.ndarray], np.ndarray]
)


def preprocessing_of(given: PreprocessLike) -> Callable[[np.ndarray], np.ndarray]:
    """Return the scaling of pixels that a user asks for.

    Parameters
    ----------
    given : str, tuple or callable
        A name of `PREPROCESSINGS`; (mean, std) or (mean, std, scale), which mean
        (scale * pixel - mean) / std for each channel, with scale 1/255 where it is left out; the
        same as text, "0.5,0.5,0.5/0.2,0.2,0.2" or "0.5/0.2"; or a function, which is returned.

    Raises
    ------
    OptionError
        It is none of these.
    """
    if isinstance(given, Preprocessing) or callable(given):
        return given
    try:
        if isinstance(given, str):
            if given in PREPROCESSINGS:
                return PREPROCESSINGS[given]
            mean, std, *scale = (part.split(",") for part in given.split("/"))
            return _of_numbers(_numbers(mean), _numbers(std), *(each for (each,) in scale))
        mean, std, *scale = cast(tuple[Any, ...], given)
        return _of_numbers(_numbers(mean), _numbers(std), *scale)
    except (TypeError, ValueError, OverflowError):
        raise OptionError(
            f"preprocess {shortened(repr(given), 60)}: expected one of "
            f"{', '.join(PREPROCESSINGS)}; or the mean and the standard deviation of each channel "
            "of pixels from 0 to 1, such as 0.485,0.456,0.406/0.229,0.224,0.225"
        ) from None


def written_name(preprocess: Callable[[np.ndarray], np.ndarray]) -> str:
    """Return what a recipe says of a scaling: its name or numbers with the version, or "custom"."""
    if isinstance(preprocess, Preprocessing):
        return f"{preprocess.name}/{PREPROCESSING_VERSION}"
    return "custom"


def preprocessing_in(written: str) -> Preprocessing | None:
    """Return the scaling that `written_name` wrote; None for a function of a user's own.

    Raises `OptionError` if it is that of another version.
    """
    name, _, version = written.rpartition("/")
    if not name:
        return None
    known = preprocessing_of(name) if version == str(PREPROCESSING_VERSION) else None
    if not isinstance(known, Preprocessing):
        raise OptionError(
            f"preprocessing {shortened(repr(written), 60)} of a recipe: expected one of version "
            f"{PREPROCESSING_VERSION}; update featx"
        )
    return known


def _numbers(given: Any) -> tuple[float, ...]:
    """Return numbers of one or three channels, which may be text."""
    values = (given,) if isinstance(given, int | float | str) else tuple(given)
    numbers = tuple(float(each) for each in values)
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        raise ValueError("numbers of one or three channels")
    return numbers


def _of_numbers(
    mean: tuple[float, ...], std: tuple[float, ...], scale: Any = _PER_LEVEL
) -> Preprocessing:
    """Return the preprocessing of numbers, under its name where it has one."""
    scale = float(scale)
    if min(std) <= 0 or not 0 < scale < math.inf:
        raise ValueError("a divisor that is not positive")
    red, green, blue = mean * (3 // len(mean))
    means = (red / scale, green / scale, blue / scale)
    red, green, blue = std * (3 // len(std))
    scales = (red / scale, green / scale, blue / scale)
    with np.errstate(over="ignore", under="ignore"):
        used = np.array([means, scales]).astype(np.float32)
    if not np.isfinite(used).all() or not used[1].all():
        raise ValueError("numbers that float32 does not have")
    for known in PREPROCESSINGS.values():
        if not known.bgr and np.allclose((known.mean, known.scale), (means, scales), 1e-9, 1e-9):
            return known
    shown = [",".join(map(repr, numbers)) for numbers in (mean, std)]
    if scale != _PER_LEVEL:
        shown.append(repr(scale))
    return Preprocessing("/".join(shown), False, means, scales)
