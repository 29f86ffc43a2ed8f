"""Objects at addresses: listed, read, written and removed, whatever store they are in."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from featx.errors import StorageError
from featx.storage import az, gs, s3, web
from featx.storage.address import bucket_of, is_on_web, scheme_of
from featx.storage.deadline import ask, request_threads
from featx.storage.entry import Entry, check_size
from featx.storage.failures import explained, no_bucket
from featx.storage.filesystem import filesystem

AT_ONCE = 32  # requests: a store is slow to answer, and answers many
_LOOKED_AT = 1_000  # objects by one request, where they lie together
PIECE_BYTES = 32 << 20
_LARGE = 1 << 30  # of which the size is not known
# By these stores tell a change; `created` is of fsspec's memory.
_STAMPS = ("ETag", "etag", "generation", "md5Hash", "created")


def read(address: str, start: int | None = None, stop: int | None = None) -> bytes:
    """Read an object, or the bytes of it from `start` to before `stop`.

    A negative `start` counts from the end. Raises a `FileNotFoundError` if there is none, and a
    `StorageError` for whatever else is wrong; so do the other functions.
    """
    if start is None and stop is None:
        return read_with_stamp(address)[0]
    with explained(address):
        if scheme_of(address) == "s3":
            return s3.read(filesystem(address), address, start, stop)
        if stop is not None and stop <= (start or 0):
            return b""
        if start is not None and start < 0:
            start = max(0, entry(address).size + start)  # of Azure no end can be asked for
        n_bytes = _LARGE if stop is None else stop - (start or 0)
        return _part(address, n_bytes, start=start, end=stop)


def read_with_stamp(address: str, most: int | None = None) -> tuple[bytes, Entry]:
    """Read an object, and what tells that it is unchanged, of the same moment or before.

    One of more than `most` bytes is a `StorageError`, before it is read.
    """
    if scheme_of(address) == "s3":
        with explained(address):
            return s3.read_with_stamp(filesystem(address), address, most)
    if is_on_web(address):
        with explained(address):
            return web.read_with_stamp(filesystem(address), address, most)
    found = entry(address)
    check_size(found.size, most)
    with explained(address):
        return _part(address, found.size), found


def _part(address: str, n_bytes: int, **bounds: int | None) -> bytes:
    """Read an object, or a part of it, of so many bytes."""
    system = filesystem(address)
    path = system._strip_protocol(address)
    data: bytes = ask(system, "cat_file", path, n_bytes=n_bytes, **bounds)
    return data


def fetch(address: str, file: Path) -> None:
    """Copy an object into a file, piece by piece."""
    before = entry(address)
    with file.open("wb") as copy:
        for start in range(0, before.size, PIECE_BYTES):
            copy.write(read(address, start, min(start + PIECE_BYTES, before.size)))
    if file.stat().st_size != before.size or entry(address) != before:
        raise StorageError(f"cannot read {address}: it was changed meanwhile; try again")


def check_writable(address: str) -> None:
    """Check that an object can be written, as far as that is told without writing one.

    Of S3 it is told; of other stores, that there is such a bucket and that it may be read.
    """
    _refuse_unwritable(address)
    if scheme_of(address) == "s3":
        with explained(address, "write"):
            s3.check_writable(filesystem(address), address)
        return
    with suppress(FileNotFoundError):
        entry(address)


def write(address: str, data: bytes | Path) -> None:
    """Write bytes, or a file, as an object: whole or not at all."""
    _refuse_unwritable(address)
    with explained(address, "write"):
        system = filesystem(address)
        path = system._strip_protocol(address)
        if isinstance(data, bytes):
            ask(system, "pipe_file", path, data, n_bytes=len(data))
        else:
            ask(system, "put_file", os.fspath(data), path, n_bytes=data.stat().st_size)


def entry(address: str) -> Entry:
    """Look at an object without reading it."""
    with explained(address):
        system = filesystem(address)
        if scheme_of(address) == "s3":
            return s3.entry(system, address)
        if is_on_web(address):
            return web.entry(system, address)
        try:
            found = ask(system, "info", system._strip_protocol(address))
        except FileNotFoundError:
            _check_bucket(system, address)
            raise
        if found.get("type") == "directory":
            raise FileNotFoundError(address)
        return _entry(address, found)


def entries_of(addresses: Sequence[str]) -> dict[str, Entry]:
    """Look at many objects, by their addresses; one that is not there is left out."""
    chunks = [
        several[start : start + _LOOKED_AT]
        for several in _by_scheme(sorted(set(addresses))).values()
        for start in range(0, len(several), _LOOKED_AT)
    ]
    with request_threads(min(AT_ONCE, len(chunks) or 1), "featx-look") as pool:
        return {each.address: each for found in pool.map(_look, chunks) for each in found}


def entries(address: str) -> Iterator[Entry]:
    """List the objects below an address, in all folders, sorted by code points.

    They come page by page, those of a store that has no pages folder by folder: a million take no
    more memory than the largest of these.
    """
    with explained(address, "list"):
        system = filesystem(address)
    if is_on_web(address):
        raise StorageError(
            f"cannot list {address}: a web server lists no folders; expected addresses of "
            "pictures, or of a table of them"
        )
    if scheme_of(address) == "s3":
        yield from s3.entries(system, address)
        return
    if scheme_of(address) in ("gs", "gcs"):
        yield from gs.entries(system, address)
        return
    if scheme_of(address) in ("az", "abfs", "abfss"):
        yield from az.entries(system, address)
        return
    start = address.rstrip("/")
    root = system._strip_protocol(start)
    for name, found in _listed(system, start, root):
        yield _entry(start + name, found)


def remove(address: str) -> None:
    """Remove an object; none is a `FileNotFoundError` where the store says so."""
    with explained(address, "remove"):
        system = filesystem(address)
        ask(system, "rm_file", system._strip_protocol(address))


def _by_scheme(addresses: Sequence[str]) -> dict[str, list[str]]:
    """Divide addresses into those of each bucket of S3, and the others, one by one."""
    several: dict[str, list[str]] = defaultdict(list)
    for address in addresses:
        several[bucket_of(address) if scheme_of(address) == "s3" else address].append(address)
    return several


def _look(addresses: Sequence[str]) -> list[Entry]:
    """Look at sorted objects, of one bucket of S3 or one alone."""
    if scheme_of(addresses[0]) == "s3" and len(addresses) > 1:
        with explained(addresses[0], "list"):
            system = filesystem(addresses[0])
        return list(s3.entries_of(system, addresses))
    found = []
    for address in addresses:
        with suppress(FileNotFoundError):
            found.append(entry(address))
    return found


def _refuse_unwritable(address: str) -> None:
    if is_on_web(address):
        raise StorageError(
            f"cannot write {address}: a web server only gives; expected s3://, gs:// or az://"
        )
    if "?versionId=" in address:  # s3fs would write the object of which this is a version
        raise StorageError(f"cannot write {address}: expected a name without ?versionId=")


def _listed(system: Any, start: str, root: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects below a root, each with what follows the root in its address."""
    folders = [_inside(system, start, root, "")]
    while folders:
        for name, found in folders[-1]:
            if found["type"] == "directory":
                folders.append(_inside(system, start, root, name))
                break
            yield name, found
        else:
            folders.pop()


def _inside(system: Any, start: str, root: str, below: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return what is directly in a folder, by code points of the paths that come of it."""
    with explained(start, "list"):
        try:
            found = ask(system, "ls", root + below, detail=True)
        except FileNotFoundError:  # nothing is below, or not any more
            _check_bucket(system, start)
            found = []
    names = {each["name"].rstrip("/")[len(root) :]: each for each in found}
    names.pop(below, None)  # the folder itself, which some stores have as an object
    return iter(sorted(names.items(), key=_in_order))


def _in_order(named: tuple[str, dict[str, Any]]) -> str:
    name, found = named
    return f"{name}/" if found["type"] == "directory" else name


def _entry(address: str, found: dict[str, Any]) -> Entry:
    value = next((found[name] for name in _STAMPS if found.get(name)), "")
    stamp = str(value.timestamp() if isinstance(value, datetime) else value)
    stamp = "" if stamp.startswith("W/") else stamp  # a web server's for what is only alike
    return Entry(address, int(found.get("size") or 0), stamp)


def _check_bucket(system: Any, address: str) -> None:
    """Raise a `StorageError` if the bucket of an address is not there."""
    if is_on_web(address) or scheme_of(address) == "memory":
        return
    if not ask(system, "exists", bucket_of(address).partition("@")[0]):
        raise no_bucket(address)
