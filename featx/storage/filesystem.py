"""File systems of fsspec: one for each kind of store, which all threads of a process share."""

from __future__ import annotations

import logging
import os
import threading
from importlib import import_module
from typing import Any

from featx.errors import MissingPackageError, OptionError
from featx.forks import free_in_child, in_child
from featx.storage.address import EXTRAS, WEB, bucket_of, is_on_web, scheme_of
from featx.storage.deadline import CONNECT_SECONDS, SILENT_SECONDS

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "http": "aiohttp"}  # by extra
_KNOWN = "s3://, gs://, az:// or https://"
# What users set where: another setting is another file system.
_SETTINGS = ("AWS_", "GOOGLE_", "GCS", "AZURE_", "STORAGE_EMULATOR_HOST", "FSSPEC_", "HOME")

_LIBRARIES = ("fsspec", "s3fs", "gcsfs", "adlfs", "azure", "aiobotocore", "botocore")

_opening = threading.RLock()
free_in_child(_opening)
_opened: dict[tuple[Any, ...], Any] = {}
_former: list[Any] = []  # of a parent process: kept, since their end would wait for its threads


@in_child
def _forget() -> None:
    """Let a forked child open its own: the thread in which fsspec waits is of its parent."""
    if not _opened:
        return
    _former.append(dict(_opened))
    _opened.clear()
    import fsspec.asyn

    fsspec.asyn.reset_lock()


def filesystem(address: str) -> Any:
    """Return the file system of fsspec for an address, opened on first use.

    Raises an `OptionError` for a scheme that is unknown or an address that names no bucket, and a
    `MissingPackageError`.
    """
    scheme = check_scheme(address)
    if not bucket_of(address) and scheme != "memory":
        whole = f"{scheme}://host/1.jpg" if is_on_web(address) else f"{scheme}://bucket/photos"
        raise OptionError(f"{address!r} is no whole address: expected one such as {whole}")
    settings = tuple(
        (name, value) for name, value in sorted(os.environ.items()) if name.startswith(_SETTINGS)
    )
    account = bucket_of(address) if "@" in bucket_of(address) else ""  # of Azure
    key = (scheme, account, settings)
    with _opening:
        if key not in _opened:
            _opened[key] = _open(address, scheme)
        return _opened[key]


def check_scheme(address: str) -> str:
    """Return the scheme of an address; an `OptionError` if it is unknown."""
    scheme = scheme_of(address)
    if scheme not in EXTRAS:
        raise OptionError(f"unknown address {address!r}: expected one that begins with {_KNOWN}")
    return scheme


def _open(address: str, scheme: str) -> Any:
    try:
        import fsspec
        import fsspec.config

        # Settings by the environment are read by fsspec when it is imported, and not again.
        fsspec.config.set_conf_env(fsspec.config.conf)
        import_module(_PACKAGES[EXTRAS[scheme]])
        kind = fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise MissingPackageError(
            f"{scheme}:// needs a package that is not installed: "
            f'pip install "featx[{EXTRAS[scheme]}]"'
        ) from error
    for name in _LIBRARIES:  # what they log is on the screen only where a user wants it
        logging.getLogger(name).addHandler(logging.NullHandler())
    settings = kind._get_kwargs_from_urls(address) | _timeouts(scheme)
    return kind(**settings, use_listings_cache=False, skip_instance_cache=True)


def _timeouts(scheme: str) -> dict[str, Any]:
    """Return what lets requests of a file system end in time, where its library would wait longer.

    That of S3 waits for 15 s.
    """
    if scheme in ("az", "abfs", "abfss"):
        return {"connection_timeout": CONNECT_SECONDS, "read_timeout": SILENT_SECONDS}
    if scheme == "memory" or scheme == "s3":
        return {}
    from aiohttp import ClientTimeout

    waits = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    if scheme in WEB:
        return {"client_kwargs": {"trust_env": True, "timeout": waits}}  # `trust_env`: proxies
    return {"requests_timeout": waits}
