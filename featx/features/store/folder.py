"""The folder of a recipe's files on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featx.features.store.shard import Shard, open_shard
from featx.files import written

SUFFIX = ".arrow"
DESCRIPTION = "recipe.json"
THREADS = max(8, os.cpu_count() or 1)  # more than there are cores: most of them wait


class ShardFolder:
    """A folder of the disk.

    `merges` says whether whoever adds a shard merges small ones.
    """

    merges = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return os.fspath(self.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShardFolder) and self._all == other._all

    def __hash__(self) -> int:
        return hash(self._all)

    @property
    def _all(self) -> tuple[str, Path]:
        return str(self), self.path

    @property
    def cache(self) -> str:
        """The cache that the folder is in."""
        return os.fspath(self.path.parents[1])

    def refresh(self) -> None:
        """Take in what others wrote to an address."""

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self.path / name).is_file()

    @contextmanager
    def written(self, name: str) -> Iterator[Path]:
        """Give a file to write, which is there under a name when the block ends."""
        with written(self.path / name) as file:
            yield file

    def remove(self, name: str) -> None:
        """Remove a file, which may be gone already."""
        (self.path / name).unlink(missing_ok=True)

    def discard(self, name: str) -> None:
        """Remove a shard that is damaged."""
        self.remove(name)

    def open(self, name: str) -> Shard:
        """Open a shard, as `open_shard` does."""
        return open_shard(self.path / name)


def shards_folder(cache: str | os.PathLike[str]) -> Path:
    """Return the folder of a cache below which each recipe has its own."""
    return Path(cache) / "features"


def shard_paths(folder: Path) -> list[Path]:
    """List the finished shards of a recipe's folder, oldest first."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [folder / name for name in sorted(names) if is_shard(name)]


def is_shard(name: str) -> bool:
    """Whether a file is a finished shard, by its name."""
    return name.endswith(SUFFIX) and not name.startswith(".")
