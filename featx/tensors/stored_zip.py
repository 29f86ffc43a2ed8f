"""Members of a zip file: where each of them lies, and how it is packed.

Python's `zipfile` takes a thousand bytes for each entry of a hostile directory, and believes that
members do not overlap. Here the directory is bounded, and every member is proven to lie inside the
file and apart from all others.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import IO

from featx.tensors.elements import MAX_DESCRIPTION, RefusedError, show

# See https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3
_LOCAL = struct.Struct("<4s5H3I2H")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCATOR64 = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_ENDS = b"PK\5\6"
_LONGEST_COMMENT = 0xFFFF  # bytes
_ENCRYPTED = 1
_IN_EXTRA = 0xFFFFFFFF  # in place of a number that stands in 64 bits in the extra field
_EXTRA64 = 1


@dataclass(frozen=True)
class Member:
    """A member of a zip file."""

    header: int  # where it begins, in bytes
    start: int  # where its contents begin
    size: int  # bytes in the file
    is_plain: bool  # neither compressed nor encrypted
    method: int = 0  # how it is compressed
    unpacked: int = 0  # bytes, as the file says
    checksum: int = 0  # of what is unpacked

    @property
    def end(self) -> int:
        """Where its contents end."""
        return self.start + self.size


def stored_members(file: IO[bytes], length: int, most: int = MAX_DESCRIPTION) -> dict[str, Member]:
    """Return the members of a zip file of `length` bytes, by name.

    Their list may take `most` bytes. Raises `RefusedError` where it is damaged, or two of them
    share bytes.
    """
    try:
        start, size = _directory(file, length, most)
        file.seek(start)
        directory = file.read(size)
        members: dict[str, Member] = {}
        position = 0
        while position < size:
            name, member, position = _entry(directory, position)
            if name in members:
                raise RefusedError(f"has the member {show(name)} twice")
            members[name] = _located(file, name, member)
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        raise RefusedError("its list of members is damaged") from error
    position = 0
    for name, member in sorted(members.items(), key=lambda item: item[1].header):
        if member.header < position or member.end > start:
            raise RefusedError(f"the member {show(name)} lies across others or beyond the end")
        position = member.end
    return members


def _directory(file: IO[bytes], length: int, most: int) -> tuple[int, int]:
    """Find where the list of members begins, and its bytes."""
    tail = min(length, _LOCATOR64.size + _END.size + _LONGEST_COMMENT)
    file.seek(length - tail)
    ending = file.read(tail)
    place = len(ending) - _END.size
    if not ending.startswith(_ENDS, max(place, 0)):  # a comment stands behind it
        place = ending.rfind(_ENDS)
    if place < 0:
        raise RefusedError("its list of members is missing, so that it may be cut off")
    *_, size, start, comment = _END.unpack_from(ending, place)
    if place + _END.size + comment != len(ending):
        raise RefusedError("something stands behind its list of members, or it is cut off")
    locator = ending[max(0, place - _LOCATOR64.size) : place]
    if locator.startswith(b"PK\6\7"):
        _, _, position, _ = _LOCATOR64.unpack(locator)
        file.seek(min(position, length))
        mark, *_, size, start = _END64.unpack(file.read(_END64.size))
        if mark != b"PK\6\6":
            raise RefusedError("its list of members is damaged")
    if start + size > length or size > most:
        raise RefusedError(f"its list of members cannot take {size} bytes")
    return start, size


def _entry(directory: bytes, position: int) -> tuple[str, Member, int]:
    """Read an entry: name, member as far as it is told there, where the next entry begins."""
    mark, _, _, flags, method, _, _, checksum, packed, size, n, n_extra, n_comment, *_, header = (
        _ENTRY.unpack_from(directory, position)
    )
    name_start = position + _ENTRY.size
    extra_start = name_start + n
    extra_end = extra_start + n_extra
    if mark != b"PK\1\2" or extra_end + n_comment > len(directory):
        raise RefusedError("its list of members is damaged")
    name = directory[name_start:extra_start].decode()
    extra = directory[extra_start:extra_end]
    size, packed, header = _in_64_bits(extra, size, packed, header)
    is_plain = method == 0 and size == packed and not flags & _ENCRYPTED
    member = Member(header, header, packed, is_plain, method, size, checksum)
    return name, member, extra_end + n_comment


def _in_64_bits(extra: bytes, *numbers: int) -> list[int]:
    """Return the numbers of an entry; those that did not fit stand in its extra field, in order."""
    missing = numbers.count(_IN_EXTRA)
    position = 0
    while missing:
        kind, size = struct.unpack_from("<2H", extra, position)
        position += 4
        if kind == _EXTRA64:
            break
        position += size
    longer = iter(struct.unpack_from(f"<{missing}Q", extra, position))
    return [next(longer) if number == _IN_EXTRA else number for number in numbers]


def _located(file: IO[bytes], name: str, member: Member) -> Member:
    """Read what stands before the contents of a member, which tells where they begin."""
    file.seek(member.header)
    mark, *_, n, n_extra = _LOCAL.unpack(file.read(_LOCAL.size))
    if mark != b"PK\3\4" or file.read(n) != name.encode():
        raise RefusedError(f"the member {show(name)} is not where it should be")
    return replace(member, start=member.header + _LOCAL.size + n + n_extra)
