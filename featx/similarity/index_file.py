"""Index file: usearch's own format, with what it was made of behind it.

An index is followed by pointers from node to node. usearch takes them as they are, so that a file
that is damaged, or was made to do harm, would have it read beyond its memory; each is checked
before usearch sees the bytes. The layout is that of usearch 2 (index_dense.hpp, index.hpp).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx.errors import get_logger, one_line
from featx.files import remove_unfinished, written
from featx.similarity.sketch import Sketch

CONNECTIVITY = 16  # neighbours of a node on the upper levels, twice as many on the lowest
_MAGIC = b"featx-similar-1\n"
_END = struct.Struct("<QI")  # of what stands behind the index: its length, its checksum
_HEAD = struct.Struct("<7s3H4B3QB")  # magic, version, kinds, present, deleted, dimensions, multi
_KINDS = (101, 12, 14, 15)  # squared distances of float16, keys of 64 bits, pointers of 32
_GRAPH = struct.Struct("<5Q")  # nodes, connectivity, that of the lowest level, levels, first node
_MOST_LEVELS = 64
_MOST_ABOUT = 64 << 20  # bytes
_NODES = 8192  # that are checked at once

log = get_logger(__name__)


@dataclass(frozen=True, eq=False)
class Contents:
    """An index, and what it was made of.

    Parameters
    ----------
    graph : ndarray of uint8
        The index of usearch, mapped from the file.
    sketch : Sketch
        The axes of its vectors.
    ends : list of int
        Where the pieces of its rows end.
    marks : list of str
        What stands for each piece.
    """

    graph: np.ndarray
    sketch: Sketch
    ends: list[int]
    marks: list[str]


def read(path: Path) -> Contents | None:
    """Map an index, check it, and say what it was made of; None if it is not there, or damaged."""
    try:
        data = np.memmap(path, np.uint8, "r")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # ValueError: it is empty
        log.warning("the index %s cannot be read (%s): it is made again", path, one_line(error))
        return None
    try:
        contents = _contents(data)
        _check(contents)
    except (ArithmeticError, KeyError, TypeError, ValueError, IndexError, struct.error) as error:
        log.warning("the index %s is damaged (%s): it is made again", path, one_line(error))
        return None
    return contents


def write(
    path: Path, index: Any, sketch: Sketch, ends: Sequence[int], marks: Sequence[str]
) -> None:
    """Write an index of usearch and what it was made of, whole or not at all."""
    about = {
        "columns": len(sketch.centre),
        "width": sketch.width,
        "ends": ends,
        "marks": marks,
    }
    arrays = [sketch.centre, sketch.mean, sketch.axes]
    numbers = b"".join(np.ascontiguousarray(each, np.float32).tobytes() for each in arrays)
    behind = numbers + json.dumps(about).encode()
    with written(path) as file:
        try:
            index.save(str(file))
        except RuntimeError as error:  # usearch's own, for whatever the disk says
            raise OSError(one_line(error)) from error
        with file.open("ab") as stream:
            stream.write(behind + _END.pack(len(behind), zlib.crc32(behind)) + _MAGIC)
    remove_unfinished(path)


def _contents(data: np.ndarray) -> Contents:
    """Read what stands behind an index."""
    tail = len(data) - _END.size - len(_MAGIC)
    if tail < 0 or data[-len(_MAGIC) :].tobytes() != _MAGIC:
        raise ValueError("its end is missing")
    length, checksum = _END.unpack(data[tail : tail + _END.size].tobytes())
    if not 0 < length <= min(tail, _MOST_ABOUT):
        raise ValueError("its end is of no such length")
    behind = data[tail - length : tail].tobytes()
    if zlib.crc32(behind) != checksum:
        raise ValueError("its checksum is another")
    return _parsed(data[: tail - length], behind)


def _parsed(graph: np.ndarray, behind: bytes) -> Contents:
    begin = behind.rindex(b'{"columns"')
    about = json.loads(behind[begin:])
    columns, width = int(about["columns"]), int(about["width"])
    numbers = np.frombuffer(behind[:begin], "<f4")
    if columns < 1 or not 1 <= width <= columns or len(numbers) != columns * (2 + width):
        raise ValueError("its axes are of another size")
    if not np.isfinite(numbers).all():
        raise ValueError("its axes are no numbers")
    centre, mean, axes = np.split(numbers, [columns, 2 * columns])
    ends, marks = [int(each) for each in about["ends"]], [str(each) for each in about["marks"]]
    if len(ends) != len(marks) or not ends or any(np.diff([0, *ends]) < 1):
        raise ValueError("its rows are none")
    return Contents(graph, Sketch(centre, mean, axes.reshape(columns, width)), ends, marks)


def _check(contents: Contents) -> None:
    """Raise a `ValueError` if a part of an index of usearch leads out of it."""
    data = contents.graph
    n, width = contents.ends[-1], contents.sketch.width
    rows, size = struct.unpack("<II", data[:8].tobytes())
    at = 8 + rows * size
    magic, major, _, _, *kinds, present, deleted, columns, multi = _HEAD.unpack(
        data[at : at + _HEAD.size].tobytes()
    )
    if (magic, major, tuple(kinds), multi) != (b"usearch", 2, _KINDS, 0):
        raise ValueError("it is of another kind")
    if (rows, size, present, deleted, columns) != (n, 2 * width, n, 0, width):
        raise ValueError("it has other rows than it says")
    at += 64
    nodes, upper, lowest, top, first = _GRAPH.unpack(data[at : at + _GRAPH.size].tobytes())
    at += _GRAPH.size
    if (nodes, upper, lowest) != (n, CONNECTIVITY, 2 * CONNECTIVITY):
        raise ValueError("its nodes are not as many as its rows")
    levels = np.frombuffer(data[at : at + 2 * n].tobytes(), "<i2")
    if levels.min() < 0 or not levels.max() == top < _MOST_LEVELS:
        raise ValueError("its levels are not in order")
    if first >= n or levels[first] != top:
        raise ValueError("it begins nowhere")
    at += 2 * n
    sizes = 14 + 4 * lowest + (4 + 4 * upper) * levels.astype(np.int64)
    if at + sizes.sum() != len(data):
        raise ValueError("it is longer or shorter than its nodes")
    _check_nodes(data, at + np.cumsum(sizes) - sizes, levels)


def _check_nodes(data: np.ndarray, places: np.ndarray, levels: np.ndarray) -> None:
    """Check that nodes lead to others that are there, and on the level that they lead to."""
    n, seen = len(levels), np.zeros(len(levels), bool)
    for level, nodes in _alike(levels):
        size = 14 + 8 * CONNECTIVITY + (4 + 4 * CONNECTIVITY) * level
        whole = data[places[nodes][:, None] + np.arange(size)]
        keys = _numbers(whole[:, :8], "<u8")[:, 0]
        if keys.max() >= n or (_numbers(whole[:, 8:10], "<i2")[:, 0] != level).any():
            raise ValueError("its nodes are mixed up")
        seen[keys] = True
        _check_links(_numbers(whole[:, 10 : 14 + 8 * CONNECTIVITY], "<u4"), levels, 0)
        for above in range(1, level + 1):
            at = 14 + 8 * CONNECTIVITY + (4 + 4 * CONNECTIVITY) * (above - 1)
            links = _numbers(whole[:, at : at + 4 + 4 * CONNECTIVITY], "<u4")
            _check_links(links, levels, above)
    if not seen.all():
        raise ValueError("rows of it are missing")


def _check_links(links: np.ndarray, levels: np.ndarray, level: int) -> None:
    """Check lists of neighbours, of shape (nodes, 1 + most), each with its number in front."""
    counts, targets = links[:, :1], links[:, 1:]
    if counts.max() > targets.shape[1]:
        raise ValueError("nodes of it have too many neighbours")
    known = targets[np.arange(targets.shape[1]) < counts]
    if len(known) and (known.max() >= len(levels) or levels[known].min() < level):
        raise ValueError("it leads to nodes that are not there")


def _alike(levels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield some nodes of one level at a time."""
    for level in np.unique(levels).tolist():
        nodes = np.flatnonzero(levels == level)
        for start in range(0, len(nodes), _NODES):
            yield level, nodes[start : start + _NODES]


def _numbers(data: np.ndarray, kind: str) -> np.ndarray:
    """Read numbers of a kind in each row of bytes."""
    return np.ascontiguousarray(data).view(kind)
