"""S3 by its own requests: listings page by page, objects read with their stamps in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from featx.storage import deadline
from featx.storage.address import bucket_of, key_of
from featx.storage.deadline import ask, begun, body_of, wait_for
from featx.storage.entry import Entry, check_size
from featx.storage.failures import explained, no_bucket

_ATTEMPTS = 4  # at the body of an object: s3fs tries requests again, and not what follows


def entries(system: Any, address: str, after: str = "") -> Iterator[Entry]:
    """List the objects below an address, behind another one if given, a thousand at a time."""
    bucket, key = bucket_of(address), key_of(address).rstrip("/")
    wanted: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{key}/" if key else ""}
    if after:
        wanted["StartAfter"] = key_of(after)
    while True:
        with explained(address, "list"):
            page = ask(system, "call_s3", "list_objects_v2", **wanted)
        for each in page.get("Contents", ()):
            if not each["Key"].endswith("/"):  # a folder that was made by hand
                yield Entry(f"s3://{bucket}/{each['Key']}", each["Size"], each.get("ETag", ""))
        if not page.get("IsTruncated"):
            return
        wanted["ContinuationToken"] = page["NextContinuationToken"]


def entries_of(system: Any, addresses: Sequence[str]) -> Iterator[Entry]:
    """Find objects of one bucket, sorted by code points, in its listing.

    A page is asked for that begins before the first object which is still wanted. So it takes a
    request for a thousand objects that lie together, and one for each of those that lie apart.
    """
    bucket, wanted = bucket_of(addresses[0]), [key_of(each) for each in addresses]
    place = 0
    while place < len(wanted):
        start = wanted[place]
        with explained(addresses[place], "list"):
            page = ask(system, "call_s3", "list_objects_v2", Bucket=bucket, StartAfter=start[:-1])
        there = {each["Key"]: each for each in page.get("Contents", ())}
        last = max(there, default="") if page.get("IsTruncated") else None
        if last is not None and last < start:  # a thousand others lie before it
            with suppress(FileNotFoundError):
                yield entry(system, addresses[place])
            place += 1
        while place < len(wanted) and (last is None or wanted[place] <= last):
            if found := there.get(wanted[place]):
                yield Entry(addresses[place], found["Size"], found.get("ETag", ""))
            place += 1


def entry(system: Any, address: str) -> Entry:
    """Look at an object."""
    try:
        found = ask(
            system, "call_s3", "head_object", Bucket=bucket_of(address), Key=key_of(address)
        )
    except FileNotFoundError as error:  # the answer does not tell what is not there
        try:
            ask(system, "call_s3", "head_bucket", Bucket=bucket_of(address))
        except FileNotFoundError:
            raise no_bucket(address) from error
        raise
    except OSError:  # the answer says no reason, as that to a reading does
        _get(system, address, None, Range="bytes=0-0")
        raise
    return _entry(address, found)


def read(system: Any, address: str, start: int | None = None, stop: int | None = None) -> bytes:
    """Read a part of an object; see `featx.storage.objects.read`."""
    if stop is not None and stop <= (start or 0):
        return b""
    last = "" if stop is None else str(stop - 1)
    part = f"bytes={start}" if start is not None and start < 0 else f"bytes={start or 0}-{last}"
    return _get(system, address, None, Range=part)[0]


def read_with_stamp(system: Any, address: str, most: int | None = None) -> tuple[bytes, Entry]:
    """Read an object and what the same answer says of it."""
    data, found = _get(system, address, most)
    return data, _entry(address, found)


def check_writable(system: Any, address: str) -> None:
    """Begin to write an object in parts, which fails as writing does, and leave it at that."""
    place: dict[str, Any] = {"Bucket": bucket_of(address), "Key": key_of(address)}
    begun = ask(system, "call_s3", "create_multipart_upload", **place)
    ask(system, "call_s3", "abort_multipart_upload", **place, UploadId=begun["UploadId"])


def _get(system: Any, address: str, most: int | None, **part: str) -> tuple[bytes, dict[str, Any]]:
    from aiohttp import ClientError

    began = monotonic()
    for attempt in range(_ATTEMPTS):
        try:
            data, found = wait_for(system, _answer, system, address, most, part)
            return data, found
        except (ClientError, ConnectionError, TimeoutError):
            if attempt == _ATTEMPTS - 1 or monotonic() - began > deadline.SECONDS:
                raise
        except OSError as error:
            if part and _code(error) == "InvalidRange":  # behind the end
                return b"", {}
            raise
    raise AssertionError


async def _answer(
    system: Any, address: str, most: int | None, part: dict[str, str]
) -> tuple[bytes, dict[str, Any]]:
    asked = system._call_s3("get_object", Bucket=bucket_of(address), Key=key_of(address), **part)
    found = await begun(asked)
    async with found["Body"] as body:
        check_size(found["ContentLength"], most)
        return await body_of(body.iter_chunks(), most), found


def _entry(address: str, found: dict[str, Any]) -> Entry:
    return Entry(address, int(found["ContentLength"]), found.get("ETag", ""))


def _code(error: OSError) -> str:
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
