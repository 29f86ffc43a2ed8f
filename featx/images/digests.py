"""Digests of file contents, remembered for unchanged files."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Sequence, Set
from contextlib import suppress

from featx.errors import FeatxError, StorageError
from featx.images.memo import Memo
from featx.images.memory import MemoryImage
from featx.images.packed.container import read_member
from featx.images.regular import (
    MAX_FILE_BYTES,
    MAX_INTEGER,
    Stamp,
    check_size,
    is_settled,
    open_regular,
    stamp_of,
    stamp_of_object,
)
from featx.paths import file_of, member_of, plain_path
from featx.storage.address import absolute, is_address
from featx.storage.entry import LargeObjectError
from featx.storage.objects import entries_of, read_with_stamp


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of some bytes as 64 hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()


def read_file(
    path: str | os.PathLike[str], most: int = MAX_FILE_BYTES
) -> tuple[bytes, Stamp | None]:
    """Read a file, an object, or a picture in memory, and take its stamp before.

    The stamp is None if the file is too young to be remembered, or in memory, and for an object of
    which the store tells no change. Whatever cannot be read is an `OSError`; so is what is no
    regular file (a pipe, a socket, a device), which is not opened because reading it could wait or
    go on for ever, and a file of more than `MAX_FILE_BYTES`. An object of more than `most` bytes is
    a `LargeObjectError`.
    """
    if isinstance(path, MemoryImage):
        return path.read(), None
    if (member := member_of(os.fspath(path))) is not None:
        return read_member(member)
    if isinstance(path, str) and is_address(path):
        return _read_object(path, most)
    try:
        with open(path, "rb", opener=open_regular) as file:
            status = os.fstat(file.fileno())
            now = time.time_ns()
            check_size(status.st_size)
            data = file.read(status.st_size + 1) or b""  # None where it would have to wait
            if len(data) > status.st_size:  # it grew meanwhile, or has no size, as in /proc
                data += file.read(MAX_FILE_BYTES - status.st_size) or b""
                check_size(len(data))
    except ValueError as error:  # a path that no file can have
        raise OSError(str(error)) from error
    return data, stamp_of(status) if is_settled(status, now) else None


def _read_object(address: str, most: int) -> tuple[bytes, Stamp | None]:
    try:
        data, entry = read_with_stamp(address, most)
    except LargeObjectError:
        raise
    except StorageError as error:  # an outcome says of which picture it is
        raise OSError(str(error).removeprefix(f"cannot read {address}: ")) from error
    return data, stamp_of_object(entry)


class DigestMemo(Memo):
    """Remembers the digests of files and objects, so that unchanged ones are not read again.

    Never is a digest wrong.
    """

    what = "digests"
    table = "digests_1"
    columns = (
        "path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, digest BLOB, "
        "seal BLOB"
    )

    def known(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the digest of each file that is unchanged since it was remembered, by its path.

        Those of pictures in memory are computed.
        """
        if not self.remembers:
            return {}
        known: dict[str, str] = {}
        files: dict[str, tuple[bytes, Stamp]] = {}
        stamps: dict[str, Stamp] = {}  # of files, each of which may hold many pictures
        objects: list[str] = []
        for path in paths:
            with suppress(OSError, ValueError):  # missing, damaged, or no path at all
                if isinstance(path, MemoryImage):
                    known[path] = digest_bytes(path.read())
                    continue
                file = file_of(path)
                if is_address(file):
                    objects.append(path)
                    continue
                if file is path or file not in stamps:
                    stamps[file] = stamp_of(os.stat(file))
                files[path] = _key(path), stamps[file]
        keys = list(dict.fromkeys([*(key for key, _ in files.values()), *map(_key, objects)]))
        rows = self._select("digest, seal", keys)
        now = _objects_now({file_of(path) for path in objects if _key(path) in rows})
        files |= {
            path: (_key(path), now[file_of(path)]) for path in objects if file_of(path) in now
        }
        for path, (key, stamp) in files.items():
            digest, seal = rows.get(key, (None, None))
            if isinstance(digest, bytes) and seal == _seal(key, stamp, digest):
                known[path] = digest.hex()
        return known

    def remember(self, entries: Iterable[tuple[str, str, Stamp | None]]) -> None:
        """Remember the digests of files, by path, where `read_file` gave a stamp."""
        rows = []
        for path, digest, stamp in entries:
            if stamp is not None and max(stamp) <= MAX_INTEGER:
                key, value = _key(path), bytes.fromhex(digest)
                rows.append((key, *stamp, value, _seal(key, stamp, value)))
        self._insert(rows)


def _objects_now(addresses: Set[str]) -> dict[str, Stamp]:
    """Look at objects that are remembered; nothing where the store says no."""
    with suppress(FeatxError):  # reading them says why
        found = entries_of(sorted(addresses)).values()
        return {each.address: stamp for each in found if (stamp := stamp_of_object(each))}
    return {}


def _key(path: str) -> bytes:
    return os.fsencode(absolute(plain_path(path)))


def _seal(key: bytes, stamp: Stamp, digest: bytes) -> bytes:
    """Tie a digest to the state of its file; SQLite does not notice a bit that is flipped."""
    return hashlib.sha256(b"%b %d %d %d %b" % (key, *stamp, digest)).digest()[:8]
