"""Rows of a table and the pictures that they name, matched."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from featx.errors import ImageSourceError
from featx.images.labels import Label
from featx.images.listing import named_as_image
from featx.images.memory import MemoryImage
from featx.images.table import Table
from featx.paths import plain_path
from featx.storage.address import is_address, joined, local_path
from featx.text import count, listed

_NAMES: dict[str, Callable[[str], str]] = {
    "the names of the files alone": lambda path: os.path.basename(plain_path(path)),
    "the names of the files alone, without suffix": lambda path: Path(plain_path(path)).stem,
}


def rows_of(
    paths: Sequence[str],
    table: Table,
    column: Sequence[Any],
    labels: Sequence[Label | None],
    folders: Sequence[str],
) -> tuple[list[int | None], list[str]]:
    """Find for each picture the row of a table that names it, None where none does.

    `column` and `labels` are the cells of the table. Relative paths begin in the first of
    `folders` where that finds a picture. Where it nowhere does, the names of files will do, if no
    two pictures have the same. Returns the rows, and a line each on pictures without a row and
    rows without a picture. A table that names none of the pictures, or gives one of them several
    labels, is an `ImageSourceError`.
    """
    texts = [_text(cell) for cell in column]
    own = [_key(path) for path in paths]
    pictures, notes = set(own), list[str]()
    found = table.begin(texts, folders, lambda path: _key(path) in pictures)
    if found is None and any(is_address(text) and _key(text) in pictures for text in texts):
        found = folders[0], texts
    if found is None:
        keys, own, how = _by_name(texts, paths, table)
        notes.append(f"pictures are found in {table.name} by {how}")
    else:
        keys = [_key(joined(found[0], local_path(text))) for text in found[1]]
    rows: dict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        rows[key].append(row)
    chosen = [rows[key][0] if key in rows else None for key in own]
    for path, key in zip(paths, own, strict=True):
        if len(several := {str(labels[row]) for row in rows.get(key, ())}) > 1:
            raise ImageSourceError(
                f"{table.name} gives {path} the labels {listed(sorted(several))}: expected one"
            )
    lost = [path for path, row in zip(paths, chosen, strict=True) if row is None]
    if lost:
        which = f"{len(lost):,} of {count(len(paths), 'picture')}"
        verbs = ("has", "is") if len(lost) == 1 else ("have", "are")
        notes.append(
            f"{which} {verbs[0]} no row in {table.name} and {verbs[1]} left out{_first(lost)}"
        )
    pictures = set(own)
    empty = [text for text, key in zip(texts, keys, strict=True) if key not in pictures]
    if empty:
        which = f"{len(empty):,} of {count(len(texts), 'row')} of {table.name}"
        notes.append(f"{which} {'has' if len(empty) == 1 else 'have'} no picture{_first(empty)}")
    return chosen, notes


def notes_on_others(paths: Sequence[str], table: Table) -> list[str]:
    """Say how many pictures beside those of a table have no row in it, in a line at most."""
    known = {_key(path) for path in paths if not isinstance(path, MemoryImage)}
    others = []
    folders = {os.path.dirname(path) for path in known if not is_address(path)}
    for folder in sorted(folders):
        try:
            names = sorted(filter(named_as_image, os.listdir(folder)))
        except OSError:  # the outcomes of its pictures say so
            continue
        others += [path for name in names if _key(path := os.path.join(folder, name)) not in known]
    if not others:
        return []
    which = f"{count(len(others), 'picture')} beside those of {table.name}"
    return [f"{which} {'has' if len(others) == 1 else 'have'} no row in it{_first(others)}"]


def _by_name(
    texts: Sequence[str], paths: Sequence[str], table: Table
) -> tuple[list[str], list[str], str]:
    """Match by the names of files; return the keys of rows and of pictures, and how."""
    for how, name_of in _NAMES.items():
        names, own = [name_of(text.replace("\\", "/")) for text in texts], [*map(name_of, paths)]
        if len(set(own)) == len(own) and not set(own).isdisjoint(names):
            return names, own, how
    raise ImageSourceError(
        f"{table.name} names none of the {count(len(paths), 'picture')}: its first row is "
        f"{texts[0] if texts else 'missing'}, the first picture {paths[0]}; name the folder in "
        "which its paths begin by --root (in Python root=)"
    )


def _text(cell: Any) -> str:
    """Return a cell of a path as text; one that is missing is empty."""
    return "" if cell is None or cell != cell else str(cell)


def _key(path: str) -> str:
    """Return what two ways to write a path have in common."""
    path = os.path.expanduser(local_path(plain_path(path)))
    return path if is_address(path) else os.path.normcase(os.path.abspath(path))


def _first(names: Sequence[str]) -> str:
    return f": {names[0]}" if len(names) == 1 else f", such as {names[0]}"
