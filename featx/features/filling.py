"""Filling stores: files are decoded ahead in threads, embedded in batches, written in shards."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field

import numpy as np

from featx.errors import ImageError, StorageError
from featx.features.lane import Lane, Picture
from featx.images.decode import Outcome, decode_all, quiet_pillow
from featx.images.digests import Stamp, digest_bytes, read_file

log = logging.getLogger(__name__)

_DECODED_AHEAD = 32  # pictures at least,
_BATCHES_AHEAD = 4
_AHEAD_BYTES = 256 << 20  # but no more than this
_PASSES = 3  # one for what is missing, more for what turns out damaged or cleared meanwhile


@dataclass(frozen=True)
class _Job:
    """One file on its way: decoded for the lanes that lack its vector."""

    index: int
    digest: str | None
    outcome: Outcome
    pixels: dict[Lane, np.ndarray] = field(default_factory=dict)


class Filling:
    """One filling of stores with the features of some files.

    Every file is read and decoded once for all lanes.

    Parameters
    ----------
    paths : sequence of str
        The files.
    lanes : sequence of Lane
        The networks and their stores.
    digests : mapping
        Digests known beforehand, by path.
    raise_errors : bool
        Whether to stop at the first file that cannot be read.
    progress : str or None
        What to call the progress bar; None for no bar.
    advise : callable, optional
        Called after each batch with the seconds of this pass, how many files are done and how
        many there are; returns a line to log, or None.

    Attributes
    ----------
    digests : dict
        The digest of each file that could be read, by path.
    read : list of (path, digest, stamp)
        The files that were read now, for a `DigestMemo` to remember.
    failures : dict
        The outcome of each file that failed, by position.
    seconds : float
        Time from the first file opened to the last vector, without opening the engines.
    """

    def __init__(
        self,
        paths: Sequence[str],
        lanes: Sequence[Lane],
        *,
        digests: Mapping[str, str],
        raise_errors: bool,
        progress: str | None,
        advise: Callable[[float, int, int], str | None] | None = None,
    ) -> None:
        self.digests = dict(digests)
        self.read: list[tuple[str, str, Stamp | None]] = []
        self.failures: dict[int, Outcome] = {}
        self.seconds = 0.0
        self._paths = paths
        self._lanes = lanes
        self._stores = [store for lane in lanes for store in lane.stores]
        self._raise_errors = raise_errors
        self._progress = progress
        self._advise = advise
        self._workers: ThreadPoolExecutor | None = None
        self._pending: deque[tuple[Lane, list[Picture], Future[np.ndarray]]] = deque()

    def run(self) -> None:
        """Fill the stores until they have a sound vector for every file that can be read.

        Raises
        ------
        ImageError
            A file cannot be read and `raise_errors` is set.
        StorageError, WeightsError, UnknownLayerError
            A store cannot be written, or an engine cannot be opened.
        """
        for _ in range(_PASSES):
            todo = self._missing()
            if not todo:
                for store in self._stores:
                    store.discard_damaged()
                return
            for lane in self._lanes:
                lane.begin()
            self._pass(todo)
        if self._missing():
            folders = ", ".join(str(store.folder) for store in self._stores)
            raise StorageError(
                f"the cache {folders} does not keep what is written to it; choose another folder"
            )

    def _missing(self) -> list[int]:
        wanted = list(self.digests.values())
        sound = set.intersection(*(store.sound(wanted) for store in self._stores))
        return [
            index
            for index, path in enumerate(self._paths)
            if index not in self.failures and self.digests.get(path) not in sound
        ]

    def _pass(self, todo: list[int]) -> None:
        start = time.perf_counter()
        opening = 0.0
        failed: dict[str, Outcome] = {}
        first: dict[str, int] = {}  # of the copies of a file, which threads take in any order
        with ExitStack() as stack:
            stack.enter_context(quiet_pillow())
            bar = stack.enter_context(_bar(self._progress, len(todo)))
            jobs = stack.enter_context(closing(self._jobs(todo)))
            stack.callback(self._stop)
            stack.callback(self._write)  # what was computed is kept, whatever ends the run
            for done, job in enumerate(jobs, 1):
                bar.update()
                index = job.index
                if job.digest is not None:
                    self.digests[self._paths[index]] = job.digest
                    index = first.setdefault(job.digest, index)
                if not job.outcome.ok:
                    if self._raise_errors:
                        path = self._paths[index]
                        raise ImageError(f"cannot read {path}: {job.outcome.reason}")
                    self.failures[index] = job.outcome
                    if job.digest is not None:
                        failed[job.digest] = job.outcome
                for lane, pixels in job.pixels.items():
                    if seconds := lane.ready():
                        opening += seconds
                        bar.unpause()  # it counts pictures, not the start of the network
                    assert job.digest is not None
                    note = "; ".join(job.outcome.notes)
                    if batch := lane.add(Picture(index, job.digest, note, pixels)):
                        self._submit(lane, batch)
                        self._hint(bar, time.perf_counter() - start - opening, done, len(todo))
            for lane in self._lanes:
                if batch := lane.rest():
                    self._submit(lane, batch)
            while self._pending:
                self._collect()
        self.seconds += time.perf_counter() - start - opening
        for index in todo:  # copies of a file that failed
            digest = self.digests.get(self._paths[index])
            if index not in self.failures and digest in failed:
                self.failures[index] = failed[digest]

    def _submit(self, lane: Lane, batch: list[Picture]) -> None:
        """Hand a batch to its network.

        No more batches are computed at once than the processor has streams for, whichever networks
        they are of, so that the speed of each can be told; some wait, so that no stream idles.
        """
        streams = max(each.engine.streams for each in self._lanes if each.engine)
        if self._workers is None:
            self._workers = ThreadPoolExecutor(streams, thread_name_prefix="featx-embed")
        self._pending.append((lane, batch, self._workers.submit(lane.embed, batch)))
        while len(self._pending) > streams + len(self._lanes):
            self._collect()

    def _stop(self) -> None:
        if self._workers is not None:
            self._workers.shutdown(cancel_futures=True)
            self._workers = None

    def _collect(self) -> None:
        lane, batch, vectors = self._pending.popleft()
        lane.keep(batch, vectors.result())

    def _write(self) -> None:
        """Keep what was computed before the run ended, early or not."""
        try:
            while self._pending:
                with suppress(Exception):  # the error that ended the run is the one to tell
                    self._collect()
        finally:
            for lane in self._lanes:
                lane.write()

    def _hint(self, bar, seconds: float, done: int, total: int) -> None:
        """Log what the advice is, if there is one, without tearing the progress bar."""
        advice = self._advise(seconds, done, total) if self._advise else None
        if advice:
            bar.clear()
            log.warning(advice)
            bar.refresh()

    def _jobs(self, todo: list[int]) -> Generator[_Job, None, None]:
        """Yield the files in order, read and decoded ahead by threads."""
        threads = os.cpu_count() or 1
        pool = ThreadPoolExecutor(threads, thread_name_prefix="featx-decode")
        waiting: deque[Future[_Job]] = deque()
        try:
            for index in todo:
                waiting.append(pool.submit(self._job, index))
                if len(waiting) > self._ahead(threads):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _ahead(self, threads: int) -> int:
        """Return how many pictures may be decoded and not yet embedded."""
        sizes = [lane.engine.batch_size for lane in self._lanes if lane.engine]
        wanted = max(_DECODED_AHEAD, 2 * threads, _BATCHES_AHEAD * max(sizes, default=1))
        bytes_ = sum(3 * lane.fit.size**2 for lane in self._lanes)
        return max(threads, min(wanted, _AHEAD_BYTES // bytes_))

    def _job(self, index: int) -> _Job:
        """Read one file and decode it for the lanes that have no vector of it, nor one coming.

        The digest is that of the very bytes that are decoded, so a file that changes meanwhile
        never leaves a vector under the wrong digest.
        """
        path = self._paths[index]
        try:
            data, stamp = read_file(path)
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "out of memory"
            return _Job(index, None, Outcome(status="failed", reason=reason.lower()))
        digest = digest_bytes(data)
        self.read.append((path, digest, stamp))
        lanes = [lane for lane in self._lanes if lane.claim(digest)]
        if not lanes:
            return _Job(index, digest, Outcome(status="cached"))
        pixels, outcome = decode_all(data, [lane.fit for lane in lanes])
        return _Job(index, digest, outcome, dict(zip(lanes, pixels, strict=False)))


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
