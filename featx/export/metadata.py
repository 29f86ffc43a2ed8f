"""The metadata inside an exported file: what it takes, what it gives, what it was made of."""

from __future__ import annotations

import html
import json
import mmap
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from featx.backbones.network_header import varint
from featx.errors import ModelFileError, StorageError, one_line
from featx.features.recipe import Recipe
from featx.images.labels import Label
from featx.images.square import Square

NAME = "featx"  # of the entry in ONNX and OpenVINO's .xml; in the zip of the others NAME.json
FORMAT = 1
_MOST = 4 << 20  # bytes
_MOST_FIELDS = 10_000  # of an ONNX file, outside its graph
_PROPERTY = 14  # the number of the field of onnx.proto that holds a key and its value


@dataclass(frozen=True)
class ExportMetadata:
    """What an exported file says of itself.

    Attributes
    ----------
    classes : tuple of str, int or bool
        The classes, in the order of the probabilities.
    recipe : Recipe
        How a picture becomes a vector; its `square` is what the file takes.
    weights : tuple of mapping
        Of each network: its name, and whose weights under what licence, where that is known.
    featx : str
        The version that wrote the file.
    date : str
        The day of that, such as "2026-01-31" (UTC).
    precision : {"float32", "int8"}
        The number format that most of it computes in.
    threshold : float or None
        From which probability up a model that may be unsure answers; None where it always does.
    """

    classes: tuple[Label, ...]
    recipe: Recipe
    weights: tuple[Mapping[str, str], ...] = ()
    featx: str = ""
    date: str = ""
    precision: str = "float32"
    threshold: float | None = None

    @property
    def inputs(self) -> dict[str, Square]:
        """The inputs by name, each with what a picture is made into for it."""
        return inputs_of([part.square for part in self.recipe.parts])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as they stand in a file."""
        return {
            "format": FORMAT,
            "classes": list(self.classes),
            "inputs": {name: _described(square) for name, square in self.inputs.items()},
            "output": f"probabilities: float32, n x {len(self.classes)}",
            "threshold": self.threshold,
            "precision": self.precision,
            "recipe": self.recipe.to_dict(),
            "fingerprint": self.recipe.fingerprint,
            "weights": [dict(each) for each in self.weights],
            "featx": self.featx,
            "date": self.date,
        }

    @classmethod
    def from_dict(cls, said: Any) -> ExportMetadata:
        """Rebuild metadata from `to_dict`.

        Raises
        ------
        ValueError, TypeError, KeyError
            A value is missing or cannot be.
        """
        if said["format"] != FORMAT:
            raise ValueError(f"format {said['format']!r}, expected {FORMAT}; update featx")
        classes, weights = said["classes"], said["weights"]
        if not isinstance(classes, list) or not all(
            isinstance(each, str | int) for each in classes
        ):
            raise ValueError("classes are no names or numbers")
        if not isinstance(weights, list) or not all(isinstance(each, dict) for each in weights):
            raise ValueError("weights are no list")
        texts = {name: said[name] for name in ("featx", "date", "precision")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise ValueError("a text is none")
        threshold = said["threshold"]
        if threshold is not None and not (isinstance(threshold, float) and 0 <= threshold <= 1):
            raise ValueError("the threshold is no share")
        recipe = Recipe.from_dict(said["recipe"])
        return cls(
            tuple(classes),
            recipe,
            tuple({str(key): str(value) for key, value in each.items()} for each in weights),
            threshold=threshold,
            **texts,
        )


def inputs_of(squares: Sequence[Square]) -> dict[str, Square]:
    """Name the inputs of an exported file by the squares that its networks take.

    There is one, "pixels", unless joined networks take pictures of several sizes: then each is
    named with its size, "pixels_224" and "pixels_299".
    """
    different = list(dict.fromkeys(squares))
    if len(different) == 1:
        return {"pixels": different[0]}
    return {f"pixels_{square.size}": square for square in different}


def _described(square: Square) -> dict[str, Any]:
    settings = {name: value for name, value in asdict(square).items() if name != "view"}
    shape = f"n x {square.size} x {square.size} x 3"
    return {"pixels": f"uint8 RGB, {shape}", **settings, "orientation": "exif"}


def attach(path: Path, metadata: ExportMetadata) -> None:
    """Write metadata into an exported file, in the way that its format has for it."""
    text = json.dumps(metadata.to_dict())
    if path.suffix == ".onnx":
        import onnx

        model = onnx.load(path)
        onnx.helper.set_model_props(model, {NAME: text})
        model.producer_name, model.producer_version = "featx", metadata.featx
        onnx.save(model, path)
    elif path.suffix == ".xml":
        _attach_to_xml(path, text)
    else:  # .keras is a zip file, and one may stand behind a LiteRT file, as its labels do
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{NAME}.json", text)


def _attach_to_xml(path: Path, text: str) -> None:
    """Put a text into the information that OpenVINO has at the end of its .xml."""
    content = path.read_text(encoding="utf-8")
    entry = f'<{NAME} value="{html.escape(text)}" />'
    before, found, after = content.rpartition("</rt_info>")
    if not found:
        before, found, after = content.rpartition("</net>")
        entry = f"<rt_info>{entry}</rt_info>"
    path.write_text(f"{before}{entry}{found}{after}", encoding="utf-8")


def read_metadata(path: str | os.PathLike[str]) -> ExportMetadata:
    """Read what a file that featx exported says of itself; no runtime is needed for that.

    Parameters
    ----------
    path : str or path
        A file in ONNX, OpenVINO's .xml, a LiteRT (.tflite) or a Keras file.

    Returns
    -------
    ExportMetadata

    Raises
    ------
    ModelFileError
        The file is missing, says nothing of the kind, or is damaged.
    StorageError
        The file cannot be read.
    """
    place = Path(path)
    if not place.is_file():
        raise ModelFileError(f"no file {place}: expected one that `featx export` wrote")
    try:
        place.open("rb").close()
    except OSError as error:
        raise StorageError(f"cannot read {place}: {error.strerror or error}") from error
    try:
        return ExportMetadata.from_dict(json.loads(text_within(place)))
    except MemoryError:
        raise
    except Exception as error:  # whatever zip and JSON make of another or a damaged file
        reason = f"missing {error}" if isinstance(error, KeyError) else one_line(error)
        raise ModelFileError(
            f"{place} is no file that `featx export` wrote, or a damaged one ({reason}); export "
            "it again"
        ) from error


def text_within(path: Path) -> bytes:
    """Return the text of an exported file that says what it is.

    Raises anything where there is none.
    """
    return {".onnx": _in_onnx, ".xml": _in_xml}.get(path.suffix.lower(), _in_zip)(path)


def _in_zip(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        raise ValueError("it says nothing of featx")
    with zipfile.ZipFile(path) as archive, archive.open(f"{NAME}.json") as member:
        return _bounded(member.read(_MOST + 1))


def _in_xml(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MOST))
        found = re.findall(rb'<featx value="([^"]*)"', file.read(_MOST))
    if not found:
        raise ValueError("it says nothing of featx")
    return html.unescape(found[-1].decode()).encode()


def _in_onnx(path: Path) -> bytes:
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        memoryview(data) as whole,
    ):
        for number, start, end in _messages(whole, 0, len(whole)):
            if number == _PROPERTY and end - start <= _MOST:
                entry = {key: bytes(whole[a:b]) for key, a, b in _messages(whole, start, end)}
                if entry.get(1) == NAME.encode():
                    return entry.get(2, b"")
    raise ValueError("it says nothing of featx")


def _messages(data: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Give number and place of the texts and messages of a message of protobuf."""
    for _ in range(_MOST_FIELDS):
        if start >= end:
            return
        key, start = varint(data, start, end)
        length, wire = 0, key & 7
        if wire == 0:
            _, start = varint(data, start, end)
        elif wire == 2:
            length, start = varint(data, start, end)
        else:
            length = {1: 8, 5: 4}.get(wire, end)
        if length > end - start:
            raise ValueError("it is cut off")
        if wire == 2:
            yield key >> 3, start, start + length
        start += length


def _bounded(text: bytes) -> bytes:
    if len(text) > _MOST:
        raise ValueError("it says too much of itself")
    return text
