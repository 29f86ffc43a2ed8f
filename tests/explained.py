"""Explanations: made up ones for charts, and a fake engine whose maps give real ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from featx.images.square import Square

SQUARE = Square(32)
CELLS = 8  # of a map, along a side


class MapEngine:
    """The mean colours of a grid of places as a map, and their mean as the vector."""

    batch_size = 8
    streams = 1

    def __init__(self, request):
        self.unpooled = request.poolings == ("none",)
        self.shape = (CELLS, CELLS, 3) if self.unpooled else (3,)

    def embed_batch(self, images):
        n, size = images.shape[:2]
        cells = images.reshape(n, CELLS, size // CELLS, CELLS, size // CELLS, 3)
        maps = cells.mean(axis=(2, 4), dtype=np.float32)
        return maps if self.unpooled else maps.mean(axis=(1, 2))


def half_and_half(path: Path, left, right) -> str:
    """Draw a picture of two colours side by side."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:, :24], pixels[:, 24:] = left, right
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return str(path)


@dataclass(frozen=True, eq=False)
class Made:
    """An explanation of a file, with what a test wants to see drawn."""

    path: str
    heat: np.ndarray
    label: str = "cat"
    predicted: str = "cat"
    probability: float | None = 0.87
    square: Square = SQUARE
    size: tuple[int, int] | None = None
    method: str = "class-map"
    exact: bool = True
    budget: int = 0

    @property
    def picture(self) -> np.ndarray:
        return np.full((self.square.size, self.square.size, 3), 128, np.uint8)


def grey(path: Path, size: tuple[int, int] = (80, 40), level: int = 128) -> str:
    """Write a grey picture, without loss."""
    Image.new("RGB", size, (level, level, level)).save(path)
    return str(path)


def spot(row: int, column: int, cells: int = 8, value: float = 1.0) -> np.ndarray:
    """Return a map in which one cell speaks for the class."""
    heat = np.zeros((cells, cells), np.float32)
    heat[row, column] = value
    return heat
