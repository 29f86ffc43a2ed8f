"""Errors, each also the builtin that a caller would expect, and how they are said."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterable
from typing import Any

from featx.text import printable


class FeatxError(Exception):
    """Base of every error that featx raises on purpose.

    The message is one line: what was got, what was expected, what to do. Names of files and classes
    in it do nothing to the terminal that shows it.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class OptionError(FeatxError, ValueError):
    """An option has a value that it cannot have."""


class UnknownBackboneError(OptionError):
    """No backbone has this name."""


class UnknownLayerError(OptionError):
    """The network has no layer of this name."""


class MissingPackageError(OptionError):
    """A package that an option needs is not installed."""


class UnknownClassifierError(OptionError):
    """No classifier has this name."""


class ImageSourceError(FeatxError, ValueError):
    """The images asked for are missing, empty, or without the labels that the task needs."""


class NoImagesError(ImageSourceError):
    """There is nothing to work on: no image where some may be, or none that can be read.

    Attributes
    ----------
    outcomes : tuple of Outcome
        What became of the files, where there are some.
    """

    def __init__(self, *message: str, outcomes: tuple[Any, ...] = ()) -> None:
        super().__init__(*message)
        self.outcomes = outcomes


class ImageSourceWarning(UserWarning):
    """Some of the images asked for are left out, or contradict each other; the result lists them.

    The shell prints it with the result.
    """


class ImageError(FeatxError, ValueError):
    """An image cannot be decoded, and `on_error="raise"` was asked for."""


class WeightsError(FeatxError, OSError):
    """The weights of a backbone cannot be found, fetched, read or fitted to it."""


class ConversionError(FeatxError, RuntimeError):
    """A network cannot be converted for the engine that was asked for."""


class ForkError(FeatxError, RuntimeError):
    """A forked process needs a framework that ran in its parent and cannot go on in a child."""


class StorageError(FeatxError, OSError):
    """A file cannot be read or written: no room, no permission, damaged."""


class ModelFileError(FeatxError, ValueError):
    """A file is not a featx model, or holds what is not safe to load."""


class RecipeMismatchError(FeatxError, ValueError):
    """Features or weights were made by another recipe than the model was trained on."""


def warn_of_images(lines: Iterable[str]) -> None:
    """Give an `ImageSourceWarning` for each line, at the place in the caller's code outside."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("featx."):
        level, frame = level + 1, frame.f_back
    for line in lines:
        warnings.warn(printable(line), ImageSourceWarning, stacklevel=level)


def check_choice(option: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise an `OptionError` that lists the choices unless `value` is one of them."""
    if value not in choices:
        raise OptionError(f"unknown {option} {value!r}: expected one of {', '.join(choices)}")


def one_line(error: BaseException) -> str:
    """Return what an error of a library says, or else its type, on one printable line."""
    text = printable(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"


def warn(message: str, *, above: int = 1) -> None:
    """Warn the caller of a function, or of one so many calls above it, in one printable line."""
    warnings.warn(printable(message), stacklevel=above + 2)


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module, whose messages are one printable line each."""
    logger = logging.getLogger(name)
    logger.addFilter(_make_printable)
    return logger


def _make_printable(record: logging.LogRecord) -> bool:
    record.msg, record.args = printable(record.getMessage()), None
    return True
