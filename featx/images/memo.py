"""Memos: small databases in the cache of what is known of files, which may be lost."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

from featx.errors import get_logger, one_line

WAIT_S = 10.0  # for another process that writes
_NO_DAMAGE = {  # what SQLite says of a sound file
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
}
_CHUNK = 500  # keys a query: below the 999 parameters that older SQLite allows

T = TypeVar("T")

logger = get_logger(__name__)


class Memo:
    """A table of rows by key, in a file of SQLite.

    Whatever is wrong with that file (locked, no room, not a database) costs the memory and a
    line in the log, never an exception. A damaged file is replaced by a fresh one, with a warning;
    one that may only be read is read. Several processes may use it at once: each opens it for a
    moment at a time. SQLite does not notice a bit that is flipped: rows need a seal of their own.

    `path` is the file, made on first use together with its folder; None remembers nothing.
    `columns` declares those of the table, the key first. The name of the table carries its format;
    rows of another format are not seen.
    """

    what = "things"  # that are remembered, for a message
    table = ""
    columns = ""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @property
    def remembers(self) -> bool:
        """Whether there is a file to read and write."""
        return self._path is not None

    def close(self) -> None:
        """Remember nothing from here on."""
        self._path = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _select(self, names: str, keys: Sequence[bytes]) -> dict[bytes, tuple[Any, ...]]:
        """Return the columns of these names of those of some keys that there are."""
        key = self.columns.split()[0]
        query = f"SELECT {key}, {names} FROM {self.table} WHERE {key} IN ({{}})"

        def rows(database: sqlite3.Connection) -> dict[bytes, tuple[Any, ...]]:
            found = {}
            for start in range(0, len(keys), _CHUNK):
                chunk = keys[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                found.update(
                    {key: rest for key, *rest in database.execute(query.format(marks), chunk)}
                )
            return found

        return self._use(rows) or {}

    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows, after a look at the whole, as SQLite overlooks a tree out of order."""

        def write(database: sqlite3.Connection) -> None:
            ((verdict,),) = database.execute("PRAGMA integrity_check(1)")  # 0.3 s for a million
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            marks = ",".join("?" * len(rows[0]))
            database.executemany(f"INSERT OR REPLACE INTO {self.table} VALUES ({marks})", rows)

        if rows:
            self._use(write)

    def _use(self, function: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what a function makes of the database, in one transaction.

        It is None, and the memo closed, where there is no using it.
        """
        for attempt in ("as it is", "made anew"):
            if self._path is None:
                break
            before = _inode(self._path)
            try:
                with closing(self._opened(self._path)) as database, database:
                    return function(database)
            except Exception as error:  # SQLite's, or Python's about what SQLite says of damage
                if attempt == "made anew" or not _is_damage(error, self._path):
                    text = "%s are not remembered in %s: %s"
                    logger.info(text, self.what, self._path, one_line(error))
                    self.close()
                else:
                    logger.warning(
                        "%s is damaged (%s): starting a fresh one", self._path, one_line(error)
                    )
                    _remove(self._path, before)
        return None

    def _opened(self, path: Path) -> sqlite3.Connection:
        """Open the database; make it where there is none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and not os.access(path.parent, os.W_OK):  # such as a cache of others
            uri = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro&immutable=1"
            return sqlite3.connect(uri, uri=True, isolation_level=None)
        database = sqlite3.connect(path, timeout=WAIT_S, isolation_level="IMMEDIATE")
        try:
            # No waiting for the disk: what a power cut damages is made anew. Earlier versions kept
            # a log beside (WAL), and one of them may be using it now.
            database.execute("PRAGMA synchronous = OFF")
            with suppress(sqlite3.OperationalError):
                database.execute("PRAGMA journal_mode = DELETE")
            database.execute(
                f"CREATE TABLE IF NOT EXISTS {self.table} ({self.columns}) WITHOUT ROWID"
            )
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
