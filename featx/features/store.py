"""The cache of vectors: keyed by content, append-only, safe to kill at any moment.

On disk, below the cache folder::

    digests.sqlite              digests of unchanged files, so that they are not read again
    features/<fingerprint>/
        recipe.json             the settings, for a person to read
        <time>-<random>.arrow   a shard: one Arrow file of keys, notes, vectors and checksums

A shard is written beside and renamed into place, and never changed afterwards; so a reader sees
whole shards only, and any number of processes may write at once. Every row carries a checksum
that is verified when its vector is read.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featx.errors import FeatxError
from featx.features.recipe import Recipe
from featx.files import check_writable, storage_errors, written

FORMAT = 1  # raised when the layout of a shard changes; the number is part of every shard
_COLUMNS = ("key", "note", "vector", "checksum")
_KEY_BYTES = 32

log = logging.getLogger(__name__)


def cache_folder(cache: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the cache.

    Parameters
    ----------
    cache : str or path, optional
        A folder; by default the environment variable FEATX_CACHE, else the user's cache folder.

    Returns
    -------
    Path
    """
    chosen = cache or os.environ.get("FEATX_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("featx", appauthor=False))


@dataclass(frozen=True)
class Damage:
    """A shard that cannot be trusted, and why."""

    path: Path
    reason: str


class _DamagedShardError(FeatxError):
    """Raised inside this module for a shard that cannot be trusted."""


@dataclass(frozen=True)
class _Shard:
    """An open shard: arrays over its memory-mapped file."""

    path: Path
    shape: tuple[int, ...]
    keys: tuple[bytes, ...]
    notes: tuple[str, ...]
    vectors: np.ndarray  # (rows, width), float32
    checksums: np.ndarray  # (rows,), uint32

    def is_sound(self, row: int) -> bool:
        actual = _checksum(self.shape, self.keys[row], self.notes[row], self.vectors[row])
        return actual == self.checksums[row]


class FeatureStore:
    """Vectors of one recipe, by digest of the file they came from.

    Parameters
    ----------
    folder : path
        The cache folder; see `cache_folder`.
    recipe : Recipe
        What made, or will make, the vectors.

    Attributes
    ----------
    damages : list of Damage
        Shards found damaged so far; their rows count as missing.
    """

    def __init__(self, folder: str | os.PathLike[str], recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = shards_folder(folder) / recipe.fingerprint
        self.damages: list[Damage] = []
        self._shards: dict[Path, _Shard] = {}
        self._rows: dict[bytes, tuple[_Shard, int]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take in the shards that were written since the store was opened."""
        known = {damage.path for damage in self.damages}
        for path in shard_paths(self.folder):
            if path in self._shards or path in known:
                continue
            try:
                shard = _open_shard(path)
            except FileNotFoundError:  # removed by another process meanwhile
                continue
            except OSError as error:
                log.warning("the cache file %s cannot be read: %s", path, error)
                continue
            except _DamagedShardError as error:
                self._report(path, str(error))
                continue
            self._shards[path] = shard
            for row, key in enumerate(shard.keys):
                self._rows.setdefault(key, (shard, row))

    def __contains__(self, digest: str) -> bool:
        return bytes.fromhex(digest) in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of one feature, or None as long as nothing is stored."""
        for shard in self._shards.values():
            return shard.shape
        return None

    def note(self, digest: str) -> str:
        """Return what was noted with the vector of `digest`."""
        shard, row = self._rows[bytes.fromhex(digest)]
        return shard.notes[row]

    def sound(self, digests: Sequence[str]) -> set[str]:
        """Return those of `digests` whose vectors are stored and intact.

        A row that fails its checksum is reported, and its whole shard counts as missing.
        """
        wanted = {bytes.fromhex(digest) for digest in digests}
        while True:
            bad = {
                shard.path
                for shard, row in (self._rows[key] for key in wanted if key in self._rows)
                if not shard.is_sound(row)
            }
            if not bad:
                return {key.hex() for key in wanted if key in self._rows}
            for path in bad:
                self._drop(path, "a vector does not match its checksum")

    def read(self, digests: Sequence[str], out: np.ndarray) -> None:
        """Copy vectors into an array.

        Parameters
        ----------
        digests : sequence of str
            Which vectors, each of them stored.
        out : ndarray of shape (len(digests), width), float32
            Row i receives the vector of digests[i].
        """
        places: dict[Path, list[tuple[int, int]]] = {}
        for position, digest in enumerate(digests):
            shard, row = self._rows[bytes.fromhex(digest)]
            places.setdefault(shard.path, []).append((position, row))
        for path, pairs in places.items():
            positions, rows = zip(*pairs, strict=True)
            out[list(positions)] = self._shards[path].vectors[list(rows)]

    def create(self) -> None:
        """Make the folder, so that a cache which cannot be written is known before the work.

        Raises
        ------
        StorageError
            The folder cannot be made or written to.
        """
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        description = self.folder / "recipe.json"
        check_writable(description)
        if not description.exists():
            with written(description) as file:
                file.write_text(json.dumps(self.recipe.to_dict(), indent=2) + "\n")

    def append(
        self, digests: Sequence[str], vectors: np.ndarray, notes: Sequence[str] | None = None
    ) -> None:
        """Write one shard; afterwards its rows are there for every process.

        Parameters
        ----------
        digests : sequence of str
            Digests of the files, 64 hexadecimal characters each.
        vectors : ndarray of shape (len(digests), *shape), float32
            Their features.
        notes : sequence of str, optional
            What to remember with each row.

        Raises
        ------
        StorageError
            The shard cannot be written; nothing that was stored before is lost.
        """
        if not len(digests):
            return
        notes = list(notes) if notes is not None else [""] * len(digests)
        self.create()
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.arrow"
        with written(self.folder / name) as file:
            _write_shard(file, [bytes.fromhex(each) for each in digests], notes, vectors)
        self.refresh()

    def discard_damaged(self) -> None:
        """Remove the damaged shards; call it once their rows are stored anew."""
        for damage in self.damages:
            with suppress(OSError):
                damage.path.unlink(missing_ok=True)
        self.damages.clear()

    def _drop(self, path: Path, reason: str) -> None:
        shard = self._shards.pop(path)
        for key in [key for key, (holder, _) in self._rows.items() if holder is shard]:
            del self._rows[key]
        for other in self._shards.values():
            for row, key in enumerate(other.keys):
                self._rows.setdefault(key, (other, row))
        self._report(path, reason)

    def _report(self, path: Path, reason: str) -> None:
        self.damages.append(Damage(path, reason))
        log.warning(
            "the cache file %s is damaged (%s); its images are embedded again", path, reason
        )


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


def verify_shard(path: Path) -> int:
    """Check every row of a shard and return how many there are.

    Raises
    ------
    ValueError
        The shard is damaged; the message says how.
    """
    try:
        shard = _open_shard(path)
    except _DamagedShardError as error:
        raise ValueError(str(error)) from error
    bad = sum(not shard.is_sound(row) for row in range(len(shard.keys)))
    if bad:
        raise ValueError(f"{bad} of {len(shard.keys)} vectors do not match their checksums")
    return len(shard.keys)


def _write_shard(file: Path, keys: list[bytes], notes: list[str], vectors: np.ndarray) -> None:
    import pyarrow as pa

    rows = np.ascontiguousarray(vectors, dtype=np.float32).reshape(len(keys), -1)
    shape = tuple(vectors.shape[1:])
    checksums = [
        _checksum(shape, key, note, row) for key, note, row in zip(keys, notes, rows, strict=True)
    ]
    schema = pa.schema(
        [
            ("key", pa.binary(_KEY_BYTES)),
            ("note", pa.string()),
            ("vector", pa.list_(pa.float32(), rows.shape[1])),
            ("checksum", pa.uint32()),
        ],
        metadata={"featx": json.dumps({"format": FORMAT, "shape": list(shape)})},
    )
    batch = pa.record_batch(
        [
            pa.array(keys, pa.binary(_KEY_BYTES)),
            pa.array(notes, pa.string()),
            pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1]),
            pa.array(checksums, pa.uint32()),
        ],
        schema=schema,
    )
    with file.open("wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(batch)


def _open_shard(path: Path) -> _Shard:
    """Map a shard into memory and check its form; the vectors are checked when they are read."""
    import pyarrow as pa

    with path.open("rb"):  # tells a file that may not be read from a damaged one
        pass
    try:
        with pa.memory_map(os.fspath(path)) as source:
            reader = pa.ipc.open_file(source)
            if reader.num_record_batches != 1:
                raise _DamagedShardError(f"{reader.num_record_batches} record batches, expected 1")
            batch = reader.get_batch(0)
        metadata = json.loads((reader.schema.metadata or {})[b"featx"])
        shape = tuple(int(n) for n in metadata["shape"])
        if metadata["format"] != FORMAT or tuple(batch.schema.names) != _COLUMNS:
            raise _DamagedShardError("not of this version's form")
        batch.validate(full=True)
        if any(column.null_count for column in batch.columns):
            raise _DamagedShardError("values are missing")
        rows = batch.num_rows
        vectors = batch.column("vector").flatten().to_numpy(zero_copy_only=True)
        shard = _Shard(
            path=path,
            shape=shape,
            keys=tuple(batch.column("key").to_pylist()),
            notes=tuple(batch.column("note").to_pylist()),
            vectors=vectors.reshape(rows, int(np.prod(shape))),
            checksums=batch.column("checksum").to_numpy(),
        )
    except _DamagedShardError:
        raise
    except Exception as error:  # whatever Arrow, JSON or numpy make of damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _DamagedShardError(reason[:200]) from error
    if shard.vectors.dtype != np.float32 or any(len(key) != _KEY_BYTES for key in shard.keys):
        raise _DamagedShardError("columns of another type")
    return shard


def _checksum(shape: tuple[int, ...], key: bytes, note: str, vector: np.ndarray) -> int:
    return zlib.crc32(vector.data, zlib.crc32(f"{shape} {note}".encode(), zlib.crc32(key)))
