"""The reader of pictures: files read and decoded ahead of the networks.

Threads do that, as long as they keep up with the networks. Python lets one of them at a time do
what is not decoding, so beyond some thousand pictures a second more threads gain nothing. Where a
GPU or many cores wait for them, processes take over.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from PIL import Image, ImageFile

from featx.errors import get_logger
from featx.images import limits
from featx.images.decode import Outcome, decode_all
from featx.images.digests import digest_bytes, read_file
from featx.images.limits import Room
from featx.images.measures import SIDE, Header, measures_of
from featx.images.memory import MemoryImage
from featx.images.packed.container import size_of_member
from featx.images.quiet import quiet_pillow
from featx.images.regular import MAX_FILE_BYTES, Stamp
from featx.images.square import Square
from featx.paths import file_of, member_of
from featx.processes import Processes
from featx.storage.address import is_absolute, is_address
from featx.storage.deadline import request_threads
from featx.storage.entry import LargeObjectError
from featx.storage.objects import AT_ONCE

DECODED_AHEAD = 32  # pictures at least,
BATCHES_AHEAD = 4
_AHEAD_BYTES = 256 << 20  # but no more than this
_MOST_MEASURED = 20_000  # pictures; 14 MB

PROCESSES_FROM = 6  # cores: with fewer, threads keep them busy
WORTH_PROCESSES = 4000  # pictures left to read: processes take a second or two to start
WATCHED = 256  # pictures by which it is told whether the networks wait
_CHUNK = 16  # pictures that a process reads at a time

_OBJECT_BYTES = MAX_FILE_BYTES // AT_ONCE  # of an object that is read beside others

_READ = Room(MAX_FILE_BYTES)  # for the bytes of the files that all threads have read

log = get_logger(__name__)


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
        threads = cores = os.cpu_count() or 1
        if any(is_address(file_of(self._paths[index])) for index in todo):
            threads = max(threads, AT_ONCE)  # which wait for a store more than they decode
        waiting: deque[Future[ReadFile]] = deque()
        late: deque[bool] = deque(maxlen=WATCHED)  # whether no decoded pictures were left
        by_processes: Iterable[ReadFile] = ()
        starting: _Starting | None = None
        with ExitStack() as stack:
            pool = stack.enter_context(request_threads(threads, "featx-decode"))
            for number, index in enumerate(todo):
                if not starting and self._is_behind(late) and self._gain(cores, todo, number):
                    starting = stack.enter_context(_processes(cores))
                if starting and starting.done():
                    log.info("%d processes decode from here on", cores)
                    by_processes = self._files_by_processes(todo[number:], starting.pool, cores)
                    break
                waiting.append(pool.submit(self._file, index))
                while len(waiting) > (2 * threads if starting else self._ahead(threads)):
                    late.append(not waiting[min(threads, len(waiting) - 1)].done())
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            yield from by_processes

    def _is_behind(self, late: deque[bool]) -> bool:
        """Whether the networks have waited for half of the last files."""
        return len(late) == WATCHED and 2 * sum(late) >= WATCHED

    def _gain(self, n: int, todo: Sequence[int], start: int) -> bool:
        """Whether `n` processes gain anything over threads from a file on, and can be started.

        It is asked for each file, so what takes long is asked last.
        """
        return (
            n >= PROCESSES_FROM
            and len(todo) - start >= WORTH_PROCESSES
            and self._most_ahead >= n * _CHUNK
            and not multiprocessing.current_process().daemon  # which may have no children
            and not any(_is_elsewhere(self._paths[index]) for index in todo[start:])
        )

    def _files_by_processes(
        self, todo: Sequence[int], pool: Processes, n: int
    ) -> Iterator[ReadFile]:
        """Yield files by their places, in order, that `n` processes read a chunk at a time."""
        most = min(2 * n, self._most_ahead // _CHUNK)
        waiting: deque[tuple[Sequence[int], Future[list[Read]]]] = deque()
        for start in range(0, len(todo), _CHUNK):
            chunk = todo[start : start + _CHUNK]
            paths = [self._paths[index] for index in chunk]
            work = partial(read_chunk, paths, self._squares, measuring=self._measures_more())
            waiting.append((chunk, pool.submit(work)))
            if len(waiting) > most:
                yield from self._taken_over(*waiting.popleft())
        while waiting:
            yield from self._taken_over(*waiting.popleft())

    def _taken_over(self, places: Sequence[int], chunk: Future[list[Read]]) -> Iterator[ReadFile]:
        """Yield what a process has read; what went wrong there is done again here.

        So a failure is told by the process that has all the room there is, and a process that was
        killed costs time alone.
        """
        try:
            files = chunk.result()
        except Exception as error:  # of the pool: what a file can do wrong is in its outcome
            log.info("a process that decodes has ended: %r", error)
            yield from map(self._file, places)
            return
        for place, (file, stamp, measures) in zip(places, files, strict=True):
            if file.digest is None or not file.outcome.ok:
                yield self._file(place)
                continue
            self.read.append((self._paths[place], file.digest, stamp))
            if measures is not None:
                self.measured[file.digest] = measures
            claimed = self._claim(file.digest)
            outcome = file.outcome if claimed else Outcome(status="cached")
            pixels = {number: file.pixels[number] for number in claimed}
            yield replace(file, index=place, outcome=outcome, pixels=pixels)

    def _ahead(self, threads: int) -> int:
        """Return how many pictures may be decoded and not yet embedded."""
        wanted = max(DECODED_AHEAD, 2 * threads, BATCHES_AHEAD * self.batch_size)
        return max(threads, min(wanted, self._most_ahead))

    @property
    def _most_ahead(self) -> int:
        """How many decoded pictures the memory for them holds."""
        return _AHEAD_BYTES // sum(3 * square.size**2 for square in self._squares)

    def _file(self, index: int) -> ReadFile:
        """Read one file and decode it for those that claim it.

        The digest is that of the very bytes that are decoded, so a file that changes meanwhile
        never leaves a vector under the wrong digest.
        """
        path = self._paths[index]
        if is_address(path):  # most are small, and it takes a request to know how large one is
            with suppress(LargeObjectError), _READ.taken(_OBJECT_BYTES):
                return self._read_and_decode(index, most=_OBJECT_BYTES)
        with _READ.taken(_size(path)):  # before any of `decode_all`, never after
            return self._read_and_decode(index)

    def _read_and_decode(self, index: int, **bound: int) -> ReadFile:
        path = self._paths[index]
        try:
            data, stamp = read_file(path, **bound)
        except (OSError, MemoryError) as error:
            if bound and isinstance(error, LargeObjectError):
                raise
            return ReadFile(index, None, unread(error, path))
        digest = digest_bytes(data)
        self.read.append((path, digest, stamp))
        claimed = self._claim(digest)
        if not claimed:
            return ReadFile(index, digest, Outcome(status="cached"))
        measure = None
        if self._measures_more():
            measure = partial(self._measure, digest, len(data))
        pixels, outcome = decode_all(data, [self._squares[number] for number in claimed], measure)
        return ReadFile(index, digest, outcome, dict(zip(claimed, pixels, strict=False)))

    def _measures_more(self) -> bool:
        """Whether pictures are measured now."""
        return len(self.measured) < _MOST_MEASURED and self._measuring()

    def _measure(
        self, digest: str, n_bytes: int, header: Header, square: Square, made: Image.Image
    ) -> None:
        """Measure a picture in a square that shows all of it."""
        shows_all = square.resize == "squash" and square.view == 0 and square.size >= SIDE
        if shows_all and digest not in self.measured:
            self.measured[digest] = measures_of(made, header, n_bytes).to_bytes()


# What a process tells of a file: what it read, and the stamp and the measures of it.
Read = tuple[ReadFile, Stamp | None, bytes | None]


@dataclass(frozen=True)
class _Starting:
    """Processes that are being started."""

    pool: Processes
    each: Sequence[Future[object]]  # done once it is there

    def done(self) -> bool:
        """Whether they can be used."""
        return any(one.done() and one.exception() is None for one in self.each)


@contextmanager
def _processes(n: int) -> Iterator[_Starting]:
    """Start processes that read and decode, and end them with the block."""
    pool = Processes(n, partial(_begin_process, n, ImageFile.LOAD_TRUNCATED_IMAGES))
    try:
        yield _Starting(pool, pool.start())
    finally:
        pool.close()


def _begin_process(n: int, load_truncated: bool) -> None:
    """Give a process its share of the room, and the one setting of Pillow that users change."""
    limits.ROOM.size //= n
    _READ.size //= n
    ImageFile.LOAD_TRUNCATED_IMAGES = load_truncated


def read_chunk(
    paths: Sequence[str], squares: Sequence[Square], *, measuring: bool = False
) -> list[Read]:
    """Read and decode files in a process, for all squares.

    One that is larger than its share fails.
    """
    every = list(range(len(squares)))
    one = partial(_read_one, squares, lambda digest: every, measuring)
    with quiet_pillow():
        if not any(map(is_address, paths)):
            return [one(path) for path in paths]
        with ThreadPoolExecutor(min(AT_ONCE, len(paths)), "featx-read") as pool:
            return list(pool.map(one, paths))


def _read_one(
    squares: Sequence[Square], claim: Callable[[str], list[int]], measuring: bool, path: str
) -> Read:
    reader = Reader([path], squares, claim, lambda: measuring)
    try:
        file = reader._file(0)
    except limits.RefusedError as error:
        file = ReadFile(0, None, Outcome(status="failed", reason=str(error)))
    stamp = reader.read[0][2] if reader.read else None
    return file, stamp, reader.measured.get(file.digest or "")


def _is_elsewhere(path: str) -> bool:
    """Whether a picture is not on the disk: processes gain nothing where one waits for a store."""
    return isinstance(path, MemoryImage) or is_address(file_of(path))


def _size(path: str) -> int:
    """Return how many bytes a file takes in memory; a picture in memory takes no more."""
    if isinstance(path, MemoryImage):
        return 0
    if is_address(path):
        return MAX_FILE_BYTES
    try:
        member = member_of(path)
        size = os.stat(path).st_size if member is None else size_of_member(member)
        return min(size, MAX_FILE_BYTES)
    except (OSError, ValueError):  # reading it says why
        return 0


def unread(error: Exception, path: str) -> Outcome:
    """Return the outcome of a file that cannot be read."""
    return Outcome(status="failed", reason=_reason_of(error, path))


def _reason_of(error: Exception, path: str) -> str:
    """Say why a file cannot be read, and where a relative path was looked for."""
    known = getattr(error, "strerror", None)
    reason = known.lower() if known else str(error) or "out of memory"
    if isinstance(error, FileNotFoundError) and not is_absolute(file_of(path)):
        reason += f" in {os.getcwd()}; --root (in Python root=) says where paths begin"
    return reason
