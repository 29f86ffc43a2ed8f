"""The way of pictures through one network into its stores: batches in, shards out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from featx.backbones.engine import Engine
from featx.features.store import FeatureStore
from featx.images.fit import Fit

_SHARD_BYTES = 16 << 20
_SHARD_SECONDS = 2.0  # a kill costs at most this much work,
_SHARD_SHARE = 0.02  # or this share of the run so far; so long runs do not write tiny shards


@dataclass(frozen=True)
class Picture:
    """A decoded picture on its way to the network."""

    index: int  # its place among the files
    digest: str
    note: str
    pixels: np.ndarray


class Lane:
    """One network and the stores that receive its vectors.

    Parameters
    ----------
    stores : sequence of FeatureStore
        Receive the vectors that they lack. Several of them, one for each pooling, share what the
        engine gives, column by column in equal parts.
    fit : Fit
        The square of pixels that the network takes.
    open_engine : callable
        Opens the engine; called only if there is something to embed.

    Attributes
    ----------
    engine : Engine or None
        The engine, once it is open.
    embedded : tuple of set of int
        For each store, places of the files whose vectors were computed now.
    """

    def __init__(
        self, stores: Sequence[FeatureStore], fit: Fit, open_engine: Callable[[], Engine]
    ) -> None:
        self.stores = tuple(stores)
        self.fit = fit
        self.engine: Engine | None = None
        self.embedded: tuple[set[int], ...] = tuple(set() for _ in stores)
        self._open_engine = open_engine
        self._claimed: set[str] = set()
        self._lock = threading.Lock()
        self._count = 0
        self._busy = 0.0  # seconds of all threads together
        self._batch: list[Picture] = []
        self._buffer: list[tuple[Picture, np.ndarray]] = []
        self._start = self._last_write = time.perf_counter()

    def begin(self) -> None:
        """Begin a pass over files: what earlier passes claimed and did not store is open again."""
        for store in self.stores:
            store.create()
        self._claimed.clear()
        self._start = self._last_write = time.perf_counter()

    def claim(self, digest: str) -> bool:
        """Whether a file must be embedded: it is neither stored nor on its way already."""
        with self._lock:
            if digest in self._claimed or all(digest in store for store in self.stores):
                return False
            self._claimed.add(digest)
            return True

    def ready(self) -> float:
        """Open the engine if it is not open yet, and return the seconds that this took."""
        if self.engine is not None:
            return 0.0
        start = time.perf_counter()
        self.engine = self._open_engine()
        return time.perf_counter() - start

    def add(self, picture: Picture) -> list[Picture]:
        """Add a picture, and return the batch that it completes, or nothing yet."""
        assert self.engine is not None
        self._batch.append(picture)
        return self.rest() if len(self._batch) == self.engine.batch_size else []

    def rest(self) -> list[Picture]:
        """Return the pictures that make no whole batch."""
        batch, self._batch = self._batch, []
        return batch

    def embed(self, batch: Sequence[Picture]) -> np.ndarray:
        """Return the vectors of a batch; as many threads may call it as the engine has streams."""
        assert self.engine is not None
        start = time.perf_counter()
        vectors = self.engine.embed_batch(np.stack([picture.pixels for picture in batch]))
        with self._lock:
            self._count += len(batch)
            self._busy += time.perf_counter() - start
        return vectors

    def keep(self, batch: Sequence[Picture], vectors: np.ndarray) -> None:
        """Take the vectors of a batch, and write a shard when it is time to."""
        self._buffer += zip(batch, vectors, strict=True)
        now = time.perf_counter()
        size = len(self._buffer) * vectors[0].nbytes
        due = max(_SHARD_SECONDS, _SHARD_SHARE * (now - self._start))
        if size >= _SHARD_BYTES or now - self._last_write >= due:
            self.write()

    def close(self) -> None:
        """Note in the stores how fast the network was, if it ran."""
        if self._count:
            assert self.engine is not None
            for store in self.stores:
                store.note_speed(self._count * self.engine.streams / self._busy, self._count)

    def write(self) -> None:
        """Write what was computed and is not written yet."""
        buffer, self._buffer = self._buffer, []
        self._last_write = time.perf_counter()
        if not buffer:
            return
        pictures, vectors = zip(*buffer, strict=True)
        parts = np.split(np.stack(vectors), len(self.stores), axis=1)
        for store, part, embedded in zip(self.stores, parts, self.embedded, strict=True):
            rows = [row for row, each in enumerate(pictures) if each.digest not in store]
            store.append(
                [pictures[row].digest for row in rows],
                part if len(rows) == len(part) else part[rows],
                [pictures[row].note for row in rows],
            )
            embedded |= {pictures[row].index for row in rows}
