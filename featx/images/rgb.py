"""Any kind of Pillow image to 8 bits, RGB or grey, and a word on what that took."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

#: Pictures are converted in pieces of so many pixels, so that only the result takes memory.
PIECE = 1 << 20

#: What says how many of 16 bits a picture uses, by the bits that are set in any of its values.
DepthOf = Callable[[int], int]

#: Of pictures of 16 bits before depths were told apart; theirs may be wrong.
OUTDATED_NOTE = "16-bit to 8-bit"


def to_8_bit(image: Image.Image, notes: list[str], depth_of: DepthOf) -> Image.Image:
    """Convert a loaded image of any mode to 8-bit RGB or grey, and note where that loses something.

    Alpha in any form is flattened on white. 16-bit grey is scaled by its depth: its highest value
    is white. Integers are taken as they are up to 255, as 16 bits up to 65535, else they are scaled
    by their maximum. Floats are taken times 255 up to 1, as they are up to 255, else from their
    minimum (black) to their maximum (white); NaN is black. Negative values become black, except in
    that last case. Where nothing is to be done, it is the same object.
    """
    if image.mode.startswith("I;16") or image.mode == "I":
        return _grey(image, _of_integers(image, notes, depth_of), notes)
    if image.mode == "F":
        notes.append("float to 8-bit")
        return _grey(image, _of_floats(image), notes)
    if image.has_transparency_data:
        return _on_white(image, notes)
    if image.mode in ("RGB", "L"):
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("CMYK", "LAB", "HSV", "YCbCr"):
        notes.append(f"{image.mode} to RGB")
    return _converted(image, "RGB", lambda piece: piece.convert("RGB"))


def with_low_bytes(
    high: Image.Image, low: Image.Image, notes: list[str], depth_of: DepthOf
) -> Image.Image:
    """Return a picture of 16-bit colours as 8-bit ones, from the high and low bytes of its values.

    Where the values need all 16 bits, those are the high bytes; alpha has a depth of its own.
    """
    bands = high.getbands()
    used = [0] * len(bands)
    for box, piece in _pieces(high):
        values = _joined(piece, low.crop(box))
        used = [
            each | int(np.bitwise_or.reduce(values[..., i], axis=None))
            for i, each in enumerate(used)
        ]
    alpha = bands[-1] in ("A", "X")
    colours = used[: len(bands) - alpha]
    depth = depth_of(int(np.bitwise_or.reduce(colours)))
    notes.append(depth_note(depth))
    if depth == 16:
        return high
    highest = np.full(len(bands), (1 << depth) - 1)
    if alpha and used[-1].bit_length() > depth:
        highest[-1] = 65535
    out = Image.new(high.mode, high.size)
    out.info = dict(high.info)
    for box, piece in _pieces(high):
        scaled = np.rint(_joined(piece, low.crop(box)) * (255 / highest)).astype(np.uint8)
        out.paste(Image.frombytes(high.mode, piece.size, scaled.tobytes()), box[:2])
    return out


def _joined(high: Image.Image, low: Image.Image) -> np.ndarray:
    return np.asarray(np.asarray(high).astype(np.uint16) << 8 | np.asarray(low))


def _pieces(image: Image.Image) -> Iterator[tuple[tuple[int, int, int, int], Image.Image]]:
    """Yield the pieces of an image with their boxes; a small image is a piece."""
    width, height = image.size
    if width * height <= PIECE:
        yield (0, 0, width, height), image
        return
    across = min(width, PIECE)
    down = max(1, PIECE // across)
    for top in range(0, height, down):
        for left in range(0, width, across):
            box = (left, top, min(left + across, width), min(top + down, height))
            yield box, image.crop(box)


def _converted(
    image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Convert an image piece by piece."""
    if image.width * image.height <= PIECE:
        return convert(image)
    out = Image.new(mode, image.size)
    for box, piece in _pieces(image):
        out.paste(convert(piece), box[:2])
    return out


def _grey(
    image: Image.Image, grey: Callable[[np.ndarray], np.ndarray], notes: list[str]
) -> Image.Image:
    """Convert an image of numbers to grey by a function of them."""
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        notes.append("alpha on white")

    def convert(piece: Image.Image) -> Image.Image:
        numbers = np.asarray(piece)
        values = grey(numbers)
        if isinstance(transparent, int):
            values = np.where(numbers == transparent, np.uint8(255), values)
        return Image.fromarray(values)

    return _converted(image, "L", convert)


def _of_integers(
    image: Image.Image, notes: list[str], depth_of: DepthOf
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes integers grey, by the highest of them."""
    used = highest = 0
    for _, piece in _pieces(image):
        values = np.asarray(piece).clip(min=0)
        used |= int(np.bitwise_or.reduce(values, axis=None))
        highest = max(highest, int(values.max()))
    if highest > 65535:
        notes.append("32-bit to 8-bit")
        return lambda values: np.asarray(np.rint(values.clip(min=0) * (255 / highest)), np.uint8)
    if image.mode == "I" and highest <= 255:
        return lambda values: values.clip(min=0).astype(np.uint8)
    depth = depth_of(used)
    notes.append(depth_note(depth))
    # Rounded; of 16 bits it is value / 257, which takes 0 to 0 and 65535 to 255.
    most = (1 << depth) - 1
    table = ((np.arange(65536) * 510 + most) // (2 * most)).clip(max=255).astype(np.uint8)
    return lambda values: np.asarray(table[values.clip(min=0)])


def depth_note(depth: int) -> str:
    """Say that a picture of 16 bits a value became 8-bit, and how many of them it used."""
    return f"{OUTDATED_NOTE}, of depth {depth}"


def _of_floats(image: Image.Image) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes floats grey, by the lowest and the highest of them that are finite."""
    low, high = np.inf, -np.inf
    for _, piece in _pieces(image):
        values = np.asarray(piece)
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))

    @np.errstate(invalid="ignore", over="ignore")  # of values that are no numbers
    def grey(values: np.ndarray) -> np.ndarray:
        if high <= 1:
            scaled = values.clip(min=0) * 255
        elif high <= 255:
            scaled = values
        else:
            scaled = (values.astype(np.float64) - low) / ((high - low) or 1.0) * 255
        return np.asarray(np.rint(np.nan_to_num(scaled, nan=0).clip(0, 255)), np.uint8)

    return grey


def _on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    """Flatten an image with alpha on white, piece by piece."""
    out = Image.new("RGB", image.size, "white")
    lowest, highest = 255, 0
    for box, piece in _pieces(image):
        rgba = _straight(piece)
        alpha = rgba.getchannel("A")
        low, high = alpha.getextrema()
        lowest, highest = min(lowest, int(low)), max(highest, int(high))  # type: ignore[arg-type]
        if low == 255:
            out.paste(rgba.convert("RGB"), box[:2])
        else:
            out.paste(rgba, box[:2], mask=alpha)
    if lowest == 255:
        return out
    if highest == 0 and image.format in ("BMP", "DIB", "TGA"):
        # Many writers of these leave the fourth byte at zero and mean an opaque picture.
        notes.append("alpha of zero everywhere ignored")
        return _converted(image, "RGB", lambda piece: _straight(piece).convert("RGB"))
    notes.append("alpha on white")
    return out


def _straight(image: Image.Image) -> Image.Image:
    """Return an image with straight alpha, RGBA."""
    if image.mode == "La":  # Pillow goes from premultiplied to RGB only by way of straight alpha
        image = image.convert("LA")
    return image.convert("RGBA")
