"""Features made by hand, so that what is learned from them is known."""

from __future__ import annotations

import fakes
import numpy as np
import pytest
from fakes import as_features


@pytest.fixture
def cloud():
    """Return a function that draws features of classes which overlap more or less."""

    def draw(each=10, classes=("ant", "bee", "cat"), width=30, distance=1.0, seed=0):
        random = np.random.default_rng(seed)
        centres = np.random.default_rng(7).normal(size=(len(classes), width)) * distance
        counts = [each] * len(classes) if isinstance(each, int) else each
        labels = [label for label, n in zip(classes, counts, strict=True) for _ in range(n)]
        X = np.repeat(centres, counts, axis=0) + random.normal(size=(len(labels), width))
        return as_features(X, labels)

    return draw


@pytest.fixture
def photos(tmp_path):
    """A folder of six small pictures of each of three classes, which colour tells apart."""
    return fakes.draw_folder(tmp_path / "photos")


@pytest.fixture
def new_photos(tmp_path):
    """Two more pictures of each class."""
    return fakes.draw_folder(tmp_path / "test_photos", each=2, start=100)
