"""What every test may lean on: the shared material, and an empty cache of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _folder(variable: str, default: Path) -> Path:
    path = Path(os.environ.get(variable, default))
    if not path.is_dir():
        pytest.skip(
            f"{variable} is not set and there is no {default.name} folder beside the checkout"
        )
    return path.resolve()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material."""
    return _folder("FEATX_SHARED", ROOT.parent / "shared")


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """The folder of real ImageNet weights under Keras's file names."""
    return _folder("FEATX_WEIGHTS", ROOT.parent / "shared" / "weights")


@pytest.fixture(scope="session")
def fruit() -> Path:
    """The drawn sample images of the project."""
    return ROOT / "data" / "fruit"


@pytest.fixture(autouse=True)
def _no_home(tmp_path_factory, monkeypatch):
    """Keep every test away from the user's cache, weights and settings."""
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
    monkeypatch.delenv("FEATX_WEIGHTS_URL", raising=False)
    monkeypatch.delenv("FEATX_WEIGHTS", raising=False)


@pytest.fixture(autouse=True)
def _no_windows(monkeypatch):
    """Draw without a screen, and leave no figure behind."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def fake_engine(monkeypatch):
    """Run every backbone on the fake engine; the class counts what it embedded."""
    import fakes

    fakes.install(monkeypatch)
    return fakes.FakeEngine
