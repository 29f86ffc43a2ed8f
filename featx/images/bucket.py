"""Buckets as sources of images: what is below an address, listed as folders of the disk are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from featx.errors import ImageSourceError, StorageError
from featx.images.listing import (
    HIDDEN,
    LEFT_BEHIND,
    TABLE_SUFFIXES,
    Listing,
    named_as_image,
)
from featx.images.memory import MemoryImage
from featx.paths import file_of
from featx.storage.address import is_address, is_on_web, without_query
from featx.storage.objects import entries, entry


def names_table(address: str) -> bool:
    """Whether an address is that of a table, by its suffix."""
    return without_query(address).lower().endswith(TABLE_SUFFIXES)


def names_folder(address: str) -> bool:
    """Whether an address may be that of a folder: neither of a picture nor of a table, by name."""
    other = is_on_web(address) or named_as_image(address) or names_table(address)
    return address.endswith("/") or not other


def is_there(path: str) -> bool:
    """Whether there is a file, or an object at an address."""
    if not is_address(path):
        return os.path.exists(path)
    try:
        with source_errors():
            entry(path)
    except FileNotFoundError:
        return False
    return True


def is_name(address: str) -> bool:
    """Whether an object in a bucket, or a folder there, is called just so."""
    return is_there(address) or is_folder_at(address)


def may_be_there(path: str) -> bool:
    """Whether there is a picture or its archive; an object is taken for granted, not asked for."""
    file = file_of(path)
    return isinstance(path, MemoryImage) or is_address(file) or os.path.isfile(file)


def is_folder_at(address: str) -> bool:
    """Whether there is anything below an address."""
    with source_errors():
        return next(iter(entries(address)), None) is not None


def list_address(address: str) -> Listing:
    """List the objects below an address, as `list_folder` does files."""
    listing, left = Listing(), set[str]()
    folders = set[str]()
    for name, is_image in files_below(address, left):
        (listing.images if is_image else listing.others).append(name)
        if "/" in name:
            folders.add(name.partition("/")[0])
    listing.folders = sorted(folders)
    listing.n_left_behind = len(left)
    return listing


def files_below(address: str, left: set[str]) -> Iterator[tuple[str, bool]]:
    """Yield files, and whether each is an image by name, as the store lists them, sorted.

    The folders that other programs left behind are put into `left`.
    """
    start, last, entered = len(address.rstrip("/")) + 1, None, True
    with source_errors():
        for each in entries(address):
            name = each.address[start:]
            folder, _, file = name.rpartition("/")
            if folder != last:
                last, entered = folder, _is_entered(folder, left)
            if entered:
                yield name, named_as_image(file) and not file.startswith(HIDDEN)


def _is_entered(folder: str, left: set[str]) -> bool:
    """Whether files in a folder count: it is not hidden, and was not left behind."""
    names = folder.split("/")
    for place, name in enumerate(names):
        if name.casefold() in LEFT_BEHIND:
            left.add("/".join(names[: place + 1]))
            return False
        if name.startswith(HIDDEN):
            return False
    return True


@contextmanager
def source_errors() -> Iterator[None]:
    """Turn a `StorageError` into an `ImageSourceError`: there is nothing to work on."""
    try:
        yield
    except StorageError as error:
        raise ImageSourceError(str(error)) from error
