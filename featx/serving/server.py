"""The server: a model as an HTTP service of this process, until a signal ends it."""

from __future__ import annotations

import errno
import ipaddress
import re
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from os import PathLike
from typing import Unpack

from featx.errors import OptionError
from featx.features.options import EngineOptions, takes
from featx.models.load import load
from featx.models.model import ImageClassifier
from featx.serving.collect import Collection
from featx.serving.limits import ServeLimits

_LEAST_TOKEN = 8  # letters


@takes(EngineOptions)
def serve(
    model: ImageClassifier | str | PathLike[str],
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    token: str | None = None,
    allow_origins: Sequence[str] = (),
    allow_hosts: Sequence[str] = (),
    limits: ServeLimits | None = None,
    collect: str | PathLike[str] | None = None,
    on_ready: Callable[[str], object] | None = None,
    **options: Unpack[EngineOptions],
) -> None:
    """Answer what a model says of pictures over HTTP, until the process is told to end.

    It returns after SIGTERM, once what is under way is answered.

    Parameters
    ----------
    model : ImageClassifier or path
        The model.
    host : str, default="127.0.0.1"
        The address to listen at. Others than those of this machine alone take a token.
    port : int, default=8000
        The port; 0 is any that is free.
    token : str, optional
        What clients have to know: they send `Authorization: Bearer TOKEN`.
    allow_origins : sequence of str, default=()
        Other sites whose pages may use the service, such as "https://example.com".
    allow_hosts : sequence of str, default=()
        Names of the service, beside localhost, where there is no token.
    limits : ServeLimits, optional
        What requests may take.
    collect : str or path, optional
        A folder for pictures whose answers people correct, and for `corrections.csv`, the table of
        their classes, which `train` takes; without one nothing is kept.
    on_ready : callable, optional
        Called with the address once the networks are warm.
    **options
        `engine`, `cache` and `batch_size`, as for `embed`.

    Raises
    ------
    OptionError
        The port is taken, the address needs a token or is none of this machine, or what serves is
        not installed.
    StorageError
        The folder to collect in cannot be written to.
    ModelFileError
        The file is no model.
    KeyboardInterrupt
        It was interrupted, and what was under way is answered.
    """
    require_serving()
    check_token(host, token)
    hosts, origins = check_hosts(allow_hosts), check_origins(allow_origins)
    collection = None if collect is None else Collection(collect)
    model = model if isinstance(model, ImageClassifier) else load(model)
    from featx.serving.gate import Access
    from featx.serving.service import application
    from featx.serving.uvicorn_server import server_of

    access = Access(token, (host.lower(), *hosts), origins)
    limits = limits or ServeLimits()
    with closing(_listening(host, port)) as listener:
        address = _address(host, listener.getsockname()[1])
        opening = _Opening(on_ready, address)
        app = application(
            model, access=access, limits=limits, ended=opening, collection=collection, **options
        )
        server = server_of(app, limits)
        opening.stop = server.stop
        server.run([listener])
    if opening.error is not None:
        raise opening.error
    if signal.SIGINT in server.signals:
        raise KeyboardInterrupt


def require_serving() -> None:
    """Raise an `OptionError` if what serves is not installed."""
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise OptionError(
            f'serving needs {error.name}, which is not installed: pip install "featx[serve]"'
        ) from error


def check_token(host: str, token: str | None) -> None:
    """Raise an `OptionError` if an address takes a token and has none, or a bad one."""
    if token is None:
        if not _is_of_this_machine(host):
            raise OptionError(
                f"host {host!r} can be reached by other machines: expected a token that clients "
                "have to know, by --token or FEATX_TOKEN (in Python token=)"
            )
    elif (
        len(token) < _LEAST_TOKEN
        or not token.isascii()
        or not token.isprintable()
        or (" " in token)
    ):
        raise OptionError(
            f"the token has {len(token)} characters: expected {_LEAST_TOKEN} at least, of ASCII "
            "and without spaces"
        )


def _is_of_this_machine(host: str) -> bool:
    """Whether nobody else can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_hosts(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of hosts in small letters; an `OptionError` for what is none."""
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            raise OptionError(
                f"the host {name!r} to allow: expected a name alone, such as fruit.example.com"
            )
    return tuple(name.lower() for name in names)


def check_origins(addresses: Sequence[str]) -> tuple[str, ...]:
    """Return addresses of sites; an `OptionError` for what is none."""
    for address in addresses:
        if not re.fullmatch(r"https?://[a-z0-9._-]+(:[0-9]+)?", address):
            raise OptionError(
                f"the origin {address!r} to allow: expected a site in small letters and without a "
                "path, such as https://example.com"
            )
    return tuple(addresses)


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listening(host: str, port: int) -> socket.socket:
    """Listen at an address, or say why that cannot be."""
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise OptionError(f"port {port!r}: expected a whole number from 0 to 65535")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None)
        if number == errno.EADDRINUSE:
            raise OptionError(
                f"port {port} is taken: end what listens there, or take another one, such as "
                f"--port {min(port + 1, 65535)}"
            ) from error
        if number == errno.EACCES:
            raise OptionError(f"port {port} is not for every user: take one from 1024") from error
        raise OptionError(f"host {host!r} is no address of this machine") from error


class _Opening:
    """The end of warming up: tells the address, or ends the server with the error."""

    def __init__(self, on_ready: Callable[[str], object] | None, address: str) -> None:
        self.error: Exception | None = None
        self.stop: Callable[[], object] = lambda: None
        self._on_ready = on_ready
        self._address = address

    def __call__(self, error: Exception | None) -> None:
        """Take note of how it went."""
        self.error = error
        if error is not None:
            self.stop()
        elif self._on_ready is not None:
            self._on_ready(self._address)
