"""Arrays of pixels as pictures in memory: the rows of one array, or arrays of several sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.errors import ImageSourceError, one_line
from featx.images import netpbm
from featx.images.memory import MemoryImage

_CHANNELS = (1, 3, 4)
_EXPECTED = "expected (n, height, width) or (n, height, width, channels) with 1, 3 or 4 channels"
_EXPECTED_ONE = "expected (height, width) or (height, width, channels) with 1, 3 or 4 channels"
_BLOCK_BYTES = 16 << 20  # of an array that is converted


class ArrayImage(MemoryImage):
    """An array of pixels, grey, RGB or RGBA: (height, width) or (height, width, 3 or 4), uint8."""

    __slots__ = ()

    @property
    def pixels(self) -> np.ndarray:
        """The array."""
        pixels: np.ndarray = self.content
        return pixels

    def read(self) -> bytes:
        return netpbm.encoded(self.pixels)

    def _same(self, content: Any) -> bool:
        return np.array_equal(self.pixels, content)


def array_images(array: np.ndarray) -> tuple[ArrayImage, ...]:
    """Take the rows of an array as images named "array[0]", "array[1]" and so on.

    The array is of shape (n, height, width) or (n, height, width, channels): grey, RGB or RGBA.
    Integers are 0 to 255, floats 0 to 1, bool is black and white. An array of uint8 is not copied,
    so it must not be changed while the images are in use. Another shape, no pixels or values out
    of range are an `ImageSourceError`.
    """
    what = "the array of images"
    array = _as_numbers(array, what)
    _check_shape(array.shape)
    pixels = _as_bytes(array, what)
    return tuple(ArrayImage(f"array[{row}]", picture) for row, picture in enumerate(pixels))


def array_image(array: Any, what: str, name: str) -> ArrayImage:
    """Take an array of shape (height, width) or (height, width, channels) as an image.

    Values are as for `array_images`. An error begins with `what`.
    """
    array = _as_numbers(array, what)
    shape = array.shape
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in _CHANNELS):
        hint = ""
        if len(shape) == 3 and shape[0] in _CHANNELS:
            hint = "; where the channels come first, give np.moveaxis(array, 0, -1)"
        elif len(shape) == 4:
            hint = "; give the pictures of an array one by one, [*array]"
        raise ImageSourceError(f"{what} has the shape {shape}: {_EXPECTED_ONE}{hint}")
    if 0 in shape:
        raise ImageSourceError(f"{what} has the shape {shape}, so it is empty: {_EXPECTED_ONE}")
    return ArrayImage(name, _as_bytes(array[np.newaxis], what)[0])


def _as_numbers(array: Any, what: str) -> np.ndarray:
    """Take an array, or what can be one, of numbers."""
    try:
        numbers = np.asarray(array)  # not one of a subclass, whose rows are slow to take
        if numbers.dtype.kind == "O":  # numpy makes such of pictures in a list with others
            numbers = np.array(numbers.tolist())
    except (TypeError, ValueError, RuntimeError) as error:  # rows of several lengths, GPU tensors
        raise ImageSourceError(f"{what} cannot be taken ({one_line(error)})") from error
    if numbers.dtype.kind not in "biuf":
        raise ImageSourceError(f"{what} is of {numbers.dtype}: expected numbers")
    return numbers


def _check_shape(shape: tuple[int, ...]) -> None:
    got = f"the array of images has the shape {shape}"
    if len(shape) == 3 and shape[2] in _CHANNELS:
        raise ImageSourceError(
            f"{got}, which looks like one picture: {_EXPECTED}; give array[np.newaxis] for one "
            "picture, or array[..., np.newaxis] for many grey ones"
        )
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in _CHANNELS):
        hint = ""
        if len(shape) == 2:
            hint = "; reshape a table of flattened pictures, or give array[np.newaxis] for one"
        elif len(shape) == 4 and shape[1] in _CHANNELS:
            hint = "; where the channels come first, give np.moveaxis(array, 1, -1)"
        raise ImageSourceError(f"{got}: {_EXPECTED}{hint}")
    if 0 in shape:
        raise ImageSourceError(f"{got}, so it is empty: {_EXPECTED}")


def _as_bytes(array: np.ndarray, what: str) -> np.ndarray:
    """Convert an array of pictures to uint8, and grey ones to three axes."""
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.dtype == np.uint8:
        return array
    highest = 255 if array.dtype.kind in "iu" else 1
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= highest):  # NaN is neither
        raise ImageSourceError(
            f"{what} is {array.dtype} with values from {low} to {high}: expected "
            f"0 to {highest}; {_advice(low, high, highest)}"
        )
    out = np.empty(array.shape, np.uint8)
    rows = max(1, _BLOCK_BYTES * len(array) // array.nbytes)
    for start in range(0, len(array), rows):
        block = array[start : start + rows]
        if array.dtype.kind == "f":
            block = np.rint(block * 255)
        elif array.dtype.kind == "b":
            block = block * np.uint8(255)
        out[start : start + rows] = block
    return out


def _advice(low: Any, high: Any, highest: int) -> str:
    """Say what to do with values from `low` to `high` so that they are from 0 to `highest`."""
    if not np.isfinite([low, high]).all():
        return "replace what is not finite"
    if highest == 1 and low > -0.01 and high < 1.01:
        return "give np.clip(array, 0, 1)"
    if low < 0:
        return "shift and scale them"
    divide = "divide by the highest value there can be"
    if highest == 1 and high <= 255:
        return f'give array.astype("uint8") if they are 0 to 255, or else {divide}'
    return divide
