"""Calibration of a network for int8: the numbers that its quantization needs, as a small file.

A quantized network is the float network with the ranges of some activations, corrections of its
biases, and weights rounded by a rule. Ranges and corrections are measured on pictures, once; with
them the quantized network is the same on every machine.

As bytes: a line that names the format, a line of JSON, and the numbers, float32, little-endian.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from featx.errors import StorageError, one_line
from featx.text import count, printable

_MAGIC = b"featx calibration 1"
_MOST_BYTES = 1 << 26
_LONGEST = 1000  # characters of a name
_MOST = 1 << 31  # of anything counted


class Place(NamedTuple):
    """An input of an operation, by its kind and order: names vary with the session."""

    kind: str  # OpenVINO's type of the operation, such as "Convolution"
    order: int  # among those of its kind, from the input of the network on
    port: int  # the number of its input

    def __str__(self) -> str:
        return f"{printable(self.kind)} {self.order}"


@dataclass(frozen=True, eq=False)
class ActivationRange:
    """The range that activations are rounded in."""

    before: tuple[Place, ...]  # the inputs that take them
    low: np.ndarray  # float32, of one number, or of one for each channel
    high: np.ndarray
    levels: int


@dataclass(frozen=True)
class Kernel:
    """Weights that are rounded, to -127 to 127 times a scale for each channel."""

    at: Place
    shape: tuple[int, ...]
    axes: tuple[int, ...]  # of the channels


@dataclass(frozen=True, eq=False)
class BiasCorrection:
    """What is added to a bias, as rounding moves the mean of what a layer gives."""

    at: Place
    values: np.ndarray  # float32, of the shape of the bias


@dataclass(frozen=True, eq=False)
class Calibration:
    """What quantizes a network; two are equal where all that they say is.

    Attributes
    ----------
    network : str
        Name of the network.
    weights : str
        Digest of its weights.
    layer : str or None
        The layer that is read; None for the last one.
    input_size : int
        Side of the pictures, in pixels.
    n_pictures : int
        How many pictures it was measured on.
    settings : mapping
        How it was measured, as plain values.
    ranges : tuple of ActivationRange
    kernels : tuple of Kernel
    corrections : tuple of BiasCorrection
    """

    network: str
    weights: str
    layer: str | None
    input_size: int
    n_pictures: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    ranges: tuple[ActivationRange, ...] = ()
    kernels: tuple[Kernel, ...] = ()
    corrections: tuple[BiasCorrection, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that it says, in hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def __repr__(self) -> str:
        layer = f"layer {printable(self.layer)}, " if self.layer else ""
        name, pictures = printable(self.network), count(self.n_pictures, "picture")
        return f"Calibration({name}, {layer}{self.input_size} px, {pictures}: {self.digest[:12]})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calibration) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def to_bytes(self) -> bytes:
        """Return it as the bytes of a file, the same for equal ones."""
        said = {name: getattr(self, name) for name in _NAMES}
        said["settings"] = dict(self.settings)
        said["ranges"] = [
            {"before": each.before, "levels": each.levels, "shape": each.low.shape}
            for each in self.ranges
        ]
        said["kernels"] = [
            {"at": each.at, "shape": each.shape, "axes": each.axes} for each in self.kernels
        ]
        said["corrections"] = [
            {"at": each.at, "shape": each.values.shape} for each in self.corrections
        ]
        numbers = [array for each in self.ranges for array in (each.low, each.high)]
        numbers += [each.values for each in self.corrections]
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        raw = b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in numbers)
        return b"\n".join([_MAGIC, text.encode(), raw])

    @classmethod
    def from_bytes(cls, data: bytes) -> Calibration:
        """Rebuild one from `to_bytes`.

        Raises
        ------
        StorageError
            The bytes are damaged, or no calibration that this version knows.
        """
        try:
            return _read(data)
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            reason = f"missing {error}" if isinstance(error, KeyError) else one_line(error)
            raise StorageError(
                f"damaged, or no calibration that this version of featx knows ({reason}); "
                "calibrate again"
            ) from error


_NAMES = ("network", "weights", "layer", "input_size", "n_pictures")


def _read(data: bytes) -> Calibration:
    if len(data) > _MOST_BYTES:
        raise ValueError(f"{len(data)} bytes: expected up to {_MOST_BYTES}")
    magic, _, rest = data.partition(b"\n")
    if magic != _MAGIC:
        raise ValueError("it does not begin like one")
    text, _, raw = rest.partition(b"\n")
    said = json.loads(text)
    if len(raw) % 4:
        raise ValueError("a part of a number is missing")
    numbers = np.frombuffer(raw, "<f4").astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError("a number is not finite")
    taken = 0

    def take(shape: tuple[int, ...]) -> np.ndarray:
        nonlocal taken
        size = math.prod(shape)
        part = numbers[taken : taken + size]
        taken += size
        if part.size != size:
            raise ValueError("numbers are missing")
        return part.reshape(shape)

    calibration = Calibration(
        network=_text(said["network"]),
        weights=_text(said["weights"]),
        layer=None if said["layer"] is None else _text(said["layer"]),
        input_size=_whole(said["input_size"]),
        n_pictures=_whole(said["n_pictures"]),
        settings=_mapping(said["settings"]),
        ranges=tuple(_range(each, take) for each in _list(said["ranges"])),
        kernels=tuple(_kernel(each) for each in _list(said["kernels"])),
        corrections=tuple(
            BiasCorrection(_place(each["at"]), take(_shape(each["shape"])))
            for each in _list(said["corrections"])
        ),
    )
    if taken != numbers.size:
        raise ValueError("there are more numbers than places for them")
    return calibration


def _range(said: Any, take: Callable[[tuple[int, ...]], np.ndarray]) -> ActivationRange:
    before = tuple(_place(each) for each in _list(said["before"]))
    shape, levels = _shape(said["shape"]), _whole(said["levels"])
    low, high = take(shape), take(shape)
    if not before or not 2 <= levels <= 256 or not (low < high).all():
        raise ValueError("a range is none")
    return ActivationRange(before, low, high, levels)


def _kernel(said: Any) -> Kernel:
    shape, axes = _shape(said["shape"]), tuple(_whole(each) for each in _list(said["axes"]))
    if any(axis >= len(shape) for axis in axes):
        raise ValueError("an axis is none")
    return Kernel(_place(said["at"]), shape, axes)


def _place(said: Any) -> Place:
    kind, order, port = _list(said)
    return Place(_text(kind), _whole(order), _whole(port))


def _shape(said: Any) -> tuple[int, ...]:
    shape = tuple(_whole(each) for each in _list(said))
    if len(shape) > 8:
        raise ValueError("a shape has too many axes")
    return shape


def _list(said: Any) -> list[Any]:
    if not isinstance(said, list):
        raise ValueError("a list is missing")
    return said


def _mapping(said: Any) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise ValueError("settings are missing")
    return said


def _text(said: Any) -> str:
    if not isinstance(said, str) or len(said) > _LONGEST:
        raise ValueError("a name is none")
    return said


def _whole(said: Any) -> int:
    if not isinstance(said, int) or isinstance(said, bool) or not 0 <= said < _MOST:
        raise ValueError("a number is none")
    return said
