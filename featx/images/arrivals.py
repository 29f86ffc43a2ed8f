"""The arrivals in a folder: pictures that are new in it or have changed, once they are whole."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from featx.errors import ImageSourceError
from featx.images.listing import list_folder

#: Size of a file in bytes, and when it was written last, as `os.stat` has them.
Stamp: TypeAlias = tuple[int, float]

AGAIN = 1_000  # files that are done and looked at again, in one look; each costs a network share


@dataclass
class Arrivals:
    """The pictures of a folder and those below it, looked at again and again.

    Nothing is asked of the operating system but the list of names and the size and time of files:
    that works on network shares, whose servers tell nobody of new files. Of files that are done
    some take turns in each look, so that a look at 100,000 costs little more than their list.

    Attributes
    ----------
    folder : str
        The folder.
    is_done : callable
        Whether a path with this stamp is no arrival; it is asked once, and again of what changed.
    unfinished : list of str
        Pictures that were new or changed in the last look, and may be still being written.
    """

    folder: str
    is_done: Callable[[str, Stamp], bool]
    unfinished: list[str] = field(default_factory=list)
    _done: dict[str, Stamp] = field(default_factory=dict)
    _seen: dict[str, Stamp] = field(default_factory=dict)  # not done, as they were
    _turns: deque[str] = field(default_factory=deque)  # those that are done

    def look(self) -> dict[str, Stamp]:
        """Return new and changed pictures that are as they were in the last look.

        In order of their paths. Raises an `ImageSourceError` where the folder cannot be listed;
        what has been seen in it is not forgotten.
        """
        if not os.path.isdir(self.folder):
            raise ImageSourceError(f"{self.folder!r} is not there: expected a folder")
        names = list_folder(self.folder).images
        before, self._seen = self._seen, {}
        turn, arrived = self._turn(), dict[str, Stamp]()
        start = os.path.join(self.folder, "")
        for name in names:
            path = start + name.replace("/", os.sep)
            if path in self._done and path not in turn and path not in before:
                continue
            stamp = stamp_of(path)
            if stamp is None or self._done.get(path) == stamp:
                continue
            if path not in before and self.is_done(path, stamp):
                self.done({path: stamp})
                continue
            self._seen[path] = stamp
            if before.get(path) == stamp:
                arrived[path] = stamp
        self.unfinished = [path for path in self._seen if path not in arrived]
        return arrived

    def done(self, stamps: dict[str, Stamp]) -> None:
        """Take pictures for done, until they change."""
        self._turns.extend(path for path in stamps if path not in self._done)
        self._done |= stamps
        for path in stamps:
            self._seen.pop(path, None)

    def _turn(self) -> set[str]:
        """Return the done files whose turn it is to be looked at."""
        turn = [self._turns.popleft() for _ in range(min(AGAIN, len(self._turns)))]
        self._turns.extend(turn)
        return set(turn)


def stamp_of(path: str) -> Stamp | None:
    """Look at a file; None where there is none any more."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime
