"""Matrices as files: .npz, .npy, .parquet, .csv.

A file carries the matrix, the paths, the labels and, as JSON, what describes them: in the file
where its format has room, else in a sidecar, named like the file with ".json" added. A checksum
ties the description to the matrix, and to each row of a table, which others may edit.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from featx.backbones.calibration import Calibration
from featx.errors import FeatxError, OptionError, StorageError, one_line, warn
from featx.features.archive import read_archive, write_archive
from featx.features.blocks import release
from featx.features.edited import in_blocks, path_digest, row_digests, saved_rows
from featx.files import written
from featx.text import count, listed, spreadsheet_cell, text_of_cell

FORMATS = (1, 2, 3)  # of saved features; 3 has calibrations, which an older featx does not know
FORMAT = 2
SUFFIXES = (".npz", ".npy", ".parquet", ".csv")
FOLDER_SUFFIX = ".features"  # of what is no file, but a folder of parts
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
            f"cannot tell the format of {path}: expected a name that ends in "
            f"{', '.join([*SUFFIXES, FOLDER_SUFFIX])}"
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
        about["rows"] = list(row_digests([_as_text(path) for path in stored.paths], flat(stored.X)))
        about["description_checksum"] = _description_checksum(about)
    about["checksum"] = _checksum(stored.X, about)
    text = json.dumps(about)
    if suffix == ".npz":
        told = {name: each for name, each in about.items() if name not in ("paths", "labels")}
        with written(path) as file, file.open("wb") as sink:
            write_archive(sink, stored.X, stored.paths, stored.labels, told)
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

    A .npy file comes back as a memory map. A table that `save` wrote may have lost rows since, or
    have others in another order; what is left out is warned of. What is missing, damaged or holds
    no features is a `StorageError`.
    """
    suffix = check_suffix(path)
    if not os.path.isfile(path):
        raise StorageError(f"no features file {path}: expected one that `save` wrote")
    try:
        stored = _READERS[suffix](path)
        if stored.about is not None:
            return _checked(path, stored, stored.about)
    except FeatxError:
        raise
    except Exception as error:  # whatever numpy, zip, JSON, Arrow or csv make of damaged bytes
        raise StorageError(
            f"{path} is damaged or holds no features ({one_line(error)}); make it again"
        ) from error
    if holds_features(path):
        kept = "in the table" if suffix == ".parquet" else f"in {_sidecar(path).name} beside it"
        warn(
            f"{path} has lost its recipe, which featx keeps {kept}: these features can be "
            "compared, but no model can be trained on them that would embed new pictures"
        )
    return stored


def about_calibrations(calibrations: Sequence[Calibration]) -> dict[str, Any]:
    """Return calibrations as a description holds them, plain values."""
    texts = [base64.b64encode(each.to_bytes()).decode() for each in calibrations]
    return {"format": FORMATS[-1], "calibrations": texts}


def calibrations_of(about: dict[str, Any]) -> tuple[Calibration, ...]:
    """Return the calibrations of a description, or raise a `ValueError`."""
    texts = about.get("calibrations", [])
    try:
        return tuple(Calibration.from_bytes(base64.b64decode(text)) for text in texts)
    except (StorageError, TypeError, ValueError) as error:
        raise ValueError(f"a calibration is {one_line(error)}") from error


def files_of(path: str | PathLike[str]) -> list[str]:
    """Return what `save` writes: the path or address named, and its sidecar where it has one."""
    name = os.fspath(path)
    return [name, f"{name}.json"] if name.lower().endswith((".npy", ".csv")) else [name]


def holds_features(path: Path) -> bool:
    """Tell whether a file is one of features, by what is beside its values; these are not read.

    A table is one if `save` described it, or if its numbers are named as those of `save` are.
    """
    suffix = path.suffix.lower()
    if suffix in (".npz", ".npy") or _sidecar(path).is_file():
        return True
    try:
        if suffix == ".parquet":
            import pyarrow.parquet as pq

            schema = pq.read_schema(path)
            return _parquet_about(schema.metadata or {}) is not None or _are_numbered(schema.names)
        with path.open(newline="", encoding="utf-8-sig") as source:
            return _are_numbered(next(csv.reader(source), []))
    except Exception:  # whoever reads it says what it is
        return False


def _are_numbered(names: Sequence[str]) -> bool:
    """Whether columns beside the path and the label are numbered under one name, from 0 on.

    That is how `save` names them.
    """
    others = [name for name in names if name not in {"path", "label", *_ROW_NUMBERS}]
    prefix = others[0].rpartition("_")[0] if others else ""
    numbered = {f"{prefix}_{number}" for number in range(len(others))}
    return "path" in names and len(others) > 1 and set(others) == numbered


def _checked(path: Path, stored: Stored, about: dict[str, Any]) -> Stored:
    """Return what a file holds as it was saved, as far as it is still there."""
    if about.get("format") not in FORMATS:
        raise StorageError(
            f"{path} is of format {about.get('format')}, expected {FORMATS[-1]} or an older one; "
            "update featx or embed the images again"
        )
    paths = [row[0] for row in about.get("rows", ())]
    in_place = not paths or paths == list(map(path_digest, stored.paths))
    if about.pop("checksum") == _checksum(stored.X, about) and in_place:
        return _exact(stored, about, range(len(stored.X)))
    if about.pop("description_checksum", None) == _description_checksum(about):
        return _edited(path, stored, about)
    raise _mismatch(path, "the values do not match their checksum")


def _edited(path: Path, stored: Stored, about: dict[str, Any]) -> Stored:
    """Return the saved rows that an edited table still holds, in its order.

    Each has to be as it was saved: what made the vectors is told of no others.
    """
    n, width = len(stored.X), flat(stored.X).shape[1]
    if stored.X.shape[1:] != tuple(about["shape"]):
        asked = int(np.prod(about["shape"]))
        raise _mismatch(path, f"{count(width, 'column')} of numbers, {asked:,} were saved")
    rows = saved_rows(stored.paths, flat(stored.X), about["rows"])
    known = [row for row in rows if row is not None]
    if len(known) < n or not n:
        first = stored.paths[rows.index(None)] if n else "all of them"
        raise _mismatch(
            path, f"{count(n - len(known), 'row')} changed, added or lost, such as {first}"
        )
    images = len(about["rows"]) // (1 + about.get("views", 0))
    order = in_blocks(known, images)
    if order is None or max(known) // images < about.get("views", 0):
        raise _mismatch(path, "rows of some views are lost")
    if len(order) < len(about["rows"]):
        warn(f"{path} holds {len(order):,} of the {len(about['rows']):,} rows that were saved")
    saved = {row[0] for row in about["rows"]}
    renamed = [each for each in stored.paths if path_digest(each) not in saved]
    if renamed:
        other = count(len(renamed), "path")
        warn(f"{path} has {other} that featx did not save, such as {renamed[0]}")
    labels = None if stored.labels is None else [stored.labels[position] for position in order]
    paths = [stored.paths[position] for position in order]
    moved = Stored(stored.X[order], paths, labels, about)
    made = _exact(moved, about, [known[position] for position in order])
    outcomes = [each for each in about["outcomes"] if each["path"] in set(made.paths)]
    return replace(made, about={**about, "outcomes": outcomes, "n_other": 0})


def _mismatch(path: Path, reason: str) -> Exception:
    advice = {
        ".npy": "copy both",
        ".csv": "copy both, or remove the second to load the first without its recipe",
    }.get(path.suffix.lower())
    if advice is None:
        return ValueError(reason)
    beside = _sidecar(path).name
    return StorageError(f"{path} and {beside} do not belong together; {advice} ({reason})")


def _exact(stored: Stored, about: dict[str, Any], rows: Sequence[int]) -> Stored:
    """Return a table, made of these of the saved rows, with paths and labels that no cell holds."""
    exact = {(column, row): value for column, row, value in about.get("exact", ())}
    if not exact:
        return stored

    def restored(column: str, cells: Sequence[str | None]) -> Iterator[Any]:
        for row, cell in zip(rows, cells, strict=True):
            value = exact.get((column, row))
            corrected = value is None or _as_text(value) != (cell or "")
            yield cell if corrected else value

    labels = None if stored.labels is None else list(restored("label", stored.labels))
    return replace(stored, paths=list(restored("path", stored.paths)), labels=labels)


def _read_npz(path: Path) -> Stored:
    X, paths, labels, about = read_archive(path)
    checksum = about.pop("checksum")
    return Stored(
        X, paths, labels, {**about, "paths": paths, "labels": labels, "checksum": checksum}
    )


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
    # The second is what pandas takes along from file to file.
    known = {"featx": about, "PANDAS_ATTRS": json.dumps({"featx": about})}
    table = pa.table(arrays).replace_schema_metadata(known)
    # What helps to search a table costs more than the values where there are 100,352 columns.
    pq.write_table(
        table, file, use_dictionary=False, write_statistics=False, write_page_checksum=True
    )


def _read_parquet(path: Path) -> Stored:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, page_checksum_verification=True) as source:
        table = source.read()
        if table.num_rows != source.metadata.num_rows:
            raise ValueError(f"{table.num_rows:,} rows, expected {source.metadata.num_rows:,}")
    if {"key", "vector"} <= set(table.column_names):
        raise StorageError(f"{path} is a part of features: expected the folder that it is in")
    _check_header(table.column_names)
    about = _parquet_about(table.schema.metadata or {})
    columns = dict(zip(table.column_names, table.columns, strict=True))
    features = _feature_columns(path, table.column_names, about)
    labels = columns["label"].to_pylist() if "label" in columns else None
    X = np.empty((table.num_rows, len(features)), np.float32)
    for column, name in enumerate(features):
        X[:, column] = columns[name].to_numpy()
    return _from_table(X, columns["path"].to_pylist(), labels, about)


def _parquet_about(metadata: dict[bytes, bytes]) -> dict[str, Any] | None:
    text = metadata.get(b"featx") or json.loads(metadata.get(b"PANDAS_ATTRS", b"{}")).get("featx")
    return json.loads(text) if text else None


def _write_csv(file: Path, stored: Stored, columns: list[str]) -> None:
    texts = [[_as_text(path) for path in stored.paths]]
    if stored.labels is not None:
        texts.append([_as_text(label or "") for label in stored.labels])
    texts = [[spreadsheet_cell(text) for text in column] for column in texts]
    with file.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(["path", "label"][: len(texts)] + list(map(spreadsheet_cell, columns)))
        numbers = ",".join(["%.9g"] * len(columns))
        for *text, row in zip(*texts, flat(stored.X), strict=True):
            writer.writerow(text + (numbers % tuple(row.tolist())).split(","))


def _read_csv(path: Path) -> Stored:
    about = _read_sidecar(path)
    with path.open(newline="", encoding="utf-8-sig") as source:
        reader = csv.reader(source)
        names = next(reader, [])
        cells = filter(None, reader)
        first = next(cells, None)
        if first and len(first) == len(names) + 1 and first[0].isdecimal():
            names = ["", *names]  # as write.table of R saves names of rows
        _check_header(names)
        at = {name: column for column, name in enumerate(names)}
        features = [at[name] for name in _feature_columns(path, names, about)]
        paths: list[str] = []
        labels: list[str | None] = []
        rows: list[np.ndarray] = []
        for row in [] if first is None else chain([first], cells):
            if len(row) != len(names):
                raise ValueError(f"row {len(rows)} has {len(row)} cells, the header {len(names)}")
            paths.append(text_of_cell(row[at["path"]]))
            labels.append(text_of_cell(row[at["label"]]) if "label" in at else None)
            numbers = [row[column] for column in features]
            rows.append(np.array(numbers if about is None else _known(numbers), dtype=np.float32))
    X = np.array(rows, dtype=np.float32).reshape(len(rows), len(features))
    return _from_table(X, paths, labels if "label" in at else None, about)


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


def _known(cells: list[str]) -> list[str]:
    """Return cells of a saved table in which a NaN is as R or pandas writes it; it is checked."""
    if "NA" in cells or "" in cells:
        return ["nan" if cell in ("NA", "") else cell for cell in cells]
    return cells


def _feature_columns(path: Path, names: list[str], about: dict[str, Any] | None) -> list[str]:
    """Name the columns of numbers: all beside path, label and row numbers, in their order.

    In a table that `save` wrote they are put in the order of their numbers, and columns that were
    added since are left out.
    """
    others = [name for name in names if name not in {"path", "label", *_ROW_NUMBERS}]
    if about is None:
        return others
    numbered: dict[str, dict[int, str]] = defaultdict(dict)
    for name in others:
        prefix, _, number = name.rpartition("_")
        if number.isdecimal():
            numbered[prefix][int(number)] = name
    wanted = range(int(np.prod(about["shape"])))
    for found in numbered.values():
        if found.keys() == set(wanted):
            features = [found[number] for number in wanted]
            added = sorted(set(others) - set(features), key=others.index)
            if added:
                warn(f"{path}: left out {listed(added)}, which featx did not save")
            return features
    return others


def _from_table(
    X: np.ndarray, paths: list[Any], labels: list[Any] | None, about: dict[str, Any] | None
) -> Stored:
    """Give a table the shape that its description tells of."""
    if about is not None and int(np.prod(about["shape"])) == X.shape[1]:  # or the check will tell
        X = X.reshape(len(X), *about["shape"])
    told = None if labels is None else [_as_label(label) for label in labels]
    return Stored(X, [str(path) for path in paths], told, about)


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


def _description_checksum(about: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(about).encode())


def _checksum(X: np.ndarray, about: dict[str, Any]) -> int:
    total = zlib.crc32(f"{X.dtype.str} {X.shape} {json.dumps(about)}".encode())
    rows = flat(np.asarray(X))
    step = max(1, _CHECKED_BYTES // max(1, rows.shape[1] * rows.itemsize))
    for start in range(0, len(rows), step):
        block = np.ascontiguousarray(rows[start : start + step])
        if np.isnan(block.min(initial=0)):  # text knows only one NaN
            block = np.where(np.isnan(block), np.float32(np.nan), block)
        total = zlib.crc32(block.data, total)
        release(X)
    return total
