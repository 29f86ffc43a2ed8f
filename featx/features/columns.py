"""Columns beside the vectors: paths and labels as arrays, labels of files, names of features."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.images.labels import Label, class_name, notes_on_names, of_one_type

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


def feature_names(recipe: Recipe | None, width: int) -> list[str]:
    """Name the columns of a feature matrix, such as resnet50_0, resnet50_1."""
    prefix = recipe.backbone if recipe else "feature"
    return [f"{prefix}_{column}" for column in range(width)]


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
