"""Batches of one network: pictures gathered for its engine, and the engine's work timed."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from featx.backbones.engines.engine import Engine
from featx.features.writer import Picture


class Batches:
    """Gathers pictures for an engine, which is opened once there are some, and embeds them."""

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self.engine: Engine | None = None
        self.count = 0  # pictures embedded
        self._open_engine = open_engine
        self._lock = threading.Lock()
        self._busy = 0.0  # seconds of all threads together
        self._batch: list[Picture] = []

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
            self.count += len(batch)
            self._busy += time.perf_counter() - start
        return vectors

    @property
    def seconds_per_image(self) -> float:
        """Time that an image takes in one stream, as far as is known; infinite before the first."""
        return self._busy / self.count if self.count else math.inf

    @property
    def images_per_second(self) -> float:
        """How fast the network was, once it has embedded something."""
        assert self.engine is not None
        return self.count * self.engine.streams / self._busy
