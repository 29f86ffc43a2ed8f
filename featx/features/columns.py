"""Columns beside the vectors: paths and labels as arrays, labels of files, names of features."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import OptionError, one_line
from featx.features.parts.rows import LazyRows
from featx.images.labels import Label, class_name, labels_of, notes_on_names, of_one_type

if TYPE_CHECKING:
    from featx.features.recipe import Recipe


def as_labels(labels: Sequence[Any]) -> np.ndarray | None:
    """Return labels as an array of their type, or of object where some are None.

    Those of several types are texts.
    """
    if all(label is None for label in labels):
        return None
    alike = of_one_type(labels)
    return np.array(alike, dtype=object if None in alike else None)


def as_paths(paths: Sequence[str]) -> np.ndarray:
    """Return paths as an array of str objects, long ones and short ones alike."""
    return np.array(list(paths), dtype=object)


def as_arrays(X: Any, y: Any, paths: Any) -> dict[str, Any]:
    """Return what is no array yet, such as lists of one's own, as the arrays of features."""
    made: dict[str, Any] = {}
    if isinstance(X, LazyRows):
        pass
    elif not isinstance(X, np.ndarray) or X.dtype.kind != "f" or X.dtype.itemsize < 4:
        try:
            made["X"] = X = np.asarray(X, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise OptionError(
                f"X is no array of numbers ({one_line(error)}): expected a row an image"
            ) from error
    if X.ndim < 2:
        raise OptionError(f"X has the shape {X.shape}: expected a row an image, (n, width)")
    if y is not None and not isinstance(y, np.ndarray):
        given = list(y)
        made["y"] = as_labels(labels_of(given, len(given)))
    if not isinstance(paths, np.ndarray):
        made["paths"] = as_paths([os.fspath(path) for path in paths])
    return made


def chosen_columns(columns: Sequence[int] | slice | np.ndarray, width: int) -> np.ndarray | slice:
    """Return columns as what selects them, or raise an `OptionError`."""
    chosen = columns if isinstance(columns, slice) else np.asarray(columns)
    try:
        np.arange(width)[chosen]
    except IndexError as error:
        raise OptionError(f"columns of {width:,}: {one_line(error)}") from error
    return chosen


def first_rows(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return the first row of each digest that is asked for, -1 where none is known."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = pc.index_in(pa.array(known), value_set=pa.array(np.unique(asked)))
    rows = np.flatnonzero(places.is_valid().to_numpy(zero_copy_only=False))
    found = np.full(len(np.unique(asked)), -1)
    found[places.drop_null().to_numpy()[::-1]] = rows[::-1]
    return found[np.searchsorted(np.unique(asked), asked)]


def feature_names(recipe: Recipe | None, width: int) -> list[str]:
    """Name the columns of a feature matrix, such as resnet50_0, resnet50_1."""
    prefix = recipe.backbone if recipe else "feature"
    return [f"{prefix}_{column}" for column in range(width)]


def texts_of(labels: Sequence[Label | None]) -> tuple[list[str | None] | None, str | None]:
    """Return labels as texts, None where there are none, and the type that these do not tell.

    It is "int", "bool" or None.
    """
    texts = [None if label is None else str(label) for label in labels]
    kinds = {type(label).__name__ for label in labels if label is not None}
    return texts if kinds else None, kinds.pop() if kinds in ({"int"}, {"bool"}) else None


def labels_from_texts(texts: Sequence[Any] | None, kind: object) -> np.ndarray | None:
    """Return labels of a file in the type that they were saved in."""
    if texts is None:
        return None
    read: Callable[[str], Label] = {"int": _number, "bool": _truth}.get(str(kind), str)
    return as_labels([None if text is None else read(text) for text in texts])


def corrected(labels: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Return labels of a table that a person may have edited, and what is to be said of them.

    A name that cannot be told apart from another one on the screen is that one.
    """
    names = {label for label in labels if label is not None}
    twins = {name: class_name(name) for name in names}
    twins = {name: twin for name, twin in twins.items() if twin in names and twin != name}
    return [twins.get(label, label) for label in labels], notes_on_names(twins)


def _number(text: str) -> Label:
    """Read a label that was a whole number, as programs write it that edit tables: 7 or 7.0."""
    with suppress(ValueError):
        return int(text)
    whole = re.fullmatch(r"([+-]?[0-9]+)\.0*", text)
    return int(whole[1]) if whole else text


def _truth(text: str) -> Label:
    """Read a label that was a truth value; spreadsheets and R write it in capital letters."""
    return {"true": True, "false": False}.get(text.lower(), text)
