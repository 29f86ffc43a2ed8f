"""Azure Blob Storage by its own requests: listings page by page, whatever folders are called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from featx.storage.address import bucket_of, key_of, scheme_of
from featx.storage.deadline import begun, wait_for
from featx.storage.entry import Entry
from featx.storage.failures import explained


def entries(system: Any, address: str) -> Iterator[Entry]:
    """List the objects below an address, some thousand at a time."""
    container, key = bucket_of(address), key_of(address).rstrip("/")
    start = f"{scheme_of(address)}://{container}/"
    with explained(address, "list"):
        client = system.service_client.get_container_client(container.partition("@")[0])
        wanted = {"name_starts_with": f"{key}/"} if key else {}
        pages = client.list_blobs(**wanted, include=["metadata"]).by_page()
    while True:
        with explained(address, "list"):
            page = wait_for(system, _next, pages)
        if page is None:
            return
        for each in page:
            if not _is_folder(each):
                yield Entry(start + each.name, each.size, f'"{each.etag}"')


async def _next(pages: AsyncIterator[Any]) -> list[Any] | None:
    page = await begun(anext(pages, None))
    return None if page is None else [each async for each in page]


def _is_folder(blob: Any) -> bool:
    """Tell a folder, which some accounts have as an object, or which was made by hand."""
    about = {name.lower(): value for name, value in (blob.metadata or {}).items()}
    return blob.name.endswith("/") or about.get("hdi_isfolder") == "true"
