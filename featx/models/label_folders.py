"""The folders of labels: copies of pictures, in a folder for each label that they were given."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path

from featx.errors import OptionError
from featx.files import storage_errors, written
from featx.images.bucket import may_be_there
from featx.images.digests import read_file
from featx.images.labels import Label
from featx.images.memory import MemoryImage
from featx.paths import member_of, plain_path
from featx.storage.address import is_address, without_query
from featx.text import printable

#: Where pictures without a label go, and unfamiliar ones.
UNSURE, UNFAMILIAR, FAILED = "_unsure", "_unfamiliar", "_failed"
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*]')  # on some systems
_DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)  # of Windows
_MARKS = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}
_LONGEST = 120  # bytes


def folder_names(labels: Iterable[Label]) -> dict[Label, str]:
    """Name a folder for each label, each another one, and none that leads elsewhere."""
    taken = {UNSURE, UNFAMILIAR, FAILED}
    names = {}
    for label in labels:
        plain = _NOT_IN_NAMES.sub("_", printable(label)).strip(" .")
        plain = f"_{plain}" if _DEVICES.fullmatch(plain) else plain
        name = start = plain.encode()[:_LONGEST].decode(errors="ignore") or "_"
        number = 2
        while name.casefold() in taken:
            name, number = f"{start}-{number}", number + 1
        taken.add(name.casefold())
        names[label] = name
    return names


def copy_all(places: Mapping[str, str], folder: str | PathLike[str]) -> dict[str, str]:
    """Copy files into folders within a folder, each whole or not at all; return their copies.

    `places` has the name of the folder of each file. A file that is not there is passed over, and
    so is one that was copied before. Of two different files of one name the second gets a number.
    """
    if not os.fspath(folder):
        raise OptionError("the folder for the copies is '': expected its name, or . for this one")
    copies = {}
    for path, name in places.items():
        if isinstance(path, MemoryImage) or not may_be_there(path):
            continue
        target = Path(folder, name)
        with storage_errors(target):
            target.mkdir(parents=True, exist_ok=True)
        copies[path] = str(_copy(path, target))
    return copies


def _copy(path: str, folder: Path) -> Path:
    """Copy a file into a folder, and return the copy, which may have been there before.

    A picture in an archive or at an address is written as a file.
    """
    is_elsewhere = member_of(path) is not None or is_address(path)
    data = read_file(path)[0] if is_elsewhere else None
    stem, suffix = os.path.splitext(os.path.basename(without_query(plain_path(path))))
    if data is not None and not suffix:  # a row of a table
        suffix = next((each for mark, each in _MARKS.items() if data.startswith(mark)), "")
    target, number = folder / f"{stem}{suffix}", 2
    while os.path.lexists(target):
        if target.is_file() and _is_same(target, path, data):
            return target
        target, number = folder / f"{stem}-{number}{suffix}", number + 1
    with written(target) as temporary:
        if data is None:
            shutil.copyfile(path, temporary)
            shutil.copystat(path, temporary)
        else:
            temporary.write_bytes(data)
        temporary.chmod(0o644)
    return target


def _is_same(file: Path, path: str, data: bytes | None) -> bool:
    """Tell whether a file holds what another does, or these bytes."""
    if data is None:
        return filecmp.cmp(path, file, shallow=False)
    return file.stat().st_size == len(data) and file.read_bytes() == data
