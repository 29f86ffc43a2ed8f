"""Filling the store: files are decoded ahead in threads, embedded in batches, written in shards."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from featx.backbones.engine import Engine
from featx.errors import ImageError, StorageError
from featx.features.store import FeatureStore
from featx.images.decode import Outcome, quiet_pillow
from featx.images.digests import Stamp, digest_bytes, read_file

_SHARD_BYTES = 64 << 20
_SHARD_SECONDS = 2.0  # a kill costs at most this much work,
_SHARD_SHARE = 0.02  # or this share of the run so far; so long runs do not write tiny shards
_BATCHES_AHEAD = 4
_PASSES = 3  # one for what is missing, more for what turns out damaged or cleared meanwhile

Decode = Callable[[bytes], tuple[np.ndarray | None, Outcome]]


@dataclass(frozen=True)
class _Job:
    """One file on its way to the network; pixels are None where there is nothing to embed."""

    index: int
    digest: str | None
    pixels: np.ndarray | None
    outcome: Outcome


class Filling:
    """One filling of a store with the features of some files.

    Parameters
    ----------
    paths : sequence of str
        The files.
    store : FeatureStore
        Receives the vectors that it lacks.
    decode : callable
        From the bytes of a file to pixels and an outcome; runs in threads.
    engine : callable
        Opens the engine; called only if there is something to embed.
    digests : mapping
        Digests known beforehand, by path.
    raise_errors : bool
        Whether to stop at the first file that cannot be read.
    progress : str or None
        What to call the progress bar; None for no bar.

    Attributes
    ----------
    digests : dict
        The digest of each file that could be read, by path.
    read : list of (path, digest, stamp)
        The files that were read now, for a `DigestMemo` to remember.
    failures : dict
        The outcome of each file that failed, by position.
    embedded : set of int
        Positions of the files whose vectors were computed now.
    seconds : float
        Time from the first file opened to the last vector, without opening the engine.
    """

    def __init__(
        self,
        paths: Sequence[str],
        store: FeatureStore,
        *,
        decode: Decode,
        engine: Callable[[], Engine],
        digests: Mapping[str, str],
        raise_errors: bool,
        progress: str | None,
    ) -> None:
        self.digests = dict(digests)
        self.read: list[tuple[str, str, Stamp | None]] = []
        self.failures: dict[int, Outcome] = {}
        self.embedded: set[int] = set()
        self.seconds = 0.0
        self._paths = paths
        self._store = store
        self._decode = decode
        self._open_engine = engine
        self._engine: Engine | None = None
        self._raise_errors = raise_errors
        self._progress = progress
        self._claimed: set[str] = set()
        self._lock = threading.Lock()
        self._buffer: list[tuple[str, str, np.ndarray]] = []

    def run(self) -> None:
        """Fill the store until it has a sound vector for every file that can be read.

        Raises
        ------
        ImageError
            A file cannot be read and `raise_errors` is set.
        StorageError, WeightsError, UnknownLayerError
            The store cannot be written, or the engine cannot be opened.
        """
        for _ in range(_PASSES):
            todo = self._missing()
            if not todo:
                self._store.discard_damaged()
                return
            self._store.create()
            self._claimed.clear()
            self._pass(todo)
        if self._missing():
            raise StorageError(
                f"the cache {self._store.folder} does not keep what is written to it; "
                "choose another folder"
            )

    def _missing(self) -> list[int]:
        sound = self._store.sound(list(self.digests.values()))
        return [
            index
            for index, path in enumerate(self._paths)
            if index not in self.failures and self.digests.get(path) not in sound
        ]

    def _pass(self, todo: list[int]) -> None:
        self._start = self._last_write = time.perf_counter()
        opening = 0.0
        batch: list[_Job] = []
        failed: dict[str, Outcome] = {}
        first: dict[str, int] = {}  # of the copies of a file, which threads take in any order
        with (
            quiet_pillow(),
            _bar(self._progress, len(todo)) as bar,
            closing(self._jobs(todo)) as jobs,
        ):
            try:
                for job in jobs:
                    bar.update()
                    if job.digest is not None:
                        self.digests[self._paths[job.index]] = job.digest
                        job = replace(job, index=first.setdefault(job.digest, job.index))
                    if not job.outcome.ok:
                        if self._raise_errors:
                            path = self._paths[job.index]
                            raise ImageError(f"cannot read {path}: {job.outcome.reason}")
                        self.failures[job.index] = job.outcome
                        if job.digest is not None:
                            failed[job.digest] = job.outcome
                    elif job.pixels is not None:
                        batch.append(job)
                        opening += self._ready()
                    if self._engine is not None and len(batch) == self._engine.batch_size:
                        self._embed(batch)
                        batch = []
                if batch:
                    self._embed(batch)
            finally:  # what was computed is kept, whatever ended the run
                self._write()
        self.seconds += time.perf_counter() - self._start - opening
        for index in todo:  # copies of a file that failed
            digest = self.digests.get(self._paths[index])
            if index not in self.failures and digest in failed:
                self.failures[index] = failed[digest]

    def _ready(self) -> float:
        """Open the engine if it is not open yet, and return the seconds that this took."""
        if self._engine is not None:
            return 0.0
        start = time.perf_counter()
        self._engine = self._open_engine()
        return time.perf_counter() - start

    def _embed(self, batch: list[_Job]) -> None:
        assert self._engine is not None
        pixels = [job.pixels for job in batch if job.pixels is not None]
        vectors = self._engine.embed_batch(np.stack(pixels))
        for job, vector in zip(batch, vectors, strict=True):
            assert job.digest is not None
            self._buffer.append((job.digest, "; ".join(job.outcome.notes), vector))
            self.embedded.add(job.index)
        now = time.perf_counter()
        waited = now - self._last_write
        size = len(self._buffer) * self._buffer[0][2].nbytes
        elapsed = now - self._start
        if size >= _SHARD_BYTES or waited >= max(_SHARD_SECONDS, _SHARD_SHARE * elapsed):
            self._write()

    def _write(self) -> None:
        buffer, self._buffer = self._buffer, []
        self._last_write = time.perf_counter()
        if buffer:
            digests, notes, vectors = zip(*buffer, strict=True)
            self._store.append(digests, np.stack(vectors), notes)

    def _jobs(self, todo: list[int]) -> Generator[_Job, None, None]:
        """Yield the files in order, read and decoded ahead by threads."""
        ahead = _BATCHES_AHEAD * (self._engine.batch_size if self._engine else 8)
        pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="featx-decode")
        waiting: deque[Future[_Job]] = deque()
        try:
            for index in todo:
                waiting.append(pool.submit(self._job, index))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _job(self, index: int) -> _Job:
        """Read one file and decode it, unless its vector is stored or on its way already.

        The digest is that of the very bytes that are decoded, so a file that changes meanwhile
        never leaves a vector under the wrong digest.
        """
        path = self._paths[index]
        try:
            data, stamp = read_file(path)
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "out of memory"
            reason = reason.lower()
            return _Job(index, None, None, Outcome(status="failed", reason=reason))
        digest = digest_bytes(data)
        self.read.append((path, digest, stamp))
        with self._lock:
            if digest in self._claimed or digest in self._store:
                return _Job(index, digest, None, Outcome(status="cached"))
            self._claimed.add(digest)
        return _Job(index, digest, *self._decode(data))


def _bar(name: str | None, total: int):
    """Return a progress bar that appears after a second, and seldom where nobody watches."""
    from tqdm import tqdm

    watched = sys.stderr is not None and sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=name,
        unit=" images",
        delay=1,
        mininterval=0.1 if watched else 10,
        dynamic_ncols=watched,
        disable=name is None,
    )
