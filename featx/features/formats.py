"""Matrices as files: .npz, .npy, .parquet, .csv.

A file carries the matrix, the paths, the labels and, as JSON, what describes them: in the file
where its format has room, else in a sidecar, named like the file with ".json" added. A checksum
ties the description to the matrix.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx.errors import FeatxError, OptionError, StorageError, one_line
from featx.files import written

FORMAT = 1  # of saved features; raised when their layout changes
SUFFIXES = (".npz", ".npy", ".parquet", ".csv")
_ROW_NUMBERS = ("", "Unnamed: 0", "__index_level_0__")  # how pandas saves an index without a name
_CHECKED_BYTES = 1 << 20  # at a time


@dataclass(frozen=True)
class Stored:
    """What a file holds, row by row."""

    X: np.ndarray  # (n, *shape), float32
    paths: list[str]
    labels: list[str | None] | None
    about: dict[str, Any] | None  # plain values on the rest; None for a table made elsewhere


def check_suffix(path: Path) -> str:
    """Return the suffix of a features file, or raise an `OptionError` that lists them."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OptionError(
            f"cannot tell the format of {path}: expected a name that ends in {', '.join(SUFFIXES)}"
        )
    return suffix


def save(path: Path, stored: Stored, columns: list[str]) -> None:
    """Write a matrix in the format that the suffix names; `columns` names those of a table."""
    suffix = check_suffix(path)
    about = {"format": FORMAT, **(stored.about or {}), "shape": list(stored.X.shape[1:])}
    if suffix in (".npz", ".npy"):
        about |= {"paths": stored.paths, "labels": stored.labels}
    else:
        about["exact"] = _not_as_text("path", stored.paths)
        about["exact"] += _not_as_text("label", stored.labels or ())
    about["checksum"] = _checksum(stored.X, about)
    text = json.dumps(about)
    if suffix == ".npz":
        with written(path) as file, file.open("wb") as sink:
            np.savez(sink, X=stored.X, about=np.frombuffer(text.encode(), dtype=np.uint8))
    elif suffix == ".parquet":
        with written(path) as file:
            _write_parquet(file, stored, columns, text)
    else:  # the matrix takes its place first: there may be no room left for it
        with written(_sidecar(path)) as beside, written(path) as file:
            beside.write_text(text)
            if suffix == ".npy":
                with file.open("wb") as sink:
                    np.save(sink, stored.X)
            else:
                _write_csv(file, stored, columns)


def load(path: Path) -> Stored:
    """Read what `save` wrote, or a .parquet or .csv table with a column `path`.

    A .npy file comes back as a memory map. What is missing, damaged or holds no features is a
    `StorageError`.
    """
    suffix = check_suffix(path)
    if not path.is_file():
        raise StorageError(f"no features file {path}: expected one that `save` wrote")
    try:
        stored = _READERS[suffix](path)
        if stored.about is not None:
            _check(path, stored)
        return stored
    except FeatxError:
        raise
    except Exception as error:  # whatever numpy, zip, JSON, Arrow or csv make of damaged bytes
        raise StorageError(
            f"{path} is damaged or holds no features ({one_line(error)}); make it again"
        ) from error


def _check(path: Path, stored: Stored) -> None:
    about = stored.about
    assert about is not None
    if about.get("format") != FORMAT:
        raise StorageError(
            f"{path} is of format {about.get('format')}, expected {FORMAT}; "
            "update featx or embed the images again"
        )
    if about.pop("checksum") == _checksum(stored.X, about):
        return
    advice = {".npy": "copy both", ".csv": "copy both, or remove the second"}.get(
        path.suffix.lower()
    )
    if advice is None:
        raise ValueError("the values do not match their checksum")
    raise StorageError(f"{path} and {_sidecar(path).name} do not belong together; {advice}")


def _read_npz(path: Path) -> Stored:
    with np.load(path, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        return Stored(arrays["X"], about["paths"], about["labels"], about)


def _read_npy(path: Path) -> Stored:
    about = _read_sidecar(path)
    if about is None:
        raise StorageError(f"{path} lacks the file {_sidecar(path).name} beside it; copy both")
    X = np.load(path, mmap_mode="r", allow_pickle=False)
    return Stored(X, about["paths"], about["labels"], about)


def _write_parquet(file: Path, stored: Stored, columns: list[str], about: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {"path": pa.array([_as_text(each) for each in stored.paths], pa.string())}
    if stored.labels is not None:
        labels = [None if each is None else _as_text(each) for each in stored.labels]
        arrays["label"] = pa.array(labels, pa.string())
    matrix = np.ascontiguousarray(flat(stored.X).T)
    arrays |= {name: pa.array(values) for name, values in zip(columns, matrix, strict=True)}
    table = pa.table(arrays).replace_schema_metadata({"featx": about})
    # What helps to search a table costs more than the values where there are 100,352 columns.
    pq.write_table(
        table, file, use_dictionary=False, write_statistics=False, write_page_checksum=True
    )


def _read_parquet(path: Path) -> Stored:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, page_checksum_verification=True) as source:
        table = source.read()
    text = (table.schema.metadata or {}).get(b"featx")
    columns = {name: table.column(name) for name in table.column_names}
    _check_header(table.column_names)
    paths = columns.pop("path").to_pylist()
    labels = columns.pop("label").to_pylist() if "label" in columns else None
    features = [values for name, values in columns.items() if name not in _ROW_NUMBERS]
    X = np.empty((len(paths), len(features)), np.float32)
    for column, values in enumerate(features):
        X[:, column] = values.to_numpy()
    return _from_table(X, paths, labels, json.loads(text) if text else None)


def _write_csv(file: Path, stored: Stored, columns: list[str]) -> None:
    texts = [[_as_text(path) for path in stored.paths]]
    if stored.labels is not None:
        texts.append([_as_text(label or "") for label in stored.labels])
    with file.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(["path", "label"][: len(texts)] + columns)
        numbers = ",".join(["%.9g"] * len(columns))
        for *text, row in zip(*texts, flat(stored.X), strict=True):
            writer.writerow(text + (numbers % tuple(row.tolist())).split(","))


def _read_csv(path: Path) -> Stored:
    with path.open(newline="", encoding="utf-8-sig") as source:
        reader = csv.reader(source)
        names = next(reader, [])
        _check_header(names)
        at = {name: names.index(name) for name in ("path", "label") if name in names}
        other = {column for column, name in enumerate(names) if name in _ROW_NUMBERS}
        features = [column for column in range(len(names)) if column not in {*at.values(), *other}]
        paths: list[str] = []
        labels: list[str | None] = []
        rows: list[np.ndarray] = []
        for row in filter(None, reader):
            if len(row) != len(names):
                raise ValueError(f"row {len(rows)} has {len(row)} cells, the header {len(names)}")
            paths.append(row[at["path"]])
            labels.append(row[at["label"]] if "label" in at else None)
            rows.append(np.array([row[column] for column in features], dtype=np.float32))
    X = np.array(rows, dtype=np.float32).reshape(len(rows), len(features))
    return _from_table(X, paths, labels if "label" in at else None, _read_sidecar(path))


_READERS: dict[str, Callable[[Path], Stored]] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".parquet": _read_parquet,
    ".csv": _read_csv,
}


def _check_header(names: list[str]) -> None:
    if "path" not in names or len(set(names)) < len(names):
        raise ValueError(f"the columns are {', '.join(names[:8])}: expected one `path`, none twice")
    if set(names) <= {"path", "label", *_ROW_NUMBERS}:
        raise ValueError("no columns of numbers beside the path and the label")


def _from_table(
    X: np.ndarray, paths: list[Any], labels: list[Any] | None, about: dict[str, Any] | None
) -> Stored:
    """Give a table the shape and the exact paths and labels that its description tells of."""
    cells: dict[str, list[Any]] = {
        "path": [str(path) for path in paths],
        "label": [_as_label(label) for label in labels or ()],
    }
    if about is not None:
        if int(np.prod(about["shape"])) == X.shape[1]:  # or the checksum will tell
            X = X.reshape(len(X), *about["shape"])
        for name, row, value in about["exact"]:
            cells[name][row : row + 1] = [value]
    return Stored(X, cells["path"], None if labels is None else cells["label"], about)


def _as_label(cell: Any) -> str | None:
    return None if cell is None or cell == "" or cell != cell else str(cell)


def _as_text(value: str) -> str:
    """Replace what a table cannot hold: bytes of file names that are not UTF-8, ends of lines."""
    return " ".join(value.encode("utf-8", "replace").decode().splitlines())


def _not_as_text(column: str, values: Iterable[str | None]) -> list[tuple[str, int, str]]:
    """List the cells of a column that do not come back from a table as they were."""
    return [
        (column, row, value)
        for row, value in enumerate(values)
        if value is not None and (value == "" or _as_text(value) != value)
    ]


def flat(X: np.ndarray) -> np.ndarray:
    """Return the vectors as a table of shape (n, columns)."""
    return X.reshape(len(X), int(np.prod(X.shape[1:])))


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _read_sidecar(path: Path) -> dict[str, Any] | None:
    return json.loads(_sidecar(path).read_text()) if _sidecar(path).is_file() else None


def _checksum(X: np.ndarray, about: dict[str, Any]) -> int:
    total = zlib.crc32(f"{X.dtype.str} {X.shape} {json.dumps(about)}".encode())
    rows = flat(np.asarray(X))
    step = max(1, _CHECKED_BYTES // max(1, rows.shape[1] * rows.itemsize))
    for start in range(0, len(rows), step):
        block = np.ascontiguousarray(rows[start : start + step])
        if np.isnan(block.min(initial=0)):  # text knows only one NaN
            block = np.where(np.isnan(block), np.float32(np.nan), block)
        total = zlib.crc32(block.data, total)
    return total
