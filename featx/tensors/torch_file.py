"""Files of PyTorch: the dictionary of tensors in them, read without PyTorch.

Since version 1.6 such a file is a zip file: `<name>/data.pkl`, a pickle with a reference for every
storage, and `<name>/data/<key>`, the elements of each. The older format is five pickles (magic
number, protocol, system, the dictionary, the list of the storages' keys), then for every key an
int64 element count and the elements. Elements are little-endian. `torch_pickle` says how pickles
are read.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from featx.tensors.elements import RefusedError, read_elements, show, tensor_of
from featx.tensors.stored_zip import Member, stored_members
from featx.tensors.torch_pickle import Program, Storage, Tensor

ZIP = b"PK\x03\x04"
# The first two pickles of the old format: PyTorch's magic number, then protocol 1001.
OLD_HEAD = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
# What training scripts keep the weights under; averaged ones (EMA) are better than the last ones.
_WEIGHTS = (
    *("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model_state", "model"),
    *("module", "network", "net", "teacher"),
)


def read_zip(file: IO[bytes], length: int) -> dict[str, np.ndarray]:
    """Read the tensors of a file of the zip format, of so many bytes."""
    members = stored_members(file, length)
    root = _root(members)
    if _find(file, members, f"{root}/byteorder") and file.read(6) != b"little":
        raise RefusedError("not saved as little-endian")
    _find(file, members, f"{root}/data.pkl")
    program = Program(file, length)
    tensors = _weights(program.run())
    stored = {}
    for storage in _storages(tensors):
        member = _find(file, members, f"{root}/data/{storage.key}")
        if member is None or member.size != storage.size:
            found = "missing" if member is None else f"{member.size} bytes long"
            raise RefusedError(
                f"storage {show(storage.key)} is {found}: its tensors say {storage.size} bytes"
            )
        stored[storage.key] = read_elements(file, storage.element.dtype, storage.count)
    return _views(tensors, stored, length)


def read_old(file: IO[bytes], length: int) -> dict[str, np.ndarray]:
    """Read the tensors of a file of the format before PyTorch 1.6, of so many bytes."""
    file.seek(len(OLD_HEAD))
    system = Program(file, length).run()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedError("not saved as little-endian")
    program = Program(file, length)
    tensors = _weights(program.run())
    keys = Program(file, length).run()
    return _views(tensors, _stored_in_order(file, length, keys, program.storages), length)


def _root(members: Mapping[str, Member]) -> str:
    """Return the folder that everything in a zip file lies in."""
    for name in members:
        if not {"", ".."}.isdisjoint(name.split("/")):
            raise RefusedError(f"has a member named {show(name)}")
    roots = {name.partition("/")[0] for name in members}
    found = [root for root in roots if f"{root}/data.pkl" in members]
    if len(found) != 1 or len(roots) != 1:
        raise RefusedError("a zip file that PyTorch did not write")
    if any(name.startswith(f"{found[0]}/code/") for name in members):
        raise RefusedError("a TorchScript program")
    return found[0]


def _find(file: IO[bytes], members: Mapping[str, Member], name: str) -> Member | None:
    """Return the member of a name, and go to where its contents begin; None where there is none."""
    member = members.get(name)
    if member is not None:
        if not member.is_plain:
            raise RefusedError(f"the member {show(name)} is compressed or encrypted")
        file.seek(member.start)
    return member


def _weights(value: Any) -> dict[str, Tensor]:
    """Return the dictionary of tensors that a file holds by itself, or beside other things."""
    if not isinstance(value, dict):
        raise RefusedError("holds no dictionary")
    inner = [value[name] for name in _WEIGHTS if isinstance(value.get(name), dict)]
    if inner and not all(isinstance(each, Tensor) for each in value.values()):
        (value,) = [next((each for each in inner if each), inner[0])]
    for name, each in value.items():
        if not isinstance(each, Tensor):
            raise RefusedError(f"{show(str(name))} is no tensor")
    return {str(name): each for name, each in value.items()}


def _storages(tensors: Mapping[str, Tensor]) -> list[Storage]:
    """List the storages of tensors, each once."""
    return list({tensor.storage.key: tensor.storage for tensor in tensors.values()}.values())


def _views(
    tensors: Mapping[str, Tensor], stored: Mapping[str, np.ndarray], length: int
) -> dict[str, np.ndarray]:
    """Return the tensors as views of what was stored in a file of so many bytes.

    Few tensors share a storage in an honest file, where the views together are not much larger.
    """
    views, total = {}, 0
    for name, tensor in tensors.items():
        elements = stored[tensor.storage.key]
        if elements.dtype != tensor.element.dtype:  # a storage without a type
            whole = len(elements) - len(elements) % tensor.element.dtype.itemsize
            elements = elements[:whole].view(tensor.element.dtype)
        views[name] = tensor_of(
            name, elements, tensor.element, tensor.offset, tensor.sizes, tensor.strides
        )
        total += views[name].nbytes
        if total > 8 * length:
            raise RefusedError("its tensors are much larger than the file")
    return views


def _stored_in_order(
    file: IO[bytes], length: int, keys: Any, storages: Mapping[str, Storage]
) -> dict[str, np.ndarray]:
    """Read every storage of the old format, in the order of `keys`."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise RefusedError("the list of storages is damaged")
    if len(keys) != len(storages) or set(keys) != set(storages):
        raise RefusedError("the list of storages does not fit the tensors")
    stored = {}
    for key in keys:
        storage = storages[key]
        if file.tell() + 8 + storage.size > length:
            raise RefusedError(f"ends after {length} bytes, within storage {show(key)}")
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.count:
            raise RefusedError(
                f"storage {show(key)} has {count} elements, not {storage.count} as its tensors say"
            )
        stored[key] = read_elements(file, storage.element.dtype, storage.count)
    if file.tell() != length:
        raise RefusedError(f"has {length - file.tell()} bytes too many")
    return stored
