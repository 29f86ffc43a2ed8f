"""The header of a network in a file: what it takes, and which files hold its weights.

It is read without OpenVINO, and what it says is checked: a file of a network may be damaged, or
made to do harm. Of ONNX the fields of protobuf are walked that could make a reader go astray: sizes
of tensors, and files that hold them.
"""

from __future__ import annotations

import math
import mmap
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from featx.errors import StorageError, WeightsError, one_line
from featx.text import shortened

Shape = tuple[int | None, ...]  # None for what may vary

_MOST_FIELDS = 5_000_000  # a large network has some 100,000
_MOST_DEEP = 32  # messages within messages
_MOST_XML = 64 << 20  # bytes
# Fields that hold messages, by kind of message: their numbers as in onnx.proto.
_INSIDE = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "input", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "input": {2: "type"},
    "type": {1: "tensor type"},
    "tensor type": {2: "shape"},
    "shape": {1: "dimension"},
}
_DIMS, _DATA_TYPE, _NAME, _RAW, _ENTRY, _LOCATION = 1, 2, 8, 9, 13, 14  # of a tensor
# Bits of an element, by data type: float32, uint8, ..., the eights of float8, the fours.
_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64}
_BITS |= {14: 64, 15: 128, 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4}


@dataclass(frozen=True)
class Header:
    """What a network takes, and what holds its weights beside its own file."""

    inputs: dict[str, Shape]
    beside: tuple[str, ...] = ()  # names of files in its folder


def read_header(path: Path) -> Header:
    """Read the header of an ONNX file, or of OpenVINO's .xml.

    Raises
    ------
    WeightsError
        The file holds no network, or a damaged one, or names files outside its folder.
    StorageError
        It cannot be read.
    """
    try:
        if path.suffix.lower() == ".xml":
            return _of_xml(path)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            walk = _Walk(path.parent)
            with memoryview(data) as whole:
                walk.message("model", whole, 0, len(whole), 0)
            return walk.header()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, ElementTree.ParseError) as error:
        kind = "OpenVINO's .xml" if path.suffix.lower() == ".xml" else "ONNX"
        raise WeightsError(
            f"{path} is no network in {kind}, or a damaged one ({one_line(error)}); export it again"
        ) from error


@dataclass
class _Walk:
    """A walk through the messages of an ONNX file."""

    folder: Path
    graphs: int = 0
    fields: int = 0
    inputs: dict[str, Shape] = field(default_factory=dict)
    weights: set[str] = field(default_factory=set)
    beside: set[str] = field(default_factory=set)

    def header(self) -> Header:
        if not self.graphs:
            raise ValueError("it has no graph")
        inputs = {name: each for name, each in self.inputs.items() if name not in self.weights}
        return Header(inputs, tuple(sorted(self.beside)))

    def message(self, kind: str, data: memoryview, start: int, end: int, depth: int) -> None:
        """Check the messages inside one of some kind."""
        if depth > _MOST_DEEP:
            raise ValueError("messages too deep in each other")
        inside = _INSIDE.get(kind, {})
        self.graphs += kind == "graph"
        for number, wire, first, last in self._fields(data, start, end):
            within = inside.get(number)
            if within is None:
                continue
            if wire != _BYTES:
                raise ValueError(f"field {number} of a {kind} is no message")
            if within == "tensor":
                self._tensor(data, first, last, weight=kind == "graph" and depth == 1)
            elif within == "input":
                if depth == 1:  # else it is one of a graph within a node
                    self._input(data, first, last)
            else:
                self.message(within, data, first, last, depth + 1)

    def _fields(
        self, data: memoryview, start: int, end: int
    ) -> Iterator[tuple[int, int, int, int]]:
        """Give number, wire type, and the place of each field; of a number, itself and 0."""
        place = start
        while place < end:
            self.fields += 1
            if self.fields > _MOST_FIELDS:
                raise ValueError(f"more than {_MOST_FIELDS:,} fields")
            key, place = varint(data, place, end)
            number, wire = key >> 3, key & 7
            if wire == _VARINT:
                value, place = varint(data, place, end)
                yield number, wire, value, 0
                continue
            if wire == _BYTES:
                length, place = varint(data, place, end)
            elif wire in _WIDTHS:
                length = _WIDTHS[wire]
            else:
                raise ValueError(f"wire type {wire}")
            if length > end - place:
                raise ValueError("it is cut off")
            yield number, wire, place, place + length
            place += length

    def _tensor(self, data: memoryview, start: int, end: int, *, weight: bool) -> None:
        """Check that the numbers of a tensor are as many as its shape says, and where they lie."""
        dims, bits, name, raw, external = [], 0, "", None, {}
        for number, wire, first, last in self._fields(data, start, end):
            if number == _DIMS:
                dims += [first] if wire == _VARINT else _packed(data, first, last)
            elif number == _DATA_TYPE and wire == _VARINT:
                bits = _BITS.get(first, 0)
            elif number == _NAME and wire == _BYTES:
                name = _text(data, first, last)
            elif number == _RAW and wire == _BYTES:
                raw = last - first
            elif number == _ENTRY and wire == _BYTES:
                entry = list(self._fields(data, first, last))
                texts = {each[0]: _text(data, *each[2:]) for each in entry if each[1] == _BYTES}
                external[texts.get(1, "")] = texts.get(2, "")
        if weight:
            self.weights.add(name)
        size = math.prod(dims)
        if any(side >= 1 << 40 for side in dims) or size >= 1 << 40:
            raise ValueError(f"a tensor of shape {shortened(dims, 60)}")
        wanted = -(-size * bits // 8)
        if external:
            self._external(external, wanted)
        elif raw is not None and bits and raw != wanted:
            raise ValueError(f"{raw} bytes of a tensor instead of {wanted}")

    def _external(self, said: dict[str, str], wanted: int) -> None:
        """Check that a tensor lies in a file of the folder."""
        name = said.get("location", "")
        path = self.folder / name
        if not name or os.path.basename(name) != name or name in (".", "..") or "\\" in name:
            raise ValueError(f"weights in {shortened(name, 60)!r}, which is not in its folder")
        if not path.is_file():
            raise ValueError(f"its weights {shortened(name, 60)!r} are not beside it")
        offset, length = int(said.get("offset", 0)), int(said.get("length", wanted))
        if offset < 0 or length != wanted or offset + length > path.stat().st_size:
            raise ValueError(f"its weights {shortened(name, 60)!r} are cut off")
        self.beside.add(name)

    def _input(self, data: memoryview, start: int, end: int) -> None:
        """Remember the shape of an input; what has none is left out."""
        name, shape = "", None
        for number, wire, first, last in self._fields(data, start, end):
            if number == 1 and wire == _BYTES:
                name = _text(data, first, last)
            elif number == 2 and wire == _BYTES:
                shape = self._shape(data, first, last)
        if shape is not None:
            self.inputs[name] = shape

    def _shape(self, data: memoryview, start: int, end: int) -> Shape | None:
        """Return the shape of a type: type, tensor type, shape, dimensions, the length of each."""
        found = [(start, end)]
        for number in (1, 2):
            found = [
                (first, last)
                for place in found
                for each, wire, first, last in self._fields(data, *place)
                if each == number and wire == _BYTES
            ][:1]
        if not found:
            return None
        dimensions = [each[2:] for each in self._fields(data, *found[0]) if each[1] == _BYTES]
        return tuple(
            next((value for each, wire, value, _ in self._fields(data, *place) if each == 1), None)
            or None
            for place in dimensions
        )


_VARINT, _BYTES = 0, 2
_WIDTHS = {1: 8, 5: 4}  # bytes of the other wire types


def varint(data: memoryview, place: int, end: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("it is cut off")


def _packed(data: memoryview, start: int, end: int) -> list[int]:
    values = []
    while start < end:
        value, start = varint(data, start, end)
        values.append(value)
        if len(values) > 64:
            raise ValueError("a tensor of more than 64 axes")
    return values


def _text(data: memoryview, start: int, end: int) -> str:
    return bytes(data[start : min(end, start + 4096)]).decode(errors="replace")


def _of_xml(path: Path) -> Header:
    """Read what inputs a network in OpenVINO's form has; its weights are in the .bin beside it."""
    if path.stat().st_size > _MOST_XML:
        raise ValueError("it is too large")
    inputs: dict[str, Shape] = {}
    root = None
    for _, element in ElementTree.iterparse(path, events=["start"]):
        if root is None:
            root = element
            if root.tag != "net":
                raise ValueError(f"it holds {shortened(root.tag, 30)}, not net")
    assert root is not None
    for layer in root.iterfind("layers/layer"):
        data = layer.find("data")
        if layer.get("type") == "Parameter" and data is not None:
            sides = re.findall(r"[^,\s]+", data.get("shape", ""))
            inputs[layer.get("name", "")] = tuple(
                int(side) if side.isdecimal() else None for side in sides
            )
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ValueError(f"there is no {weights.name} beside it, which holds its weights")
    return Header(inputs, (weights.name,))
