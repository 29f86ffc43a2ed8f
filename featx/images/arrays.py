"""Pictures in memory: the rows of an array, each with the bytes that its file would have."""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.errors import ImageSourceError

# What netpbm, and for RGBA Pillow, calls pictures of so many channels: the same bytes that Pillow
# writes to a .pgm or .ppm, so that the cache knows such a file too.
_MAGIC = {1: b"P5", 3: b"P6", 4: b"PyRGBA"}
_EXPECTED = "expected (n, height, width) or (n, height, width, channels) with 1, 3 or 4 channels"
_BLOCK_BYTES = 16 << 20  # of an array that is converted


class ArrayImage(str):
    """A picture in memory, which stands wherever the path of a file does.

    As a text it is a name, such as "array[12]". It is equal to another `ArrayImage` of the same
    name and pixels, so that those of two arrays are told apart; and to its name alone, which is
    what features that were saved know of it. The pixels are grey, RGB or RGBA: an array of shape
    (height, width) or (height, width, 3 or 4), uint8.
    """

    __slots__ = ("pixels",)
    pixels: np.ndarray

    def __new__(cls, name: str, pixels: np.ndarray) -> ArrayImage:
        self = super().__new__(cls, name)
        self.pixels = pixels
        return self

    def read(self) -> bytes:
        """Return the picture as a file would hold it: a binary PGM or PPM."""
        height, width = self.pixels.shape[:2]
        magic = _MAGIC[1 if self.pixels.ndim == 2 else self.pixels.shape[2]]
        return b"%b\n%d %d\n255\n%b" % (magic, width, height, self.pixels.tobytes())

    def __eq__(self, other: object) -> bool:
        if self is other or not str.__eq__(self, other):
            return self is other
        return not isinstance(other, ArrayImage) or np.array_equal(self.pixels, other.pixels)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return ArrayImage, (str(self), self.pixels)


def array_images(array: np.ndarray) -> tuple[ArrayImage, ...]:
    """Take the rows of an array as images named "array[0]", "array[1]" and so on.

    The array is of shape (n, height, width) or (n, height, width, channels): grey, RGB or RGBA.
    Integers are 0 to 255, floats 0 to 1, bool is black and white. An array of uint8 is not copied,
    so it must not be changed while the images are in use. Another shape, no pixels or values out
    of range are an `ImageSourceError`.
    """
    array = np.asarray(array)  # not one of a subclass, whose rows are slow to take
    _check_shape(array.shape)
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    pixels = array if array.dtype == np.uint8 else _as_bytes(array)
    return tuple(ArrayImage(f"array[{row}]", picture) for row, picture in enumerate(pixels))


def _check_shape(shape: tuple[int, ...]) -> None:
    got = f"the array of images has the shape {shape}"
    if len(shape) == 3 and shape[2] in _MAGIC:
        raise ImageSourceError(
            f"{got}, which looks like one picture: {_EXPECTED}; give array[np.newaxis] for one "
            "picture, or array[..., np.newaxis] for many grey ones"
        )
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in _MAGIC):
        hint = ""
        if len(shape) == 2:
            hint = "; reshape a table of flattened pictures, or give array[np.newaxis] for one"
        elif len(shape) == 4 and shape[1] in _MAGIC:
            hint = "; where the channels come first, give np.moveaxis(array, 1, -1)"
        raise ImageSourceError(f"{got}: {_EXPECTED}{hint}")
    if 0 in shape:
        raise ImageSourceError(f"{got}, so it is empty: {_EXPECTED}")


def _as_bytes(array: np.ndarray) -> np.ndarray:
    """Convert an array of another dtype to uint8."""
    if array.dtype.kind not in "biuf":
        raise ImageSourceError(f"the array of images is of {array.dtype}: expected numbers")
    highest = 255 if array.dtype.kind in "iu" else 1
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= highest):  # NaN is neither
        raise ImageSourceError(
            f"the array of images is {array.dtype} with values from {low} to {high}: expected "
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
