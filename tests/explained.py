"""Explanations made up for charts: what `featx.explanation` gives, of any heat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from featx.images.square import Square

SQUARE = Square(32)


@dataclass(frozen=True, eq=False)
class Made:
    """An explanation of a file, with what a test wants to see drawn."""

    path: str
    heat: np.ndarray
    label: str = "cat"
    probability: float | None = 0.87
    square: Square = SQUARE
    method: str = "class-map"
    exact: bool = True
    budget: int | None = None

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
