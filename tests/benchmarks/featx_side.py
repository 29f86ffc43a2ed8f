"""What is asked of featx: embedding, the two halves of embedding alone, and memory."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import featx
from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import open_engine
from featx.backbones.engines.engine import Engine, EngineRequest
from featx.features.options import settle
from featx.features.recipe import RecipePart
from featx.features.request import Request
from featx.features.store.store import FeatureStore
from featx.files import cache_folder
from featx.images.decode import decode_all, decode_rgb
from featx.images.digests import digest_bytes, read_file
from featx.images.quiet import quiet_pillow

_SAMPLE_SECONDS = 0.02
_STATUS = Path("/proc/self/status")


class FeatxSide:
    """featx in a process of its own; networks stay open between questions.

    A `recipe` is a dict of options of `featx.embed`: backbone, weights, and perhaps fast.
    """

    def __init__(self) -> None:
        self._ready: dict[str, list[np.ndarray]] = {}  # batches, by recipe

    def embed(self, folder: str, recipe: dict[str, Any]) -> float:
        """Embed a folder anew; return the seconds that featx counts: its images/s are by these."""
        features = featx.embed(folder, cache=False, progress=False, **recipe)
        return (features[0] if isinstance(features, list) else features).seconds

    def engine(self, recipe: dict[str, Any]) -> dict[str, Any]:
        """Open a network; return its engine, precision, and the images that it takes at once."""
        engine, part = _engine(recipe)
        return {
            "name": type(engine).__name__,
            "precision": part.cut.precision,
            "at_once": engine.batch_size * engine.streams,
        }

    def network(self, folder: str, n: int, recipe: dict[str, Any]) -> float:
        """Run the network alone, on batches that are ready; return images/s."""
        engine, part = _engine(recipe)
        if (ready := self._ready.get(str(recipe))) is None:
            at_once = engine.batch_size * engine.streams
            paths = islice(cycle(sorted(Path(folder).iterdir())), at_once)
            pixels = np.stack([_pixels(path, part) for path in paths])
            ready = self._ready[str(recipe)] = np.split(pixels, engine.streams)
        count = max(engine.streams, math.ceil(n / engine.batch_size))
        with ThreadPoolExecutor(engine.streams) as pool:
            start = time.perf_counter()
            for _ in pool.map(engine.embed_batch, islice(cycle(ready), count)):
                pass
            return count * engine.batch_size / (time.perf_counter() - start)

    def decoding(self, folder: str, recipe: dict[str, Any]) -> float:
        """Read, digest, decode and resize alone; return images/s."""
        _, part = _settled(recipe)
        return _rate(lambda path: _pixels(path, part), folder)

    def entropy_decoding(self, folder: str) -> float:
        """Undo the entropy coding (Huffman) of JPEGs and nearly nothing else; return images/s.

        One number of each 8x8 block becomes a pixel, and colours are passed over. No decoder that
        goes by the standard gets around this part, nor shares it among cores.
        """

        def undone(path: Path) -> None:
            data, _ = read_file(path)
            image = Image.open(BytesIO(data))
            image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()

        return _rate(undone, folder)

    def decoding_unresized(self, folder: str) -> float:
        """Read, digest and decode alone, in full; return images/s."""

        def decoded(path: Path) -> None:
            data, _ = read_file(path)
            digest_bytes(data)
            decode_rgb(data)

        return _rate(decoded, folder)

    def fill(self, folder: str, cache: str, recipe: dict[str, Any], shard_bytes: int) -> None:
        """Fill a cache with random vectors of a folder's images, as a first run would leave it."""
        backbone, part = _settled(recipe)
        width = featx.BACKBONES[backbone.name].width
        store = FeatureStore(cache, part)
        paths = sorted(Path(folder).iterdir())
        shard_rows = max(1, shard_bytes // (4 * width))
        generator = np.random.default_rng(0)
        for first in range(0, len(paths), shard_rows):
            digests = [
                digest_bytes(path.read_bytes()) for path in paths[first : first + shard_rows]
            ]
            vectors = generator.random((len(digests), width), dtype=np.float32)
            store.append(digests, vectors)
        features = featx.embed(folder, cache=cache, progress=False, **recipe)
        assert all(outcome.status == "cached" for outcome in features.outcomes)

    def embed_cached(self, folder: str, cache: str, recipe: dict[str, Any]) -> float:
        """Embed a folder that the cache holds; return seconds, all counted."""
        start = time.perf_counter()
        featx.embed(folder, cache=cache, progress=False, **recipe)
        return time.perf_counter() - start

    def read_cached(self, folder: str, cache: str, recipe: dict[str, Any]) -> float:
        """Read a folder's matrix out of the cache, checked; return seconds."""
        _, part = _settled(recipe)
        digests = [digest_bytes(path.read_bytes()) for path in sorted(Path(folder).iterdir())]
        start = time.perf_counter()
        store = FeatureStore(cache, part)
        assert len(store.sound(digests)) == len(digests)
        assert store.shape is not None
        matrix = np.empty((len(digests), *store.shape), np.float32)
        store.read(digests, out=matrix)
        return time.perf_counter() - start

    def one_by_one(self, call: str, n: int, cache: str) -> dict[str, Any]:
        """Embed or predict one new picture a call; return the seconds of a call and what grew."""
        random = np.random.default_rng(0)
        pictures = random.integers(0, 256, (n, 1, 32, 32, 3), dtype=np.uint8)
        options = {"backbone": "pixels", "input_size": 32, "pooling": "flatten"}
        few, classes = pictures[:40], [["light", "dark"][number % 2] for number in range(40)]
        model = featx.train(
            np.concatenate(few), labels=classes, cache=False, progress=False, **options
        )

        def one(picture: np.ndarray) -> None:
            if call == "predict":
                model.predict(picture, cache=cache)
            else:
                featx.embed(picture, cache=cache, progress=False, **options)

        seconds, memory = [], 0
        for number, picture in enumerate(pictures):
            start = time.perf_counter()
            one(picture)
            seconds.append(time.perf_counter() - start)
            if number == n // 10:
                memory = _anonymous_bytes()
        files = [path for path in Path(cache).rglob("*") if path.is_file()]
        part = max(1, n // 10)
        return {
            "calls": n,
            "start": float(np.median(seconds[1:part])),
            "end": float(np.median(seconds[-part:])),
            "files": len(files),
            "cache_bytes": sum(path.stat().st_size for path in files),
            "memory_bytes": max(1, _anonymous_bytes() - memory),
        }

    def load_npy(self, file: str) -> float:
        """Load a .npy file with numpy; return seconds."""
        start = time.perf_counter()
        np.load(file)
        return time.perf_counter() - start

    def load_features(self, file: str) -> float:
        """Load a file of features, checked; return seconds."""
        start = time.perf_counter()
        featx.Features.load(file)
        return time.perf_counter() - start

    def peak_memory(self, folder: str, recipe: dict[str, Any]) -> dict[str, int]:
        """Embed a folder; return the peak of anonymous memory and the size of X, in bytes."""
        peak = 0
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while True:
                peak = max(peak, _anonymous_bytes())
                if done.wait(_SAMPLE_SECONDS):
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            features = featx.embed(folder, cache=False, progress=False, **recipe)
        finally:
            done.set()
            watcher.join()
        return {"peak": peak, "matrix": features.X.nbytes}


def _settled(recipe: dict[str, Any]) -> tuple[Backbone, RecipePart]:
    """Return the network that `featx.embed` runs for a recipe of one, and what it settles."""
    options = {name: value for name, value in recipe.items() if name != "backbone"}
    [part] = Request.of(recipe["backbone"], settle(options)).parts
    return part


def _engine(recipe: dict[str, Any]) -> tuple[Engine, RecipePart]:
    """Return the engine that `featx.embed` has open for a recipe."""
    backbone, part = _settled(recipe)
    poolings = (part.cut.pooling,)
    request = EngineRequest(backbone, part.cut, poolings, part.square.size, cache_folder())
    return open_engine(request, "auto"), part


def _rate(work: Callable[[Path], object], folder: str) -> float:
    """Return the files/s of some work, in as many threads as featx decodes in."""
    paths = sorted(Path(folder).iterdir())
    with quiet_pillow(), ThreadPoolExecutor(os.cpu_count()) as pool:
        start = time.perf_counter()
        for _ in pool.map(work, paths):
            pass
        return len(paths) / (time.perf_counter() - start)


def _pixels(path: Path, part: RecipePart) -> np.ndarray:
    data, _ = read_file(path)
    digest_bytes(data)
    squares, outcome = decode_all(data, [part.square])
    if not outcome.ok:
        raise ValueError(f"{path} cannot be decoded: {outcome.reason}")
    return squares[0]


def _anonymous_bytes() -> int:
    """Return the anonymous memory of this process; pages of memory-mapped files are not in it."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("RssAnon"))
    return 1024 * int(line.split()[1])
