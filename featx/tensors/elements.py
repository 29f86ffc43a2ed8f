"""Elements of tensors in a file: their number formats, and tensors as views of what was read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import IO, TypeVar

import numpy as np

_T = TypeVar("_T")

MAX_DIMENSIONS = 32
# What describes the tensors of a file takes some hundred bytes a tensor in it, and a hundred times
# that in memory where somebody means harm.
MAX_DESCRIPTION = 1 << 24  # bytes
_MAX_EMPTY = 1 << 31  # product of the other sides of an array without elements


class RefusedError(Exception):
    """The file is not what it should be; the message says what was found."""


@dataclass(frozen=True)
class Element:
    """A number format: what numpy reads, and what makes numbers that numpy has of it."""

    dtype: np.dtype
    widened: Callable[[np.ndarray], np.ndarray] | None = None


def _from_bfloat16(array: np.ndarray) -> np.ndarray:
    """Return float32: bfloat16 is its upper half."""
    shifted: np.ndarray = np.left_shift(array.astype(np.uint32), 16)
    return shifted.view(np.float32)


def _from_float8_e5m2(array: np.ndarray) -> np.ndarray:
    """Return float32: this format is the upper half of float16."""
    return np.left_shift(array.astype(np.uint16), 8).view(np.float16).astype(np.float32)


def _from_float8_e4m3(array: np.ndarray) -> np.ndarray:
    numbers: np.ndarray = _float8_e4m3()[array]
    return numbers


@cache
def _float8_e4m3() -> np.ndarray:
    """Return the number of each byte: 4 bits of exponent, 3 of mantissa, no infinity."""
    codes = np.arange(256)
    exponent, mantissa = (codes >> 3) & 15, codes & 7
    normal = (1 + mantissa / 8) * 2.0 ** (exponent - 7)
    numbers = np.where(exponent > 0, normal, mantissa / 8 * 2.0**-6)
    numbers[(codes & 127) == 127] = np.nan
    return (numbers * np.where(codes & 128, -1, 1)).astype(np.float32)


#: Those that are read, under their names in safetensors files.
ELEMENTS = {
    "F64": Element(np.dtype("<f8")),
    "F32": Element(np.dtype("<f4")),
    "F16": Element(np.dtype("<f2")),
    "BF16": Element(np.dtype("<u2"), _from_bfloat16),
    "F8_E5M2": Element(np.dtype("<u1"), _from_float8_e5m2),
    "F8_E4M3": Element(np.dtype("<u1"), _from_float8_e4m3),
    "I64": Element(np.dtype("<i8")),
    "I32": Element(np.dtype("<i4")),
    "I16": Element(np.dtype("<i2")),
    "I8": Element(np.dtype("<i1")),
    "U64": Element(np.dtype("<u8")),
    "U32": Element(np.dtype("<u4")),
    "U16": Element(np.dtype("<u2")),
    "U8": Element(np.dtype("<u1")),
    "BOOL": Element(np.dtype("<u1"), lambda array: array != 0),
}


def read_elements(file: IO[bytes], dtype: np.dtype, count: int) -> np.ndarray:
    """Read elements from where a file stands; the caller knows that it is long enough."""
    array = np.empty(count, dtype)
    if file.readinto(array.view(np.uint8)) < array.nbytes:  # type: ignore[attr-defined]
        raise RefusedError("ends within its tensors")
    return array


def tensor_of(
    name: str,
    stored: np.ndarray,
    element: Element,
    offset: int,
    sizes: tuple[int, ...],
    strides: tuple[int, ...],
) -> np.ndarray:
    """Return a tensor as a read-only view of what was stored, once it is proven to lie inside.

    Offset and strides count elements. Of a format that numpy does not have, it is a copy.
    """
    if not len(sizes) == len(strides) <= MAX_DIMENSIONS:
        raise RefusedError(f"the shape of {show(name)} is damaged")
    for number in (*sizes, *strides):
        check(number, int)
    # Along an axis of length 1 the stride is never used, and may be anything.
    axes = [(n, step if n > 1 else 0) for n, step in zip(sizes, strides, strict=True)]
    sides = math.prod(max(n, 1) for n in sizes)
    if offset < 0 or any(n < 0 or step < 0 for n, step in axes):
        raise RefusedError(f"the shape of {show(name)} is damaged")
    if 0 in sizes and sides < _MAX_EMPTY:
        view = np.zeros(sizes, element.dtype)
    else:
        last = offset + sum((n - 1) * step for n, step in axes)
        # The product bounds what a copy takes: with strides of 0, any shape fits in one element.
        if last >= len(stored) or sides > len(stored):
            raise RefusedError(f"{show(name)} reaches beyond its storage")
        steps = [step * stored.itemsize for _, step in axes]
        view = np.lib.stride_tricks.as_strided(stored[offset:], sizes, steps)
    tensor = element.widened(view) if element.widened else view
    tensor.flags.writeable = False
    return tensor


def check(value: object, kind: type[_T]) -> _T:
    """Return a value of a file that has exactly this type: True is no size."""
    if type(value) is not kind:
        found, expected = (k.__name__.strip("_").lower() for k in (type(value), kind))
        raise RefusedError(f"has a {found} where a {expected} belongs")
    return value


def show(text: str) -> str:
    """Quote a name of a file, and no more of it than fits a message."""
    return repr(text if len(text) <= 60 else text[:60] + "...")
