"""Writers of files of tensors, without the libraries that such files come from."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile

import numpy as np

DICT = b"ccollections\nOrderedDict\n)R"
STORAGES = {
    "float64": b"ctorch\nDoubleStorage\n",
    "float32": b"ctorch\nFloatStorage\n",
    "float16": b"ctorch\nHalfStorage\n",
    "int64": b"ctorch\nLongStorage\n",
    "int32": b"ctorch\nIntStorage\n",
    "uint8": b"ctorch\nByteStorage\n",
}


def push(value):
    """Opcodes that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def storage(key="k", count=6, kind=STORAGES["float32"], view=None):
    """Opcodes of a reference to a storage; PyTorch leaves the view out in the zip format."""
    return (
        b"(" + push("storage") + kind + push(key) + push("cpu") + push(count) + push(view) + b"tQ"
    )


def tensor(reference=None, offset=0, sizes=(2, 3), strides=(3, 1)):
    """Opcodes of a tensor."""
    shape = push(offset) + push(sizes) + push(strides)
    reference = storage() if reference is None else reference
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + reference + shape + b"\x89" + DICT + b"tR"


def dictionary(*pairs):
    """Opcodes of a dictionary."""
    return DICT + b"(" + b"".join(push(name) + value for name, value in pairs) + b"u"


def write_old(path, program, arrays=None, little_endian=True):
    """Write a file of the old format around the opcodes of its third pickle."""
    arrays = {"k": np.arange(6, dtype="f4")} if arrays is None else arrays
    pickles = (
        push(0x1950A86A20F9469CFC6C),
        push(1001),
        push({"protocol_version": 1001, "little_endian": little_endian}),
        program,
        push(list(arrays)),
    )
    data = b"".join(b"\x80\x02" + opcodes + b"." for opcodes in pickles)
    for array in arrays.values():
        data += (
            struct.pack("<q", array.size) + array.astype(array.dtype.newbyteorder("<")).tobytes()
        )
    path.write_bytes(data)
    return path


def write_zip(path, program, arrays=None, little_endian=True, root="archive"):
    """Write a file of the zip format around the opcodes of its pickle."""
    arrays = {"k": np.arange(6, dtype="f4")} if arrays is None else arrays
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{root}/data.pkl", b"\x80\x02" + program + b".")
        archive.writestr(f"{root}/byteorder", "little" if little_endian else "big")
        for key, array in arrays.items():
            stored = array.astype(array.dtype.newbyteorder("<")).tobytes()
            archive.writestr(f"{root}/data/{key}", stored)
        archive.writestr(f"{root}/version", "3\n")
    return path


def write_safetensors(path, header, data=b"", size=None):
    """Write a safetensors file of a header (what JSON takes, or bytes) and the elements."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if size is None else size) + text + data)
    return path


def save_safetensors(path, arrays):
    """Write arrays to a safetensors file."""
    names = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8"}
    header, data = {}, b""
    for name, array in arrays.items():
        end = len(data) + array.nbytes
        about = {"dtype": names[array.dtype.name], "shape": list(array.shape)}
        header[name] = {**about, "data_offsets": [len(data), end]}
        data += array.tobytes()
    return write_safetensors(path, header, data)
