"""The reader of PyTorch's old (before 1.6, non-zip) file format: a dictionary of tensors.

No PyTorch, and no unpickler: a pickle program can crash the interpreter even when every class
is refused (deeply nested tuples as a dictionary key overflow the C stack; a cached extension
code bypasses `find_class`). So the few opcodes that such a file needs are run here, on plain
tuples, lists and dictionaries with string keys; no name in the file is ever imported or called.

The layout: five pickles (magic number, protocol, system, the dictionary with a reference for
every storage, the list of the storages' keys), then for every key an int64 element count and
the elements, little-endian.
"""

from __future__ import annotations

import io
import math
import pickle  # for the names of the opcodes alone
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx.errors import WeightsError

# The first two pickles as PyTorch writes them: its magic number, then protocol 1001.
_HEAD = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
_ZIP = b"PK\x03\x04"
_MAX_DIMS = 32

_DICT = "collections.OrderedDict"
_TENSOR = "torch._utils._rebuild_tensor_v2"
_STORAGES = {
    "torch.DoubleStorage": "<f8",
    "torch.FloatStorage": "<f4",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "<i1",
    "torch.ByteStorage": "<u1",
}
# The integer that follows an opcode: a value, a place in the memo, a length.
_INTEGERS = {
    **dict.fromkeys((pickle.BININT1, pickle.BINPUT, pickle.BINGET), "<B"),
    **dict.fromkeys((pickle.BINUNICODE, pickle.LONG_BINPUT, pickle.LONG_BINGET), "<I"),
    pickle.BININT2: "<H",
    pickle.BININT: "<i",
}
# How many values an opcode takes from the stack.
_TAKES = {
    **dict.fromkeys((pickle.TUPLE1, pickle.APPEND), 1),
    **dict.fromkeys((pickle.TUPLE2, pickle.SETITEM, pickle.REDUCE), 2),
    pickle.EMPTY_TUPLE: 0,
    pickle.TUPLE3: 3,
}


class _RefusedError(Exception):
    """The file is not what it should be; the message says what was found."""


@dataclass(frozen=True)
class _Name:
    """A name that stands in the file, and nothing more."""

    name: str

    @classmethod
    def known(cls, name: str) -> _Name:
        if name not in (_DICT, _TENSOR, *_STORAGES):
            raise _RefusedError(f"refers to {_show(name)}")
        return cls(name)


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Read a dictionary of tensors that PyTorch saved in its old format, in the file's order.

    The arrays are read-only; tensors that share a storage in the file share memory. A file that
    cannot be read, is damaged or holds anything else raises `WeightsError`.
    """
    path = Path(path)
    try:
        return _read(path)
    except _RefusedError as error:
        found = str(error)
    except (OSError, ValueError) as error:
        found = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    except MemoryError:
        found = "does not fit in memory"
    raise WeightsError(
        f"{path}: {found}; expected a dictionary of tensors in PyTorch's old (non-zip) format"
    )


def _read(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        head = file.read(len(_HEAD))
        if head.startswith(_ZIP):
            raise _RefusedError("a zip file, such as PyTorch writes since version 1.6")
        if head != _HEAD:
            what = f"it begins with {head[:8]!r}" if head else "it is empty"
            raise _RefusedError(f"not a PyTorch file ({what})")
        file.seek(0)
        data = file.read()
    stream = io.BytesIO(data)
    stream.seek(len(_HEAD))

    system = _Program(stream, len(data)).run()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _RefusedError("not saved as little-endian")
    program = _Program(stream, len(data))
    tensors = program.run()
    keys = _Program(stream, len(data)).run()
    if not isinstance(tensors, dict):
        raise _RefusedError("holds no dictionary")
    for name, value in tensors.items():
        if not isinstance(value, _Tensor):
            raise _RefusedError(f"{_show(name)} is no tensor")
    arrays = _read_storages(data, stream.tell(), keys, program.storages)
    return {name: _view(name, tensor, arrays) for name, tensor in tensors.items()}


class _Program:
    """One pickle, run with the opcodes that a dictionary of tensors needs.

    Every value is a number, a string, None, a tuple, a list, a dictionary with strings as keys,
    or one of the records above. Nothing compares or hashes a tuple: that recurses.
    """

    def __init__(self, stream: io.BytesIO, limit: int):
        self._stream = stream
        self._start = stream.tell()
        self._limit = limit  # bytes; no storage can be longer than the file
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []  # the stacks below each MARK
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, _Storage] = {}

    def run(self) -> Any:
        try:
            while (code := self._read(1)) != pickle.STOP:
                self._step(code)
            (result,) = self._stack
        except (ValueError, IndexError, KeyError) as error:
            raise _RefusedError(f"the pickle at byte {self._start} is damaged") from error
        return result

    def _step(self, code: bytes) -> None:
        match code:
            case pickle.PROTO:
                self._read(1)
            case pickle.NONE:
                self._stack.append(None)
            case pickle.NEWTRUE | pickle.NEWFALSE:
                self._stack.append(code == pickle.NEWTRUE)
            case pickle.BININT | pickle.BININT1 | pickle.BININT2:
                self._stack.append(self._read_integer(code))
            case pickle.LONG1:
                digits = self._read(self._read(1)[0])
                self._stack.append(int.from_bytes(digits, "little", signed=True))
            case pickle.BINUNICODE:
                self._stack.append(self._read(self._read_integer(code)).decode())
            case pickle.GLOBAL:
                self._stack.append(_Name.known(f"{self._read_line()}.{self._read_line()}"))
            case pickle.BINPUT | pickle.LONG_BINPUT:
                self._memo[self._read_integer(code)] = self._stack[-1]
            case pickle.BINGET | pickle.LONG_BINGET:
                self._stack.append(self._memo[self._read_integer(code)])
            case pickle.MARK:
                self._outer.append(self._stack)
                self._stack = []
            case pickle.EMPTY_TUPLE | pickle.TUPLE1 | pickle.TUPLE2 | pickle.TUPLE3 | pickle.TUPLE:
                items = self._pop_items(code)
                self._stack.append(tuple(items))
            case pickle.EMPTY_LIST:
                self._stack.append([])
            case pickle.APPEND | pickle.APPENDS:
                items = self._pop_items(code)
                _check(self._stack[-1], list).extend(items)
            case pickle.EMPTY_DICT:
                self._stack.append({})
            case pickle.SETITEM | pickle.SETITEMS:
                items = self._pop_items(code)
                target = _check(self._stack[-1], dict)
                for key, item in zip(items[::2], items[1::2], strict=True):
                    target[_check(key, str)] = item
            case pickle.BUILD:
                self._stack.pop()  # the dictionary's `_metadata`: versions of modules
                _check(self._stack[-1], dict)
            case pickle.REDUCE:
                name, arguments = self._pop_items(code)
                self._stack.append(_construct(name, _check(arguments, tuple)))
            case pickle.BINPERSID:
                self._stack.append(self._refer(_check(self._stack.pop(), tuple)))
            case _:
                raise _RefusedError(f"has the pickle opcode {code!r}")

    def _pop_items(self, code: bytes) -> list[Any]:
        """Pop what an opcode takes: a number of values, or all of them down to the MARK."""
        items = self._stack
        if code not in _TAKES:
            self._stack = self._outer.pop()
            return items
        below = len(items) - _TAKES[code]
        if below < 0:
            raise IndexError("too few values")
        taken = items[below:]
        del items[below:]
        return taken

    def _read(self, n_bytes: int) -> bytes:
        data = self._stream.read(n_bytes)
        if len(data) < n_bytes:
            raise ValueError("the file ends within a pickle")
        return data

    def _read_integer(self, code: bytes) -> int:
        layout = _INTEGERS[code]
        return int(struct.unpack(layout, self._read(struct.calcsize(layout)))[0])

    def _read_line(self) -> str:
        return self._stream.readline().decode().removesuffix("\n")

    def _refer(self, reference: tuple[Any, ...]) -> _Storage:
        """Return the storage that a persistent id describes."""
        kind, name, key, location, count, view = reference
        if type(kind) is not str or kind != "storage" or view is not None:
            raise _RefusedError("has an unknown kind of reference")
        dtype = np.dtype(_STORAGES[_check(name, _Name).name])
        _check(location, str)
        storage = _Storage(_check(key, str), dtype, _check(count, int))
        if not 0 <= count * dtype.itemsize <= self._limit:
            raise _RefusedError(f"storage {_show(key)} would not fit in the file")
        if self.storages.setdefault(key, storage) != storage:
            raise _RefusedError(f"storage {_show(key)} is described twice, differently")
        return storage


def _construct(name: Any, arguments: tuple[Any, ...]) -> dict[Any, Any] | _Tensor:
    """Stand in for the two calls that such a file asks for."""
    name = _check(name, _Name).name
    if name == _DICT and not arguments:
        return {}
    if name == _TENSOR and len(arguments) == 6:
        return _Tensor(*map(_check, arguments, (_Storage, int, tuple, tuple)))
    raise _RefusedError(f"calls {_show(name)} with unknown arguments")


def _read_storages(
    data: bytes, position: int, keys: Any, storages: dict[str, _Storage]
) -> dict[str, np.ndarray]:
    """Return the array of every storage; `keys` is the order in which they lie in `data`."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise _RefusedError("the list of storages is damaged")
    if len(keys) != len(storages) or set(keys) != set(storages):
        raise _RefusedError("the list of storages does not fit the tensors")
    arrays = {}
    for key in keys:
        storage = storages[key]
        start = position + 8
        end = start + storage.count * storage.dtype.itemsize
        if end > len(data):
            raise _RefusedError(f"ends after {len(data)} bytes, within storage {_show(key)}")
        (count,) = struct.unpack_from("<q", data, position)
        if count != storage.count:
            raise _RefusedError(
                f"storage {_show(key)} has {count} elements, not {storage.count} as its tensors say"
            )
        # A copy is aligned, as not every consumer of the array copes with less.
        arrays[key] = np.frombuffer(data, storage.dtype, count, start).copy()
        position = end
    if position != len(data):
        raise _RefusedError(f"has {len(data) - position} bytes too many")
    return arrays


def _view(name: str, tensor: _Tensor, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return the tensor as a view of its storage, once it is proven to lie inside."""
    array, offset, sizes = arrays[tensor.storage.key], tensor.offset, tensor.sizes
    if not len(sizes) == len(tensor.strides) <= _MAX_DIMS:
        raise _RefusedError(f"the shape of {_show(name)} is damaged")
    for number in (*sizes, *tensor.strides):
        _check(number, int)
    # Along an axis of length 1 the stride is never used, and may be anything.
    axes = [(n, step if n > 1 else 0) for n, step in zip(sizes, tensor.strides, strict=True)]
    if offset < 0 or any(n < 1 or step < 0 for n, step in axes):
        raise _RefusedError(f"the shape of {_show(name)} is damaged")
    last = offset + sum((n - 1) * step for n, step in axes)
    # The product bounds what a copy takes: with strides of 0, any shape fits in one element.
    if last >= len(array) or math.prod(sizes) > len(array):
        raise _RefusedError(f"{_show(name)} reaches beyond its storage")
    strides = [step * array.itemsize for _, step in axes]
    return np.lib.stride_tricks.as_strided(array[offset:], sizes, strides, writeable=False)


def _check(value: Any, kind: type) -> Any:
    # The exact type: True is no size.
    if type(value) is not kind:
        found, expected = (k.__name__.strip("_").lower() for k in (type(value), kind))
        raise _RefusedError(f"has a {found} where a {expected} belongs")
    return value


def _show(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "...")
