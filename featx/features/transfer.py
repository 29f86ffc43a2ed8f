"""Transfer of files of features from and to addresses such as s3://bucket/photos.npz.

They are written on this machine first, and put there whole; and copied here before they are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from featx.errors import FeatxError, StorageError
from featx.features.formats import SUFFIXES, check_suffix, files_of, holds_features
from featx.files import storage_errors
from featx.storage import objects
from featx.storage.address import is_address, local_path, text_of
from featx.storage.entry import Entry

_NAME_LENGTH = 50  # characters, of four bytes each: a file has 255 of them at most


@contextmanager
def sent(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the file to write features to, which is put where it belongs when the block ends.

    That is the file itself, unless the path is an address.
    """
    address = local_path(text_of(path))
    if not is_address(address):
        yield Path(address)
        return
    check_suffix(Path(address))
    with _folder() as folder:
        file = folder / _file_name(address)
        yield file
        for there, here in zip(files_of(address), files_of(file), strict=True):
            objects.write(there, Path(here))


@contextmanager
def received(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a file of features to read: the one at a path, or a copy of the one at an address.

    Errors of the block name the address.
    """
    address = local_path(text_of(path))
    if not is_address(address):
        yield Path(address)
        return
    check_suffix(Path(address))
    with _folder() as folder:
        file = folder / _file_name(address)
        _fetch(address, file)
        try:
            yield file
        except FeatxError as error:
            text = str(error).replace(os.fspath(file), address)
            raise type(error)(text) from error


def is_file_of_features_at(address: str) -> bool:
    """Tell whether there is a file of features at an address.

    A table, which may be one of pictures, is looked into; where it cannot be read, whoever reads it
    says so.
    """
    if not address.lower().endswith(SUFFIXES):
        return False
    if address.lower().endswith((".npz", ".npy")):
        return True
    try:
        return _holds_features(objects.entry(address))
    except (FeatxError, OSError):
        return False


@lru_cache(maxsize=64)  # several ask, one after the other
def _holds_features(entry: Entry) -> bool:
    with received(entry.address) as file:
        return holds_features(file)


def _fetch(address: str, file: Path) -> None:
    """Copy what is at an address, and its sidecar, which a table made elsewhere has not."""
    for there, here in zip(files_of(address), files_of(file), strict=True):
        try:
            objects.fetch(there, Path(here))
        except FileNotFoundError as error:
            if there == address:
                raise StorageError(
                    f"no features file {address}: expected one that `save` wrote"
                ) from error
        except FeatxError:
            raise
        except OSError:  # no room for the copy
            with storage_errors(here):
                raise


def _file_name(address: str) -> str:
    """Return the end of an object's name, which may be longer than that of a file."""
    return address.rpartition("/")[2][-_NAME_LENGTH:]


@contextmanager
def _folder() -> Iterator[Path]:
    """Give a folder for a while; a file of it that is mapped into memory stays as long."""
    with TemporaryDirectory(prefix="featx-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
