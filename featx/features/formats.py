"""Matrices as files: .npz, .npy, .parquet, .csv."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx.errors import FeatxError, OptionError, StorageError
from featx.files import written

SUFFIXES = (".npz", ".npy", ".parquet", ".csv")


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    Attributes
    ----------
    X : ndarray of shape (n, *shape), float32
        The vectors.
    paths : list of str
        The file of each row.
    labels : list of (str or None), or None
        The class of each row.
    about : dict or None
        Plain values that describe the rest; None for a table made elsewhere.
    """

    X: np.ndarray
    paths: list[str]
    labels: list[str | None] | None
    about: dict[str, Any] | None


def check_suffix(path: Path) -> str:
    """Return the suffix of a features file, or raise an `OptionError` that lists them."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OptionError(
            f"cannot tell the format of {path}: expected a name that ends in {', '.join(SUFFIXES)}"
        )
    return suffix


def save(path: Path, stored: Stored, columns: list[str]) -> None:
    """Write a matrix in the format that the suffix names.

    Parameters
    ----------
    path : Path
        Where to.
    stored : Stored
        What to write.
    columns : list of str
        Names of the columns of the flattened matrix, for .parquet and .csv.

    Raises
    ------
    OptionError
        The suffix names no format.
    StorageError
        The file cannot be written.
    """
    suffix = check_suffix(path)
    shape = {"shape": list(stored.X.shape[1:])}
    rows = {"paths": stored.paths, "labels": stored.labels}
    about = {**(stored.about or {}), **shape}
    if suffix == ".npz":
        text = np.frombuffer(json.dumps(about | rows).encode(), dtype=np.uint8)
        with written(path) as file, file.open("wb") as sink:
            np.savez(sink, X=stored.X, about=text)
    elif suffix == ".npy":
        with written(path) as file, file.open("wb") as sink:
            np.save(sink, stored.X)
        _write_sidecar(path, about | rows | {"checksum": _checksum(stored.X)})
    elif suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(_frame(stored, columns), preserve_index=False)
        metadata = {**(table.schema.metadata or {}), b"featx": json.dumps(about)}
        with written(path) as file, file.open("wb") as sink:
            pq.write_table(table.replace_schema_metadata(metadata), sink)
    else:
        with written(path) as file:
            _frame(stored, columns).to_csv(file, index=False, float_format="%.9g")
        _write_sidecar(path, about)


def load(path: Path) -> Stored:
    """Read what `save` wrote, or a .parquet or .csv table with a column `path`.

    A .npy file comes back as a memory map.

    Raises
    ------
    StorageError
        The file is missing, damaged or not one of features.
    """
    suffix = check_suffix(path)
    if not path.is_file():
        raise StorageError(f"no features file {path}: expected one that `save` wrote")
    try:
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                about = json.loads(arrays["about"].tobytes())
                return Stored(arrays["X"], about.pop("paths"), about.pop("labels"), about)
        if suffix == ".npy":
            return _load_npy(path)
        return _load_table(path, suffix)
    except FeatxError:
        raise
    except Exception as error:  # whatever numpy, zip, JSON, Arrow or pandas make of damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StorageError(
            f"{path} is damaged or holds no features ({reason[:160]}); make it again"
        ) from error


def _load_npy(path: Path) -> Stored:
    about = _read_sidecar(path)
    if about is None:
        raise StorageError(f"{path} lacks the file {_sidecar(path).name} beside it; copy both")
    X = np.load(path, mmap_mode="r", allow_pickle=False)
    if about.pop("checksum") != _checksum(X):
        raise StorageError(f"{path} and {_sidecar(path).name} do not belong together; copy both")
    return Stored(X, about.pop("paths"), about.pop("labels"), about)


def _load_table(path: Path, suffix: str) -> Stored:
    if suffix == ".csv":
        import pandas as pd

        frame = pd.read_csv(path, dtype={"path": str, "label": str}, keep_default_na=False)
        about = _read_sidecar(path)
    else:
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        text = (table.schema.metadata or {}).get(b"featx")
        about = json.loads(text) if text else None
        frame = table.to_pandas()
    labels = None
    if "label" in frame:
        labels = [label or None for label in frame.pop("label")]
    paths = list(frame.pop("path"))
    X = frame.to_numpy(dtype=np.float32)
    if about is not None:
        X = X.reshape(len(X), *about["shape"])
    return Stored(X, paths, labels, about)


def _frame(stored: Stored, columns: list[str]):
    """Build the table of a file, with paths in valid Unicode."""
    import pandas as pd

    frame = pd.DataFrame(stored.X.reshape(len(stored.X), -1), columns=columns)
    about = {
        "path": [
            path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            for path in stored.paths
        ]
    }
    if stored.labels is not None:
        about["label"] = stored.labels
    return pd.concat([pd.DataFrame(about, dtype=object), frame], axis=1)


def _sidecar(path: Path) -> Path:
    """Name the file beside a .npy or .csv that holds what the format has no room for."""
    return path.with_name(path.name + ".json")


def _write_sidecar(path: Path, about: dict[str, Any]) -> None:
    with written(_sidecar(path)) as file:
        file.write_text(json.dumps(about))


def _read_sidecar(path: Path) -> dict[str, Any] | None:
    return json.loads(_sidecar(path).read_text()) if _sidecar(path).is_file() else None


def _checksum(X: np.ndarray) -> int:
    total = 0
    for row in X:
        total = zlib.crc32(np.ascontiguousarray(row).data, total)
    return total
