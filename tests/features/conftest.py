"""A backbone of no network, for tests that run on the fake engine."""

import time

import fakes
import pytest

import featx
from featx.backbones.backbone import Backbone
from featx.features.matrix import Features
from featx.images import digests


@pytest.fixture
def backbone(fake_engine):
    return Backbone("fake", "ab" * 32, 16, 8, "none/1", preprocess=lambda pixels: pixels)


@pytest.fixture
def photos(tmp_path):
    """Eighteen pictures of three classes."""
    return fakes.draw_folder(tmp_path / "photos")


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
