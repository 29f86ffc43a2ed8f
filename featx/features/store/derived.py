"""Derived files of a cache: indices of features, and copies of caches that are at addresses."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.features.store.mirror import ADDRESS, mirror_folder, mirrors_folder
from featx.text import printable

_LEAST_CHARACTERS = 6  # of a key


@dataclass(frozen=True)
class Derived:
    """An index, or all copies of what is at one address; removed, it is made again when needed."""

    path: Path  # a file, or a folder
    address: str  # of what it is a copy; empty for an index, or where that is not known
    bytes: int  # on disk
    newest: float  # when it was last written, in seconds since 1970

    @property
    def key(self) -> str:
        """The name by which it is cleared."""
        return self.path.stem

    def is_called(self, name: str) -> bool:
        """Whether a name is its key, or the first characters of that."""
        return len(name) >= _LEAST_CHARACTERS and self.key.startswith(name)

    @property
    def text(self) -> str:
        """What it is made of, as people read it."""
        if self.path.is_file():
            return "features that `featx similar` searched"
        return printable(self.address or "-")

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored as plain values, but for its age."""
        address = {"address": self.address or None} if self.path.is_dir() else {}
        return {"key": self.key, "path": str(self.path), "bytes": self.bytes, **address}

    def clear(self, limit: float) -> int:
        """Remove the files last written before `limit`, and return how many bytes that were."""
        removed = 0
        for path in [*sorted(self.path.rglob("*"), reverse=True), self.path]:
            with suppress(OSError):  # removed meanwhile, or a folder in which something stays
                if path.is_dir():
                    path.rmdir()
                elif path.stat().st_mtime < limit:
                    size = _on_disk(path)
                    path.unlink()
                    removed += size
        return removed


def indices_folder(cache: Path) -> Path:
    """Return the folder of indices of features, in which `featx.similar` searches."""
    return cache / "similar"


def indices(cache: Path) -> list[Derived]:
    """List the indices of features in a cache, sorted by key."""
    return _derived(sorted(indices_folder(cache).glob("*.usearch")))


def mirrors(cache: Path) -> list[Derived]:
    """List the copies of caches at addresses, one for each address, sorted by key."""
    return _derived(sorted(mirrors_folder(cache).glob("*")))


def mirror_of(address: str) -> list[Derived]:
    """List the copies of the cache at one address: one, or none."""
    return _derived([mirror_folder(address)])


def _derived(paths: list[Path]) -> list[Derived]:
    found = []
    for path in paths:
        files = [each for each in [path, *path.rglob("*")] if each.is_file()]
        with suppress(FileNotFoundError, ValueError):  # cleared meanwhile, or there is no file
            newest = max(each.stat().st_mtime for each in files)
            found.append(Derived(path, _address(path), sum(map(_on_disk, files)), newest))
    return found


def _address(path: Path) -> str:
    try:
        return (path / ADDRESS).read_text()
    except (OSError, ValueError):
        return ""


def _on_disk(path: Path) -> int:
    """Return how many bytes a file takes, which are few where it has holes."""
    state = path.stat()
    return min(state.st_size, 512 * getattr(state, "st_blocks", 0) or state.st_size)
