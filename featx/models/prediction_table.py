"""The table of predictions on the disk: written, read again, and asked which files are new."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from featx.errors import NoImagesError, OptionError, one_line
from featx.files import check_suffix, written
from featx.images.folder import ImageFolder
from featx.images.memory import MemoryImage
from featx.paths import file_of
from featx.text import count, listed, printable, spreadsheet_cell, text_of_cell

#: How the name of a table of predictions may end.
TABLES = (".csv", ".xlsx")

_NO_OPENPYXL = (
    "tables for Excel (.xlsx) take openpyxl: `pip install openpyxl` (or featx[excel]), or name a "
    ".csv file"
)


@dataclass(frozen=True)
class FileState:
    """Size and time of a file, by which it is known again.

    Attributes
    ----------
    bytes : int
        Its size.
    modified : str
        When it was written last: in UTC, to the microsecond.
    """

    bytes: int
    modified: str

    @classmethod
    def of(cls, path: str) -> FileState | None:
        """Look at a file; None where there is none, or a picture in memory."""
        if isinstance(path, MemoryImage):
            return None
        try:
            found = os.stat(file_of(path))
        except OSError:
            return None
        return cls.at(found.st_size, found.st_mtime)

    @classmethod
    def at(cls, size: int, seconds: float) -> FileState:
        """Write down a size in bytes, and a time in seconds since 1970."""
        time = datetime.fromtimestamp(seconds, UTC)
        return cls(size, time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def new_files(
    images: ImageFolder, path: str | PathLike[str]
) -> tuple[ImageFolder, tuple[FileState | None, ...]]:
    """Return the images that a table does not have as they are now, and the states of these.

    A file is in the table if there is a row of its path with its size and its time, or with
    neither. A table that does not exist yet has none. A `NoImagesError` says that nothing is new.
    """
    _, rows = read_rows(path)
    known = {row["path"]: (row.get("bytes"), row.get("modified")) for row in rows}
    states = [FileState.of(each) for each in images.paths]
    new = [
        number
        for number, (each, state) in enumerate(zip(images.paths, states, strict=True))
        if each not in known or not _is_of(known[each], state)
    ]
    n_known = len(images) - len(new)
    if not new:
        raise NoImagesError(f"no new picture: {_in_table(n_known, path)}")
    kept = replace(
        images.select(new),
        notes=(*images.notes, *([_in_table(n_known, path)] if n_known else [])),
    )
    return kept, tuple(states[number] for number in new)


def _in_table(number: int, path: str | PathLike[str]) -> str:
    return f"in {os.fspath(path)} already: {count(number, 'picture')}"


def _is_of(row: tuple[str | None, str | None], state: FileState | None) -> bool:
    """Whether the size and the time in a row, where it has them, are those of a file."""
    return not any(row) or (state is not None and row == (str(state.bytes), state.modified))


def read_rows(path: str | PathLike[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Read a table, every cell as text: its columns, and its rows; none where there is no file.

    Raises an `OptionError` if it is no table of paths.
    """
    if not os.path.exists(path):
        return [], []
    try:
        cells = _read_excel(path) if _is_excel(path) else _read_csv(path)
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise OptionError(
            f"{os.fspath(path)} is no table that can be read ({one_line(error)}): expected one "
            "that `featx predict` wrote; name another file"
        ) from error
    columns = cells[0] if cells else []
    if cells and "path" not in columns:
        raise OptionError(
            f"{os.fspath(path)} has the columns {listed(columns)}: expected `path`, as in a table "
            "that `featx predict` wrote (.csv: with commas between columns); name another file"
        )
    return columns, [
        dict.fromkeys(columns, "") | dict(zip(columns, row, strict=False)) for row in cells[1:]
    ]


def write_rows(
    path: str | PathLike[str], columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write rows under their columns, in which a spreadsheet finds no formula to run."""
    check_suffix(path, TABLES)
    cells = [[spreadsheet_cell(row.get(name)) for name in columns] for row in rows]
    header = [spreadsheet_cell(name) for name in columns]
    if _is_excel(path):
        _write_excel(path, [header, *cells])
        return
    with (
        written(path) as file,
        file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as sink,
    ):
        csv.writer(sink).writerows([header, *cells])


def require_excel(path: str | PathLike[str]) -> None:
    """Raise an `OptionError` if a name asks for a table for Excel and nothing can write it."""
    if _is_excel(path):
        try:
            import openpyxl  # noqa: F401
        except ImportError as error:
            raise OptionError(_NO_OPENPYXL) from error


def _is_excel(path: str | PathLike[str]) -> bool:
    return Path(path).suffix.lower() == ".xlsx"


def _read_csv(path: str | PathLike[str]) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as source:
        return [[text_of_cell(cell) for cell in row] for row in csv.reader(source)]


def _read_excel(path: str | PathLike[str]) -> list[list[str]]:
    require_excel(path)
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True)
        rows = book.worksheets[0].iter_rows(values_only=True)
        cells = [["" if each is None else text_of_cell(str(each)) for each in row] for row in rows]
        book.close()
    except Exception as error:  # of zip, XML or openpyxl
        raise ValueError(one_line(error)) from error
    return cells


def _write_excel(path: str | PathLike[str], cells: Sequence[Sequence[Any]]) -> None:
    """Write a workbook of one sheet, whose first row stays in sight; its texts are printable."""
    require_excel(path)
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("predictions")
    sheet.freeze_panes = "A2"
    for row in cells:
        sheet.append([printable(cell) if isinstance(cell, str) else cell for cell in row])
    with written(path) as file:
        book.save(file)
