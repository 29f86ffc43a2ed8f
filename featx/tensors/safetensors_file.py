"""Files in the safetensors format, read by numpy alone.

The layout: the length of the header (8 bytes, little-endian); the header, a JSON object with the
number format, the shape and the place of every tensor; their elements, one tensor behind the other.
"""

from __future__ import annotations

import json
import math
from typing import IO, Any

import numpy as np

from featx.tensors.elements import (
    ELEMENTS,
    MAX_DESCRIPTION,
    MAX_DIMENSIONS,
    Element,
    RefusedError,
    check,
    read_elements,
    show,
    tensor_of,
)

_ABOUT = "__metadata__"


def read_safetensors(file: IO[bytes], length: int) -> dict[str, np.ndarray]:
    """Read the tensors of a safetensors file of so many bytes."""
    size = int.from_bytes(file.read(8), "little")
    if 8 + size > length or size > MAX_DESCRIPTION:
        raise RefusedError(f"its header cannot take {size} bytes")
    try:
        header = json.loads(file.read(size), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise RefusedError("its header is damaged") from error
    check(header, dict).pop(_ABOUT, None)
    places = {name: _place(name, about) for name, about in header.items()}
    tensors, position = {}, 0
    for name, (element, shape, start, end) in sorted(places.items(), key=_by_place):
        count = math.prod(shape)
        if start != position or end - start != count * element.dtype.itemsize:
            raise RefusedError(f"the place of {show(name)} does not fit its shape or its neighbour")
        if 8 + size + end > length:
            raise RefusedError(f"ends within {show(name)}")
        position = end
        elements = read_elements(file, element.dtype, count)
        steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        tensors[name] = tensor_of(name, elements, element, 0, shape, tuple(steps))
    if 8 + size + position != length:
        raise RefusedError(f"has {length - 8 - size - position} bytes too many")
    return {name: tensors[name] for name in header}


def _place(name: str, about: Any) -> tuple[Element, tuple[int, ...], int, int]:
    """Return the number format, the shape, the first byte and the end of a tensor."""
    try:
        kind, shape = check(about["dtype"], str), check(about["shape"], list)
        start, end = (check(each, int) for each in check(about["data_offsets"], list))
    except (TypeError, KeyError, ValueError) as error:
        raise RefusedError(f"the header of {show(name)} is damaged") from error
    if kind not in ELEMENTS:
        raise RefusedError(f"{show(name)} has the number format {show(kind)}")
    if len(shape) > MAX_DIMENSIONS or any(type(n) is not int or n < 0 for n in shape):
        raise RefusedError(f"the shape of {show(name)} is damaged")
    return ELEMENTS[kind], tuple(shape), start, end


def _by_place(item: tuple[str, tuple[Element, tuple[int, ...], int, int]]) -> tuple[int, int]:
    return item[1][2:]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dictionary of the pairs of a JSON object, each name once."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands there twice")
    return made
