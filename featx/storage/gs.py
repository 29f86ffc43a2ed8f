"""Google Cloud Storage by its own requests: listings page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from featx.storage.address import bucket_of, key_of, scheme_of
from featx.storage.deadline import ask
from featx.storage.entry import Entry
from featx.storage.failures import explained

_FIELDS = "nextPageToken,items(name,size,etag)"


def entries(system: Any, address: str) -> Iterator[Entry]:
    """List the objects below an address, a thousand at a time."""
    bucket, key = bucket_of(address), key_of(address).rstrip("/")
    start = f"{scheme_of(address)}://{bucket}/"
    wanted: dict[str, Any] = {
        "prefix": f"{key}/" if key else "",
        "maxResults": 1000,
        "fields": _FIELDS,
    }
    while True:
        with explained(address, "list"):
            page = ask(system, "call", "GET", "b/{}/o", bucket, json_out=True, **wanted)
        for each in page.get("items", ()):
            if not each["name"].endswith("/"):  # a folder that was made by hand
                yield Entry(start + each["name"], int(each["size"]), each.get("etag", ""))
        if not page.get("nextPageToken"):
            return
        wanted["pageToken"] = page["nextPageToken"]
