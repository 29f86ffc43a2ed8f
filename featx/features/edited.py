"""Tables that were edited by other programs: which of the saved rows they still hold."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

Digests = tuple[int, int]  # of a row: of its path, and of its values


def row_digests(paths: Sequence[str], X: np.ndarray) -> Iterator[Digests]:
    """Yield what tells rows of shape (n, columns) apart, however a program writes their numbers.

    CRC-32: of the path and of the values, in which every NaN is the same and -0 is 0.
    """
    for path, row in zip(paths, X, strict=True):
        with np.errstate(invalid="ignore"):  # NaN of any kind
            values = np.where(np.isnan(row), np.float32(np.nan), row + np.float32(0))
        yield path_digest(path), zlib.crc32(values.data)


def path_digest(path: str) -> int:
    """Return the CRC-32 of a path."""
    return zlib.crc32(path.encode("utf-8", "surrogatepass"))


def saved_rows(
    paths: Sequence[str], X: np.ndarray, saved: Sequence[Sequence[int]]
) -> list[int | None]:
    """Find for each row of a table which of the saved rows it is; None for one that is none.

    A row is known by its path and its values. A path that no saved row has may be a corrected one,
    so the row is known by its values alone.
    """
    by_both: dict[Digests, list[int]] = defaultdict(list)
    by_values: dict[int, list[int]] = defaultdict(list)
    for number, (path, values) in enumerate(saved):
        by_both[path, values].append(number)
        by_values[values].append(number)
    known = {path for path, _ in by_both}
    found: list[int | None] = []
    for path, values in row_digests(paths, X):
        numbers = by_both.get((path, values)) if path in known else by_values.get(values)
        if not numbers:
            found.append(None)
        else:  # copies are taken in turn; one that the table repeats is the last of them again
            found.append(numbers.pop(0) if len(numbers) > 1 else numbers[0])
    return found


def in_blocks(rows: Sequence[int], n_images: int) -> list[int] | None:
    """Order a table so that the views of its images stand behind them, block by block.

    Returns the position of each row; None where some image lacks a view that others have.
    """
    blocks: dict[int, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        blocks[row // n_images].append(position)
    images = [rows[position] for position in blocks[0]]
    order = []
    for number in sorted(blocks):
        places: dict[int, list[int]] = defaultdict(list)
        for position in blocks[number]:
            places[rows[position] % n_images].append(position)
        if {image: len(each) for image, each in places.items()} != Counter(images):
            return None
        order += [places[image].pop(0) for image in images]
    return order
