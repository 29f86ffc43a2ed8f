"""Metadata of pictures, as Hugging Face keeps them: a table in their folder, or their own rows.

A folder has a file `metadata.csv`, `metadata.jsonl` or `metadata.parquet` with a column
`file_name`; it may be in the folders of the parts of a data set, too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from featx.errors import ImageSourceError, one_line
from featx.images.layout import role_of
from featx.images.regular import MAX_FILE_BYTES
from featx.images.table import Table
from featx.paths import member_of

if TYPE_CHECKING:
    import pandas as pd

FILE_COLUMN = "file_name"

_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_MOST_FOLDERS = 100  # that are looked into
_PART = re.compile(r"[A-Za-z]+")


def metadata_of(root: str, paths: Sequence[str]) -> Table | None:
    """Return the table in a folder that names its pictures; None where there is none.

    `paths` are those of the pictures. Its column `file_name` begins in the folder.
    """
    if (table := _inside(root)) is not None:
        return table
    beginning = os.path.join(root, "")
    folders = {path[len(beginning) :].partition(os.sep)[0] for path in paths}
    folders = {each for each in folders if os.path.isdir(beginning + each)}
    if len(folders) > _MOST_FOLDERS:
        return None
    tables = [_inside(beginning + each, each) for each in sorted(folders)]
    found = [table for table in tables if table is not None]
    return replace(found[0], frame=_joined(found), folder=root) if found else None


def table_of_shards(paths: Sequence[str], tables: Sequence[Table | None]) -> Table | None:
    """Join the rows of Parquet tables whose pictures these are; None where some are none of these.

    Tables whose names begin with train, test or validation are parts of a data set, which a column
    `split` says then.
    """
    found = [table for table in tables if table is not None]
    kinds = {member.kind if (member := member_of(path)) else "" for path in paths}
    if len(found) != len(tables) or not found or kinds != {"parquet"}:
        return None
    parts = [_PART.match(table.name) for table in found]
    roles = [role_of(part[0]) if part else None for part in parts]
    if None not in roles and len(set(roles)) > 1:
        found = [
            table
            if table.column("split") is not None
            else replace(table, frame=table.frame.assign(split=role))
            for table, role in zip(found, roles, strict=True)
        ]
    return replace(found[0], frame=_joined(found), name=f"{found[0].name} and others")


def _joined(tables: Sequence[Table]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([table.frame for table in tables], ignore_index=True)


def _inside(folder: str, beginning: str = "") -> Table | None:
    """Return the table directly in a folder, its names of files from `beginning` on."""
    for name in _NAMES:
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            continue
        table = _of_lines(path) if name.endswith(".jsonl") else Table.of(path)
        column = None if table is None else table.column(FILE_COLUMN)
        if table is not None and column is not None:
            names = [f"{beginning}/{each}" if beginning else str(each) for each in column]
            return replace(table, frame=table.frame.assign(**{str(column.name): names}))
    return None


def _of_lines(path: str) -> Table:
    """Read a table of JSON, an object a line."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_FILE_BYTES), ""), 1):
                row = json.loads(line) if line.strip() else {}
                if not isinstance(row, dict):
                    raise ValueError(f"line {number} is no object")
                rows += [{key: each for key, each in row.items() if _is_plain(each)}] if row else []
    except (OSError, ValueError, RecursionError) as error:
        raise ImageSourceError(
            f"{path!r} cannot be read ({one_line(error)}): expected an object of JSON a line, with "
            f"`{FILE_COLUMN}` and `label`"
        ) from error
    return Table(pd.DataFrame(rows), os.path.basename(path), os.path.dirname(path))


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)
