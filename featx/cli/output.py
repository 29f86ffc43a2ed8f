"""What the commands print: tables and text for people, one JSON document for scripts."""

from __future__ import annotations

import json
import logging
import math
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import click


@contextmanager
def working() -> Iterator[None]:
    """Send whatever libraries print to stderr, so that stdout holds the result alone."""
    with redirect_stdout(sys.stderr):
        yield


def emit(document: Any, text: str, *, as_json: bool) -> None:
    """Print a result: as JSON for a script, as text for a person.

    Parameters
    ----------
    document : dict or list
        The result as plain values; NaN becomes null.
    text : str
        The same for a person.
    as_json : bool
        Which of the two.
    """
    if as_json:
        click.echo(json.dumps(_plain(document), indent=2))
    else:
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        click.echo(text.encode(encoding, "replace").decode(encoding))


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[str] = ()) -> str:
    """Lay out rows in columns.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : sequence of sequences
        The cells.
    right : sequence of str, default=()
        Names of the columns to align on the right.
    """
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for cell, width, name in zip(row, widths, header, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def percent(share: float) -> str:
    """Write a share from 0 to 1 as a percentage, and an unknown one, NaN, as a dash."""
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"


def size(count: float) -> str:
    """Write a number of bytes for a person."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def count(number: int, noun: str) -> str:
    """Write a number with its noun: 1 image, 2 images."""
    plural = {"class": "classes"}.get(noun, noun + "s")
    return f"{number:,} {noun if number == 1 else plural}"


def short_name(folder: str) -> str:
    """Name a folder by its last two parts: fruit/train."""
    parts = [part for part in Path(folder).parts if part != ".." and part != Path(folder).anchor]
    return "/".join(parts[-2:]) or Path(folder).resolve().name


def command_line() -> str:
    """Return the command that is running, as it could be typed."""
    return shlex.join(["featx", *click.get_current_context().find_root().obj])


def complain(message: str) -> None:
    """Print one line on stderr."""
    line = " ".join(message.encode("utf-8", "backslashreplace").decode().split())
    click.echo(f"featx: {line}", err=True)


@contextmanager
def short_warnings() -> Iterator[None]:
    """Print warnings of featx as one line each, and none of the libraries below it."""
    handler = logging.Handler()
    handler.emit = lambda record: complain(f"warning: {record.getMessage()}")  # type: ignore[method-assign]
    logger = logging.getLogger("featx")
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", module=r"featx\.|__main__")
            warnings.showwarning = lambda message, *_, **__: complain(f"warning: {message}")
            yield
    finally:
        logger.removeHandler(handler)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "item"):  # a number of numpy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
