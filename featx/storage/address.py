"""Addresses such as s3://bucket/photos/1.jpg, told from paths of the disk and taken apart."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from featx.errors import OptionError
from featx.paths import KINDS, member_of

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

_CUT = re.compile(rf"({'|'.join(EXTRAS)}):[/\\](?!/)", re.IGNORECASE)


def text_of(path: str | os.PathLike[str]) -> str:
    """Return a path or an address as a text.

    An address of which `pathlib.Path` took a slash away, so that it would be a folder of the disk,
    is an `OptionError`.
    """
    text = os.fspath(path)
    if cut := _CUT.match(text):
        whole = f"{cut[1]}://{text[cut.end() :]}"
        raise OptionError(
            f"{text} is an address that lacks a slash: expected {whole!r} (in Python as a text: "
            "pathlib.Path takes a slash away)"
        )
    return text


def is_address(path: str) -> bool:
    """Tell an address of a store elsewhere, known or not, from a path of the disk.

    The name of a member of an archive, such as "zip://1.jpg::photos.zip", is none.
    """
    return scheme_of(path) not in ("", "file", *KINDS)


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


def is_on_web(path: str) -> bool:
    """Tell an address of a web server, which lists no folders and only gives."""
    return scheme_of(path) in WEB


def without_query(address: str) -> str:
    """Return an address without what a web server is asked beside: ?width=800."""
    return re.split(r"[?#]", address, maxsplit=1)[0] if is_on_web(address) else address


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


def absolute(path: str) -> str:
    """Return a path from the root of the disk, also of an archive's member; an address as it is."""
    member = member_of(path)
    if member is not None:
        return str(member._replace(container=absolute(member.container)))
    return path if is_address(path) else os.path.abspath(path)


def joined(folder: str, path: str) -> str:
    """Return a path as it is from a folder, either of which may be an address."""
    if is_absolute(path):
        return path
    if is_address(folder):
        return f"{folder.rstrip('/')}/{path}"
    return os.path.join(folder, path)


def common_folder(paths: Iterable[str]) -> str:
    """Return the folder that all paths are in, as they begin; "" for the current one.

    Raises a `ValueError` where there is none: some are absolute and some are not, or they are on
    several drives or in several stores.
    """
    folders = {os.path.dirname(path) for path in paths}
    starts = {(scheme_of(each), bucket_of(each) if is_address(each) else "") for each in folders}
    if starts == {("", "")} or not starts:
        return os.path.commonpath(folders)
    ((scheme, bucket),) = starts  # a ValueError if there are several
    shared = posixpath.commonpath([f"/{key_of(each)}" for each in folders])
    return f"{scheme}://{bucket}{shared}".rstrip("/")


def below(folder: str, name: str) -> str:
    """Return the path of what a listing of a folder has, with "/" between the names."""
    if is_address(folder):  # whatever it is called: a name may begin with "/"
        return f"{folder.rstrip('/')}/{name}"
    return os.path.join(folder, name.replace("/", os.sep))
