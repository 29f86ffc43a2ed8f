"""Images to measure on: drawn like photographs, or a user's own."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw

_SUFFIXES = (".jpg", ".jpeg", ".png")  # that Keras reads too
_SHAPES = 60
_GRAIN = 6.0  # standard deviation of the noise of a sensor, of 255


def drawn(folder: Path, n: int, size: tuple[int, int]) -> Path:
    """Draw distinct JPEGs like photographs: smooth light, shapes with edges, and grain.

    Each is another window on one scene, under other grain. So they take as many bytes as
    photographs do (50 kB at 450x375, 3 MB at 4000x3000), and are drawn in little time.

    Parameters
    ----------
    folder : Path
        Where to; if it is there, it is taken as it is.
    n : int
        How many.
    size : (int, int)
        Width and height in pixels.

    Returns
    -------
    Path
        The folder, with files 000000.jpg and so on.
    """
    if folder.is_dir():
        return folder
    generator = np.random.default_rng(0)
    room = max(256, max(size) // 8)
    width, height = size[0] + room, size[1] + room
    scene = _scene(generator, width, height)
    noise = generator.standard_normal((height, width), dtype=np.float32) * _GRAIN + 128
    grain = Image.merge("RGB", [Image.fromarray(noise.clip(0, 255).astype(np.uint8))] * 3)
    corners = generator.integers(0, room, (n, 2, 2)).tolist()
    beside = folder.with_name(f".{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)

    def draw(index: int) -> None:
        windows = [
            sheet.crop((x, y, x + size[0], y + size[1]))
            for sheet, (x, y) in zip((scene, grain), corners[index], strict=True)
        ]
        image = ImageChops.add(*windows, scale=1, offset=-128)
        # Two windows may show the same in very many small pictures; the comment tells them apart.
        image.save(beside / f"{index:06d}.jpg", quality=90, comment=str(index))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(draw, range(n)))
    beside.rename(folder)
    return folder


def _scene(generator: np.random.Generator, width: int, height: int) -> Image.Image:
    light = generator.integers(30, 226, (6, 8, 3), dtype=np.uint8)
    scene = Image.fromarray(light).resize((width, height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(scene)
    for index in range(_SHAPES):
        x, y = generator.integers(0, (width, height)).tolist()
        rx, ry = generator.integers(2, (width // 12 + 3, height // 12 + 3)).tolist()
        color = tuple(generator.integers(0, 256, 3).tolist())
        shape = pen.ellipse if index % 2 else pen.rectangle
        shape((x - rx, y - ry, x + rx, y + ry), fill=color)
    return scene


def own(folder: Path) -> list[Path]:
    """List a user's images: the JPEG and PNG files of a folder and its sub-folders, in order."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise SystemExit(f"no {', '.join(_SUFFIXES)} files in {folder}")
    return [path.resolve() for path in found]


def linked(folder: Path, paths: list[Path]) -> Path:
    """Make a folder of links to some images, so that all contestants find the same ones in it."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        for index, path in enumerate(paths):
            (folder / f"{index:06d}{path.suffix.lower()}").symlink_to(path)
    return folder
