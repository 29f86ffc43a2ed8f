"""Measures that are like those of photographs, unless a test says otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from featx.images.measures import MINIATURE, Measures


@pytest.fixture
def measures_like():
    """Return a function that makes the measures of a photograph, different for each seed."""

    def make(seed=0, **changed):
        random = np.random.default_rng(seed)
        known = {
            "width": 300,
            "height": 225,
            "format": "JPEG",
            "camera": "",
            "n_bytes": int(random.integers(20_000, 30_000)),
            "dark": 20.0,
            "light": 220.0,
            "contrast": 50.0,
            "one_colour": 0.25,
            "detail": (50.0, 80.0, 120.0, 200.0),
            "edges": tuple(random.uniform(60, 200, 12).round(1).tolist()),
            "miniature": random.integers(0, 255, MINIATURE**2, dtype=np.uint8).tobytes(),
        }
        return Measures(**known | changed)

    return make
