"""The document of a pipeline: what skops writes, checked before anything is built from it.

A document is a zip file of arrays and of one JSON text, a tree of nodes. Each names a type and the
loader of skops that makes it. What is checked here is the form: which loaders make which types,
that arrays are as long as they say, and the nodes of scikit-learn's trees, since the compiled code
that they are copied into does not look. The values of fitted estimators come later, in
`featx.models.fitted`.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import IO, Any, TypeAlias

import numpy as np

from featx.forks import starting
from featx.models.audited import FUNCTIONS, LOSSES, OBJECTS, SEARCH_TREES, TREE, TRUSTED_TYPES
from featx.models.trees import check_tree
from featx.tensors.stored_zip import stored_members

SCHEMA = "schema.json"
PROTOCOL = 2  # of skops; older ones read the same words in another way
_MOST_LIST = 1 << 22  # bytes of the list of members
_DEEPEST = 300  # values within values; a search of a pipeline of a stack of forests has 80
_PLAIN = {
    "JsonNode": {"builtins.str"},
    "DictNode": {"builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"},
    "ListNode": {"builtins.list"},
    "TupleNode": {"builtins.tuple"},
    "SetNode": {"builtins.set"},
    "SliceNode": {"builtins.slice"},
    "DTypeNode": {"numpy.dtype"},
    "MaskedArrayNode": {"numpy.ma.MaskedArray"},
    "RandomStateNode": {"numpy.random.mtrand.RandomState"},
    "RandomGeneratorNode": {"numpy.random._generator.Generator"},
    "TreeNode": {TREE},
    "ObjectNode": OBJECTS,
    "FunctionNode": FUNCTIONS,
}
_SCALARS = frozenset(
    f"numpy.{name}"
    for name in (
        *("bool", "bool_", "str_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"),
        *("uint64", "float16", "float32", "float64"),
    )
)
_PRIMITIVES = frozenset(f"builtins.{name}" for name in ("bool", "float", "int", "str"))

# Modules of scikit-learn that import a framework where it is installed.
_OTHER_ARRAYS = [f"sklearn.externals.array_api_compat.{name}" for name in ("torch", "cupy", "dask")]

Node: TypeAlias = dict[str, Any]


def import_skops() -> Any:
    """Import `skops.io`, which imports all of scikit-learn, without PyTorch and its like.

    They would take longer than everything else that loads a model.
    """
    with starting:
        hidden = [name for name in _OTHER_ARRAYS if name not in sys.modules]
        sys.modules |= dict.fromkeys(hidden)  # type: ignore[arg-type]  # "there is no such module"
        try:
            import skops.io
        finally:
            for name in hidden:
                del sys.modules[name]
    return skops.io


class Document:
    """A pipeline as skops writes it, of which nothing was built yet.

    Raises a `ValueError`, a `KeyError` or a `TypeError` if it is none, or its nodes or its arrays
    are not what they say.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        stored_members(io.BytesIO(data), len(data), _MOST_LIST)
        self._archive = zipfile.ZipFile(io.BytesIO(data))
        self._check_members()
        self._schema: Node = json.loads(self._archive.read(SCHEMA))
        protocol = self._schema["protocol"]
        if type(protocol) is not int or protocol < PROTOCOL:
            raise ValueError(f"protocol {protocol!r} of skops")
        self._nodes = list(_nodes(self._schema))
        self._check_identities()
        self._leave_out_search_trees()

    def _check_members(self) -> None:
        """Check that members are stored, each once, and arrays as long as their headers say."""
        members = self._archive.infolist()
        if len({each.filename for each in members}) < len(members):
            raise ValueError("two members of one name")
        if sum(each.file_size for each in members) > len(self._data):
            raise ValueError("members that are packed twice")
        for each in members:
            if each.filename.endswith(".npy"):
                with self._archive.open(each) as file:
                    check_array(file, each.file_size)

    def _check_identities(self) -> None:
        """Check that nodes of one identity are equal: skops builds the first in place of all."""
        several: dict[Any, list[Node]] = defaultdict(list)
        for node in self._nodes:
            if node.get("__id__") is not None:
                several[node["__id__"]].append(node)
        digests: dict[int, bytes] = {}
        for nodes in several.values():
            if len(nodes) > 1 and len({self._digest(each, digests) for each in nodes}) > 1:
                raise ValueError("two objects of one identity")

    def _digest(self, value: Any, known: dict[int, bytes]) -> bytes:
        """Return a digest of a part of the schema with its arrays, but without identities."""
        if not isinstance(value, dict | list):
            return json.dumps(value).encode()
        if id(value) not in known:
            total = hashlib.sha256(b"list" if isinstance(value, list) else b"dict")
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, each in items:
                if key == "__id__":
                    continue
                if key == "file" and isinstance(each, str):
                    digest = hashlib.sha256(self._archive.read(each)).digest()
                else:
                    digest = self._digest(each, known)
                total.update(json.dumps([key, len(digest)]).encode() + digest)
            known[id(value)] = total.digest()
        return known[id(value)]

    def untrusted_types(self, trusted: set[str]) -> list[str]:
        """Return the names of the types that are neither audited nor trusted."""
        names = {name for node in self._nodes if not is_known(node) and (name := _name(node))}
        names |= set(import_skops().get_untrusted_types(data=self._data)) - set(TRUSTED_TYPES)
        return sorted(names - trusted)

    def build(self, trusted: list[str]) -> Any:
        """Build the pipeline, whose types all are audited or trusted, after checking its trees."""
        for node in self._nodes:
            if node["__loader__"] == "TreeNode":
                sizes = self._value(node["__reduce__"]["args"])
                check_tree(sizes, self._value(node["content"]))
            elif node["__loader__"] == "LossNode":
                self._check_loss(node)
        return import_skops().loads(self._data, trusted=trusted)

    def _check_loss(self, node: Node) -> None:
        values = self._value(node["__reduce__"]["args"])
        if self._value(node["content"]) or not all(isinstance(each, float) for each in values):
            raise ValueError("a loss of invalid values")

    def _value(self, node: Node) -> Any:
        """Return the value of a node of plain values and arrays, as skops would build it."""
        loader, content = node["__loader__"], node.get("content")
        if loader == "JsonNode":
            return json.loads(node["content"])
        if loader == "TupleNode":
            return tuple(self._value(each) for each in node["content"])
        if loader == "DictNode" and isinstance(content, Mapping):
            return {key: self._value(each) for key, each in content.items()}
        if loader == "NdArrayNode" and (node["type"], _name(node)) == ("numpy", "numpy.ndarray"):
            return np.load(io.BytesIO(self._archive.read(node["file"])), allow_pickle=False)
        raise ValueError(f"a {loader} where plain values are expected")

    def _leave_out_search_trees(self) -> None:
        """Put None in the place of each search tree, which is built anew."""
        trees = [node for node in self._nodes if _name(node) in SEARCH_TREES]
        if not trees:
            return
        for node in trees:
            node.clear()
            node |= {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode"}
            node |= {"content": "null", "is_json": True}
        self._nodes = list(_nodes(self._schema))
        needed = {node["file"] for node in self._nodes if isinstance(node.get("file"), str)}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in sorted(needed):
                archive.writestr(name, self._archive.read(name))
            archive.writestr(SCHEMA, json.dumps(self._schema))
        self._data = buffer.getvalue()
        self._archive = zipfile.ZipFile(io.BytesIO(self._data))


def reproducible(data: bytes) -> bytes:
    """Return a document that is the same whenever the same pipeline is written.

    skops names objects and files by their addresses in memory, and its members have the time.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read(SCHEMA))
        names: dict[str, str] = {}
        identities: dict[Any, int] = {}
        for node in _nodes(schema):
            if node.get("__id__") is not None:
                node["__id__"] = identities.setdefault(node["__id__"], len(identities))
            if isinstance(file := node.get("file"), str):
                node["file"] = names.setdefault(file, f"{len(names)}{PurePath(file).suffix}")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as packed:
            for old, new in names.items():
                packed.writestr(member_named(new), archive.read(old))
            packed.writestr(member_named(SCHEMA), json.dumps(schema, indent=2))
    return buffer.getvalue()


def member_named(name: str, compression: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    """Return a member of a zip file that does not have the time of its writing."""
    member = zipfile.ZipInfo(name)
    member.compress_type = compression
    member.external_attr = 0o600 << 16  # as `writestr` sets it
    return member


def check_array(file: IO[bytes], size: int) -> None:
    """Check the header of an array of so many bytes; numpy makes room for whatever it says."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read(file)
    left = size - file.tell()
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError("an array of objects")
    if math.prod(shape) * dtype.itemsize != left:
        raise ValueError(f"an array of shape {shape} in {left} bytes")


def _nodes(schema: Any) -> Iterator[Node]:
    """Yield the nodes of a document, each before what it holds."""
    pending = [(schema, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > _DEEPEST:
            raise ValueError("too many objects within objects")
        if isinstance(value, dict):
            if "__loader__" in value:
                yield value
            pending += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list):
            pending += [(each, depth + 1) for each in value]


def _name(node: Node) -> str:
    return f"{node['__module__']}.{node['__class__']}"


def is_known(node: Node) -> bool:
    """Whether a loader of skops makes what it is meant for, and featx knows the type."""
    loader, name = node["__loader__"], _name(node)
    if loader == "NdArrayNode":
        return name == "numpy.ndarray" or name in _SCALARS
    if loader == "TypeNode":
        return name in _PRIMITIVES or name in _SCALARS
    if loader == "LossNode":
        return name.startswith(LOSSES)
    if loader == "FunctionNode":
        return name in FUNCTIONS or name.startswith(("numpy.", "scipy.special."))
    return name in _PLAIN.get(loader, ())
