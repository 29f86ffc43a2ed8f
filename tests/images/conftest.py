"""What is seen of the decoder from outside, and a clock that runs ahead."""

from __future__ import annotations

import time

import pytest
from PIL import ImageFile


@pytest.fixture
def decoded_sizes(monkeypatch):
    """The width and height of every picture whose pixels Pillow decodes, as it decodes them."""
    sizes = []
    load = ImageFile.ImageFile.load

    def count(image):
        if image.tile:  # else its pixels are there already
            sizes.append(image.size)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", count)
    return sizes


@pytest.fixture
def later(monkeypatch):
    """Let files just written count as written ten seconds ago."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10_000_000_000)
