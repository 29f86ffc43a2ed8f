"""Files written whole or not at all, nameless ones, and the folder of the cache."""

from __future__ import annotations

import atexit
import errno
import math
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from featx.errors import FeatxError, OptionError, StorageError, get_logger
from featx.storage import objects
from featx.storage.address import is_address, local_path, text_of

if TYPE_CHECKING:
    import io

    import numpy as np

PICTURES = (".png", ".jpg", ".pdf", ".svg")  # how the names of files with a figure end
PAGES = (".html", ".htm")
MEMORY_MAP_BYTES = 192 << 20  # a larger matrix is a memory map
_LOCKED_AT = 0x7FFFFFFF  # on Windows, a byte that keeps no reader from the others
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_WRITING_SECONDS = 3600  # in which a file changes that somebody is writing

_ADVICE = {
    errno.ENOSPC: "the disk is full; make room or choose another folder",
    errno.EDQUOT: "the disk quota is used up; make room or choose another folder",
    errno.EACCES: "permission denied; choose a folder that you may write to",
    errno.EPERM: "permission denied; choose a folder that you may write to",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOENT: "there is no such folder; create it first",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a file of that name is in the way of a folder; choose another name",
    errno.EISDIR: "it is a folder; name a file",
}

log = get_logger(__name__)


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary file beside `path`, of the same suffix, that takes its place when complete.

    When the block ends it is flushed to the disk and renamed; when the block raises it is removed,
    and whatever was at `path` stays as it was. An `OSError` becomes a `StorageError`.
    """
    target = Path(os.path.realpath(path))  # a link stays a link, and what it leads to is replaced
    temporary = target.with_name(f".{target.stem[:40]}-{secrets.token_hex(6)}{target.suffix}")
    try:
        with storage_errors(path):  # while the file is there: a full disk is known by it
            _check_replaceable(target)
            temporary.touch(exist_ok=False)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def take_lock(file: io.FileIO | BinaryIO) -> bool:
    """Lock a file for this process, until it is closed; False if another process has it.

    Raises an `OSError` where the file system locks nothing.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCKED_AT)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True


def remove_unfinished(path: str | os.PathLike[str]) -> None:
    """Remove what processes that were killed while they wrote a file left beside it."""
    target = Path(os.path.realpath(path))
    pattern = f".{escape(target.stem[:40])}-{'[0-9a-f]' * 12}{escape(target.suffix)}"
    for left in target.parent.glob(pattern):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _WRITING_SECONDS:
                left.unlink()


@contextmanager
def storage_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an `OSError` of the block into a `StorageError` that says what to do about it."""
    try:
        yield
    except FeatxError:
        raise
    except OSError as error:
        number = error.errno
        if number is None and _is_full(Path(path).parent):  # numpy's short writes carry no number
            number = errno.ENOSPC
        advice = _ADVICE.get(number or 0, error.strerror or str(error))
        refused = StorageError(f"cannot write {os.fspath(path)}: {advice}")
        refused.errno = number
        raise refused from error


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < 1 << 20
    except OSError:
        return False


def check_writable(
    path: str | os.PathLike[str], suffixes: Sequence[str] = (), *, anywhere: bool = False
) -> None:
    """Check, before any work is done for it, that a file can be written at `path`.

    Raises an `OptionError` if its name ends in none of the suffixes, where some are given, and a
    `StorageError` if it is a folder or no file can be made beside it, or at an address, unless it
    may be `anywhere`.
    """
    if suffixes:
        check_suffix(path, suffixes)
    if is_address(address := os.fspath(path)):
        if not anywhere:
            raise StorageError(f"cannot write {address}: expected a path of this machine")
        objects.check_writable(address)
        return
    target = Path(local_path(address))
    with storage_errors(target):
        _check_replaceable(target)
        with tempfile.TemporaryFile(dir=target.parent):
            pass


def _check_replaceable(target: Path) -> None:
    """Raise an `OSError` for a folder, a pipe or a device: root could replace /dev/null."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if target.exists() and not target.is_file():
        raise OSError("it is a pipe or a device; name a file")


def check_suffix(path: str | os.PathLike[str], suffixes: Sequence[str]) -> None:
    """Raise an `OptionError` if a name ends in none of the suffixes."""
    if Path(path).suffix.lower() not in suffixes:
        raise OptionError(
            f"cannot write {os.fspath(path)}: expected a name that ends in {', '.join(suffixes)}"
        )


def mapped_array(shape: tuple[int, ...], folder: Path | None = None) -> np.ndarray:
    """Make room for float32 numbers in a nameless file of a folder, or of the temporary one.

    Raises an `OSError` where there is none.
    """
    import numpy as np

    with tempfile.TemporaryFile(prefix=".featx-", dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # writing to a map on a full disk ends the process
            os.posix_fallocate(file.fileno(), 0, 4 * math.prod(shape))
        return np.memmap(file, np.float32, "w+", shape=shape)


def room_for(shape: tuple[int, ...], folder: Path | None = None) -> np.ndarray:
    """Make room for float32 numbers: in memory, or where they are very many in a nameless file.

    That is in the folder, if it can be, or in the temporary one; else it is a `StorageError`.
    """
    import numpy as np

    if 4 * math.prod(shape) <= MEMORY_MAP_BYTES:
        return np.empty(shape, np.float32)
    if folder is not None:
        with suppress(OSError):  # a folder that cannot be written
            return mapped_array(shape, folder)
    with storage_errors("a temporary file"):
        return mapped_array(shape)


def cache_folder(cache: str | os.PathLike[str] | bool | None = None) -> Path:
    """Return the cache folder; None and a bool stand for FEATX_CACHE, else the user's own.

    Where the cache is at an address, such as s3://bucket/featx, this is the folder of all that
    stays on this machine. Where a user has no home, as in some containers, it is a folder which
    goes with the process.
    """
    for chosen in (None if isinstance(cache, bool) else cache, os.environ.get("FEATX_CACHE")):
        if chosen and not is_address(path := local_path(text_of(chosen))):
            return Path(os.path.expanduser(path))
    import platformdirs

    try:
        return Path(platformdirs.user_cache_dir("featx", appauthor=False))
    except RuntimeError:  # there is no home
        return _temporary_folder()


def cache_place(cache: str | os.PathLike[str] | bool | None = None) -> str | Path:
    """Return where features are kept: the cache folder, or the address that is asked for."""
    chosen = os.environ.get("FEATX_CACHE") if isinstance(cache, bool) or not cache else cache
    if chosen and is_address(text_of(chosen)):
        return os.fspath(chosen)
    return cache_folder(cache)


@cache
def _temporary_folder() -> Path:
    try:
        folder = tempfile.mkdtemp(prefix="featx-")
    except OSError as error:
        raise StorageError(
            "there is no home folder and no temporary one: set FEATX_CACHE to a folder"
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    log.warning(
        "there is no home folder to keep a cache in: features are kept until this process ends; "
        "--cache or FEATX_CACHE names a folder for them, --no-cache keeps none"
    )
    return Path(folder)
