"""A shard of the cache: one Arrow file that holds keys, notes, vectors and checksums together.

Every row carries a checksum, verified when its vector is read, and all rows carry one together,
which is faster to verify when most of them are. The keys and the shape carry one of their own,
verified when the shard is opened. So opening reads little, and nothing wrong gets out.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from featx.errors import FeatxError, one_line
from featx.images.rgb import OUTDATED_NOTE

FORMAT = 1  # raised when the layout of a shard changes; the number is part of every shard
KEY_BYTES = 32
BETWEEN_NOTES = "; "
READ_BYTES = 1 << 20  # a smaller file is read whole: it may be merged and removed at any time
_COLUMNS = ("key", "note", "vector", "checksum")


class DamagedShardError(FeatxError, ValueError):
    """A shard cannot be trusted; the message says why."""


@dataclass(frozen=True)
class Shard:
    """An open shard: arrays over its file, which is memory-mapped or, if small, read."""

    path: Path
    shape: tuple[int, ...]
    keys: tuple[bytes, ...]
    notes: tuple[str, ...]
    vectors: np.ndarray  # (rows, width), float32
    checksums: np.ndarray  # (rows,), uint32
    total: int | None  # checksum of all rows; None in shards of earlier versions, which lack it

    @cached_property
    def rows(self) -> dict[bytes, int]:
        """The row of each key, the first where it comes twice, without those that are outdated."""
        rows: dict[bytes, int] = {}
        for row, (key, note) in enumerate(zip(self.keys, self.notes, strict=True)):
            if not _is_outdated(note):
                rows.setdefault(key, row)
        return rows

    def is_sound(self, row: int) -> bool:
        """Whether the vector and the note of a row are what was written."""
        actual = _checksum(self.shape, self.keys[row], self.notes[row], self.vectors[row])
        return actual == int(self.checksums[row])

    def are_sound(self, rows: Collection[int]) -> bool:
        """Whether the vectors and the notes of some rows, none twice, are what was written."""
        most = self.total is not None and 2 * len(rows) >= len(self.keys)
        if most and _total(self.shape, self.keys, self.notes, self.vectors) == self.total:
            return True
        return all(self.is_sound(row) for row in rows)


def write_shard(file: Path, keys: list[bytes], notes: list[str], vectors: np.ndarray) -> None:
    """Write rows as one Arrow file: digests of 32 bytes, notes and (rows, *shape) of float32."""
    import pyarrow as pa

    held = held_shard(file.name, keys, notes, vectors)
    about = {
        "format": FORMAT,
        "shape": list(held.shape),
        "seal": _seal(held.shape, keys),
        "total": held.total,
    }
    columns = [
        pa.array(keys, pa.binary(KEY_BYTES)),
        pa.array(notes, pa.string()),
        pa.FixedSizeListArray.from_arrays(
            pa.array(held.vectors.reshape(-1)), held.vectors.shape[1]
        ),
        pa.array(held.checksums, pa.uint32()),
    ]
    batch = pa.record_batch(columns, _COLUMNS, metadata={"featx": json.dumps(about)})
    with file.open("wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def open_shard(path: Path) -> Shard:
    """Map a shard into memory and check all of it but the vectors and notes.

    Raises a `DamagedShardError` if it is not what `write_shard` wrote, and an `OSError` if it
    cannot be read, which says nothing about what is in it.
    """
    import pyarrow as pa

    source = _bytes_of(path)
    try:
        reader = pa.ipc.open_file(pa.py_buffer(source))
        if reader.num_record_batches != 1:
            raise DamagedShardError(f"{reader.num_record_batches} record batches, expected 1")
        batch = reader.get_batch(0)
        about = json.loads((reader.schema.metadata or {})[b"featx"])
        if about["format"] != FORMAT or tuple(batch.schema.names) != _COLUMNS:
            raise DamagedShardError("not of this version's form")
        batch.validate(full=True)
        if any(column.null_count for column in batch.columns):
            raise DamagedShardError("values are missing")
        shape = tuple(int(n) for n in about["shape"])
        keys = tuple(batch.column("key").to_pylist())
        if about["seal"] != _seal(shape, keys):
            raise DamagedShardError("the keys do not match their checksum")
        vectors = batch.column("vector").flatten().to_numpy(zero_copy_only=True)
        shard = Shard(
            path=path,
            shape=shape,
            keys=keys,
            notes=tuple(batch.column("note").to_pylist()),
            vectors=vectors.reshape(len(keys), int(np.prod(shape))),
            checksums=batch.column("checksum").to_numpy(),
            total=about.get("total"),
        )
    except DamagedShardError:
        raise
    except Exception as error:  # whatever Arrow, JSON or numpy make of damaged bytes
        if isinstance(error, OSError) and error.errno:  # of the operating system, not of Arrow
            raise
        raise DamagedShardError(one_line(error)) from error
    if shard.vectors.dtype != np.float32:
        raise DamagedShardError("columns of another type")
    return shard


def _bytes_of(path: Path) -> bytes | mmap.mmap:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < READ_BYTES:
            return file.read()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def held_shard(name: str, keys: list[bytes], notes: list[str], vectors: np.ndarray) -> Shard:
    """Return a shard that is in no file: rows as `write_shard` takes them."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32).reshape(len(keys), -1)
    shape = tuple(vectors.shape[1:])
    checksums = [
        _checksum(shape, key, note, row) for key, note, row in zip(keys, notes, rows, strict=True)
    ]
    return Shard(
        path=Path(name),
        shape=shape,
        keys=tuple(keys),
        notes=tuple(notes),
        vectors=rows,
        checksums=np.array(checksums, np.uint32),
        total=_total(shape, keys, notes, rows),
    )


def verify_shard(path: Path) -> int:
    """Check every row of a shard and return how many there are; it raises as `open_shard` does."""
    shard = open_shard(path)
    if shard.are_sound(range(len(shard.keys))):
        return len(shard.keys)
    bad = sum(not shard.is_sound(row) for row in range(len(shard.keys)))
    raise DamagedShardError(f"{bad} of {len(shard.keys)} vectors do not match their checksums")


def _is_outdated(note: str) -> bool:
    """Whether a vector is of a picture that is decoded to other pixels now."""
    return OUTDATED_NOTE in note and OUTDATED_NOTE in note.split(BETWEEN_NOTES)


def _checksum(shape: tuple[int, ...], key: bytes, note: str, vector: np.ndarray) -> int:
    return zlib.crc32(vector.data, zlib.crc32(f"{shape} {note}".encode(), zlib.crc32(key)))


def _seal(shape: tuple[int, ...], keys: Sequence[bytes]) -> int:
    return zlib.crc32(b"".join(keys), zlib.crc32(str(shape).encode()))


def _total(
    shape: tuple[int, ...], keys: Sequence[bytes], notes: Sequence[str], vectors: np.ndarray
) -> int:
    return zlib.crc32(vectors.data, zlib.crc32("\0".join(notes).encode(), _seal(shape, keys)))
