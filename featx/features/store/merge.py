"""Merging of small shards, so that many small runs leave few files.

A merged shard is written whole before those that it replaces are removed: whoever is killed
between leaves rows twice, which harms nothing and ends with the next merge.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import accumulate, islice
from pathlib import Path

import numpy as np

from featx.errors import get_logger
from featx.features.store.index import Entry, ShardIndex, has_name, new_name
from featx.features.store.shard import Shard, write_shard

MOST_ALIKE = 16  # shards of about one size; as many become one
_LARGEST_BYTES = 8 << 20  # a larger shard stays as it is
_MERGED_BYTES = 24 << 20  # at once, which is what it takes of memory

log = get_logger(__name__)


def merge_small(index: ShardIndex, shape: tuple[int, ...], *, named: bool = False) -> set[Path]:
    """Merge shards of one shape where there are many alike, and return which are gone.

    Shards that have a name of their own, by which somebody may ask for them, only if `named`.
    """
    gone: set[Path] = set()
    while index.merges and (group := _due(index, shape, named)):
        try:
            gone |= _merged(index, group)
        except OSError as error:  # no room for both
            log.info("%s: small files are not merged: %s", index.files, error)
            index.merges = False
    return gone


def _due(index: ShardIndex, shape: tuple[int, ...], named: bool) -> dict[Path, Entry]:
    """Return the oldest of so many shards of about one size that they are to be merged."""
    alike: defaultdict[int, dict[Path, Entry]] = defaultdict(dict)
    for path, entry in index.entries().items():
        shard = entry.shard
        if path in index.fixed or (has_name(path) and not named):
            continue
        if shard is None or shard.shape != shape or not len(shard.current):
            continue
        if entry.size < _LARGEST_BYTES:
            alike[entry.size.bit_length() // 4][path] = entry
    for entries in alike.values():
        if len(entries) >= MOST_ALIKE:
            sizes = accumulate(entry.size for entry in entries.values())
            fitting = sum(size <= _MERGED_BYTES for size in sizes)
            return dict(islice(entries.items(), fitting))
    return {}


def _merged(index: ShardIndex, group: Mapping[Path, Entry]) -> set[Path]:
    """Write one shard in place of several, and return those that are removed."""
    sound: dict[Path, Shard] = {}
    for path, entry in group.items():
        if entry.shard is not None and entry.shard.are_sound(range(len(entry.shard.keys))):
            sound[path] = entry.shard
        else:
            index.fixed.add(path)  # it is told and removed once its rows are wanted
    if len(sound) < 2:
        return set()
    oldest = next(iter(sound))
    name = new_name() if has_name(oldest) else new_name(oldest.stem.partition("-")[0])
    with index.files.written(name) as file:
        write_shard(file, *_rows_of(sound.values()))
        os.utime(file, (max(path.stat().st_mtime for path in sound),) * 2)
    _settle(index.files.path)
    for path in sound:
        try:
            index.files.remove(path.name)
        except OSError:
            index.fixed.add(path)
    return set(sound) - index.fixed


def _rows_of(shards: Iterable[Shard]) -> tuple[list[bytes], list[str], np.ndarray]:
    """Return keys, notes and vectors of some shards, each key once."""
    keys: dict[bytes, str] = {}
    vectors = []
    for shard in shards:
        rows = []
        for row in shard.current:
            key = shard.keys[row].tobytes()
            if key not in keys:
                keys[key] = shard.notes[row]
                rows.append(row)
        vectors.append(shard.vectors[rows].reshape(len(rows), *shard.shape))
    return list(keys), list(keys.values()), np.concatenate(vectors)


def _settle(folder: Path) -> None:
    """Wait until a new name is on the disk, before old ones are removed."""
    with suppress(OSError):  # where folders cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
