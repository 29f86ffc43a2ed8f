"""The place of a folder of features: its files by name, read in pieces and written whole.

It is a folder of this machine, or an address such as s3://bucket/photos.features.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from featx.files import storage_errors, written
from featx.images.regular import open_regular
from featx.storage.address import is_address, local_path, text_of
from featx.storage.objects import entries, read, remove, write


class Place(Protocol):
    """Where the files are.

    Attributes
    ----------
    folder : Path or None
        On this machine, if it is there.
    gap : int
        Bytes that are sooner read than passed over.
    threads : int
        How many pieces are best read at once.
    """

    @property
    def folder(self) -> Path | None: ...

    @property
    def gap(self) -> int: ...

    @property
    def threads(self) -> int: ...

    def files(self) -> dict[str, int]:
        """List the files, and the folders, with their bytes, hidden ones too.

        There are none where there is no folder.
        """

    def opened(self, name: str) -> BinaryIO:
        """Open a file to read pieces of it; what is none is an `OSError`."""

    def written(self, name: str) -> AbstractContextManager[Path]:
        """Give a file that takes its place, whole, when the block ends."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def create(self) -> None:
        """Make the folder, and check that it can be written to; else a `StorageError`."""


@dataclass(frozen=True)
class LocalPlace:
    """A folder of this machine."""

    folder: Path
    gap = 0
    threads = 8

    def __str__(self) -> str:
        return str(self.folder)

    def files(self) -> dict[str, int]:
        try:
            with os.scandir(self.folder) as found:
                sizes = ((each.name, _size(each)) for each in sorted(found, key=_name))
                return {name: size for name, size in sizes if size is not None}
        except OSError:
            return {}

    def opened(self, name: str) -> BinaryIO:
        return cast(BinaryIO, open(self.folder / name, "rb", buffering=0, opener=open_regular))

    def written(self, name: str) -> AbstractContextManager[Path]:
        return written(self.folder / name)

    def remove(self, name: str) -> None:
        with storage_errors(self.folder / name):
            (self.folder / name).unlink(missing_ok=True)

    def create(self) -> None:
        with storage_errors(self.folder):
            self.folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass


@dataclass(frozen=True)
class AddressPlace:
    """Objects below an address, which are put whole and read by ranges of bytes."""

    address: str
    _sizes: dict[str, int] = field(default_factory=dict, compare=False)
    folder = None
    gap = 64 << 10
    threads = 32

    def __str__(self) -> str:
        return self.address

    def files(self) -> dict[str, int]:
        start = f"{self.address}/"
        self._sizes.clear()
        for each in entries(start):
            name, inside, _ = each.address.removeprefix(start).partition("/")
            if name:
                self._sizes[name] = 0 if inside else each.size
        return dict(self._sizes)

    def opened(self, name: str) -> BinaryIO:
        if not self._sizes:
            self.files()
        if name not in self._sizes:
            raise FileNotFoundError(f"{self.address}/{name}")
        file = _ObjectFile(f"{self.address}/{name}", self._sizes[name])
        return cast(BinaryIO, file)

    @contextmanager
    def written(self, name: str) -> Iterator[Path]:
        with storage_errors("a temporary file"), tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            yield file
            write(f"{self.address}/{name}", file)
            self._sizes[name] = file.stat().st_size

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            remove(f"{self.address}/{name}")
        self._sizes.pop(name, None)

    def create(self) -> None:
        """Do nothing: whoever writes the first file knows."""


class _ObjectFile(io.RawIOBase):
    """An object, of which only what is asked for is read."""

    def __init__(self, address: str, size: int) -> None:
        super().__init__()
        self._address = address
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        stop = min(self._at + len(buffer), self._size)
        if stop <= self._at:
            return 0
        data = read(self._address, self._at, stop)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _size(entry: os.DirEntry[str]) -> int | None:
    """Return the bytes of a file; None where it went meanwhile, or leads nowhere."""
    try:
        return entry.stat().st_size
    except OSError:
        return None


def place_of(path: str | os.PathLike[str]) -> LocalPlace | AddressPlace:
    """Return the place that a path or an address names."""
    text = text_of(path)
    if is_address(text):
        return AddressPlace(text.rstrip("/"))
    return LocalPlace(Path(os.path.expanduser(local_path(text))))
