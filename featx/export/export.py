"""The export of a model: a file that another runtime runs, checked before it takes its place."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata as packages
from pathlib import Path
from typing import Any

import numpy as np

from featx.errors import ConversionError, OptionError
from featx.export.formats import FORMATS, Format, format_of
from featx.export.held import Held, drawn_pictures, pictures_of
from featx.export.metadata import ExportMetadata, attach
from featx.export.original import Original
from featx.export.quantization import Int8Comparison
from featx.export.reference import reference
from featx.files import check_writable, storage_errors, written
from featx.images.source import ImageSource
from featx.progress import waiting
from featx.text import count, printable, size

TOLERANCE = 1e-3  # of probabilities, between featx and a file in float32
_MOST_CHECKED = 100


@dataclass(frozen=True)
class Export:
    """A model that was exported: the file, and how it was checked.

    Attributes
    ----------
    path : Path
        The file.
    format : str
        Its format: "onnx", "openvino", "litert" or "keras".
    files : tuple of Path
        What it is made of; of OpenVINO that is a second one with the weights.
    metadata : ExportMetadata
        What it says of itself; `featx.read_metadata` reads that back.
    difference : float
        The largest difference of a probability between featx and the file in its runtime.
    n_checked : int
        On how many pictures that was found.
    drawn : bool
        Whether these were drawn for it, as none were given.
    int8 : Int8Comparison or None
        How a file in int8 differs from the model, on pictures held out; None for float32.
    notes : tuple of str
        What the model does and the file does not.
    """

    path: Path
    format: str
    files: tuple[Path, ...]
    metadata: ExportMetadata
    difference: float
    n_checked: int
    drawn: bool = True
    int8: Int8Comparison | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(each.stat().st_size for each in self.files)

    @property
    def reference(self) -> str:
        """A program of a few lines that labels a picture with the file, without featx."""
        return reference(self.format, self.path, self.metadata.inputs)

    @property
    def summary(self) -> str:
        """What was written and how it was checked, in a few lines."""
        names = " and ".join(printable(each) for each in self.files[::-1])
        shown = "drawn pictures" if self.drawn else "pictures"
        lines = [
            f"{FORMATS[self.format].runtime.name} file {names}: {size(self.size)}, "
            f"{count(len(self.metadata.classes), 'class')}, {self.metadata.precision}"
        ]
        if self.int8 is None:
            lines.append(
                f"probabilities differ from featx by {self.difference:.1e} at most, on "
                f"{self.n_checked} {shown}"
            )
        else:
            lines.append(str(self.int8))
        return "\n".join([*lines, *self.notes])

    def __str__(self) -> str:
        return self.summary

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "path": str(self.path),
            "format": self.format,
            "files": [str(each) for each in self.files],
            "size": self.size,
            "difference": self.difference,
            "n_checked": self.n_checked,
            "int8": self.int8.to_dict() if self.int8 else None,
            "notes": list(self.notes),
            "metadata": self.metadata.to_dict(),
            "reference": self.reference,
        }


def export(
    original: Original,
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    quantize: bool = False,
    source: ImageSource | None = None,
    progress: bool = True,
) -> Export:
    """Export a model to a file; see `featx.ImageClassifier.export`.

    The pictures of `source` check the file; of one in int8 some are calibrated on.
    """
    target, kind = Path(path), format_of(path, format)
    calibrated = None
    if source is None:
        checked = drawn_pictures(original.inputs)
    else:
        checked = pictures_of(source, original.inputs, original.classes, progress=progress)
    if quantize:
        calibrated, checked = checked.divided()
    else:
        checked = checked.first(_MOST_CHECKED)
    made = _metadata(original, "int8" if quantize else "float32")
    with (
        storage_errors(target),
        waiting(f"exporting to {kind.name}: that may take a minute", shown=progress),
        tempfile.TemporaryDirectory(prefix="featx-", ignore_cleanup_errors=True) as folder,
    ):
        draft = Path(folder) / f"model{kind.suffix}"
        kind.write(original, draft, calibrated)
        attach(draft, made)
        actual, expected = _computed(kind, draft, checked), original.computed(checked.pixels)
        if not quantize:
            _require_near(kind, actual, expected)
        for each, final in zip(kind.files(draft), kind.files(target), strict=True):
            with written(final) as temporary:
                shutil.copyfile(each, temporary)
    return Export(
        path=target,
        format=kind.name,
        files=tuple(kind.files(target)),
        metadata=made,
        difference=float(np.abs(actual - expected).max()),
        n_checked=len(checked),
        drawn=source is None,
        int8=Int8Comparison.of(actual, expected, checked.truth) if quantize else None,
        notes=tuple(original.differences),
    )


def _metadata(original: Original, precision: str) -> ExportMetadata:
    return ExportMetadata(
        classes=original.classes,
        recipe=original.exported.recipe,
        weights=tuple(original.weights),
        featx=packages.version("featx"),
        date=datetime.now(UTC).date().isoformat(),
        precision=precision,
        threshold=original.threshold,
    )


def check_export(
    path: str | os.PathLike[str],
    format: str | None,
    *,
    quantize: bool,
    source: ImageSource | None,
) -> None:
    """Check before any work is done that a model can be exported so."""
    kind = format_of(path, format)
    for each in kind.files(Path(path)):
        check_writable(each)
    kind.require()
    if not quantize:
        return
    if not kind.quantizes:
        able = ", ".join(each.name for each in FORMATS.values() if each.quantizes)
        raise OptionError(f"{kind.name} has no int8: quantize goes with {able}")
    if source is None:
        raise OptionError(
            "quantize takes pictures to calibrate on and to judge by: give calibrate, a folder of "
            "them (--calibrate FOLDER)"
        )


def _computed(kind: Format, path: Path, pictures: Held) -> np.ndarray:
    """Run a file in its runtime, a picture at a time, as some networks take no more."""
    computed = kind.runtime.open(path)
    return np.concatenate([computed(batch) for batch in pictures.batches()])


def _require_near(kind: Format, actual: np.ndarray, expected: np.ndarray) -> None:
    """Refuse a file that gives other probabilities for most pictures than featx.

    For a few they may differ where a classifier jumps, as one of nearest neighbours does.
    """
    differences = np.abs(actual - expected).max(axis=1)
    if not np.median(differences) < TOLERANCE:
        raise ConversionError(
            f"{kind.runtime.name} gives other probabilities than featx (by "
            f"{float(differences.max()):.1e}): the file is not written"
        )
