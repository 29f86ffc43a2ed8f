"""The store of vectors: keyed by content, append-only, safe to kill at any moment.

On disk, below the cache folder::

    digests.sqlite              digests of unchanged files, so that they are not read again
    features/<fingerprint>/
        recipe.json             the settings, for a person to read
        speed.json              images/s of the network when it made the vectors
        <time>-<random>.arrow   a shard: one Arrow file of keys, notes, vectors and checksums

A shard is written beside and renamed into place, and never changed afterwards; so a reader sees
whole shards only, and any number of processes may write at once. Many small shards become one.
Every row carries a checksum that is verified before its vector is used.
"""

from __future__ import annotations

import errno
import json
import math
import os
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from featx.errors import StorageError, get_logger
from featx.features.recipe import RecipePart
from featx.features.store.folder import DESCRIPTION, THREADS
from featx.features.store.index import Entry, ShardIndex, index_of, named, new_name
from featx.features.store.keys import Places, as_keys
from featx.features.store.merge import merge_small
from featx.features.store.mirror import folder_of
from featx.features.store.shard import BETWEEN_NOTES, Shard, held_shard, write_shard
from featx.files import check_writable, mapped_array, storage_errors, written
from featx.storage.deadline import request_threads

T = TypeVar("T")
_TELLING = 16  # images that tell a speed
_NOT_WRITABLE = {  # what does not keep a cache from being read
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
}
HELD_BYTES = 32 << 20  # of vectors that cannot be written; more are in a temporary file

log = get_logger(__name__)


@dataclass(frozen=True)
class Damage:
    """A shard that cannot be trusted, and why."""

    path: Path
    reason: str


class FeatureStore:
    """Vectors of one part of a recipe, by digest of the file they came from, in a cache.

    The cache is a folder, or an address such as s3://bucket/featx, with a copy on this machine.
    What is not written, or cannot be, is held as long as the store lives. `keeps` says whether new
    rows are written; without a folder none are.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None,
        recipe: RecipePart,
        *,
        shared: bool = False,
        listed: bool = True,
    ) -> None:
        """Open the store; a shared one reads no file again that this process has open.

        One that is not listed knows of no rows until it is refreshed: it is for those who append
        shards by name, and ask for these alone.
        """
        self.recipe = recipe
        self.keeps = folder is not None
        self.files = folder_of(folder, recipe.fingerprint)
        self.folder = self.files.path  # on this machine
        self.damages: list[Damage] = []  # found so far; their rows count as missing
        self._index = index_of(self.files) if shared else ShardIndex(self.files)
        self._speed = math.nan
        self._shards: dict[Path, Shard] = {}
        self._held_bytes = 0
        self._is_new = False  # the folder was made by this store
        if listed:
            self.refresh()

    def refresh(self) -> None:
        """Take in the shards that were written since the store was opened."""
        self._take_in(self._index.entries())

    def _take_in(self, entries: Mapping[Path, Entry]) -> None:
        known = {damage.path for damage in self.damages}
        shards, shape, damages = dict(self._shards), self.shape, []
        for path, entry in entries.items():
            if path in shards or path in known:
                continue
            if entry.shard is None:
                damages.append(Damage(path, entry.damage))
            elif shape in (None, entry.shard.shape):
                shards[path], shape = entry.shard, entry.shard.shape
            else:
                reason = f"features of shape {entry.shard.shape} among those of {shape}"
                damages.append(Damage(path, reason))
        self._shards = shards  # in one step, as other threads read it
        self._report(damages)

    def __contains__(self, digest: str) -> bool:
        return bool(self.stored([digest])[0])

    def stored(self, digests: Sequence[str]) -> np.ndarray:
        """Return whether each of `digests` is stored, as an array; no vector is looked at."""
        return self._find(digests).found

    def __len__(self) -> int:
        shards = self._shards.values()
        return len({key.tobytes() for shard in shards for key in shard.keys[shard.current]})

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of one feature, or None as long as nothing is stored."""
        return next((shard.shape for shard in self._shards.values()), None)

    def notes(self, digests: Sequence[str]) -> list[tuple[str, ...]]:
        """Return what was noted with the vectors of `digests`, each of them stored."""
        noted: list[tuple[str, ...]] = [()] * len(digests)
        places = self._known(digests)
        for shard, positions in places.by_shard():
            for position in positions:
                if note := shard.notes[places.rows[position]]:
                    noted[position] = tuple(note.split(BETWEEN_NOTES))
        return noted

    def sound(self, digests: Collection[str]) -> set[str]:
        """Return those of `digests` whose vectors are stored and intact.

        A row that fails its checksum is reported, and its whole shard counts as missing.
        """
        wanted = list(dict.fromkeys(digests))
        while True:
            places = self._find(wanted)
            bad, gone = self._unsound(places)
            if not bad and not gone:
                return {wanted[position] for position in np.flatnonzero(places.found)}
            left = self._shards.keys() - {*bad, *gone}
            self._shards = {path: each for path, each in self._shards.items() if path in left}
            self._report([Damage(path, "a vector does not match its checksum") for path in bad])
            if gone:
                self.refresh()

    def _find(self, digests: Sequence[str]) -> Places:
        return self._index.keys.find(tuple(self._shards.values()), as_keys(digests))

    def _known(self, digests: Sequence[str]) -> Places:
        places = self._find(digests)
        if not places.found.all():
            raise KeyError(digests[int(np.argmin(places.found))])
        return places

    def _unsound(self, places: Places) -> tuple[list[Path], list[Path]]:
        """List the shards in which a vector at one of these places fails its checksum.

        The second list has those that were merged or cleared before their vectors were read.
        """
        gone = []

        def damage(shard: Shard, positions: np.ndarray) -> Path | None:
            try:
                return None if shard.are_sound(places.rows[positions].tolist()) else shard.path
            except FileNotFoundError:
                gone.append(shard.path)
                return None

        bad = [path for path in _in_threads(damage, places) if path is not None]
        return bad, gone

    def read(self, digests: Sequence[str], out: np.ndarray) -> None:
        """Copy vectors, each of them stored, into the rows of an array of (n, width), float32."""
        places = self._known(digests)

        def copy(shard: Shard, positions: np.ndarray) -> None:
            shard.fetch(places.rows[positions])
            for position, row, count in _runs(positions, places.rows[positions]):
                out[position : position + count] = shard.vectors[row : row + count]

        _in_threads(copy, places)

    def create(self) -> None:
        """Make the folder, so that a cache which cannot be written is known before the work.

        That is a warning where it can be used all the same, and else a `StorageError`.
        """
        if self.keeps:
            with self._in_memory_instead():
                with storage_errors(self.folder):
                    self._is_new |= not self.folder.exists()
                    self.folder.mkdir(parents=True, exist_ok=True)
                check_writable(self.folder / DESCRIPTION)
                self._describe()

    def discard_empty(self) -> None:
        """Remove the folder if this store made it and nothing came of it, as of a run that fails.

        What another process has put there meanwhile stays.
        """
        if not self._is_new or self._shards:
            return
        with suppress(OSError):
            if [path.name for path in self.folder.iterdir()] == [DESCRIPTION]:
                (self.folder / DESCRIPTION).unlink()
                self.folder.rmdir()

    def _describe(self) -> None:
        """Write the settings for a person to read, unless they stand there."""
        description = self.folder / DESCRIPTION
        try:
            if RecipePart.from_dict(json.loads(description.read_bytes())) == self.recipe:
                return
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass  # not there, or damaged
        with self.files.written(DESCRIPTION) as file:
            file.write_text(json.dumps(self.recipe.to_dict(), indent=2) + "\n")

    def append(
        self,
        digests: Sequence[str],
        vectors: np.ndarray,
        notes: Sequence[tuple[str, ...]] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        """Write one shard; afterwards its rows are there for every process.

        The vectors are of shape (n, *shape), float32. If the shard cannot be written, or the cache
        holds features of another shape, nothing that was stored before is lost. A shard that is
        given a name stays as it is until `merge` is called, so that `has` finds it; this store
        itself sees its rows after a `refresh`.
        """
        if not len(digests):
            return
        shape = tuple(vectors.shape[1:])
        if self.shape not in (None, shape):
            raise StorageError(
                f"the cache {self.files} holds features of shape {self.shape}, now they have "
                f"{shape}; remove it (`featx cache clear {self.folder.name[:12]}`)"
            )
        texts = [BETWEEN_NOTES.join(each) for each in notes or [()] * len(digests)]
        keys = [bytes.fromhex(each) for each in digests]
        file_name = new_name() if name is None else named(name)
        self.create()
        if self.keeps:
            with self._in_memory_instead(), self.files.written(file_name) as file:
                write_shard(file, keys, texts, vectors)
        if not self.keeps:
            self._hold(keys, texts, vectors)
        elif name is None and self.files.merges:
            self._merge(shape)
        elif name is None:
            self._take_in(self._index.entry(self.folder / file_name))

    def has(self, name: str) -> bool:
        """Whether a shard of this name is stored; nothing else is looked at."""
        return self.keeps and self.files.has(named(name))

    def merge(self) -> None:
        """Merge small shards, those with names, too: nobody asks for these any more.

        At an address this is the only way that shards are merged: let one machine do it.
        """
        self.refresh()
        if self.keeps and self.shape is not None:
            self._merge(self.shape, named=True)

    def _merge(self, shape: tuple[int, ...], *, named: bool = False) -> None:
        gone = merge_small(self._index, shape, named=named)
        self._shards = {path: each for path, each in self._shards.items() if path not in gone}
        self.refresh()

    def _hold(self, keys: list[bytes], texts: list[str], vectors: np.ndarray) -> None:
        """Hold rows in memory, or where they are many in a nameless file."""
        self._held_bytes += vectors.nbytes
        if self._held_bytes > HELD_BYTES:
            vectors = _outside_memory(vectors)
        shard = held_shard(f"held {len(self._shards)}", keys, texts, vectors)
        self._shards = {**self._shards, shard.path: shard}

    @contextmanager
    def _in_memory_instead(self) -> Iterator[None]:
        """Hold rows in memory from here on where the block cannot write."""
        try:
            yield
        except StorageError as error:
            if error.errno not in _NOT_WRITABLE:
                raise
            self.keeps = False
            _tell_once(self.files.cache, error.errno)

    def keep_few(self, count: int) -> None:
        """Keep so many new rows only if they are among the first few of this process."""
        self.keeps = self.keeps and self._index.takes_few(count)

    @property
    def images_per_second(self) -> float:
        """How fast the network was on this machine when it made the vectors; NaN if unknown."""
        try:
            noted = json.loads(self._speed_file.read_text())
            speed = float(noted["images_per_second"])
            if 0 < speed < math.inf and noted.get("crc32", _sum_of(speed)) == _sum_of(speed):
                return speed
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
            pass
        except RecursionError:
            pass
        return self._speed

    def note_speed(self, images_per_second: float, count: int) -> None:
        """Note how fast the network was; a few images do not replace what more of them told."""
        if count < _TELLING and not math.isnan(self.images_per_second):
            return
        noted = {"images_per_second": images_per_second, "crc32": _sum_of(images_per_second)}
        self._speed = images_per_second
        if self.keeps:
            with suppress(StorageError), written(self._speed_file) as file:
                file.write_text(json.dumps(noted) + "\n")
                self._speed = math.nan  # the file tells, to other processes, too

    @property
    def _speed_file(self) -> Path:
        return self.folder / "speed.json"

    def discard_damaged(self) -> None:
        """Remove the damaged shards; call it once their rows are stored anew."""
        for damage in self.damages:
            with suppress(OSError):
                self.files.discard(damage.path.name)
        self.damages.clear()
        if self.keeps and self._shards:
            with suppress(OSError):
                self._describe()

    def _report(self, damages: Sequence[Damage]) -> None:
        if not damages:
            return
        self.damages.extend(damages)
        first = damages[0]
        more = f", and so are {len(damages) - 1} more" if len(damages) > 1 else ""
        log.warning(
            "the cache file %s is damaged (%s)%s; the images are embedded again",
            first.path,
            first.reason,
            more,
        )


def _sum_of(speed: float) -> int:
    return zlib.crc32(repr(speed).encode())


@cache
def _tell_once(cache_name: str, number: int) -> None:
    """Say, once a process, that a cache cannot be written."""
    log.warning(
        "the cache %s cannot be written (%s): what it holds is used, and nothing is added; "
        "--cache or FEATX_CACHE names another folder, --no-cache none",
        cache_name,
        os.strerror(number).lower(),
    )


def _outside_memory(vectors: np.ndarray) -> np.ndarray:
    """Move vectors to a nameless file, where there is room for it."""
    try:
        moved = mapped_array(vectors.shape)
    except OSError:
        return vectors
    moved[:] = vectors
    return moved


def _in_threads(function: Callable[[Shard, np.ndarray], T], places: Places) -> list[T]:
    """Return what a function makes of each shard and the positions of its keys, some at a time."""
    shards = list(places.by_shard())
    if len(shards) < 2:
        return [function(*each) for each in shards]
    with request_threads(THREADS, "featx-store") as pool:
        return list(pool.map(lambda each: function(*each), shards))


def _runs(positions: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yield positions and rows that follow one another as (first position, first row, count)."""
    breaks = np.flatnonzero((np.diff(positions) != 1) | (np.diff(rows) != 1)) + 1
    starts = np.concatenate([[0], breaks])
    counts = np.diff(np.append(starts, len(rows)))
    yield from zip(positions[starts], rows[starts], counts, strict=True)
