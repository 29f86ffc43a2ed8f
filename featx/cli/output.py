"""Output of the commands: tables and text for people, one JSON document for scripts."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import click

from featx.errors import ImageSourceWarning
from featx.text import printable, printable_lines, width


@contextmanager
def working() -> Iterator[None]:
    """Send whatever libraries print to stderr, so that stdout holds the result alone."""
    with redirect_stdout(sys.stderr):
        yield


def emit(document: Any, text: str, *, as_json: bool, **files: str | None) -> None:
    """Print a result: plain values as JSON for a script, NaN as null, or the text for a person.

    Both name the files that were written, if any, by the names of their options. A quiet command
    prints no text where the result is in a file, the one of `--out`.
    """
    if as_json:
        whole = {**document, **files} if isinstance(document, dict) else document
        say(json_text(whole, indent=2))
        return
    if is_quiet() and files.get("out"):
        return
    say("\n".join([text, *(f"wrote {printable(file)}" for file in files.values() if file)]))


def json_text(document: Any, *, indent: int | None = None) -> str:
    """Write plain values as JSON, NaN as null; without an indent in one line."""
    text = json.dumps(document, default=lambda number: number.item())  # a number of numpy
    plain = json.loads(text, parse_constant=lambda name: None)  # NaN, infinity
    return json.dumps(plain, indent=indent).replace("\x7f", "\\u007f")  # JSON lets it stand


def save_plot(path: str | None, result: Any, **options: Any) -> None:
    """Draw a result into a file, if one was asked for."""
    if path is None:
        return
    import matplotlib

    from featx.charts.style import save_figure

    matplotlib.use("agg")  # into a file, never onto a screen
    save_figure(result.plot(**options).figure, path)


def say(text: str, *, err: bool = False) -> None:
    """Print lines in which nothing drives the terminal, in the letters that it has."""
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    click.echo(printable_lines(text).encode(encoding, "replace").decode(encoding), err=err)


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[str] = ()) -> str:
    """Lay out rows in columns, those that `right` names aligned on the right."""
    cells = [[printable(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        room = [" " * (most - width(cell)) for most, cell in zip(widths, row, strict=True)]
        padded = [
            space + cell if name in right else cell + space
            for cell, space, name in zip(row, room, header, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def complain(message: str) -> None:
    """Print one line on stderr."""
    say(f"featx: {' '.join(message.split())}", err=True)


def is_quiet() -> bool:
    """Whether the command is to print nothing but its result and errors."""
    return logging.getLogger("featx").level == logging.ERROR  # its own, not one that others set


class _Lines(logging.Handler):
    """Messages of featx on stderr, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        warns = record.levelno >= logging.WARNING
        complain(f"{'warning: ' if warns else ''}{record.getMessage()}")


@contextmanager
def short_warnings() -> Iterator[None]:
    """Print warnings of featx as one line each, and none of the libraries below it.

    A quiet command prints none, and a verbose one whatever featx logs, too.
    """
    handler, logger = _Lines(), logging.getLogger("featx")
    level = logger.level
    logger.setLevel(level or logging.WARNING)  # its own, whatever a library has set for all
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", module=r"featx\.|__main__")
            warnings.simplefilter("ignore", ImageSourceWarning)  # the result says it
            warnings.showwarning = _complain_of
            yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _complain_of(message: Warning | str, *_: Any, **__: Any) -> None:
    if not is_quiet():
        complain(f"warning: {message}")
