"""Kinds of files that somebody may take for a model, told by how they begin and what they hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO

from featx.export.metadata import NAME, ExportMetadata, text_within
from featx.models.zip_contents import MOST_TEXT, small_json, unpacked
from featx.tensors.stored_zip import Member

TEXT = f"{NAME}.json"  # of a model that was exported, where that is a zip file
_FEATURES = "`featx train` and `featx evaluate` take it"
_PICTURE = "`featx predict MODEL` takes it"
_NETWORK = "`--backbone` takes it as a network, if it is one that was trained on pictures"
EXPORTED = "the runtime of its format runs it; featx loads the model that it was exported from"
# How a file begins, at which byte, what it is, and what to do with it.
_BEGINNINGS = (
    (b"ARROW1", 0, "a file of the cache", "`featx cache check` looks at it"),
    (b"PAR1", 0, "a table in Parquet, such as saved features", _FEATURES),
    (b"\x93NUMPY", 0, "an array of numpy, such as saved features", _FEATURES),
    (b"\xff\xd8\xff", 0, "a picture", _PICTURE),
    (b"\x89PNG", 0, "a picture", _PICTURE),
    (b"\x89HDF", 0, "a file of HDF5, such as weights of Keras", "`--weights` takes those"),
    (b"TFL3", 4, "a model for LiteRT", EXPORTED),
    (b"<?xml", 0, "an XML file, such as a network of OpenVINO", _NETWORK),
    (b"\x80", 0, "a pickle", "featx never opens one: it could run anything"),
    (b"\x08", 0, "an ONNX file, as it seems", _NETWORK),
    (b"SQLite format 3", 0, "a database", ""),
)


def kind_of_file(beginning: bytes, members: Collection[str]) -> tuple[str | None, str]:
    """Say what a file seems to be, by its first bytes and the members that it has if it is a zip.

    Returns what it is, None where that is not known, and what to do with it.
    """
    if TEXT in members:
        return "a model that was exported by featx", EXPORTED
    if any(name.endswith("data.pkl") for name in members):
        return "a file of PyTorch", "`--weights` takes weights in it; nothing in it is run"
    if "config.json" in members:
        return "a model of Keras", "`featx.Backbone.from_keras` takes it, once Keras has loaded it"
    if members and all(name.endswith(".npy") for name in members):
        return "arrays of numpy, such as saved features", _FEATURES
    for mark, place, kind, advice in _BEGINNINGS:
        if beginning[place : place + len(mark)] == mark:
            return kind, advice
    if beginning.startswith(b"PK"):
        return None, ""
    return None, "expected a model that `featx train` wrote"


def exported_metadata(
    path: str, file: IO[bytes], members: Mapping[str, Member]
) -> ExportMetadata | None:
    """Return what an exported model says of itself; None where a file may not be one.

    Raises a `RefusedError`, a `FeatxError` or an error of invalid values where it is damaged.
    """
    if TEXT in members:
        return ExportMetadata.from_dict(small_json(unpacked(file, members[TEXT], MOST_TEXT)))
    if path.lower().endswith((".onnx", ".xml")):
        return ExportMetadata.from_dict(small_json(text_within(Path(path))))
    return None
