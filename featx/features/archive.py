"""Archives of features: .npz files of plain arrays, which numpy reads by itself.

`X` holds the vectors, `y` the labels if there are any, `paths` the pictures as they were given,
`relative_paths` the same as seen from the folder that all share, `views` the vectors of augmented
views, and `about` what describes them, as JSON.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from featx.features.whereabouts import common_folder, relative_to

Contents = tuple[np.ndarray, list[str], list[str | None] | None, dict[str, Any]]


def write_archive(
    sink: IO[bytes],
    X: np.ndarray,
    paths: Sequence[str],
    labels: Sequence[str | None] | None,
    about: dict[str, Any],
) -> None:
    """Write rows, those of views after all others, with their paths and labels as texts.

    `about` is plain values. Labels that it calls whole numbers or truth values are written as
    such, and a label that is missing as an empty text.
    """
    n = len(X) // (1 + about.get("views", 0))
    own = list(map(str, paths[:n]))
    root = common_folder(paths[:n])
    arrays = {"X": X[:n], "paths": _texts(own)}
    arrays["relative_paths"] = _texts([relative_to(root, path) for path in own])
    about = {**about, "exact": _inexact("path", own)}
    if labels is not None:
        arrays["y"] = _labels(labels[:n], about.get("labels_are"))
        about["exact"] += _inexact("label", labels[:n])
    if len(X) > n:
        arrays["views"] = X[n:].reshape(-1, n, *X.shape[1:])
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    with zipfile.ZipFile(sink, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")
            if array.dtype.kind == "U":  # four bytes a letter, and all as long as the longest
                entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def read_archive(path: Path) -> Contents:
    """Read what `write_archive` wrote, or an archive of format 1, with its description."""
    with np.load(path, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        if "paths" not in arrays:  # format 1 has them in the description
            return arrays["X"], about["paths"], about["labels"], about
        X, paths = arrays["X"], arrays["paths"].tolist()
        labels: list[str | None] | None = None
        if "y" in arrays:
            labels = list(map(str, arrays["y"].tolist()))
        for column, row, text in about.pop("exact"):
            if column == "path":
                paths[row] = text
            elif labels is not None:
                labels[row] = text
        if "views" in arrays:
            views = arrays["views"]
            X = np.concatenate([X, views.reshape(-1, *X.shape[1:])])
            paths *= 1 + len(views)
            labels = labels and labels * (1 + len(views))
    return X, paths, labels, about


def _inexact(column: str, texts: Sequence[str | None]) -> list[tuple[str, int, str | None]]:
    """List the texts that do not come back from an array: none at all, or zeros at the end."""
    return [
        (column, row, text) for row, text in enumerate(texts) if text is None or text.endswith("\0")
    ]


def _texts(texts: Sequence[str]) -> np.ndarray:
    return np.array(texts, dtype=str) if len(texts) else np.array([], dtype="<U1")


def _labels(labels: Sequence[str | None], kind: object) -> np.ndarray:
    """Return labels as an array of their type, or of texts where one is missing."""
    known = [label for label in labels if label is not None]
    if kind == "int" and len(known) == len(labels):
        return np.array([int(label) for label in known], dtype=np.int64)
    if kind == "bool" and len(known) == len(labels):
        return np.array([label == "True" for label in known], dtype=bool)
    return _texts([label or "" for label in labels])
