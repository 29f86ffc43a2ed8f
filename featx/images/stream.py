"""The stream of images of a source: piece by piece, so that millions need no list in memory."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from featx.errors import OptionError
from featx.images.bucket import files_below, names_folder
from featx.images.folder import ImageFolder
from featx.images.labels import class_names, notes_on_names
from featx.images.layout import class_folder, parts_of, role_of
from featx.images.listing import notes_on_empty, suffix_of
from featx.images.memory import MemoryImage
from featx.images.packed.container import container_in
from featx.images.pattern import is_pattern
from featx.images.source import ImageSource
from featx.storage.address import below, is_address


def stream_images(source: ImageSource, *, size: int, **reading: Any) -> Iterator[ImageFolder]:
    """Yield the images of a source in consecutive pieces.

    One after the other they are what `ImageFolder.of` gives: the images with their labels, and in
    all the same number of other files. What is said of the whole, `parts` and `notes`, is with the
    last piece. A folder at an address is listed as the pieces are taken, and takes no memory for
    what lies behind or ahead; other sources are listed at once.

    Parameters
    ----------
    source : ImageFolder, str, PathLike, picture, iterable, DataFrame, or array of pictures
        As for `ImageFolder.of`.
    size : int
        Images in a piece at most.
    **reading
        The options of `ImageFolder.of`.

    Yields
    ------
    ImageFolder
        At least one; each has an image.

    Raises
    ------
    ImageSourceError, OptionError
        As `ImageFolder.of` does; or `size` is less than 1.
    """
    if size < 1:
        raise OptionError(f"size is {size}: expected 1 or more images in a piece")
    others = {name for name, value in reading.items() if value is not None} - {"classes_from"}
    if others or not _is_folder_elsewhere(source):
        yield from _pieces_of(ImageFolder.of(source, **reading), size)
    else:
        yield from _pieces_at(os.fspath(source), size, reading.get("classes_from") or "first")


def _is_folder_elsewhere(source: ImageSource) -> bool:
    """Whether a source is a folder at an address."""
    return (
        isinstance(source, str)
        and not isinstance(source, MemoryImage)
        and is_address(source)
        and names_folder(source)
        and container_in(source) is None
        and not is_pattern(source)
    )


def _pieces_of(images: ImageFolder, size: int) -> Iterator[ImageFolder]:
    """Cut images that are listed into pieces."""
    for start in range(0, len(images), size):
        stop = min(start + size, len(images))
        piece = images.select(range(start, stop))
        if start:
            piece = replace(piece, n_other=0)
        yield piece if stop == len(images) else replace(piece, parts=None, notes=())


def _pieces_at(address: str, size: int, classes_from: str) -> Iterator[ImageFolder]:
    """List what is below an address as far as it is asked for."""
    left, seen = set[str](), _Seen(classes_from)
    waiting: list[str] = []  # a piece and one image more, by which it is told that it is not last
    n_other, n = 0, 0
    for name, is_image in files_below(address, left):
        seen.add(name, is_image)
        if not is_image:
            n_other += 1
            continue
        if len(waiting) == size:
            yield _piece(address, waiting, n_other, classes_from)
            waiting, n_other, n = [], 0, n + size
        waiting.append(name)
    n_other += len(left)
    if not waiting:  # it is a folder of archives, or there is no image at all, which `of` says
        yield from _pieces_of(ImageFolder.of(address, classes_from=classes_from), size)
        return
    last = _piece(address, waiting, n_other, classes_from)
    parts = parts_of(address, seen.layout)
    yield replace(last, parts=parts, notes=(*([parts] if parts else []), *seen.notes()))


def _piece(address: str, names: Sequence[str], n_other: int, classes_from: str) -> ImageFolder:
    labels = class_names([class_folder(name, classes_from) for name in names])
    paths = tuple(below(address, name) for name in names)
    return ImageFolder(paths, labels, n_other, root=address)


@dataclass
class _Seen:
    """What is kept of all pieces, to say what is to be said of the whole.

    That grows with the number of classes, not with that of the images.
    """

    classes_from: str
    classes: set[str] = field(default_factory=set)
    layout: set[str] = field(default_factory=set)  # as much of the paths as `parts_of` looks at
    full: set[str] = field(default_factory=set)  # folders directly below in which an image is
    others: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, name: str, is_image: bool) -> None:
        """Take notice of a file."""
        first, *inner = name.split("/")
        if not is_image:
            if inner and first not in self.full:
                self.others[first][suffix_of(name)] += 1
            return
        label = class_folder(name, self.classes_from)
        if label is not None:
            self.classes.add(label)
            self.full.add(first)
            self.others.pop(first, None)
            deep = len(inner) > 1 and role_of(first) is not None
            self.layout.add(f"{first}/{inner[0]}/" if deep else f"{first}/")

    def notes(self) -> list[str]:
        """Say of the whole what `ImageFolder.scan` does."""
        empty = {folder: self.others[folder] for folder in sorted(self.others)}
        return [*notes_on_empty(empty, bool(self.full)), *notes_on_names(self.classes)]
