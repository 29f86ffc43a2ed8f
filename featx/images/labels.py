"""Labels that are given beside images: numbers, names or one-hot rows, as texts."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from featx.errors import OptionError

#: The class of each image: a sequence, an array or a table. Any object, as numpy takes it.
Labels: TypeAlias = Any

_EXPECTED = "expected a class number or name for each image, or one-hot rows"


def label_texts(labels: Labels, n: int) -> tuple[str | None, ...]:
    """Return a text for the label of each of `n` images.

    Numbers of classes become "0", "1" and so on, whole floats too; names may be texts or bytes, in
    a column perhaps. One-hot rows of shape (n, classes), 0 and 1 of any dtype, mean the number of
    the column, or its name in a pandas DataFrame. What is missing (None, NaN) is no label. Labels
    of another number than the images, or of another kind, are an `OptionError`.
    """
    try:
        array = np.asarray(labels)
        if array.dtype.kind == "U" and not isinstance(labels, np.ndarray):
            array = np.asarray(labels, dtype=object)  # numpy writes None and NaN as texts
    except ValueError as error:  # rows of different lengths
        raise OptionError(f"the labels are no array ({error}): {_EXPECTED}") from error
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2):
        raise OptionError(f"the labels have the shape {array.shape}: {_EXPECTED}")
    if len(array) != n:
        raise OptionError(f"there are {len(array)} labels for {n} images: expected one for each")
    if array.ndim == 2:
        columns = getattr(labels, "columns", range(array.shape[1]))
        return tuple(str(columns[number]) for number in _numbers(array))
    import pandas as pd

    missing = pd.isna(array)
    return tuple(
        None if absent else _text(each)
        for each, absent in zip(array.tolist(), missing, strict=True)
    )


def _text(label: Any) -> str:
    if isinstance(label, bytes):  # as HDF5 and TensorFlow keep names
        return label.decode(errors="surrogateescape")
    if isinstance(label, float | np.floating):
        if not float(label).is_integer():
            raise OptionError(f"there is a label {label}: {_EXPECTED}")
        return str(int(label))
    return str(label)


def _numbers(rows: np.ndarray) -> list[int]:
    """Return the column of the one in each row of one-hot labels."""
    ones = rows == 1
    wrong = np.flatnonzero((ones.sum(axis=1) != 1) | (ones != rows.astype(bool)).any(axis=1))
    if len(wrong):
        raise OptionError(
            f"the labels have the shape {rows.shape}, but row {wrong[0]} is not one-hot: expected "
            "one 1 and else 0; give labels.argmax(axis=1) if these are probabilities"
        )
    numbers: list[int] = ones.argmax(axis=1).tolist()
    return numbers
