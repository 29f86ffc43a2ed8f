"""Bodies of requests: received in time and within limits, and taken apart into pictures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from featx import text
from featx.serving.limits import RefusedRequestError, ServeLimits

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_FORM = "multipart/form-data"
_PARTS_BESIDE = 16  # of a form that are no pictures
_TAKEN = f"expected image/jpeg or another image/*, application/octet-stream or {_FORM}"

logging.getLogger("python_multipart").addHandler(logging.NullHandler())  # it warns of bad forms


class Bodies:
    """Receives the bodies of requests, all together within the memory for them."""

    def __init__(self, limits: ServeLimits) -> None:
        self.held = 0  # bytes
        self._limits = limits

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[bytes]:
        """Receive a body, which counts as long as the block lasts.

        Raises
        ------
        RefusedRequestError
            It is too large (413), comes too slowly (408) or in a coding (415), or there is no
            memory for it now (503).
        """
        self._check(request)
        chunks: list[bytes] = []
        taken = 0
        try:
            async with asyncio.timeout(self._limits.receive_seconds):
                async for chunk in request.stream():
                    taken += len(chunk)
                    self.held += len(chunk)
                    self._check_sizes(taken)
                    chunks.append(chunk)
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            del chunks, chunk
            yield body
        except TimeoutError:
            raise RefusedRequestError(
                408, f"the request took more than {self._limits.receive_seconds:g} s to come"
            ) from None
        except ClientDisconnect:
            raise RefusedRequestError(400, "the request ended before its end") from None
        finally:
            self.held -= taken

    def _check(self, request: Request) -> None:
        """Refuse what can be refused by its headers."""
        if request.headers.get("content-encoding", "identity") != "identity":
            raise RefusedRequestError(415, "a coded request: send it without Content-Encoding")
        length = request.headers.get("content-length", "")
        if length.isdecimal():
            self._check_sizes(int(length))

    def _check_sizes(self, size: int) -> None:
        most = self._limits.request_bytes
        if size > most:
            raise RefusedRequestError(
                413, f"the request is too large: at most {text.size(most)} are taken"
            )
        if self.held > self._limits.memory_bytes:
            raise RefusedRequestError(503, "too many bytes under way", retry_after=1)


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form, of several files."""
    return content_type.lower().startswith(_FORM)


def pictures_in(body: bytes, content_type: str, limits: ServeLimits) -> Sequence[bytes]:
    """Take the pictures out of a body, as its type says: itself, or the files of a form.

    Names of files are not looked at.

    Raises
    ------
    RefusedRequestError
        It has another type (415), no picture (400), too many or too large ones (413), or is no
        form (400).
    """
    kind, options = parse_options_header(content_type)
    kind = kind.lower()
    if kind == _FORM.encode():
        pictures = _files_of_form(body, options.get(b"boundary", b""), limits)
    elif kind.startswith(b"image/") or kind == b"application/octet-stream":
        pictures = [body]
    else:
        got = "another Content-Type" if content_type else "no Content-Type"
        raise RefusedRequestError(415, f"{got}: {_TAKEN}")
    if not pictures or not any(pictures):
        raise RefusedRequestError(400, "no picture in the request: expected one at least")
    if max(map(len, pictures)) > limits.picture_bytes:
        raise RefusedRequestError(
            413, f"a picture is too large: at most {text.size(limits.picture_bytes)} are taken"
        )
    return pictures


def _files_of_form(body: bytes, boundary: bytes, limits: ServeLimits) -> list[bytes]:
    form = _Form(limits.pictures)
    if not boundary:
        raise RefusedRequestError(400, "a form without a boundary in its Content-Type")
    try:
        parser = MultipartParser(boundary, form.callbacks)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RefusedRequestError(400, "the form is damaged") from error
    if not form.ended:
        raise RefusedRequestError(400, "the form ends before its end")
    return form.files


class _Form:
    """The files of a form; fields are passed over."""

    def __init__(self, most: int) -> None:
        self.files: list[bytes] = []
        self.ended = False
        self._most = most
        self._parts = 0
        self._header = b""
        self._value = b""
        self._is_file = False
        self._data: list[bytes] = []
        self.callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin_part,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_header_begin": self._begin_header,
            "on_header_field": self._add_to_header,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._parts += 1
        if len(self.files) >= self._most or self._parts > self._most + _PARTS_BESIDE:
            raise RefusedRequestError(
                413, f"too many pictures in a request: at most {self._most} are taken"
            )
        self._is_file, self._data = False, []

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._data.append(data[start:end])

    def _end_part(self) -> None:
        if self._is_file:
            self.files.append(b"".join(self._data))

    def _begin_header(self) -> None:
        self._header = self._value = b""

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._is_file = b"filename" in parse_options_header(self._value)[1]

    def _end(self) -> None:
        self.ended = True
