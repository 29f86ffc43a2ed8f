"""Pictures that an exported file is held against, and calibrated on, as pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from featx.errors import OptionError
from featx.features.embed import embed
from featx.images.folder import ImageFolder
from featx.images.labels import Label
from featx.images.source import ImageSource
from featx.images.square import Square

FEWEST = 20  # pictures to calibrate on, and as many to judge by
_MOST = 128  # to calibrate on
_MOST_HELD_OUT = 500
_DRAWN = 8


@dataclass(frozen=True)
class Held:
    """Pictures to quantize a file by: some to calibrate on, the others to judge it.

    Attributes
    ----------
    pixels : mapping of str to ndarray of shape (n, size, size, 3), uint8
        For each input of the file.
    truth : ndarray of shape (n,), int, or None
        The column of the true class of each, -1 where it is none that the model knows; None where
        nothing is known.
    """

    pixels: Mapping[str, np.ndarray]
    truth: np.ndarray | None = None

    def __len__(self) -> int:
        return len(next(iter(self.pixels.values())))

    def of(self, rows: np.ndarray) -> Held:
        """Return some of the pictures."""
        pixels = {name: each[rows] for name, each in self.pixels.items()}
        return Held(pixels, None if self.truth is None else self.truth[rows])

    def first(self, most: int) -> Held:
        """Return no more than so many of the pictures, that lie evenly over all."""
        n = len(self)
        return self if n <= most else self.of(np.linspace(0, n - 1, most).round().astype(int))

    def divided(self) -> tuple[Held, Held]:
        """Return pictures to calibrate on, that lie evenly over all, and the others.

        Raises an `OptionError` where there are too few.
        """
        n = len(self)
        if n < 2 * FEWEST:
            raise OptionError(
                f"quantize takes {2 * FEWEST} pictures at least, half of them to judge by, and {n} "
                "can be read: give more"
            )
        chosen = np.linspace(0, n - 1, min(_MOST, n // 2)).round().astype(int)
        others = np.setdiff1d(np.arange(n), chosen)
        return self.of(chosen), self.of(others).first(_MOST_HELD_OUT)

    def batches(self) -> Iterator[dict[str, np.ndarray]]:
        """Give the pictures one at a time."""
        for row in range(len(self)):
            yield {name: each[row : row + 1] for name, each in self.pixels.items()}


def pictures_of(
    source: ImageSource,
    inputs: Mapping[str, Square],
    classes: Sequence[Label],
    *,
    progress: bool = True,
) -> Held:
    """Read pictures as a file takes them: some hundreds, that lie evenly over all.

    Parameters
    ----------
    source
        What `featx.embed` takes; where it has labels, they are the truth.
    inputs : mapping of str to Square
        The inputs of the file by name.
    classes : sequence of str, int or bool
        Those of the model, in the order of its probabilities.
    progress : bool, default=True
        Show a bar.
    """
    images = ImageFolder.of(source)
    most = min(len(images), _MOST + _MOST_HELD_OUT)
    images = images.select(np.linspace(0, len(images) - 1, most).round().astype(int).tolist())
    pixels, truth = {}, None
    for name, square in inputs.items():
        features = embed(
            images,
            "pixels",
            input_size=square.size,
            resize=square.resize,
            interpolation=square.interpolation,
            decode=square.decode,
            cache=False,
            progress=progress,
        )
        pixels[name] = features.X.astype(np.uint8)
        if features.y is not None:
            columns = {str(label): column for column, label in enumerate(classes)}
            truth = np.array([columns.get(str(label), -1) for label in features.labels])
    return Held(pixels, truth)


def drawn_pictures(inputs: Mapping[str, Square]) -> Held:
    """Draw pictures: light and shade, coarse and fine, the same every time."""
    random = np.random.default_rng(0)
    pixels = {}
    for name, square in inputs.items():
        drawn = []
        for number in range(_DRAWN):
            side = 2 ** (number + 1)
            coarse = random.integers(0, 256, (side, side, 3)).astype(np.uint8)
            places = np.arange(square.size) * side // square.size
            drawn.append(coarse[places][:, places])
        pixels[name] = np.stack(drawn)
    return Held(pixels)
