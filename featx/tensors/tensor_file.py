"""Files of tensors that other libraries saved, the one door to them: PyTorch's and safetensors'."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from featx.errors import WeightsError
from featx.tensors.elements import RefusedError
from featx.tensors.safetensors_file import read_safetensors
from featx.tensors.torch_file import OLD_HEAD, ZIP, read_old, read_zip

_WRAPPERS = ("_orig_mod.", "module.", "_orig_mod.")  # either may be around the other
TENSOR_FILES = (".pth", ".pt", ".bin", ".safetensors")  # how their names end


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Read a dictionary of tensors from a file, whatever it is called.

    PyTorch, safetensors and pickle are not used, nothing in the file is run, and memory is bounded
    by its size.

    Parameters
    ----------
    path : str or path
        A file that `torch.save` wrote, in its zip format or the one before it, or a safetensors
        file. Of a checkpoint, the dictionary that is kept under "state_dict", "model" or a like
        name, averaged weights ("state_dict_ema", "model_ema") before others.

    Returns
    -------
    dict of str to ndarray
        Names and order are those of the file, without what wrappers (DataParallel, torch.compile)
        put before all names. The arrays are read-only, and tensors that share a
        storage may share memory. Formats that numpy does not have (bfloat16, float8) become
        float32.

    Raises
    ------
    WeightsError
        The file cannot be read, is damaged or holds anything else.
    """
    path = Path(path)
    try:
        return _unwrapped(_read(path))
    except RefusedError as error:
        found = str(error)
    except (OSError, ValueError) as error:
        found = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    except MemoryError:
        found = "does not fit in memory"
    raise WeightsError(
        f"{path}: {found}; expected a dictionary of tensors, which "
        "torch.save(network.state_dict(), ...) or safetensors wrote"
    )


def _unwrapped(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Leave out what wrappers of a network put before the names of all its tensors."""
    for wrapper in _WRAPPERS:
        if tensors and all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): each for name, each in tensors.items()}
    return tensors


def _read(path: Path) -> dict[str, np.ndarray]:
    if path.exists() and not path.is_file():  # a pipe would wait for ever
        raise RefusedError("cannot be read (it is no file)")
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        head = file.read(max(len(OLD_HEAD), 9))
        file.seek(0)
        if head.startswith(ZIP):
            return read_zip(file, length)
        if head.startswith(OLD_HEAD):
            return read_old(file, length)
        if head[8:9] == b"{":
            return read_safetensors(file, length)
    what = f"it begins with {head[:8]!r}" if head else "it is empty"
    raise RefusedError(f"neither a file of PyTorch nor of safetensors ({what})")
