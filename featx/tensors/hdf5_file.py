"""Weights files in HDF5, looked through before Keras reads them.

HDF5 lets a small file declare arrays of any size, which fill memory with zeros once they are read,
and lets arrays lie in other files of the machine.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from featx.errors import WeightsError, one_line
from featx.text import size

if TYPE_CHECKING:
    import h5py

WEIGHTS_MEMBER = "model.weights.h5"  # of a .keras file, which is a zip file
_MOST_TIMES = 8  # larger than the file, that arrays may be once they are uncompressed
_MARGIN = 1 << 20  # bytes


class _RefusedError(Exception):
    """The file is not what weights need; the message says what was found."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open the HDF5 file at a path, or that of the weights inside a .keras file."""
    import h5py

    with contextlib.ExitStack() as stack:
        source: Path | IO[bytes] = path
        if path.suffix == ".keras":
            archive = stack.enter_context(zipfile.ZipFile(path))
            source = stack.enter_context(archive.open(WEIGHTS_MEMBER))
        yield stack.enter_context(h5py.File(source, "r"))


def check_weights_file(path: Path) -> None:
    """Check that a weights file holds what it says, and by itself.

    Raises
    ------
    WeightsError
        It reaches into other files, or its arrays are much larger than it is.
    OSError, BadZipFile, KeyError
        It cannot be read.
    """
    try:
        most = _MOST_TIMES * path.stat().st_size + _MARGIN
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                _check_size(archive.getinfo(WEIGHTS_MEMBER).file_size, most)
        with opened(path) as file:
            _check_size(sum(_sizes(file)), most)
    except _RefusedError as error:
        raise WeightsError(f"{path} is refused as weights: {error}") from error
    except (RuntimeError, ValueError, TypeError) as error:  # of h5py, about damaged bytes
        raise OSError(one_line(error)) from error


def _check_size(found: int, most: int) -> None:
    if found > most:
        raise _RefusedError(f"its arrays would take {size(found)}, far more than the file has")


def _sizes(file: h5py.File) -> Iterator[int]:
    """Give the bytes of every array of a file, as often as a name leads to it."""
    import h5py

    waiting, known = [file], set()
    while waiting:
        group = waiting.pop()
        place = h5py.h5o.get_info(group.id).addr
        if place in known:
            continue
        known.add(place)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _RefusedError("it has links, also to other files")
            found = group[name]
            if isinstance(found, h5py.Group):
                waiting.append(found)
            elif isinstance(found, h5py.Dataset):
                if found.external or found.is_virtual:
                    raise _RefusedError("its arrays lie in other files")
                yield found.nbytes
