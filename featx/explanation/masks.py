"""Masks: parts of a picture are hidden, and what the classifier then says is compared.

That takes any network and any classifier, and is an estimate. Each mask hides half of a grid of
places, chosen at random, always the same ones. What each place says is found by regression of the
scores on what was shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np
from PIL import Image, ImageFilter

from featx.features.session import Picture, Session

GRID = 8  # places along a side
BUDGET = 256  # masks
_AT_ONCE = 64  # masked pictures in memory
_RIDGE = 0.1  # of the number of masks
_BLUR = 0.12  # of the side: what is left of hidden parts

Score = Callable[[np.ndarray], np.ndarray]  # from features to a number for each row


def mask_heat(session: Session, picture: Picture, score: Score, budget: int) -> np.ndarray:
    """Estimate what each place of a picture says.

    Parameters
    ----------
    session : Session
        The networks, without views.
    picture : Picture
        What to explain.
    score : callable
        Of features, of shape (n, columns), what the classifier says for the class.
    budget : int
        How many masked pictures go through the networks.

    Returns
    -------
    ndarray of shape (GRID, GRID)
        By how much the score is higher where a place is shown; their sum is about the score of the
        whole picture less that of one of which nothing is shown.
    """
    shown = _shown(budget)
    scores = []
    for start in range(0, budget, _AT_ONCE):
        masked = list(_masked(picture, shown[start : start + _AT_ONCE]))
        scores.append(score(session.features(masked).matrix))
    return _regressed(shown, np.concatenate(scores))


@cache
def _shown(n: int) -> np.ndarray:
    """Return which places are shown, of shape (n, GRID, GRID): each and its opposite."""
    random = np.random.default_rng(0)
    half = random.random((-(-n // 2), GRID, GRID)) < 0.5
    return np.stack([half, ~half], axis=1).reshape(-1, GRID, GRID)[:n]


def _masked(picture: Picture, shown: np.ndarray) -> Iterator[Picture]:
    """Yield a picture with places hidden; hidden ones are blurred, and edges are soft."""
    blurred = {square: _blurred(pixels) for square, pixels in picture.squares.items()}
    for each in shown:
        squares = {}
        for square, pixels in picture.squares.items():
            mask = Image.fromarray(np.uint8(each) * 255).resize(
                (square.size, square.size), Image.Resampling.BILINEAR
            )
            own = Image.composite(Image.fromarray(pixels), blurred[square], mask)
            squares[square] = np.asarray(own)
        yield replace(picture, squares=squares)


def _blurred(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(_BLUR * len(pixels)))


def _regressed(shown: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return how much each place adds to the scores, by ridge regression."""
    rows = shown.reshape(len(shown), -1) - 0.5
    rows = rows - rows.mean(axis=0)
    gram = rows.T @ rows
    gram.flat[:: len(gram) + 1] += _RIDGE * len(rows) * 0.25
    found: np.ndarray = np.linalg.solve(gram, rows.T @ (scores - scores.mean()))
    return found.reshape(shown.shape[1:])
