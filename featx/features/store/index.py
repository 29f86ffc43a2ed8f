"""The index of a recipe's folder: its shards, opened once a process and again only when changed."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from featx.errors import OptionError, get_logger
from featx.features.store.folder import THREADS, ShardFolder, shard_paths
from featx.features.store.keys import KeyTables
from featx.features.store.shard import DamagedShardError, Shard
from featx.storage.deadline import request_threads

_LISTINGS = 5  # until no file vanishes between being listed and being opened
_FEW_ROWS = 256
_NAMED = "named-"  # how the names of shards begin that were given one

log = get_logger(__name__)


@dataclass(frozen=True)
class Entry:
    """A file of the folder: an open shard, or what is wrong with it."""

    stamp: tuple[int, ...]  # tells that the file is unchanged
    size: int  # in bytes
    shard: Shard | None
    damage: str = ""


class ShardIndex:
    """The shards of a folder, which may be a copy of one at an address.

    Any number of threads may use it: what they find out twice is found out twice.
    """

    def __init__(self, files: ShardFolder) -> None:
        self.files = files
        self.merges = True  # whether small shards are merged, which this process may be unable to
        self.fixed: set[Path] = set()  # shards that cannot be removed
        self.keys = KeyTables()
        self._entries: dict[Path, Entry] = {}
        self._unreadable: set[Path] = set()
        self._few = 0

    def entries(self) -> Mapping[Path, Entry]:
        """Return what there is now, the oldest first."""
        self.files.refresh()
        for _ in range(_LISTINGS):
            vanished: list[Path] = []  # merged by another process, or cleared
            paths = shard_paths(self.files.path)
            found = self._opened(paths, vanished)
            self._entries = {path: entry for path, entry in zip(paths, found, strict=True) if entry}
            if not vanished:
                break
        return self._entries

    def entry(self, path: Path) -> Mapping[Path, Entry]:
        """Return what one file is, which was not there before."""
        entry = self._entry(path)
        found = {} if entry is None else {path: entry}
        self._entries = {**self._entries, **found}
        return found

    def _opened(self, paths: Sequence[Path], vanished: list[Path]) -> list[Entry | None]:
        """Open shards, several at a time where many are new; None for those that are not there."""

        def entry(path: Path) -> Entry | None:
            try:
                return self._entry(path)
            except FileNotFoundError:
                vanished.append(path)
                return None

        if sum(path not in self._entries for path in paths) < THREADS:
            return [entry(path) for path in paths]
        with request_threads(THREADS, "featx-index") as pool:
            return list(pool.map(entry, paths))

    def _entry(self, path: Path) -> Entry | None:
        """Open a shard unless it is open; None where it cannot be read, which may pass."""
        try:
            status = path.stat()
            stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
            known = self._entries.get(path)
            if known is not None and known.stamp == stamp:
                return known
            return Entry(stamp, status.st_size, self.files.open(path.name))
        except DamagedShardError as error:
            return Entry(stamp, status.st_size, None, str(error))
        except FileNotFoundError:
            raise
        except OSError as error:
            if path not in self._unreadable:
                log.warning("the cache file %s cannot be read: %s", path, error)
            self._unreadable.add(path)
            return None

    def takes_few(self, count: int) -> bool:
        """Whether a few new rows are worth keeping: the first ones of the process are."""
        self._few += count
        return self._few <= _FEW_ROWS


@lru_cache(maxsize=16)
def index_of(files: ShardFolder) -> ShardIndex:
    """Return the index of a folder that this process has."""
    return ShardIndex(files)


def new_name(moment: str = "") -> str:
    """Return a name that no other shard has; names are in order of the moments of writing."""
    return f"{moment or f'{time.time_ns():020d}'}-{secrets.token_hex(4)}.arrow"


def named(name: str) -> str:
    """Return how the file of a shard is called that was given a name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
        raise OptionError(f"{name!r} is no name of a shard: expected up to 100 letters and digits")
    return f"{_NAMED}{name}.arrow"


def has_name(path: Path) -> bool:
    """Whether a shard was given a name, by which somebody may ask for it."""
    return path.name.startswith(_NAMED)
