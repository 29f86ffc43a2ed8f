"""The reader of pictures: files read and decoded by threads, ahead of the networks."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from PIL import Image

from featx.images.decode import Outcome, decode_all
from featx.images.digests import MAX_FILE_BYTES, Stamp, digest_bytes, read_file
from featx.images.limits import Room
from featx.images.measures import SIDE, Header, measures_of
from featx.images.memory import MemoryImage
from featx.images.square import Square

DECODED_AHEAD = 32  # pictures at least,
BATCHES_AHEAD = 4
_AHEAD_BYTES = 256 << 20  # but no more than this
_MOST_MEASURED = 20_000  # pictures; 14 MB

_READ = Room(MAX_FILE_BYTES)  # for the bytes of the files that all threads have read


@dataclass(frozen=True)
class ReadFile:
    """One file that was read, and decoded for those that lack its vector."""

    index: int  # its place among the files
    digest: str | None  # of its bytes; None where it cannot be read
    outcome: Outcome  # "decoded", "failed", or "cached" where nobody lacks its vector
    pixels: dict[int, np.ndarray] = field(default_factory=dict)  # by the number of their `Square`


class Reader:
    """Reads and decodes files, each once for all networks.

    `claim` says, for a digest, the numbers of the squares that lack its vector
    and have none coming. `measuring` says whether there is time to measure pictures on the way, so
    that a check need not decode them again; those are in `measured`, by digest.
    """

    def __init__(
        self,
        paths: Sequence[str],
        squares: Sequence[Square],
        claim: Callable[[str], list[int]],
        measuring: Callable[[], bool] = lambda: False,
    ) -> None:
        self.measured: dict[str, bytes] = {}
        self._measuring = measuring
        self.read: list[tuple[str, str, Stamp | None]] = []  # for a `DigestMemo` to remember
        self.batch_size = 1  # of the network that takes most; says how many to decode ahead
        self._paths = paths
        self._squares = squares
        self._claim = claim

    def files(self, todo: Sequence[int]) -> Generator[ReadFile, None, None]:
        """Yield files by their places, in order."""
        threads = os.cpu_count() or 1
        pool = ThreadPoolExecutor(threads, thread_name_prefix="featx-decode")
        waiting: deque[Future[ReadFile]] = deque()
        try:
            for index in todo:
                waiting.append(pool.submit(self._file, index))
                if len(waiting) > self._ahead(threads):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _ahead(self, threads: int) -> int:
        """Return how many pictures may be decoded and not yet embedded."""
        wanted = max(DECODED_AHEAD, 2 * threads, BATCHES_AHEAD * self.batch_size)
        bytes_ = sum(3 * square.size**2 for square in self._squares)
        return max(threads, min(wanted, _AHEAD_BYTES // bytes_))

    def _file(self, index: int) -> ReadFile:
        """Read one file and decode it for those that claim it.

        The digest is that of the very bytes that are decoded, so a file that changes meanwhile
        never leaves a vector under the wrong digest.
        """
        with _READ.taken(_size(self._paths[index])):  # before any of `decode_all`, never after
            return self._read_and_decode(index)

    def _read_and_decode(self, index: int) -> ReadFile:
        path = self._paths[index]
        try:
            data, stamp = read_file(path)
        except (OSError, MemoryError) as error:
            return ReadFile(index, None, Outcome(status="failed", reason=_reason(error, path)))
        digest = digest_bytes(data)
        self.read.append((path, digest, stamp))
        claimed = self._claim(digest)
        if not claimed:
            return ReadFile(index, digest, Outcome(status="cached"))
        measure = None
        if len(self.measured) < _MOST_MEASURED and self._measuring():
            measure = partial(self._measure, digest, len(data))
        pixels, outcome = decode_all(data, [self._squares[number] for number in claimed], measure)
        return ReadFile(index, digest, outcome, dict(zip(claimed, pixels, strict=False)))

    def _measure(
        self, digest: str, n_bytes: int, header: Header, square: Square, made: Image.Image
    ) -> None:
        """Measure a picture in a square that shows all of it."""
        shows_all = square.resize == "squash" and square.view == 0 and square.size >= SIDE
        if shows_all and digest not in self.measured:
            self.measured[digest] = measures_of(made, header, n_bytes).to_bytes()


def _size(path: str) -> int:
    """Return how many bytes a file takes in memory; a picture in memory takes no more."""
    if isinstance(path, MemoryImage):
        return 0
    try:
        return min(os.stat(path).st_size, MAX_FILE_BYTES)
    except (OSError, ValueError):  # reading it says why
        return 0


def _reason(error: Exception, path: str) -> str:
    """Say why a file cannot be read, and where a relative path was looked for."""
    known = getattr(error, "strerror", None)
    reason = known.lower() if known else str(error) or "out of memory"
    if isinstance(error, FileNotFoundError) and not os.path.isabs(path):
        reason += f" in {os.getcwd()}; --root (in Python root=) says where paths begin"
    return reason
