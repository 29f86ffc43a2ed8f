"""A backbone of no network, for tests that run on the fake engine."""

import time

import pytest

from featx.backbones.backbone import Backbone
from featx.images import digests


@pytest.fixture
def backbone(fake_engine):
    return Backbone("fake", "ab" * 32, 16, 8, "none/1", preprocess=lambda pixels: pixels)


@pytest.fixture
def later(monkeypatch):
    """Let files just written count as written ten seconds ago, so that they are remembered."""
    now = time.time_ns
    monkeypatch.setattr(digests.time, "time_ns", lambda: now() + 10_000_000_000)
