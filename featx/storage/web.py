"""Web servers: a file and what tells that it is unchanged, in one request."""

from __future__ import annotations

from typing import Any

from featx.storage.deadline import begun, body_of, wait_for
from featx.storage.entry import Entry, check_size

_CHUNK = 1 << 20


def read_with_stamp(system: Any, address: str, most: int | None = None) -> tuple[bytes, Entry]:
    """Read a file; one that is longer than the server says is given up in time."""
    data, found = wait_for(system, _answer, system, address, most, True)
    return data, found


def entry(system: Any, address: str) -> Entry:
    """Look at a file: many servers do not answer to `HEAD`, so it is begun to be read."""
    found: Entry = wait_for(system, _answer, system, address, None, False)[1]
    return found


async def _answer(system: Any, address: str, most: int | None, whole: bool) -> tuple[bytes, Entry]:
    session = await system.set_session()
    answer = await begun(session.get(system.encode_url(address)))
    async with answer:
        if answer.status in (404, 410):
            raise FileNotFoundError(address)
        answer.raise_for_status()
        size = answer.content_length or 0
        check_size(size, most)
        data = b""
        if whole:
            data = await body_of(answer.content.iter_chunked(_CHUNK), most)
            size = len(data)
        stamp = answer.headers.get("ETag", "")
        # A weak one, W/"...", is of what is only alike.
        return data, Entry(address, size, "" if stamp.startswith("W/") else stamp)
