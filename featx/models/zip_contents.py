"""Contents of a zip file that may mean harm, read in a bounded room and never unpacked as a whole.

A pipeline is a zip file within that of the model. It is read from front to back, as it comes out of
the other one: what lies in it stands before its own list of members, and has to be what the list
says.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from featx.tensors.elements import RefusedError, show
from featx.tensors.stored_zip import Member

MOST_LIST = 1 << 17  # bytes of the list of members of a model
MOST_TEXT = 1 << 22  # bytes of a JSON text
# As Python objects, brackets of JSON take some hundred bytes each, and values a hundred.
_MOST_BRACKETS = 20_000
MOST_VALUES = 150_000

_STORED, _DEFLATED = 0, 8
_CHUNK = 1 << 16  # bytes
_MOST_MEMBERS = 50_000
_LONGEST_NAME = 300  # bytes
# See https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3, behind the four bytes that
# say what follows.
_LOCAL = struct.Struct("<5H3I2H")
_ENTRY = struct.Struct("<6H3I5H2I")
_END = struct.Struct("<4H2IH")


def unpacked_chunks(file: IO[bytes], member: Member, most: int) -> Iterator[bytes]:
    """Yield what a member holds, in small pieces.

    Raises a `RefusedError` where that is not what its file says of it, or more than `most` bytes.
    """
    if member.method not in (_STORED, _DEFLATED):
        raise RefusedError(f"a member packed by method {member.method}")
    if member.unpacked > most:
        raise RefusedError("a member that would unpack to more than a model holds")
    checksum = length = 0
    for chunk in _chunks(file, member):
        length += len(chunk)
        if length > member.unpacked:
            break
        checksum = zlib.crc32(chunk, checksum)
        yield chunk
    if length != member.unpacked or checksum != member.checksum:
        raise RefusedError("a member that is damaged: it is not what its checksum says")


def _chunks(file: IO[bytes], member: Member) -> Iterator[bytes]:
    file.seek(member.start)
    left = member.size
    engine = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == _DEFLATED else None
    while left > 0:
        packed = file.read(min(left, _CHUNK))
        if not packed:
            return
        left -= len(packed)
        if engine is None:
            yield packed
            continue
        while packed and not engine.eof:
            try:
                chunk = engine.decompress(packed, _CHUNK)
            except zlib.error as error:
                raise RefusedError("a member that cannot be unpacked") from error
            packed = engine.unconsumed_tail
            if chunk:
                yield chunk


def unpacked(file: IO[bytes], member: Member, most: int) -> bytes:
    """Return what a member holds; see `unpacked_chunks`."""
    return b"".join(unpacked_chunks(file, member, most))


def small_json(data: bytes) -> Any:
    """Read a JSON text, unless it would take more memory than what a model says of itself."""
    brackets, values = data.count(b"{") + data.count(b"["), data.count(b",") + data.count(b":")
    if len(data) > MOST_TEXT or brackets > _MOST_BRACKETS or values > MOST_VALUES:
        raise RefusedError("it holds more than a model says of itself")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RefusedError("it is no sound JSON") from error


@dataclass
class _Stream:
    """Pieces of bytes, of which so many are read as are asked for."""

    chunks: Iterator[bytes]
    held: bytes = b""
    read_of_held: int = 0
    position: int = 0

    def read(self, number: int) -> bytes:
        """Return the next so many bytes; fewer at the end."""
        found = bytearray()
        while len(found) < number and self._fill():
            found += self._taken(number - len(found))
        return bytes(found)

    def skip(self, number: int) -> None:
        while number > 0 and self._fill():
            number -= len(self._taken(number))
        if number > 0:
            raise RefusedError("it is cut off")

    def _fill(self) -> bool:
        if self.read_of_held == len(self.held):
            self.held, self.read_of_held = next(self.chunks, b""), 0
        return bool(self.held)

    def _taken(self, number: int) -> bytes:
        taken = self.held[self.read_of_held : self.read_of_held + number]
        self.read_of_held += len(taken)
        self.position += len(taken)
        return taken


def member_within(chunks: Iterator[bytes], wanted: str, most: int) -> bytes:
    """Return a member, of up to `most` bytes, of a zip file that comes in pieces.

    Its members are stored without compression, as skops writes them. Raises a `RefusedError` where
    they are not, or not those of its list, or the member is not there.
    """
    stream = _Stream(chunks)
    try:
        found, members, mark = _members(stream, wanted, most)
        _check_list(stream, members, mark)
    except (struct.error, OverflowError) as error:
        raise RefusedError("it is cut off, or no zip file") from error
    if found is None:
        raise RefusedError(f"it has no {wanted}")
    return found


def _members(
    stream: _Stream, wanted: str, most: int
) -> tuple[bytes | None, list[tuple[bytes, int, int]], bytes]:
    """Pass over the members; return the one wanted, name, bytes and place of each, what is next."""
    found, members = None, []
    while (mark := stream.read(4)) == b"PK\3\4":
        start = stream.position - 4
        _, flags, method, _, _, checksum, packed, size, n, n_extra = _LOCAL.unpack(
            stream.read(_LOCAL.size)
        )
        if flags & 0b1001 or method != _STORED or packed != size or n > _LONGEST_NAME:
            raise RefusedError("a member of the pipeline is not stored as skops does")
        name = stream.read(n)
        stream.skip(n_extra)
        members.append((name, size, start))
        if len(members) > _MOST_MEMBERS:
            raise RefusedError(f"more than {_MOST_MEMBERS:,} members in the pipeline")
        if name != wanted.encode():
            stream.skip(size)
            continue
        if size > most or found is not None:
            raise RefusedError(f"its {wanted} is there twice, or has {size:,} bytes")
        found = stream.read(size)
        if len(found) < size or zlib.crc32(found) != checksum:
            raise RefusedError(f"its {wanted} is damaged")
    return found, members, mark


def _check_list(stream: _Stream, members: list[tuple[bytes, int, int]], mark: bytes) -> None:
    """Check that the list at the end names these members and no others, in this order."""
    listed = iter(members)
    while mark == b"PK\1\2":
        (_, _, _, _, _, _, _, packed, size, n, n_extra, n_comment, *_, header) = _ENTRY.unpack(
            stream.read(_ENTRY.size)
        )
        name = stream.read(min(n, _LONGEST_NAME + 1))
        if next(listed, None) != (name, size, header) or packed != size:
            raise RefusedError(f"the pipeline does not hold {show(name[:50].decode('latin1'))}")
        stream.skip(n_extra + n_comment)
        mark = stream.read(4)
    if mark != b"PK\5\6" or next(listed, None) is not None:
        raise RefusedError("the list of members of the pipeline is damaged")
    *_, comment = _END.unpack(stream.read(_END.size))
    if comment or stream.read(1):
        raise RefusedError("something stands behind the pipeline")
