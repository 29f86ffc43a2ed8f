"""What every test may lean on: the shared material, and an empty cache of its own."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import bucket as bucket_server
import chromium
import fakes
import numpy as np
import pytest
from fakes import as_features

from featx.backbones import shipped

ROOT = Path(__file__).resolve().parents[1]
pytest_plugins = ["hangs"]

# Tests may import OpenVINO and NNCF by themselves, which would report that to their makers, from
# threads that fork; two of these at a time can wait for each other for ever.
sys.modules["openvino_telemetry"] = None  # "there is no such module"


def pytest_configure() -> None:
    """Take signals as a process does that is started at a terminal; children inherit it.

    `nohup`, `&` in a script and services let what they start ignore or block some of them.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Let nobody look for garbage among ten thousand tests, neither now nor while they run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(scope="session")
def _frozen() -> set[str]:
    """Libraries whose objects are out of the way of whoever looks for garbage."""
    return set()


@pytest.fixture(autouse=True)
def _no_garbage_in_libraries(_frozen):
    """Put TensorFlow's half a million objects out of the way, once a test has imported it."""
    yield
    if "tensorflow" in sys.modules and not _frozen:
        _frozen.add("tensorflow")
        gc.collect()
        gc.freeze()


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


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Chromium]:
    """A headless Chromium, for the pages of a module of tests."""
    program = chromium.find()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(chromium.NAMES)} is on PATH")
    tab = chromium.Chromium(program)
    yield tab
    tab.close()


@pytest.fixture(scope="session")
def _s3() -> Iterator[bucket_server.Server]:
    """S3 on this machine, for all tests."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    with bucket_server.served() as server:
        yield server


@pytest.fixture
def bucket(_s3, monkeypatch) -> bucket_server.Bucket:
    """An empty bucket; `str(bucket)` is its address, such as s3://bucket-0.

    Child processes find it, too.
    """
    for name, value in _s3.settings.items():
        monkeypatch.setenv(name, value)
    return _s3.make()


@pytest.fixture(scope="session")
def _homes(tmp_path_factory) -> Iterator[Path]:
    """Homes, one after the other: `mktemp` looks at all folders there are to number a new one."""
    root = tmp_path_factory.mktemp("homes")
    return (root / str(number) for number in itertools.count())


@pytest.fixture(autouse=True, scope="session")
def _writable_home(tmp_path_factory):
    """Let libraries write into the home folder (Ray, matplotlib), where the user's cannot be."""
    if not os.access(Path.home(), os.W_OK):
        os.environ["HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def _no_home(_homes, monkeypatch):
    """Keep every test away from the user's cache, weights and settings."""
    home = next(_homes)
    for variable, name in (("FEATX_CACHE", "cache"), ("KERAS_HOME", "keras")):
        (home / name).mkdir(parents=True)
        monkeypatch.setenv(variable, str(home / name))
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
def fake_engine(tmp_path_factory, monkeypatch):
    """Run every network on the fake engine; the class counts what it embedded.

    No calibration comes with featx here.
    """
    monkeypatch.setattr(shipped, "FOLDER", tmp_path_factory.mktemp("calibrations"))
    with fakes.install():
        yield fakes.FakeEngine


@pytest.fixture
def made(fake_engine):
    """Know a kind of network of its own, run by the fake engine; see `fakes.made_kind`."""
    with fakes.made_kind() as kind:
        yield kind


@pytest.fixture
def native(monkeypatch):
    """Return a function that says which precisions the processor of the fake engine has."""
    return lambda *precisions: monkeypatch.setattr(fakes.FakeEngine, "native", precisions)


@pytest.fixture
def photos(tmp_path):
    """A folder of six small pictures of each of three classes, which colour tells apart."""
    return fakes.draw_folder(tmp_path / "photos")


@pytest.fixture
def new_photos(tmp_path):
    """Two more pictures of each class."""
    return fakes.draw_folder(tmp_path / "test_photos", each=2, start=100)


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
