"""What tests of exports need, and do not import before they run."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def tf2onnx():
    """The library; it starts TensorFlow, which tests that are only collected do without."""
    return pytest.importorskip("tf2onnx")
