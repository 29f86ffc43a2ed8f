"""A tiny fake engine: a pure function of pixels, for every test that needs no real network."""

from __future__ import annotations

import itertools
import json
import threading
import time
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

import featx.features.embed
import featx.features.plan
import featx.features.running
from featx.backbones.pixels import PixelEngine
from featx.features.matrix import Features, as_labels, as_paths
from featx.features.recipe import Recipe
from featx.images.decode import decode
from featx.images.fit import Fit

SQUARE = Fit(16)  # of the fake backbone


class FakeEngine:
    """Mean, minimum and maximum colour: nine columns, told apart by the recipe's layer."""

    embedded = 0  # pictures since the last `install`
    opened = 0  # engines since the last `install`
    seconds_per_batch = 0.0
    streams = 2
    bfloat16_speedup = None
    _lock = threading.Lock()

    def __init__(self, layer=None, pooling="avg", batch_size=8):
        self.times = len(pooling.split("+"))
        self.shape = (1, 3, 3) if pooling == "none" else (9 * self.times,)
        self.batch_size = batch_size
        self._offset = np.float32(len(layer or ""))

    def embed_batch(self, images):
        assert images.dtype == np.uint8
        assert len(images) <= self.batch_size
        time.sleep(FakeEngine.seconds_per_batch)
        with FakeEngine._lock:
            FakeEngine.embedded += len(images)
        pixels = images.reshape(len(images), -1, 3).astype(np.float32)
        parts = [pixels.mean(axis=1), pixels.min(axis=1), pixels.max(axis=1)]
        vectors = np.concatenate(parts * self.times, axis=1) + self._offset
        return vectors.reshape(len(images), *self.shape)


def open_fake(backbone, *, layer, pooling, input_size, batch_size=None, **_):
    """Stand in for `featx.backbones.engine.open_engine`; pixels are pixels."""
    if backbone.is_pixels:
        return PixelEngine(input_size, batch_size)
    FakeEngine.opened += 1
    return FakeEngine(layer, pooling, batch_size or 8)


def install(monkeypatch=None, seconds_per_batch=0.0):
    """Let every backbone run on the fake engine, in this test or, without a patch, for good."""
    FakeEngine.embedded = FakeEngine.opened = 0
    FakeEngine.seconds_per_batch = seconds_per_batch
    if monkeypatch is None:
        featx.features.running.open_engine = open_fake
    else:
        monkeypatch.setattr(featx.features.running, "open_engine", open_fake)


def settle_precision(monkeypatch, settle):
    """Let a function say what the processor computes in, wherever that is asked."""
    for module in (featx.features.embed, featx.features.plan, featx.features.running):
        monkeypatch.setattr(module, "settle_precision", settle)


def fail_from_batch(monkeypatch, first, error, *, layer=None, last=10**9):
    """Let the engine fail from its batch number `first` on, counted from 0; `layer` names it."""
    embed_batch = FakeEngine.embed_batch
    numbers = itertools.count()
    offset = FakeEngine(layer)._offset

    def fail(engine, images):
        if (layer is None or engine._offset == offset) and first <= next(numbers) <= last:
            raise error
        return embed_batch(engine, images)

    monkeypatch.setattr(FakeEngine, "embed_batch", fail)


def alone(path, layer=None, fit=SQUARE) -> np.ndarray:
    """Return what the engine says of one picture on its own."""
    pixels, outcome = decode(Path(path).read_bytes(), fit)
    assert pixels is not None, outcome
    return FakeEngine(layer).embed_batch(pixels[None])[0]


def assert_rows(features, layer=None, fit=SQUARE) -> None:
    """Check that every row is the vector of its own file."""
    for path, vector in zip(features.paths, features.X, strict=True):
        expected = alone(path, layer, fit)
        assert vector.tobytes() == expected.tobytes(), f"{path} has {vector}, expected {expected}"


def photo(width: int = 60, height: int = 40) -> Image.Image:
    """Draw a smooth picture, different in every corner."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / max(1, width - 1), 255 * y / max(1, height - 1)
    blue = 127 + 127 * np.sin(x / 5 + y / 9)
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    """Return the bytes of a picture's file."""
    stream = BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def draw(path: Path, color, size=(32, 24), seed=None) -> Path:
    """Write a small picture of one colour, with noise where a seed is given."""
    pixels = np.full((size[1], size[0], 3), color, dtype=np.int16)
    if seed is not None:
        pixels += np.random.default_rng(seed).integers(-20, 20, pixels.shape, dtype=np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def draw_folder(root: Path, classes=("blue", "green", "red"), each=6, start=0) -> Path:
    """Write a folder of classes that colour tells apart."""
    colors = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}
    for name in classes:
        for i in range(start, start + each):
            draw(root / name / f"{i:03d}.png", colors[name], seed=1000 * len(name) + i)
    return root


def draw_array(each=6, start=0) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of three classes that colour tells apart, and the numbers of their classes.

    The classes take turns, so that no order of names is theirs.
    """
    colors = np.array([(200, 40, 40), (40, 180, 60), (40, 60, 200)])
    labels = np.arange(3 * each) % 3
    random = np.random.default_rng(start)
    noise = random.integers(-20, 20, (len(labels), 24, 32, 3))
    return (colors[labels][:, None, None] + noise).astype(np.uint8), labels


RECIPE = Recipe(backbone="resnet50", weights="0" * 64, input_size=224)


def as_features(X, labels, recipe=RECIPE) -> Features:
    """Put rows and labels together as if images had been embedded."""
    paths = [f"photos/{label}/{i}.jpg" for i, label in enumerate(labels)]
    return Features(
        X=np.asarray(X, np.float32), y=as_labels(labels), paths=as_paths(paths), recipe=recipe
    )


def about(path) -> dict:
    """Read what a model file says of itself."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("model.json"))


def rewrite(path, document):
    """Let a model file say something else of itself."""
    with zipfile.ZipFile(path) as archive:
        pipeline = archive.read("pipeline.skops")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", json.dumps(document))
        archive.writestr("pipeline.skops", pipeline)
