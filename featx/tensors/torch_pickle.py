"""The pickles of PyTorch's files, run without an unpickler: tensors, and what stands about them.

A pickle program can crash the interpreter even when every class is refused (deeply nested tuples
as a dictionary key overflow the C stack; a cached extension code bypasses `find_class`). So the few
opcodes that such a file needs are run here, on plain tuples, lists and dictionaries with strings or
whole numbers as keys; no name in the file is ever imported or called.
"""

from __future__ import annotations

import pickle  # for the names of the opcodes alone
import struct
from dataclasses import dataclass
from typing import IO, Any

from featx.tensors.elements import (
    ELEMENTS,
    MAX_DESCRIPTION,
    Element,
    RefusedError,
    check,
    show,
)

_MAX_LINE = 1000  # bytes of a name
_DICTS = ("collections.OrderedDict", "collections.defaultdict")
_TENSORS = {  # calls that make a tensor, with the most arguments they are given
    "torch._utils._rebuild_tensor": 4,
    "torch._utils._rebuild_tensor_v2": 6,
    "torch._utils._rebuild_tensor_v3": 7,
}
_PARAMETERS = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter",
)
_STORAGES = {
    "torch.DoubleStorage": "F64",
    "torch.FloatStorage": "F32",
    "torch.HalfStorage": "F16",
    "torch.BFloat16Storage": "BF16",
    "torch.LongStorage": "I64",
    "torch.IntStorage": "I32",
    "torch.ShortStorage": "I16",
    "torch.CharStorage": "I8",
    "torch.ByteStorage": "U8",
    "torch.BoolStorage": "BOOL",
    "torch.storage.UntypedStorage": "U8",
}
_DTYPES = {  # of tensors whose storage has no type
    "torch.float8_e4m3fn": "F8_E4M3",
    "torch.float8_e5m2": "F8_E5M2",
    "torch.uint16": "U16",
    "torch.uint32": "U32",
    "torch.uint64": "U64",
}
# What training scripts keep beside the weights. It is passed over, whatever it was made of.
_BESIDE = {
    "__builtin__.dict",
    "__builtin__.set",
    "_codecs.encode",
    "argparse.Namespace",
    "builtins.dict",
    "builtins.set",
    "collections.Counter",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "torch.Size",
    "torch.bfloat16",
    "torch.device",
    "torch.float16",
    "torch.float32",
}
_KNOWN = {*_DICTS, *_TENSORS, *_PARAMETERS, *_STORAGES, *_DTYPES, *_BESIDE}

# The integer that follows an opcode: a value, a place in the memo, a length.
_INTEGERS = {
    **dict.fromkeys((pickle.BININT1, pickle.BINPUT, pickle.BINGET), "<B"),
    **dict.fromkeys((pickle.SHORT_BINSTRING, pickle.LONG1), "<B"),
    **dict.fromkeys((pickle.BINUNICODE, pickle.LONG_BINPUT, pickle.LONG_BINGET), "<I"),
    pickle.BININT2: "<H",
    **dict.fromkeys((pickle.BININT, pickle.BINSTRING), "<i"),
}
# How many values an opcode takes from the stack.
_TAKES = {
    **dict.fromkeys((pickle.TUPLE1, pickle.APPEND), 1),
    **dict.fromkeys((pickle.TUPLE2, pickle.SETITEM, pickle.REDUCE, pickle.NEWOBJ), 2),
    pickle.EMPTY_TUPLE: 0,
    pickle.TUPLE3: 3,
}


@dataclass(frozen=True)
class _Name:
    """A name that stands in the file, and nothing more."""

    name: str

    @classmethod
    def known(cls, name: str) -> _Name:
        if name not in _KNOWN:
            raise RefusedError(f"refers to {show(name)}")
        return cls(name)


class _Passed:
    """What is passed over."""


@dataclass(frozen=True)
class Storage:
    """The elements that one tensor or several lie in."""

    key: str
    element: Element
    count: int

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.count * self.element.dtype.itemsize


@dataclass(frozen=True)
class Tensor:
    """A tensor, as elements of a storage."""

    storage: Storage
    element: Element
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


class Program:
    """One pickle, run with the opcodes that a file of tensors needs.

    Every value is a number, a string, None, a tuple, a list, a dictionary, or one of the records
    above. Nothing compares or hashes a tuple: that recurses.
    """

    def __init__(self, stream: IO[bytes], limit: int):
        self._stream = stream
        self._start = stream.tell()
        self._limit = limit  # bytes; no storage can be longer than the file
        self._left = MAX_DESCRIPTION
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []  # the stacks below each MARK
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def run(self) -> Any:
        """Return what the pickle describes."""
        try:
            while (code := self._read(1)) != pickle.STOP:
                self._step(code)
            (result,) = self._stack
        except (ValueError, IndexError, KeyError) as error:
            raise RefusedError(f"the pickle at byte {self._start} is damaged") from error
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
                digits = self._read(self._read_integer(code))
                self._stack.append(int.from_bytes(digits, "little", signed=True))
            case pickle.BINFLOAT:
                self._stack.append(struct.unpack(">d", self._read(8))[0])
            case pickle.BINUNICODE | pickle.BINSTRING | pickle.SHORT_BINSTRING:
                self._stack.append(self._read(self._read_integer(code)).decode())
            case pickle.GLOBAL:
                self._stack.append(_Name.known(f"{self._read_line()}.{self._read_line()}"))
            case pickle.BINPUT | pickle.LONG_BINPUT:
                self._memo[self._read_integer(code)] = self._stack[-1]
            case pickle.BINGET | pickle.LONG_BINGET:
                self._stack.append(self._memo[self._read_integer(code)])
            case pickle.BINPERSID:
                self._stack.append(self._refer(check(self._stack.pop(), tuple)))
            case _:
                self._build(code)

    def _build(self, code: bytes) -> None:
        """Run an opcode that makes a value of others."""
        match code:
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
                check(self._stack[-1], list).extend(items)
            case pickle.EMPTY_DICT:
                self._stack.append({})
            case pickle.SETITEM | pickle.SETITEMS:
                items = self._pop_items(code)
                target = check(self._stack[-1], dict)
                for key, item in zip(items[::2], items[1::2], strict=True):
                    target[key if type(key) is int else check(key, str)] = item
            case pickle.BUILD:
                self._stack.pop()  # such as a dictionary's `_metadata`: versions of modules
                if type(self._stack[-1]) is not _Passed:
                    check(self._stack[-1], dict)
            case pickle.REDUCE | pickle.NEWOBJ:
                name, arguments = self._pop_items(code)
                self._stack.append(_construct(name, check(arguments, tuple)))
            case _:
                raise RefusedError(f"has the pickle opcode {code!r}")

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
        if not 0 <= n_bytes <= self._left:
            raise ValueError("the pickle is too long")
        return self._taken(self._stream.read(n_bytes), n_bytes)

    def _read_integer(self, code: bytes) -> int:
        layout = _INTEGERS[code]
        return int(struct.unpack(layout, self._read(struct.calcsize(layout)))[0])

    def _read_line(self) -> str:
        line = self._stream.readline(min(_MAX_LINE, self._left))
        return self._taken(line, 1).decode().removesuffix("\n")

    def _taken(self, data: bytes, least: int) -> bytes:
        if len(data) < least:
            raise ValueError("the file ends within a pickle")
        self._left -= len(data)
        return data

    def _refer(self, reference: tuple[Any, ...]) -> Storage:
        """Return the storage that a persistent id describes."""
        kind, name, key, location, count, *view = reference
        if type(kind) is not str or kind != "storage" or view not in ([], [None]):
            raise RefusedError("has an unknown kind of reference")
        name = check(name, _Name).name
        check(location, str)
        storage = Storage(check(key, str), ELEMENTS[_STORAGES[name]], check(count, int))
        if not 0 <= storage.size <= self._limit:
            raise RefusedError(f"storage {show(key)} would not fit in the file")
        if self.storages.setdefault(key, storage) != storage:
            raise RefusedError(f"storage {show(key)} is described twice, differently")
        return storage


def _construct(name: Any, arguments: tuple[Any, ...]) -> dict[Any, Any] | Tensor | _Passed:
    """Stand in for the calls that such a file asks for."""
    name = check(name, _Name).name
    if name in _BESIDE:
        return _Passed()
    if name == "collections.defaultdict" or (name in _DICTS and not arguments):
        return {}
    if name in _PARAMETERS and arguments:
        return check(arguments[0], Tensor)
    if len(arguments) == _TENSORS.get(name):
        return _tensor(*arguments)
    raise RefusedError(f"calls {show(name)} with unknown arguments")


def _tensor(
    storage: Any,
    offset: Any,
    sizes: Any,
    strides: Any,
    requires_grad: Any = None,
    hooks: Any = None,
    dtype: Any = None,
) -> Tensor:
    element = check(storage, Storage).element
    if dtype is not None:
        dtype = check(dtype, _Name).name
        if dtype not in _DTYPES:
            raise RefusedError(f"has a tensor of {show(dtype)}")
        element = ELEMENTS[_DTYPES[dtype]]
    return Tensor(storage, element, check(offset, int), check(sizes, tuple), check(strides, tuple))
