"""The table that grows: rows of predictions are added to its end, by one process at a time."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

from featx.errors import OptionError, get_logger, one_line
from featx.files import check_suffix, storage_errors, take_lock
from featx.models.prediction_table import FileState
from featx.text import listed, size, spreadsheet_cell, text_of_cell

SUFFIX = ".csv"  # a workbook of Excel cannot grow: it would be written whole for each picture
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
_LINES_OF_A_ROW = 10  # at most, since names may have ends of lines

log = get_logger(__name__)


class GrowingTable:
    """A table of predictions that is added to, and knows which files it has.

    Rows are added in one write and flushed to the disk. What a power cut or a kill left of a last
    line is removed when the table is opened: its picture is new then. The columns may be in any
    order, with others between that somebody has added.

    Parameters
    ----------
    path : str or path
        A name that ends in ".csv"; a file that does not exist is made.
    columns : sequence of str
        The columns of the rows to add.

    Attributes
    ----------
    labels : set of str
        The labels that it has.

    Raises
    ------
    OptionError
        The file is no table with these columns, or another process is adding to it.
    StorageError
        It cannot be written.
    """

    def __init__(self, path: str | PathLike[str], columns: Sequence[str]) -> None:
        check_suffix(path, (SUFFIX,))
        self.path = os.fspath(path)
        self.labels = set[str]()
        self._columns = list(columns)  # that rows have
        self._header = list[str]()  # that the table has
        self._states = dict[str, tuple[str, str]]()  # size and time in the last row of each path
        self._open()

    def __enter__(self) -> GrowingTable:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, so that another process may add to it."""
        self._file.close()

    def has(self, path: str, state: FileState) -> bool:
        """Whether the last row of a path is of the file as it is now."""
        return self._states.get(path) == (str(state.bytes), state.modified)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows, all or none of them, and wait until they are on the disk."""
        self._write([row.get(name) for name in self._header] for row in rows)
        for row in rows:
            self._states[row["path"]] = str(row["bytes"]), row["modified"]

    def is_current(self) -> bool:
        """Whether nobody has replaced, removed or changed the file since."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return False
        same = os.path.samestat(found, os.fstat(self._file.fileno()))
        return same and found.st_size == self._size

    def open_again(self) -> None:
        """Open what is there now in place of the file that was opened."""
        self.close()
        self._open()

    def _open(self) -> None:
        with storage_errors(self.path):
            self._file = io.FileIO(os.open(self.path, _FLAGS, 0o666), "r+")
            try:
                _lock(self._file, self.path)
                self._read()
            except BaseException:
                self.close()
                raise

    def _read(self) -> None:
        """Read the rows, and remove what is left of a last one."""
        self._states, self.labels, self._header = {}, set(), []
        self._size = os.fstat(self._file.fileno()).st_size
        whole, is_ended = 0, self._is_ended()
        for end, cells in _records(self._file, self.path):
            is_short = 0 < len(cells) < len(self._header)  # the end is in a name of several lines
            if end == self._size and (is_short or not is_ended):
                break
            if whole:
                self._note(dict(zip(self._header, cells, strict=False)))
            else:
                self._header = cells
                self._check()
            whole = end
        if whole < self._size:
            self._cut(whole)
        if not whole:
            self._header = self._columns
            self._write([self._header])

    def _is_ended(self) -> bool:
        """Whether the last line has an end."""
        self._file.seek(max(0, self._size - 1))
        return self._file.read(1) == b"\n"

    def _note(self, row: Mapping[str, str]) -> None:
        if row:
            self._states[row["path"]] = row.get("bytes", ""), row.get("modified", "")
            if label := row.get("label"):
                self.labels.add(label)

    def _check(self) -> None:
        """Raise an `OptionError` if rows cannot be added under this header."""
        if missing := [name for name in self._columns if name not in self._header]:
            raise self._other(f"has no column {listed(missing)}")

    def _cut(self, whole: int) -> None:
        """Remove the last line, which is not whole."""
        self._file.seek(whole)
        rest = self._file.read(self._size - whole) or b""
        if rest.count(b"\n") > _LINES_OF_A_ROW:
            raise OptionError(
                f"{self.path} cannot be read: a quote is open from byte {whole:,} on; mend that, "
                "or name another file"
            )
        if not whole and not _text([self._columns]).startswith(rest.rstrip(b"\0")):
            raise self._other("is no table")
        os.truncate(self._file.fileno(), whole)
        os.fsync(self._file.fileno())
        self._size = whole
        if whole:
            log.warning(
                "the last line of %s was cut short, as a kill or a power cut leaves it: it is "
                "removed (%s), and its picture labelled again",
                self.path,
                size(len(rest)),
            )

    def _other(self, found: str) -> OptionError:
        return OptionError(
            f"{self.path} {found}: expected the columns {listed(self._columns, 20)}, as `featx "
            "watch` and `featx predict --only-new` write them for this model and these options; "
            "name another file"
        )

    def _write(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write rows at the end of the file: all of them, or an error and none."""
        number, content = self._file.fileno(), _text(rows)
        with storage_errors(self.path):
            try:
                left = memoryview(content)
                while left:
                    left = left[os.write(number, left) :]
                os.fsync(number)
            except OSError:
                os.truncate(number, self._size)
                raise
        self._size += len(content)


def _text(rows: Iterable[Iterable[Any]]) -> bytes:
    """Write rows as the text of a table, in which a spreadsheet finds no formula to run."""
    sink = io.StringIO(newline="")
    csv.writer(sink).writerows([spreadsheet_cell(cell) for cell in row] for row in rows)
    return sink.getvalue().encode("utf-8", "surrogateescape")


def _records(file: io.FileIO, path: str) -> Iterator[tuple[int, list[str]]]:
    """Read the rows of a table, each with the place where it ends."""
    place = 0

    def lines() -> Iterator[str]:
        nonlocal place
        for line in source:
            encoding = "utf-8" if place else "utf-8-sig"
            place += len(line)
            yield line.decode(encoding, "surrogateescape")

    file.seek(0)
    with open(file.fileno(), "rb", closefd=False) as source:
        try:
            for cells in csv.reader(lines()):
                yield place, [text_of_cell(cell) for cell in cells]
        except csv.Error as error:  # such as a field of megabytes
            raise OptionError(
                f"{path} is no table that can be read ({one_line(error)}): name another file"
            ) from error


def _lock(file: io.FileIO, path: str) -> None:
    """Take the lock of a file for this process, until the file is closed or the process ends."""
    try:
        if not take_lock(file):
            raise OptionError(
                f"another process is adding to {path}: let that end, or name another file"
            )
    except OSError as error:
        log.warning("%s cannot be locked (%s): let no other process add to it", path, error)
