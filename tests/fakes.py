"""A tiny fake engine: a pure function of pixels, for every test that needs no real network."""

from __future__ import annotations

import builtins
import itertools
import json
import multiprocessing
import os
import re
import sys
import threading
import time
import zipfile
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import numpy as np
import waits
from PIL import Image

from featx.backbones import kinds
from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration
from featx.backbones.engines.choice import EngineSpec, registered
from featx.backbones.weights import Weights
from featx.errors import WeightsError
from featx.features.matrix import Features, as_labels, as_paths
from featx.features.recipe import Recipe, RecipePart
from featx.images.decode import Outcome, decode_all
from featx.images.square import Square

SQUARE = Square(16)  # of the fake backbone
DRIVES_A_TERMINAL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069]"
)


class FakeEngine:
    """Mean, minimum and maximum colour: nine columns, told apart by the recipe's layer."""

    embedded = 0  # pictures since the last `fake_engine`
    opened: ClassVar[list] = []  # requests since the last `fake_engine`
    calibrated: ClassVar[list] = []  # the pictures of each calibration since then
    seconds_per_batch = 0.0
    streams = 2
    native = ("float32", "bfloat16")  # precisions that this machine computes in
    _lock = threading.Lock()

    def __init__(self, request):
        FakeEngine.opened.append(request)
        self.times = len(request.poolings)
        self.shape = (1, 1, 9) if request.poolings == ("none",) else (9 * self.times,)
        self.batch_size = request.batch_size or 8
        self.offset = offset(request.cut.layer)
        if request.cut.precision == "int8":  # the vectors show the calibration
            calibration = request.backbone.calibration
            assert calibration.digest == request.cut.calibration
            self.offset += np.float32(calibration.settings.get("mean", 0.5))

    def embed_batch(self, images):
        assert images.dtype == np.uint8
        assert len(images) <= self.batch_size
        time.sleep(FakeEngine.seconds_per_batch)
        with FakeEngine._lock:
            FakeEngine.embedded += len(images)
        vectors = np.concatenate([colours(images)] * self.times, axis=1) + self.offset
        return vectors.reshape(len(images), *self.shape)


def calibrate(request, pictures) -> Calibration:
    """Calibrate a network by the mean of some pictures."""
    FakeEngine.calibrated.append(pictures)
    mean = round(float(pictures.mean()), 3)
    return calibration(request.backbone, mean, request.cut.layer, request.input_size)


def calibration(backbone, mean, layer=None, input_size=16) -> Calibration:
    """Make a calibration up, which the fake engine adds to every number."""
    name, digest = backbone.name, backbone.digest
    return Calibration(name, digest, layer, input_size, 128, {"mean": mean})


def plant(root: Path, *names: str) -> Path:
    """Make empty files, with their folders."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def offset(layer) -> np.float32:
    """Return what the fake engine adds to every number, by the layer."""
    return np.float32(len(layer or ""))


def colours(images) -> np.ndarray:
    """Return mean, minimum and maximum of each channel of some squares."""
    pixels = images.reshape(len(images), -1, 3).astype(np.float32)
    return np.concatenate([pixels.mean(axis=1), pixels.min(axis=1), pixels.max(axis=1)], axis=1)


def install(engine=FakeEngine, seconds_per_batch=0.0, calibrator=calibrate):
    """Let every network run on the fake engine, or another, as long as the block lasts."""
    FakeEngine.embedded, FakeEngine.opened, FakeEngine.calibrated = 0, [], []
    FakeEngine.seconds_per_batch = seconds_per_batch
    spec = EngineSpec(
        "fake",
        engine,
        suits=lambda: True,
        computes_in=lambda precision: precision in FakeEngine.native,
        calibrator=calibrator,
    )
    return registered(spec)


def load_made(name, weights, layer) -> Backbone:
    """Load a network of the kind of `made_kind`: "made:NAME", or the path of a file "….made"."""
    path = Path(name).resolve() if name.endswith(".made") else None
    if path and not path.is_file():
        raise WeightsError(f"no network at {path}: expected a file that ends in .made")
    return Backbone(
        path.name if path else name,
        sha256(path.read_bytes() if path else name.encode()).hexdigest(),
        input_size=16,
        min_size=8,
        preprocessing="none/1",
        layer=layer,
        preprocess=lambda pixels: pixels,
        weights=Weights(str(path or weights), path, ""),
    )


def made_kind():
    """Know networks "made:NAME" and files "….made" within the block; the fake engine runs them."""
    return kinds.registered(
        kinds.Kind(
            "made",
            lambda name: name.startswith("made:") or name.endswith(".made"),
            "fakes:load_made",
            usage="made:NAME",
            text="networks of a test",
            lister="fakes:made_names",
        )
    )


def made_names() -> list[str]:
    return ["made:small_net", "made:large_net"]


def fail_from_batch(monkeypatch, first, error, *, layer=None, last=10**9):
    """Let the engine fail from its batch number `first` on, counted from 0; `layer` names it."""
    embed_batch = FakeEngine.embed_batch
    numbers = itertools.count()

    def fail(engine, images):
        of_layer = layer is None or engine.offset == offset(layer)
        if of_layer and first <= next(numbers) <= last:
            raise error
        return embed_batch(engine, images)

    monkeypatch.setattr(FakeEngine, "embed_batch", fail)


def as_another_user(function, *folders) -> None:
    """Call a function in a child that is not root, so that permission bits bind it.

    The child may read and list the folders and those around them, and write nowhere in them.
    """
    for folder in folders:
        for path in (folder, *folder.parents, *folder.rglob("*")):
            mode = path.stat().st_mode
            wanted = mode | (0o055 if path.is_dir() else 0o044)
            if wanted != mode:  # else the file would count as changed
                path.chmod(wanted)
    fork = multiprocessing.get_context("fork")
    child = fork.Process(target=_as_nobody, args=[function], daemon=True)
    child.start()
    child.join(waits.SECONDS)
    assert child.exitcode == 0, "see the traceback of the child"


def _as_nobody(function) -> None:
    os.setgid(54321)
    os.setuid(54321)  # which has no entry in /etc/passwd
    function()


def forked(words, out, err) -> int:
    """Run `featx` on the fake engine in a forked process, and return its id.

    What it prints goes to the files `out` and `err`. It has one thread of OpenMP: those that tests
    before it may have begun are not there any more, and it would wait for them.
    """
    from threadpoolctl import threadpool_limits

    from featx.cli.main import main

    child = os.fork()
    if child == 0:
        status = 1
        try:
            for number, path in ((1, out), (2, err)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), number)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            with install(), threadpool_limits(1):
                main([str(word) for word in words])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return child


def open_pictures(monkeypatch, function):
    """Let a function of the path stand in for `open` wherever a picture is read."""
    real = builtins.open

    def opened(file, mode="r", *args, **kwargs):
        if mode == "rb" and str(file).endswith((".png", ".jpg")):
            return function(str(file))
        return real(file, mode, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", opened)


def decode(data: bytes, fit: Square) -> tuple[np.ndarray | None, Outcome]:
    """Decode a file's bytes to one square; None if the outcome is "failed"."""
    squares, outcome = decode_all(data, [fit])
    assert len(squares) == outcome.ok, outcome
    return (squares[0] if outcome.ok else None), outcome


def alone(path, layer=None, fit=SQUARE) -> np.ndarray:
    """Return what the engine says of one picture on its own."""
    pixels, outcome = decode(Path(path).read_bytes(), fit)
    assert pixels is not None, outcome
    return (colours(pixels[None]) + offset(layer))[0]


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


def recipe(backbone="resnet50", weights="0" * 64, input_size=224, preprocessing="none/1", **more):
    """Write the recipe of one network."""
    return Recipe((RecipePart.of(backbone, weights, input_size, preprocessing, **more),))


RECIPE = recipe()


def as_features(X, labels, recipe=RECIPE) -> Features:
    """Put rows and labels together as if images had been embedded."""
    paths = [f"photos/{label}/{i}.jpg" for i, label in enumerate(labels)]
    return Features(
        X=np.asarray(X, np.float32), y=as_labels(labels), paths=as_paths(paths), recipe=recipe
    )


def compared(hits, speeds=None, names=None, folds=5):
    """Make a comparison up from what each candidate predicts right, of shape (c, repeats, n)."""
    from featx.evaluation.candidates import Candidate
    from featx.evaluation.comparison import Comparison
    from featx.evaluation.splits import Splits
    from featx.evaluation.validation import CrossValidation
    from featx.learning.learner import Learner

    hits = np.asarray(hits)
    n = hits.shape[2]
    speeds = [float("nan")] * len(hits) if speeds is None else speeds
    names = names or [f"candidate {number}" for number in range(len(hits))]
    splits = Splits((), folds, hits.shape[1], np.arange(n))
    features = as_features(np.zeros((n, 2)), ["right"] * n, recipe=None)
    candidates = []
    for name, own, speed in zip(names, hits, speeds, strict=True):
        predictions = np.where(own, "right", "wrong")
        validation = CrossValidation(
            paths=features.paths,
            y_true=features.y,
            y_pred=predictions[0],
            classes=("right", "wrong"),
            all_predictions=predictions,
            all_probabilities=None,
            splits=splits,
            fit_seconds=0.5,
            predict_seconds=0.001,
        )
        timed = replace(features, images_per_second=speed)
        candidates.append(Candidate(name, timed, "knn", Learner.of("knn"), validation))
    candidates.sort(key=lambda each: -each.validation.accuracy)
    return Comparison(tuple(candidates))


def objects(n=20, each=10, seed=0, labels=("cat", "dog"), name="object_{:02d}_{}.png"):
    """Draw features of so many pictures of each of some objects, whose classes are random."""
    random = np.random.default_rng(seed)
    classes = random.permutation(np.resize(labels, n)).repeat(each)
    X = random.normal(size=(n, 60)).repeat(each, axis=0) * 1.5
    X += random.normal(size=X.shape)
    names = [name.format(number, one) for number in range(n) for one in range(each)]
    paths = [f"photos/{label}/{each}" for label, each in zip(classes, names, strict=True)]
    return replace(as_features(X, classes.tolist()), paths=as_paths(paths))


def about(path) -> dict:
    """Read what a model file says of itself."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("model.json"))


def rewrite(path, document, **members):
    """Let a model file say something else of itself; `members` take the place of others."""
    with zipfile.ZipFile(path) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    if "familiarity" not in document:  # an older format
        packed.pop("prototypes.npy", None)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (packed | members | {"model.json": json.dumps(document)}).items():
            archive.writestr(name, content)
