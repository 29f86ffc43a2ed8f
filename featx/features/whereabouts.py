"""Whereabouts of the pictures of saved features, on this machine or another one.

Paths are kept as they were given. The folder that all pictures share is kept beside them: as the
paths begin, in full, and as seen from the file of features. So the pictures are found from another
current folder, and where they and the file have moved together; or the folder is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.errors import OptionError
from featx.images.bucket import may_be_there
from featx.images.memory import MemoryImage
from featx.paths import file_of, member_of, plain_path
from featx.storage.address import absolute, below, is_address, local_path
from featx.storage.address import common_folder as shared_folder

_TRIED = 20  # pictures of which one has to be there


def common_folder(paths: Sequence[str]) -> str | None:
    """Return the folder that all pictures are in, as their paths begin; None if there is none.

    It is "" for the current folder.
    """
    files = [file_of(path) for path in paths if not isinstance(path, MemoryImage)]
    try:
        return shared_folder(files) if files else None
    except ValueError:  # some are absolute and some are not, or on several drives
        return None


def relative_to(folder: str | None, path: str) -> str:
    """Write a path as seen from a folder that it begins with, with "/" between names."""
    if not folder or isinstance(path, MemoryImage):
        return plain_path(path).replace(os.sep, "/")
    return plain_path(path)[len(folder) :].lstrip(os.sep).replace(os.sep, "/")


@dataclass(frozen=True)
class Whereabouts:
    """The folder of the pictures.

    Attributes
    ----------
    given : str
        As the paths begin.
    root : str
        In full.
    from_file : str or None
        As seen from the folder of the features; None where there is no way, from drive to drive
        or from an address.
    """

    given: str
    root: str
    from_file: str | None

    @classmethod
    def of(cls, paths: Sequence[str], file: str | os.PathLike[str]) -> Whereabouts | None:
        """Say where pictures are, for features that are saved in a file; None if nowhere."""
        given = common_folder(paths)
        if given is None:
            return None
        root = absolute(given)
        if is_address(root) or is_address(os.fspath(file)):
            return cls(given, root, None)
        try:
            place = os.path.dirname(os.path.abspath(file))
            from_file = os.path.relpath(root, place).replace(os.sep, "/")
        except ValueError:
            from_file = None
        return cls(given, root, from_file)

    @classmethod
    def from_dict(cls, told: Any, paths: Sequence[str]) -> Whereabouts | None:
        """Read what a file tells; of older ones the paths alone."""
        if isinstance(told, dict):
            from_file = told["from_file"]
            return cls(
                str(told["given"]), str(told["root"]), None if from_file is None else str(from_file)
            )
        given = common_folder(paths)
        return None if given is None else cls(given, absolute(given), None)

    def finder(
        self, paths: Sequence[str], file: Path, root: str | os.PathLike[str] | None
    ) -> Callable[[str], str] | None:
        """Return a function that says where a picture is now; None if it is where its path says.

        `root` is the folder of the pictures, if it is told; an `OptionError` if they are not there.
        """
        some = [paths[row] for row in range(0, len(paths), max(1, len(paths) // _TRIED))]
        folders = [self.root]
        if self.from_file is not None:
            folders.insert(0, os.path.normpath(os.path.join(file.parent, self.from_file)))
        if root is not None:
            folders = [os.path.expanduser(local_path(os.fspath(root)))]
        elif not some or any(map(may_be_there, some)):
            return None
        for folder in folders:
            if any(may_be_there(self._within(folder, path)) for path in some):
                return lambda path, folder=folder: self._within(folder, path)  # type: ignore[misc]
        if root is not None:
            first = relative_to(self.given, some[0]) if some else "nothing"
            raise OptionError(
                f"root {folders[0]!r} holds no picture of {file}: expected the folder in which "
                f"{first} is"
            )
        return None

    def _within(self, folder: str, path: str) -> str:
        """Write the path of a picture within another folder."""
        member = member_of(path)
        if member is not None:
            return str(member._replace(container=self._within(folder, member.container)))
        if self.given and not path.startswith(self.given):
            return path
        name = relative_to(self.given, path)
        return below(folder, name) if is_address(folder) else os.path.join(folder, *name.split("/"))
