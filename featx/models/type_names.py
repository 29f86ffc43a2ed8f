"""Names of the types that a pipeline is made of, read from its document without building anything.

The document is a JSON text, a tree of nodes each of which names a class, its module and what skops
makes it with. It may be large, and as Python objects it would take a hundred times its size: it is
only read along.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from featx.models.document import is_known
from featx.tensors.elements import RefusedError

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]:,]', re.DOTALL)
_NAMES = ("__module__", "__class__", "__loader__")
_LONGEST = 200  # bytes of a name
_DEEPEST = 1000
_MOST = 5000  # different types


@dataclass(frozen=True)
class TypeName:
    """A type in a pipeline.

    Attributes
    ----------
    name : str
        The class with its module, such as "sklearn.pipeline.Pipeline".
    n_objects : int
        How many objects of it there are.
    known : bool
        Whether featx knows it to be safe: whether it would make one without being told to trust it.
    """

    name: str
    n_objects: int
    known: bool

    def to_dict(self) -> dict[str, object]:
        """Return plain values."""
        return {"name": self.name, "n_objects": self.n_objects, "known": self.known}


@dataclass
class _Place:
    """An object or a list that is being read."""

    is_object: bool
    node: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    is_key: bool = True


def type_names(document: bytes) -> tuple[TypeName, ...]:
    """Return the types that a document names, those that are not known to be safe first.

    Raises a `RefusedError` where it is damaged, too deep or names thousands of types.
    """
    nodes: Counter[tuple[str, ...]] = Counter()
    places: list[_Place] = []
    for match in _TOKEN.finditer(document):
        mark = document[match.start()]
        if mark in b"{[":
            places.append(_Place(mark == ord("{")))
            if len(places) > _DEEPEST:
                raise RefusedError("too many objects within objects")
        elif not places:
            raise RefusedError("a document that is no tree of nodes")
        elif mark in b"}]":
            place = places.pop()
            if place.is_object != (mark == ord("}")):
                raise RefusedError("a document whose brackets do not match")
            if place.node:
                nodes[tuple(place.node.get(name, "?") for name in _NAMES)] += 1
                if len(nodes) > _MOST:
                    raise RefusedError(f"more than {_MOST:,} different types")
        elif places[-1].is_object:
            _read(places[-1], document, match)
    if places:
        raise RefusedError("a document that is cut off")
    if not nodes:
        raise RefusedError("it names no type")
    found: Counter[tuple[str, bool]] = Counter()
    for node, number in nodes.items():
        found[_type_of(dict(zip(_NAMES, node, strict=True)))] += number
    names = [TypeName(name, found[name, known], known) for name, known in found]
    return tuple(sorted(names, key=lambda each: (each.known, each.name)))


def _read(place: _Place, document: bytes, match: re.Match[bytes]) -> None:
    """Read a mark or a text of an object."""
    mark = document[match.start()]
    if mark != ord('"'):
        place.is_key = mark == ord(",")
        return
    text = _text(document, match)
    if place.is_key:
        place.key = text
    elif place.key in _NAMES:
        place.node[place.key] = text


def _text(document: bytes, match: re.Match[bytes]) -> str:
    if match.end() - match.start() > _LONGEST:
        return "…"
    try:
        return str(json.loads(match[0]))
    except ValueError:
        return "…"


def _type_of(node: dict[str, str]) -> tuple[str, bool]:
    name = f"{node['__module__']}.{node['__class__']}"
    known = is_known(node)
    if node["__loader__"] == "FunctionNode" and name.startswith("scipy."):
        known = False  # skops asks which ones, and scipy is not imported here
    if node["__loader__"] == "FunctionNode" and name.startswith("numpy."):
        known = isinstance(getattr(np, node["__class__"], None), np.ufunc)
    return name, known
