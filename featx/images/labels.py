"""Labels of images: numbers, truth values, names or one-hot rows, and names that are one class."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from featx.errors import OptionError
from featx.text import listed

#: The class of each image: a sequence, an array or a table. Any object, as numpy takes it.
Labels: TypeAlias = Any

#: What one image is labelled with.
Label: TypeAlias = str | int | bool

_LARGEST = 2**63  # of the whole numbers that an array holds; larger ones are names
_SPACE = r"[\s\x00\u200b\u2060\ufeff]+"  # and characters of no width; numpy drops a last NUL
_ENDS = re.compile(f"^{_SPACE}|{_SPACE}$")
_SEPARATORS = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")
_EXPECTED = "expected a class number or name for each image, or one-hot rows"


def labels_of(labels: Labels, n: int) -> tuple[Label | None, ...]:
    """Return the label of each of `n` images, of the type that was given.

    Numbers of classes are of `int`, whole floats too; truth values of `bool`; names, which may be
    texts or bytes, of `str`; where kinds are mixed, all are texts. One-hot rows of shape
    (n, classes), 0 and 1 of any dtype, mean the number of the column, or its name in a pandas
    DataFrame. What is missing (None, NaN) is no label. Labels of another number than the images, or
    of another kind, are an `OptionError`.
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
        return of_one_type([as_label(columns[number]) for number in _numbers(array)])
    import pandas as pd

    missing = pd.isna(array)
    return of_one_type(
        [
            None if absent else as_label(each)
            for each, absent in zip(array.tolist(), missing, strict=True)
        ]
    )


def of_one_type(labels: Sequence[Label | None]) -> tuple[Label | None, ...]:
    """Return labels as they are where they are of one type, else as texts: they are sorted."""
    if len({type(label) for label in labels if label is not None}) < 2:
        return tuple(labels)
    return tuple(None if label is None else str(label) for label in labels)


def classes_of(labels: Iterable[Label | None]) -> tuple[Label, ...]:
    """Return the distinct labels, which are of one type, sorted."""
    return tuple(sorted({label for label in labels if label is not None}))


def in_terms_of(
    classes: Sequence[Label], labels: Sequence[Label | None]
) -> tuple[Label | None, ...]:
    """Return labels of the type of classes, where they are written alike: "7" as 7.

    A model that learned numbers is judged by folders that are named so, and the other way round.
    Truth values and the numbers 0 and 1 are the same, as in Python.
    A number that is no such class is a number, too; what else is no class stays as it is. Models of
    earlier versions may know a class by a name that `class_names` would write otherwise.
    """
    known: dict[str, Label] = {class_name(str(name)) or "": name for name in classes}
    known |= {str(name): name for name in classes}
    if {*map(type, classes)} <= {bool, int} and {type(label) for label in labels} <= {bool, int}:
        known |= {
            str(kind(name)): name for name in classes if name in (0, 1) for kind in (bool, int)
        }
    if classes and all(type(name) is int for name in classes):
        known |= {name: int(name) for name in map(str, labels) if _is_number(name)}
    return tuple(None if label is None else known.get(str(label), label) for label in labels)


def _is_number(name: str) -> bool:
    return name.isdecimal() and len(name) < 19 and str(int(name)) == name


def as_label(label: Any) -> Label:
    """Return one label as `labels_of` does."""
    if isinstance(label, bool | np.bool_):
        return bool(label)
    if isinstance(label, int | np.integer) and -_LARGEST <= label < _LARGEST:
        return int(label)
    if isinstance(label, bytes):  # as HDF5 and TensorFlow keep names
        return label.decode(errors="surrogateescape")
    if isinstance(label, float | np.floating):
        if not float(label).is_integer():
            raise OptionError(f"there is a label {label}: {_EXPECTED}")
        return as_label(int(label))
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


def class_names(labels: Sequence[Label | None]) -> tuple[Label | None, ...]:
    """Return labels as they count: names in composed Unicode (NFC), without spaces at their ends.

    What cannot be told apart on the screen is one class. A name of spaces alone is no label. Labels
    of several types are texts.
    """
    labels = of_one_type(labels)
    known = {label: class_name(label) for label in set(labels) if isinstance(label, str)}
    return tuple(known[label] if isinstance(label, str) else label for label in labels)


def class_name(name: str) -> str | None:
    """Return a name as `class_names` does."""
    return _ENDS.sub("", unicodedata.normalize("NFC", name)) or None


def notes_on_names(labels: Iterable[Label | None]) -> list[str]:
    """Say which names `class_names` changes, and which classes look alike all the same."""
    given = sorted({each for each in labels if isinstance(each, str)})
    names = {each: class_name(each) for each in given}
    notes = []
    changed = [f"{each!a} is {name}" for each, name in names.items() if name and name != each]
    if changed:
        notes.append(
            "classes are named without spaces at the ends and in composed Unicode, NFC: "
            f"{listed(changed)}"
        )
    alike = look_alike(name for name in names.values() if name)
    if alike:
        told = [" and ".join(map(repr, several)) for several in alike]
        notes.append(f"classes that look alike and count as different: {listed(told)}")
    return notes


def look_alike(names: Iterable[str]) -> list[list[str]]:
    """Group names that differ in upper and lower case, or in what separates words, alone."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        if len(name) > 1:  # letters may well be classes
            groups[_looks(name)].append(name)
    return [several for several in groups.values() if len(several) > 1]


def _looks(name: str) -> str:
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", name)).casefold()
