"""A folder of a recipe's files at an address, and the copy of it on this machine, its mirror.

What is at an address is never changed: a file is put there whole, under a name of its own, so any
number of machines may write at once. The mirror has the keys of every shard, in files as large as
the shards; vectors are read into these when they are wanted. Until then they are holes, which fail
their checksums.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from featx.errors import OptionError, StorageError
from featx.features.store.folder import (
    DESCRIPTION,
    SUFFIX,
    THREADS,
    ShardFolder,
    is_shard,
    shard_paths,
    shards_folder,
)
from featx.features.store.shard import (
    READ_BYTES,
    DamagedShardError,
    Shard,
    open_shard,
    verify_shard,
)
from featx.files import cache_folder, storage_errors, written
from featx.storage import objects
from featx.storage.address import WEB, bucket_of, is_address, local_path, text_of
from featx.storage.deadline import request_threads
from featx.storage.entry import Entry
from featx.storage.filesystem import check_scheme

MIRROR_BYTES = 16 << 30  # of vectors that are kept of all addresses together
ADDRESS = "address"  # a file that says of what a mirror is
_WHOLE = ".whole"  # says that the copy of a shard has all its vectors
_HEAD_BYTES = 256 << 10  # of a large shard: its keys,
_TAIL_BYTES = 64 << 10  # and its checksums
_FEW_PARTS = 4  # are read one by one; more take longer than all that is between them
_NEAR_BYTES = 64 << 10  # rows so near each other are one part
_LISTINGS = 5  # until no object vanishes between being listed and being read


class Mirror(ShardFolder):
    """A folder at an address, and the copy of it on this machine.

    Many machines may add shards at once, and would all merge the same ones: one of them is to.
    """

    merges = False

    def __init__(self, address: str, path: Path) -> None:
        super().__init__(path)
        self.address = address
        self._is_trimmed = False

    def __str__(self) -> str:
        return self.address

    @property
    def cache(self) -> str:
        return self.address.rpartition("/features/")[0]

    def _of(self, name: str) -> str:
        return f"{self.address}/{name}"

    def refresh(self) -> None:
        """Copy the keys of shards that others wrote, and forget shards that are gone."""
        if not self._is_trimmed:
            _trim(self.path.parents[1])
            self._is_trimmed = True
            self._note_address()
        for _ in range(_LISTINGS):
            here = shard_paths(
                self.path
            )  # before what is there: whoever writes puts it there first
            there = {
                each.address.rpartition("/")[2]: each for each in objects.entries(self.address)
            }
            known = {path.name for path in here}
            missing = [there[name] for name in there if is_shard(name) and name not in known]
            with storage_errors(self.path):
                if DESCRIPTION not in there:
                    (self.path / DESCRIPTION).unlink(missing_ok=True)
                for name in known - there.keys():
                    self._forget(name)
                if not missing:
                    return
                self.path.mkdir(parents=True, exist_ok=True)
                self._note_address()
            with request_threads(THREADS, "featx-copy") as pool:
                if all(pool.map(self._copied, missing)):
                    return

    def _note_address(self) -> None:
        note = self.path.with_name(ADDRESS)
        if self.path.is_dir() and not note.exists():
            _note(note, self.cache)

    def _copied(self, entry: Entry) -> bool:
        """Copy the beginning and the end of a shard, or all of a small one; False if it is gone."""
        path = self.path / entry.address.rpartition("/")[2]
        is_small, tail = entry.size < READ_BYTES, b""
        try:  # before there is a file, whose own errors tell of this disk
            if is_small:
                head = objects.read(entry.address)
            else:
                head = objects.read(entry.address, 0, _HEAD_BYTES)
                tail = objects.read(entry.address, entry.size - _TAIL_BYTES, entry.size)
        except FileNotFoundError:  # merged or cleared meanwhile
            return False
        with written(path) as file, file.open("wb") as copy:
            copy.write(head)
            if tail:
                copy.seek(entry.size - len(tail))
                copy.write(tail)
        if is_small:
            return True
        with suppress(OSError):
            try:
                open_shard(path)
            except DamagedShardError:  # it has many keys, or is damaged, which is told later
                self._copy_whole(path.name)
        return True

    def _copy_whole(self, name: str) -> None:
        data = objects.read(self._of(name))
        with written(self.path / name) as file:
            file.write_bytes(data)
            _mark_whole(self.path / name, file.stat().st_ino)

    def _forget(self, name: str) -> None:
        _marker(self.path / name).unlink(missing_ok=True)
        super().remove(name)

    def has(self, name: str) -> bool:
        """Whether there is an object of this name, by one request."""
        try:
            objects.entry(self._of(name))
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def written(self, name: str) -> Iterator[Path]:
        """Give a file to write, which is put at the address when the block ends."""
        with written(self.path / name) as file:
            self._note_address()
            yield file
            objects.write(self._of(name), file)
            if is_shard(name):
                _mark_whole(self.path / name, file.stat().st_ino)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            objects.remove(self._of(name))
        self._forget(name)

    def open(self, name: str) -> Shard:
        """Open the copy of a shard, which reads vectors from the address when they are wanted.

        A copy that is damaged is made again: there may be another object of that name by now.
        """
        try:
            shard = open_shard(self.path / name)
        except DamagedShardError:
            self._copy_again(name)
            shard = open_shard(self.path / name)
        return shard if shard.file is None else replace(shard, fill=_Filler(self._of(name), shard))

    def discard(self, name: str) -> None:
        """Remove a shard that is damaged at the address, too, and not in its copy alone."""
        with suppress(FileNotFoundError):
            self._copy_again(name)
            try:
                verify_shard(self.path / name)
            except DamagedShardError:
                self.remove(name)

    def _copy_again(self, name: str) -> None:
        try:
            self._copy_whole(name)
        except FileNotFoundError:
            self._forget(name)
            raise


class _Filler:
    """Reads vectors of a shard from its address into its copy, once each."""

    def __init__(self, address: str, shard: Shard) -> None:
        self._address = address
        self._path = shard.path
        self._start, self._width = shard.offset, shard.vectors.strides[0]
        self._count = len(shard.keys)
        self._inode = os.stat(shard.path).st_ino
        self._rows: set[int] = set()
        self._is_whole = False

    def __call__(self, rows: Collection[int]) -> None:
        """Read these rows: by themselves where they are in few places, else with all others.

        A `FileNotFoundError` says that another shard is there by now, or none.
        """
        if self._is_whole or _is_whole(self._path, self._inode):
            self._is_whole = True
            return
        wanted = np.array(sorted({int(row) for row in rows} - self._rows))
        parts = _parts(wanted, max(1, _NEAR_BYTES // self._width))
        if len(parts) <= _FEW_PARTS and len(wanted) < self._count:
            for first, last in parts:
                self._read(first, last)
            self._rows.update(wanted.tolist())
        else:
            self._read(0, self._count)
            _mark_whole(self._path, self._inode)
            self._is_whole = True

    def _read(self, first: int, last: int) -> None:
        start, stop = (self._start + row * self._width for row in (first, last))
        data = objects.read(self._address, start, stop)
        try:
            with storage_errors(self._path), self._path.open("r+b") as copy:
                if os.fstat(copy.fileno()).st_ino != self._inode:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                copy.seek(start)
                copy.write(data)
        except StorageError as error:
            if error.errno == errno.ENOENT:
                raise FileNotFoundError(self._path) from error
            raise


def _parts(rows: np.ndarray, near: int) -> list[tuple[int, int]]:
    """Return the parts of a shard, first row and end, that have sorted rows, near ones in one."""
    if not len(rows):
        return []
    breaks = np.flatnonzero(np.diff(rows) > near)
    firsts, lasts = rows[np.append(0, breaks + 1)], rows[np.append(breaks, len(rows) - 1)]
    return [(int(first), int(last) + 1) for first, last in zip(firsts, lasts, strict=True)]


def _marker(path: Path) -> Path:
    return path.with_name(path.name + _WHOLE)


def _mark_whole(path: Path, inode: int) -> None:
    """Note that a copy has all its vectors; the number says which file it is that has them."""
    _note(_marker(path), str(inode))


def _note(path: Path, text: str) -> None:
    with suppress(OSError):
        path.write_text(text)


def _is_whole(path: Path, inode: int) -> bool:
    try:
        return _marker(path).read_text() == str(inode)
    except OSError:
        return False


def _trim(mirrors: Path) -> None:
    """Remove the copies that were completed first, so that the others fit into their room.

    What has one of them open keeps it as long.
    """
    marked = []
    for marker in mirrors.glob(f"*/*/*{SUFFIX}{_WHOLE}"):
        path = marker.with_name(marker.name.removesuffix(_WHOLE))
        with suppress(OSError):
            marked.append((marker.stat().st_mtime, path.stat().st_size, path))
    room = MIRROR_BYTES
    for _, size, path in sorted(marked, reverse=True):
        room -= size
        if room < 0:
            with suppress(OSError):
                path.unlink(missing_ok=True)
                _marker(path).unlink(missing_ok=True)


def folder_of(cache: str | os.PathLike[str] | None, fingerprint: str) -> ShardFolder:
    """Return the folder of a recipe in a cache, which is a folder or an address."""
    place = local_path(text_of(cache or os.devnull))
    if not is_address(place):
        return ShardFolder(shards_folder(place) / fingerprint)
    if check_scheme(place) in WEB:
        raise OptionError(f"{place} can be no cache: expected s3://, gs:// or az://")
    if not bucket_of(place):
        raise OptionError(f"the cache {place!r} names no bucket: expected s3://BUCKET/FOLDER")
    address = place.rstrip("/")
    return Mirror(f"{address}/features/{fingerprint}", mirror_folder(address) / fingerprint)


def mirror_folder(address: str) -> Path:
    """Return the folder on this machine with the copy of a cache at an address."""
    key = hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16]
    return mirrors_folder(cache_folder(address)) / key


def mirrors_folder(cache: Path) -> Path:
    """Return the folder of a cache with copies of what is at addresses."""
    return cache / "mirror"
