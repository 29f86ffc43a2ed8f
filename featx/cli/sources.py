"""Sources of a command: paths, a pattern of them, a list in a file or on stdin."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from featx.cli.help import option
from featx.errors import OptionError
from featx.features.saved import is_saved
from featx.images.pattern import is_pattern
from featx.images.table import is_table

Command = Callable[..., Any]
_STDIN = "-"


def source_arguments(command: Command) -> Command:
    """Let a command take PATH... and --files-from; it gets them as `source`.

    That is a path where there is one alone, such as that of a folder, else a list of them.
    """

    @functools.wraps(command)
    def called(paths: tuple[str, ...], files_from: str | None, **values: Any) -> Any:
        return command(source=_source_of(paths, files_from), **values)

    decorated: Command = option(
        "--files-from",
        metavar="FILE",
        help="Take further paths from a file, one a line; - is stdin, as it is for PATH.",
        group="Pictures",
    )(called)
    return click.argument("paths", nargs=-1, metavar="PATH...")(decorated)


def listed_alone(source: str | list[str]) -> str | list[str]:
    """Put a path of a single picture into a list, in which one that is not there is a row, too."""
    if isinstance(source, list) or is_table(source) or is_saved(source) or is_pattern(source):
        return source
    return [source]


def _source_of(paths: tuple[str, ...], files_from: str | None) -> str | list[str]:
    lists = [*([files_from] if files_from else []), *(each for each in paths if each == _STDIN)]
    named = [each for each in paths if each != _STDIN]
    if not lists and not named:
        raise click.UsageError("Missing argument 'PATH...'.")
    if not lists and len(named) == 1:
        return named[0]
    return named + [path for each in dict.fromkeys(lists) for path in _listed_in(each)]


def _listed_in(file: str) -> list[str]:
    """Read paths, a line each; where a zero byte is among them (find -print0), between these."""
    try:
        content = sys.stdin.buffer.read() if file == _STDIN else Path(file).read_bytes()
    except OSError as error:
        raise OptionError(f"cannot read the list of paths {file!r}: {error.strerror}") from error
    parts = content.split(b"\0") if b"\0" in content else content.splitlines()
    return [os.fsdecode(part) for part in parts if part.strip()]
