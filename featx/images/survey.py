"""Survey of pictures: the measures of each file, remembered by its digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from featx.images.decode import measure
from featx.images.digests import DigestMemo, digest_bytes, read_file
from featx.images.measures import Measures
from featx.images.memo import Memo
from featx.images.quiet import quiet_pillow
from featx.images.regular import Stamp
from featx.progress import progress_bar

#: The file of a cache that has the measures.
MEASURES = "measures.sqlite"


class MeasuresMemo(Memo):
    """Remembers measures by the digest of the file."""

    what = "measures"
    table = "measures_1"
    columns = "digest BLOB PRIMARY KEY, measures BLOB, seal BLOB"

    def known(self, digests: Iterable[str]) -> dict[str, Measures]:
        """Return the measures of those of some files that are remembered."""
        known = {}
        keys = [bytes.fromhex(each) for each in dict.fromkeys(digests)]
        for key, (data, seal) in self._select("measures, seal", keys).items():
            if isinstance(data, bytes) and seal == _seal(key, data):
                with suppress(ValueError, TypeError):
                    known[key.hex()] = Measures.from_bytes(data)
        return known

    def remember(self, measured: Mapping[str, bytes]) -> None:
        """Remember measures as `Measures.to_bytes` gives them, by digest."""
        rows = []
        for digest, data in measured.items():
            key = bytes.fromhex(digest)
            rows.append((key, data, _seal(key, data)))
        self._insert(rows)


def survey(
    paths: Sequence[str], cache: Path | None, *, progress: bool = True
) -> dict[str, Measures]:
    """Measure pictures, each file once.

    Parameters
    ----------
    paths : sequence of str
        The pictures.
    cache : Path or None
        The folder of the cache; what it remembers is not decoded again.
    progress : bool, default=True
        Show a progress bar on stderr for work of more than a second.

    Returns
    -------
    dict of str to Measures
        By path; without those that cannot be read.
    """
    digests = DigestMemo(cache and cache / "digests.sqlite")
    memo = MeasuresMemo(cache and cache / MEASURES)
    own = digests.known(paths)
    known = memo.known(own.values())
    todo = [path for path in dict.fromkeys(paths) if own.get(path) not in known]
    fresh: dict[str, Measures] = {}
    read: list[tuple[str, str, Stamp | None]] = []
    pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="featx-survey")
    try:
        with (
            quiet_pillow(),
            progress_bar("measured", len(todo), "images", shown=progress) as bar,
        ):
            for entry, measures in pool.map(_measured, todo):
                bar.update()
                if entry is not None:
                    read.append(entry)
                    own[entry[0]] = entry[1]
                    if measures is not None:
                        fresh[entry[1]] = measures
    finally:  # what was measured is kept, whatever ends the run
        pool.shutdown(cancel_futures=True)
        digests.remember(read)
        memo.remember({digest: each.to_bytes() for digest, each in fresh.items()})
    known |= fresh
    return {path: known[own[path]] for path in paths if own.get(path) in known}


def _measured(path: str) -> tuple[tuple[str, str, Stamp | None] | None, Measures | None]:
    """Read one file and measure it; None where there is nothing to read."""
    try:
        data, stamp = read_file(path)
    except (OSError, MemoryError):
        return None, None
    return (path, digest_bytes(data), stamp), measure(data)


def _seal(key: bytes, data: bytes) -> bytes:
    """Tie measures to their file; SQLite does not notice a bit that is flipped."""
    return hashlib.sha256(key + data).digest()[:8]
