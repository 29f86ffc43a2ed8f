"""A backbone of no network, for tests that run on the fake engine, and what becomes of files."""

import time
from collections import Counter
from io import FileIO

import fakes
import pytest
from PIL import Image

import featx
from featx.backbones.backbone import Backbone
from featx.features.matrix import Features
from featx.images import digests
from featx.images.digests import digest_bytes


@pytest.fixture
def backbone(fake_engine):
    return Backbone("fake", "ab" * 32, 16, 8, "none/1", preprocess=lambda pixels: pixels)


@pytest.fixture
def run(backbone, fake_engine):
    """Embed and count: how many pictures went through the network now."""

    def embed(source, network=backbone, **options) -> tuple[Features, int]:
        before = fake_engine.embedded
        features = featx.embed(source, network, progress=False, **options)
        return features, fake_engine.embedded - before

    return embed


@pytest.fixture
def later(monkeypatch):
    """Let files just written count as written ten seconds ago, so that they are remembered."""
    now = time.time_ns
    monkeypatch.setattr(digests.time, "time_ns", lambda: now() + 10_000_000_000)


@pytest.fixture
def touched(monkeypatch):
    """How often pictures were read, by path, and decoded, by digest."""
    counts = Counter()
    decode = Image.open

    def read(path):
        counts["read", path] += 1
        return FileIO(path)

    def opened(stream, *args, **kwargs):
        counts["decoded", digest_bytes(stream.getvalue())] += 1
        return decode(stream, *args, **kwargs)

    fakes.open_pictures(monkeypatch, read)
    monkeypatch.setattr(Image, "open", opened)
    return counts
