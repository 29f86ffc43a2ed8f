"""Small pictures for an HTML page, each of them in it once."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

from PIL import Image

from featx.images.decode import decode_rgb
from featx.images.digests import read_file
from featx.images.quiet import quiet_pillow

_QUALITY = 70
_SIDES = ((60, 160), (200, 112), (500, 80), (1000, 64))  # pixels for up to so many pictures
_SMALLEST = 48
_MOST = 4096  # pixels along a side, decoded


def side_for(n: int) -> int:
    """Return the side in pixels at which n thumbnails keep a page small enough to mail."""
    return next((side for most, side in _SIDES if n <= most), _SMALLEST)


def thumbnail(path: str, side: int) -> str:
    """Return a picture as a small JPEG in a data URI, its longer side of so many pixels.

    All of it is shown, upright; a missing or broken file gives a grey square.
    """
    try:
        data, _ = read_file(path)
    except OSError:
        data = b""
    image, _ = decode_rgb(data, 8, most=_MOST)
    if image is not None and max(image.size) < 2 * side:  # too far reduced, or a small picture
        whole = 8 * max(image.size)
        reduction = next((each for each in (4, 2) if whole >= 2 * side * each), 1)
        image, _ = decode_rgb(data, reduction, most=_MOST)
    if image is None:
        image = Image.new("RGB", (8, 8), (208, 208, 208))
    image.thumbnail((side, side))
    return _as_uri(image)


def _as_uri(image: Image.Image) -> str:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


class Album:
    """The pictures of one page: a CSS class for each, however often it is shown."""

    def __init__(self) -> None:
        self._sides: dict[str, int] = {}
        self._classes: dict[str, str] = {}
        self._made: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._sides) + len(self._made)

    def place(self, path: str, side: int) -> str:
        """Return the CSS class of a picture, which is made at the largest side asked for."""
        self._sides[path] = max(side, self._sides.get(path, 0))
        return self._classes.setdefault(path, f"t{len(self._classes)}")

    def add(self, image: Image.Image) -> str:
        """Return the CSS class of a picture that is made already, as large as it is shown."""
        name = f"m{len(self._made)}"
        self._made[name] = _as_uri(image)
        return name

    def style_sheet(self) -> str:
        """Return the rules that give every class its picture; copies share one."""
        with quiet_pillow(), ThreadPoolExecutor() as pool:
            made = list(pool.map(thumbnail, self._sides, self._sides.values()))
        classes: dict[str, list[str]] = {}
        for path, uri in zip(self._sides, made, strict=True):
            classes.setdefault(uri, []).append(f".{self._classes[path]}")
        for name, uri in self._made.items():
            classes.setdefault(uri, []).append(f".{name}")
        return "\n".join(
            f"{','.join(names)}{{background-image:url({uri})}}" for uri, names in classes.items()
        )
