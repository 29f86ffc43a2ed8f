"""Digests of file contents, remembered for unchanged files."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from featx import text
from featx.errors import get_logger, one_line
from featx.images.memory import MemoryImage

#: A larger file is refused before it is read.
MAX_FILE_BYTES = 512_000_000

T = TypeVar("T")

logger = get_logger(__name__)

# The name of the table carries its format; rows of another format are not seen.
_CREATE = """
CREATE TABLE IF NOT EXISTS digests_1 (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, digest BLOB, seal BLOB
) WITHOUT ROWID
"""
_INSERT = "INSERT OR REPLACE INTO digests_1 VALUES (?, ?, ?, ?, ?, ?)"
_SELECT = "SELECT path, digest, seal FROM digests_1 WHERE path IN ({})"
_CHUNK = 500  # paths a query: below the 999 parameters that older SQLite allows

_MAX_INTEGER = 2**63 - 1  # of SQLite; a file may be dated beyond it, in the year 2262

WAIT_S = 10.0  # for another process that writes
_NO_DAMAGE = {  # what SQLite says of a sound file
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
}
_SETTLED_NS = 2_000_000_000

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Stamp(NamedTuple):
    """What tells that a file is unchanged: size in bytes and times in nanoseconds.

    The time of change (`ctime`) is there because a program can restore the other one.
    """

    size: int
    mtime_ns: int
    ctime_ns: int


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of some bytes as 64 hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()


def read_file(path: str | os.PathLike[str]) -> tuple[bytes, Stamp | None]:
    """Read a file, or a picture in memory, and take its stamp before.

    The stamp is None if the file is too young to be remembered, or in memory. Whatever cannot be
    read is an `OSError`; so is what is no regular file (a pipe, a socket, a device), which is not
    opened because reading it could wait or go on for ever, and a file of more than
    `MAX_FILE_BYTES`.
    """
    if isinstance(path, MemoryImage):
        return path.read(), None
    try:
        with open(path, "rb", opener=_open_regular) as file:
            status = os.fstat(file.fileno())
            now = time.time_ns()
            _check_size(status.st_size)
            data = file.read(status.st_size + 1) or b""  # None where it would have to wait
            if len(data) > status.st_size:  # it grew meanwhile, or has no size, as in /proc
                data += file.read(MAX_FILE_BYTES - status.st_size) or b""
                _check_size(len(data))
    except ValueError as error:  # a path that no file can have
        raise OSError(str(error)) from error
    # Times are coarse (2 s on FAT): a file changed just now may be changed again within the same
    # tick and look the same. So its digest is trusted only once its times lie further back.
    settled = now - status.st_ctime_ns > _SETTLED_NS and abs(now - status.st_mtime_ns) > _SETTLED_NS
    return data, _stamp(status) if settled else None


def _open_regular(path: str, flags: int) -> int:
    """Open a file, and nothing else: without waiting, whatever takes its place meanwhile."""
    _check_regular(os.stat(path))
    number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        _check_regular(os.fstat(number))
    except OSError:
        os.close(number)
        raise
    return number


def _check_regular(status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if kind != stat.S_IFREG:
        raise OSError(f"{_KINDS.get(kind, 'something else')}, not a regular file")


def _check_size(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise OSError(f"too large: {text.size(size)}, at most {text.size(MAX_FILE_BYTES)}")


class DigestMemo:
    """Remembers the digests of files, so that an unchanged file is not read again.

    Whatever is wrong with its own file (locked, no room, not a database) costs the memory and a
    line in the log, never an exception and never a wrong digest. A damaged file is replaced by a
    fresh one, with a warning; one that may only be read is read. Several processes may use it at
    once: each opens it for a moment at a time.

    `path` is a SQLite file, made on first use together with its folder; None remembers nothing.
    """

    def __init__(self, path: Path | None):
        self._path = path

    def known(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the digest of each file that is unchanged since it was remembered, by its path.

        Those of pictures in memory are computed.
        """
        if self._path is None:
            return {}
        known: dict[str, str] = {}
        files: dict[str, tuple[bytes, Stamp]] = {}
        for path in paths:
            with suppress(OSError, ValueError):  # missing, damaged, or no path at all
                if isinstance(path, MemoryImage):
                    known[path] = digest_bytes(path.read())
                    continue
                files[path] = _key(path), _stamp(os.stat(path))
        keys = list(dict.fromkeys(key for key, _ in files.values()))
        rows = self._use(lambda database: _rows(database, keys)) or {}
        for path, (key, stamp) in files.items():
            digest, seal = rows.get(key, (None, None))
            if isinstance(digest, bytes) and seal == _seal(key, stamp, digest):
                known[path] = digest.hex()
        return known

    def remember(self, entries: Iterable[tuple[str, str, Stamp | None]]) -> None:
        """Remember the digests of files, by path, where `read_file` gave a stamp."""
        rows = []
        for path, digest, stamp in entries:
            if stamp is not None and max(stamp) <= _MAX_INTEGER:
                key, value = _key(path), bytes.fromhex(digest)
                rows.append((key, *stamp, value, _seal(key, stamp, value)))
        if rows:
            self._use(lambda database: _write(database, rows))

    def close(self) -> None:
        """Remember nothing from here on."""
        self._path = None

    def __enter__(self) -> DigestMemo:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _use(self, function: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what a function makes of the database, in one transaction.

        It is None, and the memo closed, where there is no using it.
        """
        for attempt in ("as it is", "made anew"):
            if self._path is None:
                break
            before = _inode(self._path)
            try:
                with closing(_opened(self._path)) as database, database:
                    return function(database)
            except Exception as error:  # SQLite's, or Python's about what SQLite says of damage
                if attempt == "made anew" or not _is_damage(error, self._path):
                    logger.info("digests are not remembered in %s: %s", self._path, one_line(error))
                    self.close()
                else:
                    logger.warning(
                        "%s is damaged (%s): starting a fresh one", self._path, one_line(error)
                    )
                    _remove(self._path, before)
        return None


def _rows(database: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, tuple[Any, Any]]:
    """Return the digest and the seal of those of some paths that there are."""
    rows = {}
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        query = _SELECT.format(",".join("?" * len(chunk)))
        rows.update({key: (digest, seal) for key, digest, seal in database.execute(query, chunk)})
    return rows


def _write(database: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows, after a look at the whole, as SQLite overlooks a tree out of order."""
    ((verdict,),) = database.execute("PRAGMA integrity_check(1)")  # 0.3 s for a million files
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    database.executemany(_INSERT, rows)


def _opened(path: Path) -> sqlite3.Connection:
    """Open the database; make it where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and not os.access(path.parent, os.W_OK):  # such as a cache of others
        uri = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro&immutable=1"
        return sqlite3.connect(uri, uri=True, isolation_level=None)
    database = sqlite3.connect(path, timeout=WAIT_S, isolation_level="IMMEDIATE")
    try:
        # No waiting for the disk: what a power cut damages is made anew. Earlier versions kept a
        # log beside (WAL), and one of them may be using it now.
        database.execute("PRAGMA synchronous = OFF")
        with suppress(sqlite3.OperationalError):
            database.execute("PRAGMA journal_mode = DELETE")
        database.execute(_CREATE)
    except BaseException:
        database.close()
        raise
    return database


def _is_damage(error: Exception, path: Path) -> bool:
    """Whether an error says that a fresh file would serve, and one can be made."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, OSError) or (code is not None and code & 0xFF in _NO_DAMAGE):
        return False
    return path.is_file() and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _remove(path: Path, inode: int | None) -> None:
    """Remove a damaged file, unless another process has put a fresh one in its place."""
    if _inode(path) == inode:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                Path(f"{path}{suffix}").unlink(missing_ok=True)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _key(path: str) -> bytes:
    return os.fsencode(os.path.abspath(path))


def _seal(key: bytes, stamp: Stamp, digest: bytes) -> bytes:
    """Tie a digest to the state of its file; SQLite does not notice a bit that is flipped."""
    return hashlib.sha256(b"%b %d %d %d %b" % (key, *stamp, digest)).digest()[:8]
