"""Parquet tables with a column of pictures, as Hugging Face writes them: a picture a row.

The pictures are in a column of structs with the fields `bytes` and `path`, or of bytes alone. A
table is read forwards, some rows at a time, whatever the size of its groups of rows.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from featx import text
from featx.errors import one_line
from featx.forks import free_in_child, in_child
from featx.images.packed.container_file import ContainerFile, container_file
from featx.images.regular import MAX_FILE_BYTES, Stamp, check_size
from featx.storage.address import without_query

if TYPE_CHECKING:
    import pandas as pd

_USUAL = ("image", "img", "picture", "photo", "jpg", "png")
_KEPT_BYTES = 64 << 20  # of the rows read last of a table
_MOST_ROWS = 10_000_000
_MOST_TIMES = 100  # as many bytes as are packed
_MOST_OPEN = 4  # tables
_BUFFER = 4 << 20  # bytes that are read at once

_choosing = threading.Lock()
free_in_child(_choosing)


def holds_pictures(path: str) -> bool:
    """Tell whether a file is a Parquet table with pictures in it."""
    if not without_query(path).lower().endswith(".parquet"):
        return False
    try:
        with container_file(path) as file:
            return _holds_pictures(path, file.stamp)
    except OSError:  # whoever reads it says what is wrong
        return False


@lru_cache(maxsize=4096)
def _holds_pictures(path: str, stamp: Stamp) -> bool:
    try:
        with container_file(path) as file, _opened(file.reopened()) as table:
            return picture_column(table.schema_arrow) is not None
    except Exception:  # of Arrow: whoever reads it as a table of paths says what is wrong
        return False


def picture_column(schema: Any, wanted: str = "path") -> str | None:
    """Return the column of pictures; None where there is none, or paths are there in their place.

    `wanted` is the column that was named; "path" is none in particular.
    """
    import pyarrow.types as kinds

    def is_struct(kind: Any) -> bool:
        parts = kind if kinds.is_struct(kind) else []
        return any(part.name == "bytes" and _is_binary(part.type) for part in parts)

    structs = [field.name for field in schema if is_struct(field.type)]
    plain = [field.name for field in schema if _is_binary(field.type)]
    if wanted != "path":
        return wanted if wanted in structs + plain else None
    found = structs or ([] if "path" in schema.names and "path" not in plain else plain)
    return next((name for name in found if name.lower() in _USUAL), next(iter(found), None))


class ParquetTable:
    """The pictures of a table, named "column/row".

    Attributes
    ----------
    names : list of str
        Of its pictures, in the order of the rows.
    n_other : int
        None.
    notes : tuple of str
        None.
    """

    def __init__(self, file: ContainerFile, column: str = "path") -> None:
        self.n_other, self.notes = 0, ()
        self._reopened = file.reopened
        with _errors(), _opened(self._reopened()) as table:
            schema = table.schema_arrow
            found = picture_column(schema, column)
            if found is None:
                raise OSError(f"no column `{column}` of pictures")
            if (same := schema.names.count(found)) > 1:
                raise OSError(f"{same} columns are called `{found}`: expected one")
            is_struct = not _is_binary(schema.field(found).type)
            self.column, self._leaf = found, f"{found}.bytes" if is_struct else found
            groups = [table.metadata.row_group(n) for n in range(table.num_row_groups)]
            self._starts = [0, *accumulate(group.num_rows for group in groups)]
            self._sizes = [_average(group, self._leaf) for group in groups]
        if not 0 <= self._starts[-1] <= _MOST_ROWS:
            raise OSError(f"more than {_MOST_ROWS:,} rows")
        self.names = [f"{found}/{row}" for row in range(self._starts[-1])]
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        """Close the table, and keep no rows."""
        self._kept: OrderedDict[int, bytes | None] = OrderedDict()  # by row
        self._n_bytes = 0
        self._ahead: Iterator[tuple[int, bytes | None]] = iter(())
        self._group, self._next = -1, 0  # which they are of, and the row that comes next

    def frame(self) -> pd.DataFrame:
        """Return the other columns; numbers of classes are names where the table has them."""
        with _errors(), _opened(self._reopened()) as table:
            schema = table.schema_arrow
            others = [each.name for each in schema if not _is_heavy(each.type)]
            frame: pd.DataFrame = table.read(columns=others, use_threads=False).to_pandas()
            for name, names in _classes(schema).items():
                if name in frame.columns:
                    known = dict(enumerate(names))
                    frame[name] = [known.get(number) for number in frame[name]]
        return frame

    def size_of(self, name: str) -> int:
        """Return how many bytes the pictures around one have on average."""
        return min(self._sizes[bisect_right(self._starts, self._row(name)) - 1], MAX_FILE_BYTES)

    def read(self, file: ContainerFile, name: str) -> bytes:
        """Return the bytes of a picture; an `OSError` where there are none."""
        row = self._row(name)
        _forget_others(self)
        with _errors(), self._lock:
            value = self._value(row)
        if value is None:
            raise OSError("no picture: its row in the table is empty")
        check_size(len(value))
        return value

    def _row(self, name: str) -> int:
        column, _, row = name.rpartition("/")
        if column != self.column or not row.isascii() or not row.isdigit():
            raise KeyError(name)
        if len(row) > 18 or int(row) >= len(self.names):
            raise KeyError(name)
        return int(row)

    def _value(self, row: int) -> bytes | None:
        """Return what is in a row: one of those read last, or of those that come next."""
        if row in self._kept:
            return self._kept[row]
        group = bisect_right(self._starts, row) - 1
        if group != self._group or self._next > row:
            self._ahead, self._group = self._values(group), group
        for place, value in self._ahead:
            self._next = place + 1
            self._keep(place, value)
            if place == row:
                return value
        raise OSError("cut off, as its table is")

    def _keep(self, row: int, value: bytes | None) -> None:
        """Keep a row for a while: threads ask for rows that are not quite in order."""
        self._n_bytes -= len(self._kept.pop(row, None) or b"")
        self._kept[row] = value
        self._n_bytes += len(value or b"")
        while self._n_bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._n_bytes -= len(self._kept.popitem(last=False)[1] or b"")

    def _values(self, group: int) -> Iterator[tuple[int, bytes | None]]:
        """Yield the pictures of a group of rows, each with its row.

        They are read one by one, since a small file may have a large picture in a million rows.
        """
        row = self._starts[group]
        with _opened(self._reopened()) as table:
            for batch in table.iter_batches(
                1, row_groups=[group], columns=[self._leaf], use_threads=False
            ):
                value = batch.column(0)[0].as_py()
                yield row, value["bytes"] if isinstance(value, dict) else value
                row += 1


_reading: list[ParquetTable] = []  # the tables read last, which keep rows
in_child(_reading.clear)


def _forget_others(table: ParquetTable) -> None:
    """Let no more than a few tables be open at once."""
    with _choosing:
        if table in _reading[-1:]:
            return
        if table in _reading:
            _reading.remove(table)
        _reading.append(table)
        closed = [_reading.pop(0)] if len(_reading) > _MOST_OPEN else []
    for each in closed:
        with each._lock:
            each._forget()


@contextmanager
def _errors() -> Iterator[None]:
    """Turn whatever Arrow says of a damaged table into an `OSError`."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError | KeyError) and "\n" not in str(error):
            raise
        raise OSError(f"a damaged table: {one_line(error)}") from error


def _opened(file: Any) -> Any:
    """Open a table for Arrow."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(file, buffer_size=_BUFFER)


def _average(group: Any, leaf: str) -> int:
    """Return how many bytes a picture has on average, as a group of rows says.

    One that would unpack to a lot more than it has is an `OSError`: Arrow unpacks some of it whole.
    """
    columns = [group.column(number) for number in range(group.num_columns)]
    held = next(each for each in columns if each.path_in_schema == leaf)
    unpacked, packed = int(held.total_uncompressed_size), int(held.total_compressed_size)
    if unpacked > max(MAX_FILE_BYTES, _MOST_TIMES * packed):
        raise OSError(
            f"{text.size(packed)} of it would unpack to {text.size(unpacked)}: expected pictures, "
            "which hardly get smaller by packing"
        )
    return unpacked // max(1, int(group.num_rows))


def _is_binary(kind: Any) -> bool:
    import pyarrow.types as kinds

    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))


def _is_heavy(kind: Any) -> bool:
    """Tell columns of pictures, sounds and lists from those of labels and notes."""
    import pyarrow.types as kinds

    return _is_binary(kind) or bool(kinds.is_nested(kind))


def _classes(schema: Any) -> dict[str, list[str]]:
    """Return the names of classes that Hugging Face writes beside a table, by column."""
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            str(name): [str(each) for each in about["names"]]
            for name, about in told.items()
            if isinstance(about, dict) and isinstance(about.get("names"), list)
        }
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}
