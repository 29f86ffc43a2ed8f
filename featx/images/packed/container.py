"""Containers of pictures: archives that stand wherever a folder does, read in place.

Where each picture of an archive lies is kept in memory for the archives read last.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from featx.errors import NoImagesError
from featx.forks import free_in_child
from featx.images.labels import Label
from featx.images.packed.container_file import ContainerFile, container_file
from featx.images.packed.names import common_folder, is_picture
from featx.images.packed.tar_archive import TarArchive
from featx.images.packed.zip_archive import ZipArchive
from featx.images.regular import Stamp
from featx.paths import KINDS, Member, member_of, plain_path
from featx.text import count

SUFFIXES = (".zip", ".tar")
_WITHIN = re.compile(r"(.*?\.(?:zip|tar))[/\\](.+)", re.DOTALL | re.IGNORECASE)
_MOST_KEPT = 2_000_000  # pictures of the archives in memory: some 300 MB


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
    kind, container : str
        Of the archive; see `Member`.
    folder : str
        Within the archive, with "/" behind; empty for all of it.
    names : list of str
        Of the pictures, below the folder, sorted by code points.
    labels : list of labels, or None
        As the archive tells them; None where it does not.
    n_other : int
        Other files.
    notes : tuple of str
        What a reader should know.
    """

    kind: str
    container: str
    folder: str
    names: list[str]
    labels: list[Label | None] | None
    n_other: int
    notes: tuple[str, ...]

    @property
    def root(self) -> str:
        """The folder, as a path."""
        return plain_path(self.path_of("")).rstrip("/" + os.sep)

    def path_of(self, name: str) -> str:
        """Return the path of a picture."""
        return str(Member(self.kind, self.folder + name, self.container))


def as_member(path: str) -> str:
    """Write the path of a picture in an archive as that of a member; others stay as they are.

    photos.zip/cat/1.jpg is zip://cat/1.jpg::photos.zip, where photos.zip is a file.
    """
    within = _WITHIN.fullmatch(path)
    if within is None or member_of(path) or not os.path.isfile(within[1]):
        return path
    return str(Member(kind_of(within[1]), within[2].replace("\\", "/"), within[1]))


def kind_of(path: str) -> str:
    """Return what a container is by its name."""
    return os.path.splitext(path)[1].lower().lstrip(".")


def container_in(source: str) -> tuple[str, str] | None:
    """Return the archive that a path names, and the folder in it; None for another path."""
    beginning, _, rest = source.partition("://")
    if beginning in KINDS and "::" not in rest:
        source = rest  # zip://photos.zip
    member = member_of(as_member(source))
    if member is None:
        is_one = source.lower().endswith(SUFFIXES) and os.path.isfile(source)
        return (source, "") if is_one else None
    name = member.name.strip("/")
    return None if is_picture(name) or member.kind == "parquet" else (member.container, name)


def contents_of(path: str, folder: str = "", label_column: str = "label") -> Contents:
    """List the pictures of an archive; a `NoImagesError` where there are none, or it is damaged."""
    try:
        with container_file(path) as file:
            if kind_of(path) == "tar":
                held: Container = TarArchive.of(file, label_column)
            else:
                held = ZipArchive.of(file)
            _kept.keep(path, file.stamp, held)
    except OSError as error:
        raise NoImagesError(f"{path!r} cannot be read: {error.strerror or error}") from error
    start = f"{folder}/" if folder else ""
    rows = [row for row, name in enumerate(held.names) if name.startswith(start)]
    if not rows:
        where = f"the folder {folder!r} of {path!r}" if folder else repr(path)
        others = f", which has {count(held.n_other, 'other file')}" if held.n_other else ""
        raise NoImagesError(
            f"no images in {where}{others}: expected members whose names end in .jpg, .png, .webp "
            "or another suffix of an image"
        )
    names = [held.names[row] for row in rows]
    told = getattr(held, "labels", None)
    start = start + common_folder([name.removeprefix(start) for name in names])
    return Contents(
        kind_of(path),
        path,
        start,
        [name.removeprefix(start) for name in names],
        None if told is None else [told[row] for row in rows],
        held.n_other,
        tuple(f"{path}: {note}" for note in held.notes),
    )


def read_member(member: Member) -> tuple[bytes, Stamp | None]:
    """Read a picture, and the stamp of its archive, None if that is too young to be remembered.

    Whatever cannot be read is an `OSError`.
    """
    with container_file(member.container) as file:
        held = _kept.of(member.container, file)
        try:
            data = held.read(file, member.name)
        except KeyError:
            raise OSError(f"there is no such picture in {member.container}") from None
        return data, file.stamp if file.settled else None


def size_of_member(member: Member) -> int:
    """Return how many bytes a picture has; an `OSError` where it cannot be told."""
    with container_file(member.container) as file:
        try:
            return _kept.of(member.container, file).size_of(member.name)
        except KeyError:
            raise OSError(f"there is no such picture in {member.container}") from None


class _Kept:
    """Archives in memory, by path, those used last."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, tuple[Stamp, Container]] = OrderedDict()
        self._lock = threading.Lock()
        free_in_child(self._lock)

    def of(self, path: str, file: ContainerFile) -> Container:
        """Return what an open archive holds; each is gone through by one thread."""
        with self._lock:
            stamp, held = self._held.get(os.path.abspath(path), (None, None))
            if held is None or stamp != file.stamp:
                held = TarArchive.of(file) if kind_of(path) == "tar" else ZipArchive.of(file)
                self._put(path, file.stamp, held)
            return held

    def keep(self, path: str, stamp: Stamp, held: Container) -> None:
        """Keep what an archive holds."""
        with self._lock:
            self._put(path, stamp, held)

    def _put(self, path: str, stamp: Stamp, held: Container) -> None:
        self._held[os.path.abspath(path)] = stamp, held
        self._held.move_to_end(os.path.abspath(path))
        while len(self._held) > 1 and self._n_kept() > _MOST_KEPT:
            self._held.popitem(last=False)

    def _n_kept(self) -> int:
        return sum(len(held.names) for _, held in self._held.values())


_kept = _Kept()
