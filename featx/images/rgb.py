"""Any kind of Pillow image to 8-bit RGB, and a word on what that took."""

import numpy as np
from PIL import Image

# Rounded value / 257, which takes 0 to 0 and 65535 to 255.
_FROM_16_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)


def to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Convert a loaded image of any mode to 8-bit RGB, and note where that loses something.

    Alpha in any form is flattened on white. 16-bit grey is divided by 257. Integers are taken as
    they are up to 255, as 16 bits up to 65535, else they are scaled by their maximum. Floats are
    taken times 255 up to 1, as they are up to 255, else from their minimum (black) to their
    maximum (white); NaN is black. Negative values become black, except in that last case. Where
    nothing is to be done, it is the same object.
    """
    if image.mode.startswith("I;16"):
        notes.append("16-bit to 8-bit")
        return _grey(_FROM_16_BITS[np.asarray(image)], image, notes)
    if image.mode == "I":
        return _grey(_grey_from_integers(np.asarray(image), notes), image, notes)
    if image.mode == "F":
        notes.append("float to 8-bit")
        return _grey(_grey_from_floats(np.asarray(image)), image, notes)
    if image.has_transparency_data:
        return _on_white(image, notes)
    if image.mode == "RGB":
        return image
    if image.mode in ("CMYK", "LAB", "HSV", "YCbCr"):
        notes.append(f"{image.mode} to RGB")
    return image.convert("RGB")


def _grey(values: np.ndarray, image: Image.Image, notes: list[str]) -> Image.Image:
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        notes.append("alpha on white")
        values = np.where(np.asarray(image) == transparent, np.uint8(255), values)
    return Image.fromarray(values).convert("RGB")


def _grey_from_integers(values: np.ndarray, notes: list[str]) -> np.ndarray:
    values = values.clip(min=0)
    highest = int(values.max())
    if highest <= 255:
        return values.astype(np.uint8)
    if highest <= 65535:
        notes.append("16-bit to 8-bit")
        return np.asarray(_FROM_16_BITS[values])
    notes.append("32-bit to 8-bit")
    return np.asarray(np.rint(values * (255 / highest)), np.uint8)


def _grey_from_floats(values: np.ndarray) -> np.ndarray:
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if high <= 1:
        scaled = values.clip(min=0) * 255
    elif high <= 255:
        scaled = values
    else:
        span = (high - low) or 1.0
        scaled = (values.astype(np.float64) - low) / span * 255
    return np.asarray(np.rint(np.nan_to_num(scaled, nan=0).clip(0, 255)), np.uint8)


def _on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    format = image.format
    if image.mode == "La":  # Pillow goes from premultiplied to RGB only by way of straight alpha
        image = image.convert("LA")
    image = image.convert("RGBA")
    alpha = image.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return image.convert("RGB")
    if alpha.getextrema() == (0, 0) and format in ("BMP", "DIB", "TGA"):
        # Many writers of these leave the fourth byte at zero and mean an opaque picture.
        notes.append("alpha of zero everywhere ignored")
        return image.convert("RGB")
    notes.append("alpha on white")
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image, mask=alpha)
    return canvas
