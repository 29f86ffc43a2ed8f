"""The place of a folder of features: its files by name, read in pieces and written whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from featx.files import check_writable, storage_errors, written
from featx.images.regular import open_regular


@dataclass(frozen=True)
class LocalPlace:
    """A folder of this machine."""

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def files(self) -> dict[str, int]:
        """List the files with their bytes, hidden ones too; none where there is no folder."""
        try:
            with os.scandir(self.folder) as entries:
                return {each.name: each.stat().st_size for each in sorted(entries, key=_name)}
        except OSError:
            return {}

    def opened(self, name: str) -> BinaryIO:
        """Open a file to read pieces of it; what is none is an `OSError`."""
        return cast(BinaryIO, open(self.folder / name, "rb", buffering=0, opener=open_regular))

    @contextmanager
    def written(self, name: str) -> Iterator[Path]:
        """Give a file that takes its place, whole, when the block ends."""
        with written(self.folder / name) as file:
            yield file

    def remove(self, name: str) -> None:
        """Remove a file."""
        with storage_errors(self.folder / name):
            (self.folder / name).unlink(missing_ok=True)

    def create(self) -> None:
        """Make the folder, and check that it can be written to; else a `StorageError`."""
        with storage_errors(self.folder):
            self.folder.mkdir(exist_ok=True)
        check_writable(self.folder / "x")


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def place_of(path: str | os.PathLike[str]) -> LocalPlace:
    """Return the place that a path names."""
    return LocalPlace(Path(os.path.expanduser(path)))
