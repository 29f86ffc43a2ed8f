"""Tables of images: rows of paths, labels and more, from a data frame or from a file of one."""

from __future__ import annotations

import codecs
import csv
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import ImageSourceError, OptionError, one_line
from featx.images.bucket import is_there, names_table, source_errors
from featx.images.labels import Labels
from featx.images.listing import TABLE_SUFFIXES, named_as_image
from featx.images.memory import MemoryImage
from featx.images.packed.parquet_table import holds_pictures
from featx.storage.address import is_address, joined, local_path, without_query
from featx.storage.objects import read_with_stamp
from featx.text import listed, printable, text_of_cell

if TYPE_CHECKING:
    import pandas as pd

_TEXTS = (".csv", ".tsv")
_TRIED = 20  # pictures of which one has to be there
_MOST_BYTES = 4_000_000_000  # of a table at an address
_SEPARATORS = (",", ";", "\t", "|")
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WINDOWS = ("cp1252", "latin-1")  # what spreadsheets write that do not write Unicode


@dataclass(frozen=True, eq=False)
class Table:
    """A table of images, a row an image.

    Attributes
    ----------
    frame : pandas.DataFrame
        The columns as they are called in the table. Cells of texts are texts.
    name : str
        What messages call it.
    folder : str or None
        Its own folder; None where it is in memory.
    """

    frame: pd.DataFrame
    name: str = "the table of images"
    folder: str | None = None

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def of(cls, source: object) -> Table | None:
        """Take a data frame, or read a file that is a table by its name; None for anything else."""
        if not is_table(source):
            return None
        if _in_memory(source):
            frame: Any = source
            return cls(frame.reset_index() if frame.index.name == "path" else frame)
        path = os.path.expanduser(local_path(os.fsdecode(source)))  # type: ignore[arg-type]
        name = printable(os.path.basename(without_query(path)))
        with _on_disk(path) as file:
            return cls(_read(file, path), name, os.path.dirname(without_query(path)))

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [str(name) for name in self.frame.columns]

    def column(self, name: str) -> pd.Series[Any] | None:
        """Return the column of a name, whatever its case where it is the only one; else None.

        Raises an `ImageSourceError` where several have the name.
        """
        known = list(enumerate(map(str, self.frame.columns)))
        folded = name.strip().casefold()
        exact = [place for place, each in known if each == name]
        alike = [place for place, each in known if each.strip().casefold() == folded]
        if len(exact) > 1:
            raise ImageSourceError(
                f"{self.name} has {len(exact)} columns that are called `{printable(name)}`: "
                "expected one; rename the others or leave them out"
            )
        found = exact or (alike if len(alike) == 1 else [])
        return self.frame.iloc[:, found[0]] if found else None

    def require(self, name: str, what: str, option: str) -> pd.Series[Any]:
        """Return a column, or raise an `ImageSourceError` that says which there are.

        `what` is in the column, and `option` is the one that names it in Python.
        """
        column = self.column(name)
        if column is None:
            known = f"the columns {listed(self.columns)}" if self.columns else "no other columns"
            raise ImageSourceError(
                f"{self.name} has {known}: expected `{name}`; name the "
                f"one of the {what} by --{option.replace('_', '-')} (in Python {option}=)"
            )
        return column

    def select(self, rows: Sequence[int]) -> Table:
        """Return some of the rows, in this order."""
        return replace(self, frame=self.frame.iloc[list(rows)].reset_index(drop=True))

    def begin(
        self, paths: Sequence[Any], folders: Iterable[str], there: Callable[[str], bool]
    ) -> tuple[str, list[Any]] | None:
        r"""Find the folder in which relative paths begin, and write the paths so that they open.

        It is the first of `folders` in which something is `there`. Where nothing is, paths of
        Windows, such as cat\1.jpg, are tried with "/". None if that is not there either.
        """
        written = [paths]
        if os.sep == "/" and any(isinstance(each, str) and "\\" in each for each in paths):
            changed = [each.replace("\\", "/") if isinstance(each, str) else each for each in paths]
            written.append(changed)
        known = list(dict.fromkeys(folders))
        for texts in written:
            for folder in known:
                names = (each for each in texts if isinstance(each, str) and not is_address(each))
                most = _TRIED if is_address(folder) else None  # each look is a request
                tried = (joined(folder, os.path.expanduser(each)) for each in islice(names, most))
                if any(map(there, tried)):
                    return folder, list(texts)
        return None


def is_table(source: object) -> bool:
    """Tell a table, in memory or as a file, from whatever else names images or labels.

    One that has the pictures in itself is none.
    """
    if isinstance(source, MemoryImage) or not isinstance(source, str | os.PathLike):
        return _in_memory(source)
    path = os.path.expanduser(local_path(os.fsdecode(source)))
    if is_address(path):
        return names_table(path) and not holds_pictures(path)
    is_one = path.lower().endswith(TABLE_SUFFIXES) and os.path.isfile(path)
    return is_one and not holds_pictures(path)


def refuse_columns(path_column: str, label_column: str) -> None:
    """Raise an `OptionError` where a column is named and there is no table."""
    for name, column in (("path", path_column), ("label", label_column)):
        if column != name:
            raise OptionError(
                f"{name} column {column!r} goes with a table of images or of labels, and there is "
                "none: leave it out"
            )


def table_of_labels(labels: Labels) -> Table | None:
    """Take labels that are a table; None for others."""
    table = Table.of(labels)
    if table is None and isinstance(labels, str | os.PathLike):
        is_no_table = "is no table" if is_there(os.fsdecode(labels)) else "does not exist"
        raise OptionError(
            f"labels {os.fspath(labels)!r} {is_no_table}: expected a class number or name for each "
            f"image, one-hot rows, or a table whose name ends in {', '.join(TABLE_SUFFIXES)}"
        )
    return table


def check_no_source(path: str | os.PathLike[str], what: str) -> None:
    """Raise an `OptionError` where a file to write is called as pictures and tables are.

    It could take the place of one, which nobody would get back. `what` is to be written.
    """
    if named_as_image(os.fspath(path)) or os.fspath(path).lower().endswith(TABLE_SUFFIXES):
        raise OptionError(
            f"cannot write {what} to {os.fspath(path)}: a picture or a table is called so, and "
            "could be lost; choose another name"
        )


def _in_memory(source: object) -> bool:
    return hasattr(source, "columns") and hasattr(source, "iloc")


@contextmanager
def _on_disk(path: str) -> Iterator[str]:
    """Give the path of a table on the disk: its own, or that of a copy of an object."""
    if not is_address(path):
        yield path
        return
    try:
        with source_errors():
            data = read_with_stamp(path, _MOST_BYTES)[0]
    except FileNotFoundError as error:
        raise ImageSourceError(f"there is no {path}: expected a table") from error
    suffix = os.path.splitext(without_query(path))[1]
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        file = os.path.join(folder, f"table{suffix}")
        Path(file).write_bytes(data)
        yield file


def _read(path: str, name: str) -> pd.DataFrame:
    """Read a file of a table, without rows in which nothing stands.

    `name` is what messages call it.
    """
    suffix = Path(path).suffix.lower()
    try:
        if suffix == ".parquet":
            return _read_parquet(path)
        frame = _read_text(path, suffix) if suffix in _TEXTS else _read_workbook(path, name)
    except (OSError, ValueError, LookupError) as error:  # pandas' own errors are ValueErrors
        raise ImageSourceError(
            f"{name!r} is no table that can be read ({one_line(error)}): expected the names of the "
            "columns in the first line, `path` and `label`, and a row for each picture"
        ) from error
    frame.columns = [str(name).strip() for name in frame.columns]
    frame = frame.map(text_of_cell)
    return frame[(frame != "").any(axis=1)].reset_index(drop=True)


def _read_parquet(path: str) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # of Arrow
        raise ValueError(one_line(error)) from error
    return frame.reset_index() if frame.index.name is not None else frame


def _read_workbook(path: str, name: str) -> pd.DataFrame:
    """Read the first sheet of an Excel file, every cell as text."""
    import pandas as pd

    try:
        return pd.read_excel(path, dtype=str, keep_default_na=False, engine="openpyxl")
    except ImportError as error:
        raise ImageSourceError(
            f"{name!r} is of Excel, which featx reads by openpyxl: `pip install openpyxl` "
            "(or featx[excel]), or save the table as .csv"
        ) from error
    except Exception as error:  # of zip, XML or openpyxl
        raise ValueError(one_line(error)) from error


def _read_text(path: str, suffix: str) -> pd.DataFrame:
    """Read a table as spreadsheets write them, every cell as text."""
    import pandas as pd

    encoding = _encoding_of(path)
    separator, n_before = _separator_of(path, encoding, suffix)
    settings: dict[str, Any] = {
        "dtype": str,
        "keep_default_na": False,
        "encoding": encoding,
        "sep": separator,
        "skiprows": n_before,
    }
    frame: pd.DataFrame = pd.read_csv(path, **settings)
    written = pd.read_csv(path, **settings, header=None, nrows=1).iloc[0].tolist()
    if len(set(written)) < len(written) == len(frame.columns):  # pandas writes label.1
        frame.columns = written
    if isinstance(frame.index, pd.RangeIndex):
        return frame
    # A cell more than the header has: an empty one behind the last separator, or a row's name.
    if (frame.iloc[:, -1] == "").all():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # of the empty cells
            frame = pd.read_csv(path, **settings, index_col=False)
        return frame
    if not frame.index.astype(str).str.isdecimal().all():
        raise ValueError("the rows have more cells than the first line has names of columns")
    return frame.reset_index(drop=True)


def _encoding_of(path: str) -> str:
    """Tell the encoding of a text by its first bytes, or as the first in which it can be read."""
    content = Path(path).read_bytes()
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return encoding
    for encoding in ("utf-8", *_WINDOWS):
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        break
    return encoding


def _separator_of(path: str, encoding: str, suffix: str) -> tuple[str, int]:
    """Tell what stands between the columns, and how many lines before their names.

    A first line such as sep=; is one that Excel writes and reads. Else it is what divides the
    first line into most columns.
    """
    with open(path, encoding=encoding, newline="") as file:
        first = file.readline().rstrip("\r\n")
    if first.lower().startswith("sep=") and len(first) == 5:
        return first[4], 1
    known = ("\t",) if suffix == ".tsv" else _SEPARATORS
    n_columns = {each: len(next(csv.reader([first], delimiter=each), [])) for each in known}
    return max(known, key=n_columns.__getitem__), 0
