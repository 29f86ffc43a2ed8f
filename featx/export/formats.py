"""The formats of exported files, and what writes each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from featx.backbones.framework import imported
from featx.errors import OptionError, check_choice
from featx.export.runtime import RUNTIMES, Runtime

if TYPE_CHECKING:
    from featx.export.held import Held
    from featx.export.original import Original


@dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes
    ----------
    name : str
        What to call it.
    suffix : str
        How the names of its files end.
    writer : str
        What writes a model to a path, "module:callable": in int8 where it gets pictures.
    quantizes : bool
        Whether it has int8.
    beside : str
        The suffix of a second file, which holds the weights.
    needs : tuple of str
        The modules that write it, beside its runtime.
    """

    name: str
    suffix: str
    writer: str
    quantizes: bool = True
    beside: str = ""
    needs: tuple[str, ...] = ()

    @property
    def runtime(self) -> Runtime:
        """What runs its files."""
        return RUNTIMES[self.name]

    def require(self) -> None:
        """Raise an `OptionError` unless what writes and runs its files is installed."""
        for package in (self.runtime.package, *self.needs):
            if find_spec(package) is None:
                raise OptionError(
                    f"export to {self.name} needs {package}, which is not installed: "
                    'pip install "featx[export]"'
                )

    def files(self, path: Path) -> list[Path]:
        """List the files that one at a path is made of, itself the last."""
        return [*([path.with_suffix(self.beside)] if self.beside else []), path]

    def write(self, original: Original, path: Path, pictures: Held | None = None) -> None:
        """Write a model to a path; in int8 where there are pictures to calibrate on."""
        writer: Callable[[Original, Path, Held | None], None] = imported(self.writer)
        writer(original, path, pictures)


FORMATS = {
    each.name: each
    for each in (
        Format("onnx", ".onnx", "featx.export.writers:onnx_writer", needs=("onnx", "tf2onnx")),
        Format("openvino", ".xml", "featx.export.writers:openvino_writer", beside=".bin"),
        Format("litert", ".tflite", "featx.export.writers:litert_writer"),
        Format("keras", ".keras", "featx.export.writers:keras_writer", quantizes=False),
    )
}


def format_of(path: str | os.PathLike[str], name: str | None) -> Format:
    """Return the format that is asked for, or that of the name of a file.

    Raises an `OptionError` where the format is unknown, or the name does not end as its files do.
    """
    suffix = Path(path).suffix.lower()
    suffixes = {each.suffix: each for each in FORMATS.values()}
    if name is None:
        if suffix not in suffixes:
            raise OptionError(
                f"cannot export to {os.fspath(path)}: expected a name that ends in "
                f"{', '.join(suffixes)}"
            )
        return suffixes[suffix]
    check_choice("format", name, tuple(FORMATS))
    if suffix != FORMATS[name].suffix:
        raise OptionError(
            f"cannot export to {os.fspath(path)}: expected a name that ends in "
            f"{FORMATS[name].suffix} for {name}"
        )
    return FORMATS[name]
