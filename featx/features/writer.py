"""The writer of vectors: what a network computes goes into its stores, shard by shard."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx.features.store.store import FeatureStore

SHARD_BYTES = 16 << 20
SHARD_SECONDS = 2.0  # a kill costs at most this much work,
_SHARD_SHARE = 0.02  # or this share of the run so far; so long runs do not write tiny shards


@dataclass(frozen=True)
class Picture:
    """A decoded picture on its way to the network."""

    index: int  # its place among the files
    digest: str
    notes: tuple[str, ...]
    pixels: np.ndarray


class Writer:
    """Puts the vectors of one network into the stores that lack them.

    There is a store for each pooling of the network: they share what it gives, column by column
    in equal parts. `embedded` has, for each store, places of the files that were embedded now.
    """

    def __init__(self, stores: Sequence[FeatureStore]) -> None:
        self.stores = tuple(stores)
        self.embedded: tuple[set[int], ...] = tuple(set() for _ in stores)
        self._claimed: set[str] = set()
        self._lock = threading.Lock()
        self._buffer: list[tuple[Picture, np.ndarray]] = []
        self._start = self._last_write = time.perf_counter()

    def begin(self) -> None:
        """Begin a pass over files: what earlier passes claimed and did not store is open again."""
        self._claimed.clear()
        self._start = self._last_write = time.perf_counter()

    def claim(self, digest: str) -> bool:
        """Whether a file must be embedded: it is neither stored nor on its way already."""
        with self._lock:
            if digest in self._claimed or all(digest in store for store in self.stores):
                return False
            if not self._claimed:  # a cache that cannot be written is known before the work
                for store in self.stores:
                    store.create()
            self._claimed.add(digest)
            return True

    def keep(self, pictures: Sequence[Picture], vectors: np.ndarray) -> None:
        """Take the vectors of pictures, and write a shard when it is time to."""
        self._buffer += zip(pictures, vectors, strict=True)
        now = time.perf_counter()
        size = len(self._buffer) * vectors[0].nbytes
        due = max(SHARD_SECONDS, _SHARD_SHARE * (now - self._start))
        if size >= SHARD_BYTES or now - self._last_write >= due:
            self.write()

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
                [pictures[row].notes for row in rows],
            )
            embedded |= {pictures[row].index for row in rows}

    def note_speed(self, images_per_second: float, count: int) -> None:
        """Note in the stores how fast the network was, on so many images."""
        for store in self.stores:
            store.note_speed(images_per_second, count)
