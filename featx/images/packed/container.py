"""Containers of pictures: archives that stand wherever a folder does, read in place.

Where each picture of an archive lies is kept in memory for the archives read last.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from featx.errors import ImageSourceError, NoImagesError, StorageError
from featx.forks import in_child
from featx.images.labels import Label
from featx.images.packed.container_file import ContainerFile, container_file
from featx.images.packed.names import common_folder, is_picture
from featx.images.packed.parquet_table import ParquetTable, holds_pictures
from featx.images.packed.shard_memo import ShardMemo
from featx.images.packed.tar_archive import TarArchive
from featx.images.packed.zip_archive import ZipArchive
from featx.images.regular import Stamp
from featx.paths import BETWEEN, KINDS, Member, member_of, plain_path
from featx.storage.address import absolute, is_address, without_query
from featx.text import count

if TYPE_CHECKING:
    import pandas as pd

_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")  # refused, and told why
SUFFIXES = (".zip", ".tar", *_COMPRESSED)
_WITHIN = re.compile(r"(.*?\.(?:zip|tar))[/\\](.+)", re.DOTALL | re.IGNORECASE)
_MOST_KEPT = 2_000_000  # pictures of the archives in memory: some 300 MB


class UnreadableError(ImageSourceError):
    """A container is damaged; among others it is passed over, and noted."""


class Container(Protocol):
    """What an archive holds."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def n_other(self) -> int: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    def size_of(self, name: str) -> int: ...
    def read(self, file: ContainerFile, name: str) -> bytes: ...


@dataclass(frozen=True)
class Contents:
    """Pictures of an archive, or of a folder in it.

    Attributes
    ----------
    folder : Member
        The folder within the archive, with "/" behind its name; without a name it is all of it.
    names : list of str
        Of the pictures, below the folder, sorted by code points.
    labels : list of labels, or None
        As the archive tells them; None where it does not.
    n_other : int
        Other files.
    notes : tuple of str
        What a reader should know.
    frame : pandas.DataFrame or None
        The other columns of a table, a row a picture.
    """

    folder: Member
    names: list[str]
    labels: list[Label | None] | None
    n_other: int
    notes: tuple[str, ...]
    frame: pd.DataFrame | None = None

    @property
    def root(self) -> str:
        """The folder, as a path."""
        return plain_path(self.path_of("")).rstrip("/" + os.sep)

    def path_of(self, name: str) -> str:
        """Return the path of a picture."""
        return str(self.folder._replace(name=self.folder.name + name))


def as_member(path: str) -> str:
    """Write the path of a picture in an archive as that of a member; others stay as they are.

    photos.zip/cat/1.jpg is zip://cat/1.jpg::photos.zip, where that is a file, or at an address.
    """
    within = _WITHIN.fullmatch(path)
    if within is None or member_of(path) or not is_container(within[1]):
        return path
    return str(Member(kind_of(within[1]), within[2].replace("\\", "/"), within[1]))


def is_container(path: str) -> bool:
    """Tell an archive, or a table with pictures in it, from another file."""
    if not without_query(path).lower().endswith(SUFFIXES):
        return holds_pictures(path)
    return is_address(path) or os.path.isfile(path)


def kind_of(path: str) -> str:
    """Return what a container is by its name."""
    name = without_query(path).lower()
    return "tar" if name.endswith(_COMPRESSED) else os.path.splitext(name)[1].lstrip(".")


def container_in(source: str) -> tuple[str, str] | None:
    """Return the archive that a path names, and the folder in it; None for another path."""
    beginning, _, rest = source.partition("://")
    if beginning in KINDS and "::" not in rest:
        source = rest  # zip://photos.zip
    member = member_of(as_member(source))
    if member is None:
        return (source, "") if is_container(source) else None
    name = member.name.strip("/")
    return None if is_picture(name) or member.kind == "parquet" else (member.container, name)


def contents_of(
    path: str, folder: str = "", path_column: str = "path", label_column: str = "label"
) -> Contents:
    """List the pictures of a container; a `NoImagesError` where it has none.

    One that is damaged is an `UnreadableError`; one that is not there, or at an address that says
    no, is another `ImageSourceError`.

    The columns are those of a table; `label_column` is also what files in shards call the label.
    """
    if BETWEEN in path:
        raise ImageSourceError(
            f"{path!r} has {BETWEEN} in its name, as those of members: rename it"
        )
    try:
        with container_file(path) as file:
            held = _kept.of(path, file, path_column, label_column)
            frame = held.frame() if isinstance(held, ParquetTable) else None
        if frame is not None and len(frame) != len(held.names):
            raise OSError("a damaged table: it has other numbers of rows than it says")
    except StorageError as error:
        raise ImageSourceError(str(error)) from error
    except FileNotFoundError as error:
        raise ImageSourceError(f"there is no {path}: expected an archive or a table") from error
    except OSError as error:
        raise UnreadableError(f"{path!r} cannot be read: {error.strerror or error}") from error
    start = f"{folder}/" if folder else ""
    rows = [row for row, name in enumerate(held.names) if name.startswith(start)]
    if not rows:
        raise NoImagesError(_nothing_in(path, folder, held))
    names = [held.names[row] for row in rows]
    told = held.labels if isinstance(held, TarArchive) else None
    if frame is None:
        start += common_folder([name.removeprefix(start) for name in names])
    return Contents(
        Member(kind_of(path), start, path),
        [name.removeprefix(start) for name in names],
        None if told is None else [told[row] for row in rows],
        held.n_other,
        tuple(f"{path}: {note}" for note in held.notes),
        frame,
    )


def _nothing_in(path: str, folder: str, held: Container) -> str:
    """Say that no picture is in a container, or in a folder of it."""
    where = f"the folder {folder!r} of {path!r}" if folder else repr(path)
    others = f", which has {count(held.n_other, 'other file')}" if held.n_other else ""
    expected = (
        "rows"
        if kind_of(path) == "parquet"
        else "members whose names end in .jpg, .png, .webp or another suffix of an image"
    )
    return f"no images in {where}{others}: expected {expected}"


def read_member(member: Member) -> tuple[bytes, Stamp | None]:
    """Read a picture, and the stamp of its container, None if that is too young to be remembered.

    Whatever cannot be read is an `OSError`.
    """
    with container_file(member.container) as file, _known(member):
        data = _kept.of(member.container, file, _column_in(member)).read(file, member.name)
        return data, file.stamp if file.settled else None


def size_of_member(member: Member) -> int:
    """Return how many bytes a picture has; an `OSError` where it cannot be told."""
    with container_file(member.container) as file, _known(member):
        return _kept.of(member.container, file, _column_in(member)).size_of(member.name)


@contextmanager
def _known(member: Member) -> Iterator[None]:
    """Say where a container has no such picture."""
    try:
        yield
    except KeyError:
        raise OSError(f"there is no such picture in {member.container}") from None


def _column_in(member: Member) -> str:
    """Return the column of a table that a picture is in."""
    return member.name.rpartition("/")[0] if member.kind == "parquet" else "path"


class _Kept:
    """Containers in memory, those used last."""

    def __init__(self) -> None:
        self._forget()
        in_child(self._forget)

    def _forget(self) -> None:
        """Start anew, as in a child of a fork, where whoever had a lock is gone."""
        self._held: OrderedDict[tuple[str, str], tuple[Stamp, Container]] = OrderedDict()
        self._lock = threading.Lock()

    def of(
        self, path: str, file: ContainerFile, path_column: str, label_column: str = ""
    ) -> Container:
        """Return what an open container holds; each is gone through once, by one thread.

        Without `label_column` any labels will do.
        """
        kind = kind_of(path)
        key = absolute(path), path_column if kind == "parquet" else ""
        with self._lock:
            found = self._held.get(key)
            if found and label_column and isinstance(found[1], TarArchive):
                found = found if found[1].label_column == label_column else None
            if found is None or found[0] != file.stamp:
                held = _opened(kind, file, path_column, label_column or "label")
                self._held.pop(key, None)
                found = self._held[key] = file.stamp, held
                self._drop_oldest()
            self._held.move_to_end(key)
            return found[1]

    def _drop_oldest(self) -> None:
        """Keep no more than memory has room for, and the newest in any case."""
        n = sum(len(held.names) for _, held in self._held.values())
        while len(self._held) > 1 and n > _MOST_KEPT:
            n -= len(self._held.popitem(last=False)[1][1].names)


def _opened(kind: str, file: ContainerFile, path_column: str, label_column: str) -> Container:
    """Find what is in a container."""
    if kind == "tar":
        return _shard(file, label_column)
    return ParquetTable(file, path_column) if kind == "parquet" else ZipArchive.of(file)


def _shard(file: ContainerFile, label_column: str) -> TarArchive:
    """Find what is in a tar archive; at an address, only once."""
    if not is_address(file.path) or not file.settled:
        return TarArchive.of(file, label_column)
    memo = ShardMemo.usual()
    held = memo.known(file, label_column)
    if held is None:
        held = TarArchive.of(file, label_column)
        memo.remember(file, held)
    return held


_kept = _Kept()
