"""The store of vectors: keyed by content, append-only, safe to kill at any moment.

On disk, below the cache folder::

    digests.sqlite              digests of unchanged files, so that they are not read again
    features/<fingerprint>/
        recipe.json             the settings, for a person to read
        speed.json              images/s of the network when it made the vectors
        <time>-<random>.arrow   a shard: one Arrow file of keys, notes, vectors and checksums

A shard is written beside and renamed into place, and never changed afterwards; so a reader sees
whole shards only, and any number of processes may write at once. Every row carries a checksum
that is verified before its vector is used.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from featx.errors import StorageError, get_logger
from featx.features.recipe import RecipePart
from featx.features.store.shard import DamagedShardError, Shard, open_shard, write_shard
from featx.files import check_writable, storage_errors, written
from featx.images.rgb import OUTDATED_NOTE

T = TypeVar("T")
_TELLING = 16  # images that tell a speed
_BETWEEN_NOTES = "; "

log = get_logger(__name__)


def cache_folder(cache: str | os.PathLike[str] | bool | None = None) -> Path:
    """Return the cache folder; None and a bool stand for FEATX_CACHE, else the user's own."""
    chosen = os.environ.get("FEATX_CACHE") if isinstance(cache, bool) or not cache else cache
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("featx", appauthor=False))


@dataclass(frozen=True)
class Damage:
    """A shard that cannot be trusted, and why."""

    path: Path
    reason: str


class FeatureStore:
    """Vectors of one part of a recipe, by digest of the file they came from, in a cache folder."""

    def __init__(self, folder: str | os.PathLike[str], recipe: RecipePart) -> None:
        self.recipe = recipe
        self.folder = shards_folder(folder) / recipe.fingerprint
        self.damages: list[Damage] = []  # found so far; their rows count as missing
        self._unreadable: set[Path] = set()
        self._shards: dict[Path, Shard] = {}
        self._rows: dict[bytes, tuple[Shard, int]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take in the shards that were written since the store was opened."""
        known = {damage.path for damage in self.damages}
        damages = []
        for path in shard_paths(self.folder):
            if path in self._shards or path in known:
                continue
            try:
                shard = open_shard(path)
                if self.shape not in (None, shard.shape):
                    raise DamagedShardError(
                        f"features of shape {shard.shape} among those of {self.shape}"
                    )
            except FileNotFoundError:  # removed by another process meanwhile
                pass
            except OSError as error:
                if path not in self._unreadable:
                    log.warning("the cache file %s cannot be read: %s", path, error)
                self._unreadable.add(path)
            except DamagedShardError as error:
                damages.append(Damage(path, str(error)))
            else:
                self._shards[path] = shard
                self._list_rows(shard)
        self._report(damages)

    def _list_rows(self, shard: Shard) -> None:
        for row, (key, note) in enumerate(zip(shard.keys, shard.notes, strict=True)):
            if not _is_outdated(note):
                self._rows.setdefault(key, (shard, row))

    def __contains__(self, digest: str) -> bool:
        return bytes.fromhex(digest) in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of one feature, or None as long as nothing is stored."""
        return next((shard.shape for shard in self._shards.values()), None)

    def notes(self, digest: str) -> tuple[str, ...]:
        """Return what was noted with the vector of `digest`."""
        shard, row = self._rows[bytes.fromhex(digest)]
        return tuple(shard.notes[row].split(_BETWEEN_NOTES)) if shard.notes[row] else ()

    def sound(self, digests: Sequence[str]) -> set[str]:
        """Return those of `digests` whose vectors are stored and intact.

        A row that fails its checksum is reported, and its whole shard counts as missing.
        """
        wanted = {bytes.fromhex(digest) for digest in digests}
        while True:
            found = wanted & self._rows.keys()
            bad = self._unsound(found)
            if not bad:
                return {key.hex() for key in found}
            for path in bad:
                del self._shards[path]
            self._rows.clear()
            for shard in self._shards.values():
                self._list_rows(shard)
            self._report([Damage(path, "a vector does not match its checksum") for path in bad])

    def _unsound(self, keys: Collection[bytes]) -> list[Path]:
        """List the shards that hold vectors of these keys which fail their checksum."""
        rows: defaultdict[Path, list[int]] = defaultdict(list)
        for shard, row in map(self._rows.__getitem__, keys):
            rows[shard.path].append(row)

        def is_sound(path: Path) -> bool:
            return self._shards[path].are_sound(rows[path])

        return [path for path, sound in _in_threads(is_sound, rows) if not sound]

    def read(self, digests: Sequence[str], out: np.ndarray) -> None:
        """Copy vectors, each of them stored, into the rows of an array of (n, width), float32."""
        places: defaultdict[Path, list[tuple[int, int]]] = defaultdict(list)
        for position, digest in enumerate(digests):
            shard, row = self._rows[bytes.fromhex(digest)]
            places[shard.path].append((position, row))

        def copy(path: Path) -> None:
            vectors = self._shards[path].vectors
            for position, row, count in _runs(places[path]):
                out[position : position + count] = vectors[row : row + count]

        _in_threads(copy, places)

    def create(self) -> None:
        """Make the folder, so that a cache which cannot be written is known before the work."""
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        description = self.folder / "recipe.json"
        check_writable(description)
        if not description.exists():
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
        texts = [_BETWEEN_NOTES.join(each) for each in notes or [()] * len(digests)]
        self.create()
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.arrow"
        with written(self.folder / name) as file:
            write_shard(file, [bytes.fromhex(each) for each in digests], texts, vectors)
        self.refresh()

    @property
    def images_per_second(self) -> float:
        """How fast the network was on this machine when it made the vectors; NaN if unknown."""
        try:
            return float(json.loads(self._speed_file.read_text())["images_per_second"])
        except (OSError, ValueError, KeyError, TypeError):
            return math.nan

    def note_speed(self, images_per_second: float, count: int) -> None:
        """Note how fast the network was; a few images do not replace what more of them told."""
        if count >= _TELLING or math.isnan(self.images_per_second):
            with suppress(OSError, StorageError), written(self._speed_file) as file:
                file.write_text(json.dumps({"images_per_second": images_per_second}) + "\n")

    @property
    def _speed_file(self) -> Path:
        return self.folder / "speed.json"

    def discard_damaged(self) -> None:
        """Remove the damaged shards; call it once their rows are stored anew."""
        for damage in self.damages:
            with suppress(OSError):
                damage.path.unlink(missing_ok=True)
        self.damages.clear()

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


def _is_outdated(note: str) -> bool:
    """Whether a vector is of a picture that is decoded to other pixels now."""
    return OUTDATED_NOTE in note and OUTDATED_NOTE in note.split(_BETWEEN_NOTES)


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


def shard_paths(folder: Path) -> list[Path]:
    """List the finished shards of a recipe's folder, oldest first."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [
        folder / name
        for name in sorted(names)
        if name.endswith(".arrow") and not name.startswith(".")
    ]
