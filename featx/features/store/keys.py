"""Keys of vectors: which row of which shard has one, for many keys at a time.

Keys stay one array of bytes. They are sorted by a number of 64 bits that is made of each, so a
million of them are ready within a tenth of a second, and no Python object is made of any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from featx.features.store.shard import KEY_BYTES, Shard

_YOUNG_SHARE = 0.25  # rows that came lately are sorted apart, up to this share of all


@dataclass(frozen=True)
class Places:
    """Where some keys are: the number of a shard, -1 for none, and the row in it."""

    shards: tuple[Shard, ...]
    numbers: np.ndarray  # (n,), int64
    rows: np.ndarray  # (n,), int64

    @property
    def found(self) -> np.ndarray:
        """Whether each key has a place."""
        return self.numbers >= 0

    def by_shard(self) -> Iterator[tuple[Shard, np.ndarray]]:
        """Yield each shard that has some of the keys, with the positions of these."""
        order = np.argsort(self.numbers, kind="stable")
        order = order[np.searchsorted(self.numbers[order], 0) :]
        numbers, starts = np.unique(self.numbers[order], return_index=True)
        for number, positions in zip(numbers, np.split(order, starts[1:]), strict=False):
            yield self.shards[number], positions


class KeyTable:
    """The keys of some shards, sorted; of a key that comes twice, the first counts."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = tuple(shards)
        rows = [shard.current for shard in shards]
        self._starts = np.cumsum([0, *map(len, rows)])
        self._rows = np.concatenate(rows) if rows else np.empty(0, np.int64)
        held = [shard.keys[of_shard] for shard, of_shard in zip(shards, rows, strict=True)]
        self._keys = np.concatenate(held) if held else np.empty((0, KEY_BYTES), np.uint8)
        numbers = _numbers(self._keys)
        self._order = np.argsort(numbers, kind="stable")
        self._numbers = numbers[self._order]

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, keys: np.ndarray) -> Places:
        """Return the places of keys, an array of (n, 32) bytes."""
        numbers = _numbers(keys)
        at = np.searchsorted(self._numbers, numbers)
        place = np.full(len(keys), -1)
        open_ = np.arange(len(keys))
        while len(open_):  # once, but for different keys of one number
            open_ = open_[at[open_] < len(self._numbers)]
            open_ = open_[self._numbers[at[open_]] == numbers[open_]]
            candidates = self._order[at[open_]]
            same = (self._keys[candidates] == keys[open_]).all(axis=1)
            place[open_[same]] = candidates[same]
            open_ = open_[~same]
            at[open_] += 1
        shard = np.searchsorted(self._starts, place, side="right") - 1
        known = place >= 0
        rows = np.full(len(keys), -1)
        rows[known] = self._rows[place[known]]
        return Places(self.shards, np.where(known, shard, -1), rows)


class KeyTables:
    """Keys of a growing list of shards: those of most are sorted once, those of later ones apart.

    Any number of threads may use it.
    """

    def __init__(self) -> None:
        self._tables: tuple[KeyTable, ...] = ()

    def find(self, shards: tuple[Shard, ...], keys: np.ndarray) -> Places:
        """Return the places of keys, an array of (n, 32) bytes, in these shards."""
        places = Places(shards, np.full(len(keys), -1), np.full(len(keys), -1))
        first = 0
        for table in self._of(shards):
            left = np.flatnonzero(~places.found)
            there = table.find(keys[left])
            places.numbers[left] = np.where(there.found, there.numbers + first, -1)
            places.rows[left] = there.rows
            first += len(table.shards)
        return places

    def _of(self, shards: tuple[Shard, ...]) -> tuple[KeyTable, ...]:
        """Return the tables of these shards: of most of them, and of those that came later."""
        tables = self._tables
        if sum((table.shards for table in tables), ()) == shards:
            return tables
        old = tables[0] if tables else KeyTable(())
        known = len(old.shards)
        young = sum(len(shard.keys) for shard in shards[known:])
        if shards[:known] != old.shards or young > _YOUNG_SHARE * len(old):
            tables = (KeyTable(shards),)
        else:
            tables = (old, KeyTable(shards[known:]))
        self._tables = tables
        return tables


def as_keys(digests: Sequence[str]) -> np.ndarray:
    """Return digests, texts of 64 hexadecimal digits, as an array of (n, 32) bytes."""
    keys = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8)
    if len(keys) != KEY_BYTES * len(digests):
        raise ValueError(f"digests of another length, expected {KEY_BYTES} bytes each")
    return keys.reshape(-1, KEY_BYTES)


def _numbers(keys: np.ndarray) -> np.ndarray:
    """Make a number of 64 bits of each key, which is the same for the same key."""
    words = np.ascontiguousarray(keys).view(np.uint64)
    numbers: np.ndarray = words[:, 0] ^ words[:, 1] ^ words[:, 2] ^ words[:, 3]
    return numbers
