"""Output of the commands: tables and text for people, one JSON document for scripts."""

from __future__ import annotations

import csv
import json
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import click

from featx.files import written


@contextmanager
def working() -> Iterator[None]:
    """Send whatever libraries print to stderr, so that stdout holds the result alone."""
    with redirect_stdout(sys.stderr):
        yield


def emit(document: Any, text: str, *, as_json: bool, **files: str | None) -> None:
    """Print a result: plain values as JSON for a script, NaN as null, or the text for a person.

    Both name the files that were written, if any, by the names of their options.
    """
    if as_json:
        whole = {**document, **files} if isinstance(document, dict) else document
        text = json.dumps(whole, default=lambda number: number.item())  # a number of numpy
        plain = json.loads(text, parse_constant=lambda name: None)  # NaN, infinity
        click.echo(json.dumps(plain, indent=2))
        return
    text = "\n".join([text, *(f"wrote {file}" for file in files.values() if file)])
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding))


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[str] = ()) -> str:
    """Lay out rows in columns, those that `right` names aligned on the right."""
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


def write_csv(path: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same keys as a table."""
    with (
        written(path) as file,
        file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as sink,
    ):
        writer = csv.DictWriter(sink, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


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
