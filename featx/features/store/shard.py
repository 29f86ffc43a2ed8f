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
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

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


class _Texts(Sequence[str]):
    """Texts of an Arrow array, each made when it is asked for."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, row: Any) -> Any:
        return self._array[row].as_py()

    def __iter__(self) -> Iterator[str]:
        return iter(self._array.to_pylist())

    def mention(self, text: str) -> bool:
        """Whether a text may be in some of them, as the bytes of all tell."""
        data = self._array.buffers()[2]
        return data is not None and text.encode() in data.to_pybytes()


@dataclass(frozen=True, eq=False)
class Shard:
    """An open shard: arrays over its file, which is memory-mapped or, if small, read."""

    path: Path
    shape: tuple[int, ...]
    keys: np.ndarray  # (rows, 32), uint8
    notes: Sequence[str]
    vectors: np.ndarray  # (rows, width), float32
    checksums: np.ndarray  # (rows,), uint32
    total: int | None  # checksum of all rows; None in shards of earlier versions, which lack it
    file: mmap.mmap | None = None  # where the vectors are on the disk
    fill: Callable[[Collection[int]], None] | None = None  # brings rows there from elsewhere

    @cached_property
    def current(self) -> np.ndarray:
        """The rows that count, all but those that are outdated."""
        if isinstance(self.notes, _Texts) and not self.notes.mention(OUTDATED_NOTE):
            return np.arange(len(self.keys))
        return np.flatnonzero([not _is_outdated(note) for note in self.notes])

    def is_sound(self, row: int) -> bool:
        """Whether the vector and the note of a row are what was written."""
        actual = _checksum(self.shape, self.keys[row], self.notes[row], self.vectors[row])
        return actual == int(self.checksums[row])

    @property
    def offset(self) -> int:
        """Where in its file the vectors begin."""
        start = np.frombuffer(self.file or b"", np.uint8).ctypes.data
        return int(self.vectors.ctypes.data - start)

    def fetch(self, rows: Collection[int]) -> None:
        """Let the system begin to read some rows, as it does not read ahead by itself."""
        if self.fill is not None:
            self.fill(rows)
        if self.file is None or not hasattr(mmap, "MADV_WILLNEED"):
            return
        if 2 * len(rows) >= len(self.keys):
            self.file.madvise(mmap.MADV_WILLNEED)
            return
        offset, width = self.offset, self.vectors.strides[0]
        for row in rows:
            first = offset + row * width
            start = first - first % mmap.PAGESIZE
            self.file.madvise(mmap.MADV_WILLNEED, start, first + width - start)

    def are_sound(self, rows: Collection[int]) -> bool:
        """Whether the vectors and the notes of some rows, none twice, are what was written."""
        self.fetch(rows)
        most = self.total is not None and 2 * len(rows) >= len(self.keys)
        if most and _total(self.shape, self.keys, self.notes, self.vectors) == self.total:
            return True
        return all(self.is_sound(row) for row in rows)


def write_shard(file: Path, keys: list[bytes], notes: list[str], vectors: np.ndarray) -> None:
    """Write rows as one Arrow file: digests of 32 bytes, notes and (rows, *shape) of float32."""
    import pyarrow as pa

    held = held_shard(file.name, keys, notes, vectors)
    width = held.vectors.shape[1]
    about = {
        "format": FORMAT,
        "shape": list(held.shape),
        "seal": _seal(held.shape, held.keys),
        "total": held.total,
    }
    columns = [
        pa.array(keys, pa.binary(KEY_BYTES)),
        pa.array(notes, pa.string()),
        pa.FixedSizeListArray.from_arrays(pa.array(held.vectors.reshape(-1)), width),
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
        keys = _keys_of(batch.column("key"))
        if about["seal"] != _seal(shape, keys):
            raise DamagedShardError("the keys do not match their checksum")
        vectors = batch.column("vector").flatten().to_numpy(zero_copy_only=True)
        shard = Shard(
            path=path,
            shape=shape,
            keys=keys,
            notes=_Texts(batch.column("note")),
            vectors=vectors.reshape(len(keys), int(np.prod(shape))),
            checksums=batch.column("checksum").to_numpy(),
            total=about.get("total"),
            file=source if isinstance(source, mmap.mmap) else None,
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


def _keys_of(column: Any) -> np.ndarray:
    """Return keys of Arrow as an array of (rows, 32) bytes over the same memory."""
    if column.type.byte_width != KEY_BYTES:
        raise DamagedShardError(f"keys of {column.type.byte_width} bytes, expected {KEY_BYTES}")
    data = np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, KEY_BYTES)
    return data[column.offset : column.offset + len(column)]


def _bytes_of(path: Path) -> bytes | mmap.mmap:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < READ_BYTES:
            return file.read()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_RANDOM"):  # else megabytes are read around every few bytes of a key
        mapped.madvise(mmap.MADV_RANDOM)
    return mapped


def held_shard(name: str, keys: list[bytes], notes: list[str], vectors: np.ndarray) -> Shard:
    """Return a shard that is in no file: rows as `write_shard` takes them."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32).reshape(len(keys), -1)
    shape = tuple(vectors.shape[1:])
    if any(len(key) != KEY_BYTES for key in keys):
        raise ValueError(f"keys of another length, expected {KEY_BYTES} bytes")
    whole = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), KEY_BYTES)
    checksums = [
        _checksum(shape, key, note, row) for key, note, row in zip(whole, notes, rows, strict=True)
    ]
    return Shard(
        path=Path(name),
        shape=shape,
        keys=whole,
        notes=tuple(notes),
        vectors=rows,
        checksums=np.array(checksums, np.uint32),
        total=_total(shape, whole, notes, rows),
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


def _checksum(shape: tuple[int, ...], key: np.ndarray, note: str, vector: np.ndarray) -> int:
    return zlib.crc32(vector.data, zlib.crc32(f"{shape} {note}".encode(), zlib.crc32(key.data)))


def _seal(shape: tuple[int, ...], keys: np.ndarray) -> int:
    return zlib.crc32(keys.data, zlib.crc32(str(shape).encode()))


def _total(
    shape: tuple[int, ...], keys: np.ndarray, notes: Sequence[str], vectors: np.ndarray
) -> int:
    return zlib.crc32(vectors.data, zlib.crc32("\0".join(notes).encode(), _seal(shape, keys)))
