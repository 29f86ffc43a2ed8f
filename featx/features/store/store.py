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
import secrets
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from featx.errors import StorageError, get_logger
from featx.features.recipe import RecipePart
from featx.features.store.index import ShardIndex, index_of
from featx.features.store.merge import merge_small
from featx.features.store.shard import BETWEEN_NOTES, Shard, held_shard, write_shard
from featx.files import check_writable, mapped_array, storage_errors, written

T = TypeVar("T")
_TELLING = 16  # images that tell a speed
_DESCRIPTION = "recipe.json"
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
    """Vectors of one part of a recipe, by digest of the file they came from, in a cache folder.

    What is not written, or cannot be, is held as long as the store lives. `keeps` says whether new
    rows are written; without a folder none are.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None, recipe: RecipePart, *, shared: bool = False
    ) -> None:
        """Open the store; a shared one reads no file again that this process has open."""
        self.recipe = recipe
        self.keeps = folder is not None
        self.folder = shards_folder(folder or os.devnull) / recipe.fingerprint
        self.damages: list[Damage] = []  # found so far; their rows count as missing
        self._index = index_of(self.folder) if shared else ShardIndex(self.folder)
        self._speed = math.nan
        self._shards: dict[Path, Shard] = {}
        self._places: dict[bytes, tuple[Shard, int]] = {}  # of the rows that were asked for
        self._held_bytes = 0
        self._is_new = False  # the folder was made by this store
        self.refresh()

    def refresh(self) -> None:
        """Take in the shards that were written since the store was opened."""
        known = {damage.path for damage in self.damages}
        shards, shape, damages = dict(self._shards), self.shape, []
        for path, entry in self._index.entries().items():
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
        return self._place(bytes.fromhex(digest)) is not None

    def __len__(self) -> int:
        return len(set().union(*(shard.rows for shard in self._shards.values())))

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of one feature, or None as long as nothing is stored."""
        return next((shard.shape for shard in self._shards.values()), None)

    def notes(self, digest: str) -> tuple[str, ...]:
        """Return what was noted with the vector of `digest`."""
        shard, row = self._known_place(bytes.fromhex(digest))
        return tuple(shard.notes[row].split(BETWEEN_NOTES)) if shard.notes[row] else ()

    def sound(self, digests: Sequence[str]) -> set[str]:
        """Return those of `digests` whose vectors are stored and intact.

        A row that fails its checksum is reported, and its whole shard counts as missing.
        """
        wanted = {bytes.fromhex(digest) for digest in digests}
        while True:
            found = self._find(wanted)
            bad = self._unsound(found)
            if not bad:
                return {key.hex() for key in found}
            self._shards = {path: each for path, each in self._shards.items() if path not in bad}
            self._places.clear()
            self._report([Damage(path, "a vector does not match its checksum") for path in bad])

    def _find(self, wanted: Collection[bytes]) -> set[bytes]:
        """Look up rows, and return the keys of those that are stored."""
        missing = set(wanted) - self._places.keys()
        for shard in self._shards.values():
            found = missing & shard.rows.keys()
            self._places.update({key: (shard, shard.rows[key]) for key in found})
            missing -= found
        return set(wanted) - missing

    def _place(self, key: bytes) -> tuple[Shard, int] | None:
        if key in self._places:
            return self._places[key]
        return next(
            ((shard, shard.rows[key]) for shard in self._shards.values() if key in shard.rows), None
        )

    def _known_place(self, key: bytes) -> tuple[Shard, int]:
        place = self._place(key)
        if place is None:
            raise KeyError(key.hex())
        return place

    def _unsound(self, keys: Collection[bytes]) -> list[Path]:
        """List the shards that hold vectors of these keys which fail their checksum."""
        rows: defaultdict[Path, list[int]] = defaultdict(list)
        shards: dict[Path, Shard] = {}
        for shard, row in map(self._places.__getitem__, keys):
            shards[shard.path] = shard
            rows[shard.path].append(row)

        def is_sound(path: Path) -> bool:
            return shards[path].are_sound(rows[path])

        return [path for path, sound in _in_threads(is_sound, rows) if not sound]

    def read(self, digests: Sequence[str], out: np.ndarray) -> None:
        """Copy vectors, each of them stored, into the rows of an array of (n, width), float32."""
        places: defaultdict[Path, list[tuple[int, int]]] = defaultdict(list)
        shards: dict[Path, Shard] = {}
        for position, digest in enumerate(digests):
            shard, row = self._known_place(bytes.fromhex(digest))
            shards[shard.path] = shard
            places[shard.path].append((position, row))

        def copy(path: Path) -> None:
            vectors = shards[path].vectors
            for position, row, count in _runs(places[path]):
                out[position : position + count] = vectors[row : row + count]

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
                check_writable(self.folder / _DESCRIPTION)
                self._describe()

    def discard_empty(self) -> None:
        """Remove the folder if this store made it and nothing came of it, as of a run that fails.

        What another process has put there meanwhile stays.
        """
        if not self._is_new or self._shards:
            return
        with suppress(OSError):
            if [path.name for path in self.folder.iterdir()] == [_DESCRIPTION]:
                (self.folder / _DESCRIPTION).unlink()
                self.folder.rmdir()

    def _describe(self) -> None:
        """Write the settings for a person to read, unless they stand there."""
        description = self.folder / _DESCRIPTION
        try:
            if RecipePart.from_dict(json.loads(description.read_bytes())) == self.recipe:
                return
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass  # not there, or damaged
        with written(description) as file:
            file.write_text(json.dumps(self.recipe.to_dict(), indent=2) + "\n")

    def append(
        self,
        digests: Sequence[str],
        vectors: np.ndarray,
        notes: Sequence[tuple[str, ...]] | None = None,
    ) -> None:
        """Write one shard; afterwards its rows are there for every process.

        The vectors are of shape (n, *shape), float32. If the shard cannot be written, or the cache
        holds features of another shape, nothing that was stored before is lost.
        """
        if not len(digests):
            return
        shape = tuple(vectors.shape[1:])
        if self.shape not in (None, shape):
            raise StorageError(
                f"the cache {self.folder} holds features of shape {self.shape}, now they have "
                f"{shape}; remove it (`featx cache clear {self.folder.name[:12]}`)"
            )
        texts = [BETWEEN_NOTES.join(each) for each in notes or [()] * len(digests)]
        keys = [bytes.fromhex(each) for each in digests]
        self.create()
        if self.keeps:
            name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.arrow"
            with self._in_memory_instead(), written(self.folder / name) as file:
                write_shard(file, keys, texts, vectors)
        if self.keeps:
            gone = merge_small(self._index, shape)
            self._shards = {path: each for path, each in self._shards.items() if path not in gone}
            self.refresh()
        else:
            self._hold(keys, texts, vectors)

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
            reason = error.__cause__
            if not isinstance(reason, OSError) or error.errno not in _NOT_WRITABLE:
                raise
            self.keeps = False
            _tell_once(self.folder.parents[1], error.errno)

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
                damage.path.unlink(missing_ok=True)
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
def _tell_once(folder: Path, number: int) -> None:
    """Say, once a process, that a cache cannot be written."""
    log.warning(
        "the cache %s cannot be written (%s): what it holds is used, and nothing is added; "
        "--cache or FEATX_CACHE names another folder, --no-cache none",
        folder,
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


def _in_threads(function: Callable[[Path], T], paths: Collection[Path]) -> list[tuple[Path, T]]:
    """Return every path with what a function makes of it, several at a time."""
    if len(paths) < 2:
        return [(path, function(path)) for path in paths]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(zip(paths, pool.map(function, paths), strict=True))


def _runs(pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Yield positions and rows that follow one another as (first position, first row, count)."""
    start = 0
    for end in range(1, len(pairs) + 1):
        ahead = end - start
        position, row = pairs[start]
        if end == len(pairs) or pairs[end] != (position + ahead, row + ahead):
            yield position, row, ahead
            start = end


def shards_folder(cache: str | os.PathLike[str]) -> Path:
    """Return the folder of a cache below which each recipe has its own."""
    return Path(cache) / "features"
