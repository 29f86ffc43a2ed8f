"""Addresses such as s3://bucket/photos/1.jpg, told from paths of the disk and taken apart."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit

#: Each scheme, with the extra that opens it. `memory` is of fsspec itself, for tests.
EXTRAS = {
    "s3": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "abfs": "az",
    "abfss": "az",
    "https": "http",
    "http": "http",
    "memory": "http",
}
WEB = ("http", "https")

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)  # a drive of Windows has one letter


def is_address(path: str) -> bool:
    """Tell an address of a store elsewhere, known or not, from a path of the disk."""
    return scheme_of(path) not in ("", "file")


def scheme_of(path: str) -> str:
    """Return what stands before "://", in lower case; nothing for a path of the disk."""
    found = _ADDRESS.match(path)
    return found[1].lower() if found else ""


def bucket_of(address: str) -> str:
    """Return the bucket of an address, or the container or server."""
    return address.partition("://")[2].partition("/")[0]


def key_of(address: str) -> str:
    """Return what follows the bucket in an address; a "/" in it parts folders."""
    return address.partition("://")[2].partition("/")[2]


def local_path(path: str) -> str:
    """Return the path that an address such as file:///home/me/photos has on this machine.

    Everything else stays as it is.
    """
    if scheme_of(path) != "file":
        return path
    written = unquote(urlsplit(path.replace("?", "%3F").replace("#", "%23")).path)
    return written[1:] if re.match(r"/[A-Za-z]:", written) else written


def is_absolute(path: str) -> bool:
    """Whether a path says where it begins: an address, or an absolute path of the disk."""
    return is_address(path) or os.path.isabs(path)


def joined(folder: str, path: str) -> str:
    """Return a path as it is from a folder, either of which may be an address."""
    if is_absolute(path):
        return path
    if is_address(folder):
        return f"{folder.rstrip('/')}/{path}"
    return os.path.join(folder, path)
