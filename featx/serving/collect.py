"""Collection of corrections: pictures that a model got wrong, and a table that `train` takes."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from featx.errors import FeatxError, OptionError, StorageError, get_logger
from featx.files import check_writable, storage_errors, take_lock, written
from featx.images.decode import MAX_PIXELS, measure, picture_size
from featx.images.labels import class_name
from featx.models.prediction_table import read_rows, write_rows
from featx.text import beginning, count, printable, size

TABLE = "corrections.csv"
FOLDER = "pictures"  # beside the table
COLUMNS = ("path", "label", "predicted", "time")

LOCKED_SECONDS = 10.0  # that another process may hold the table
_LOOK_SECONDS = 0.05

MOST_PICTURES = 10_000
MOST_BYTES = 10_000_000_000
LONGEST_LABEL = 100  # letters
_LONGEST_PREDICTED = 200  # columns
#: The status of the answer to a correction that is not kept, by its code.
STATUSES = {"label": 422, "picture": 422, "limit": 507, "full": 507, "storage": 500}

_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "JPEG2000": ".jp2", "HEIF": ".heic", "TIFF": ".tif"}
_NO_UNICODE = "\N{REPLACEMENT CHARACTER}"
_FULL = (errno.ENOSPC, errno.EDQUOT)

log = get_logger(__name__)


class CorrectionError(FeatxError, ValueError):
    """A correction is not kept.

    Attributes
    ----------
    code : str
        Why, in a word: "label", "picture", "limit", "full" (the disk) or "storage".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Correction:
    """What was kept of a correction.

    Attributes
    ----------
    label : str
        The class, as it stands in the table.
    replaced : bool
        Whether an earlier correction of the same picture has gone.
    """

    label: str
    replaced: bool


class Collection:
    """A folder of corrected pictures, and the table `corrections.csv` of their labels in it.

    The table is read again for each correction and written whole or not at all, so that a server
    may be stopped at any time, and rows that a person has changed stay changed. Several threads
    may add, and on POSIX systems several servers.

    Parameters
    ----------
    folder : str or path
        Where they are kept; it is made if it does not exist.
    most_pictures, most_bytes : int
        How many pictures are kept, and how many bytes of them.

    Raises
    ------
    StorageError
        The folder cannot be made or written to.
    OptionError
        It has a table of that name that is none of corrections.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        most_pictures: int = MOST_PICTURES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._folder = Path(os.path.expanduser(folder))
        self._most_pictures = most_pictures
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        pictures = self._folder / FOLDER
        with storage_errors(pictures):
            pictures.mkdir(parents=True, exist_ok=True)
        check_writable(pictures / "picture.jpg")
        check_writable(self.table)
        read_rows(self.table)

    @property
    def table(self) -> Path:
        """The table, with the columns path, label, predicted and time (UTC)."""
        return self._folder / TABLE

    def add(
        self, data: bytes, label: str, predicted: str = "", most_pixels: int = MAX_PIXELS
    ) -> Correction:
        """Keep a picture with its right class; an earlier correction of the same file is replaced.

        Parameters
        ----------
        data : bytes
            The picture's file.
        label : str
            The right class, which may be a new one.
        predicted : str
            What the model said.
        most_pixels : int
            Of the picture, told from its header.

        Raises
        ------
        CorrectionError
            The label is no name of a class, the bytes are no picture, or there is no room. The
            message names no path.
        """
        name = checked_label(label)
        width, height = picture_size(data) or (0, 0)
        measured = measure(data) if width * height <= most_pixels else None
        if measured is None:
            raise CorrectionError("picture", "this file is no picture that can be read")
        suffix = _SUFFIXES.get(measured.format, f".{measured.format.lower()}")
        path = f"{FOLDER}/{sha256(data).hexdigest()[:32]}{suffix}"
        row = {
            "path": path,
            "label": name,
            "predicted": beginning(printable(predicted), _LONGEST_PREDICTED),
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        with _told_without_paths(), self._locked():
            return Correction(name, self._keep(data, row))

    def _keep(self, data: bytes, row: dict[str, str]) -> bool:
        """Write picture and row; return whether there was a row of this picture."""
        columns, rows = read_rows(self.table)
        others = [each for each in rows if each["path"] != row["path"]]
        target = self._folder / row["path"]
        is_new = not target.exists()
        if is_new:
            self._check_room(len(others), len(data))
            with written(target) as file:
                file.write_bytes(data)
        try:
            names = [*columns, *(name for name in COLUMNS if name not in columns)]
            write_rows(self.table, names, [*others, row])
        except BaseException:
            if is_new:
                target.unlink(missing_ok=True)
            raise
        return len(others) < len(rows)

    def _check_room(self, n_pictures: int, n_bytes: int) -> None:
        """Raise a `CorrectionError` if one more picture is too much."""
        with os.scandir(self._folder / FOLDER) as entries:
            taken = sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
        if n_pictures >= self._most_pictures or taken + n_bytes > self._most_bytes:
            raise CorrectionError(
                "limit",
                f"the collection is full: it holds {count(n_pictures, 'picture')}, {size(taken)}, "
                f"of at most {self._most_pictures:,} and {size(self._most_bytes)}; train with it, "
                "and collect in another folder",
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one at a time read and write the table, of all threads and processes."""
        until = time.monotonic() + LOCKED_SECONDS
        if not self._lock.acquire(timeout=LOCKED_SECONDS):
            raise self._held()
        try:
            with open(self._folder / ".lock", "ab") as file:
                while not take_lock(file):
                    if time.monotonic() > until:
                        raise self._held()
                    time.sleep(_LOOK_SECONDS)
                yield  # it is locked until it is closed
        finally:
            self._lock.release()

    def _held(self) -> StorageError:
        return StorageError(
            f"another process has held {self._folder / '.lock'} for {LOCKED_SECONDS:.0f} s"
        )


def checked_label(label: object) -> str:
    """Return the name of a class as it counts when it is learned.

    Raises a `CorrectionError` if it is none that people can read and tell from others.
    """
    expected = f"expected the name of a class, one line of 1 to {LONGEST_LABEL} letters"
    if not isinstance(label, str) or not (name := class_name(label)):
        raise CorrectionError("label", f"there is no label: {expected}")
    if len(name) > LONGEST_LABEL:
        raise CorrectionError("label", f"the label has {len(name):,} letters: {expected}")
    if printable(name) != name or _NO_UNICODE in name:
        raise CorrectionError("label", f"the label has letters that cannot be seen: {expected}")
    return name


@contextmanager
def _told_without_paths() -> Iterator[None]:
    """Say what cannot be written in a line that a client may read."""
    try:
        yield
    except CorrectionError:
        raise
    except (OptionError, StorageError, OSError) as error:
        log.warning(f"a correction is not kept: {error}")
        if getattr(error, "errno", None) in _FULL:
            raise CorrectionError("full", "the disk of the server is full") from error
        raise CorrectionError(
            "storage", "the server cannot write the table or the picture; its log says why"
        ) from error
