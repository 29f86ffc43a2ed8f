"""The watch over a folder: pictures that come into it are labelled once, in a table that grows."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from os import PathLike
from typing import Any, Unpack

from featx.errors import ImageSourceError, NoImagesError, OptionError, get_logger
from featx.features.options import EngineOptions, takes
from featx.features.session import Picture, Session
from featx.images.arrivals import Arrivals, Stamp, stamp_of
from featx.images.decode import Outcome
from featx.images.digests import read_file
from featx.images.limits import Room
from featx.images.regular import MAX_FILE_BYTES
from featx.models.growing_table import GrowingTable
from featx.models.inference import features_of_nothing
from featx.models.load import load
from featx.models.model import ImageClassifier
from featx.models.prediction_table import FileState
from featx.models.predictions import Predictions, check_top
from featx.models.tally import Tally
from featx.storage.address import is_address
from featx.text import count, listed

EVERY = 2.0  # seconds between two looks
_REST = 9  # times as long as a look took; so looks take a tenth of the time at most
_READ = Room(MAX_FILE_BYTES)  # for the bytes of the files that threads have read

log = get_logger(__name__)

_Read = tuple[Picture | None, Outcome]
_Reading = Future[_Read | None]


@takes(EngineOptions)
def watch(
    model: ImageClassifier | str | PathLike[str],
    folder: str | PathLike[str],
    out: str | PathLike[str],
    *,
    every: float = EVERY,
    once: bool = False,
    answer_all: bool = False,
    top: int = 1,
    probabilities: bool = False,
    **options: Unpack[EngineOptions],
) -> Watch:
    """Label the pictures that come into a folder, each once, and add them to a table.

    The table is all that is remembered: a watch that was ended, or killed, goes on where it was.
    A picture is labelled once its size and time are the same in two looks at the folder, so that
    none is read while it is being written; one that changes later gets another row. What cannot be
    decoded has a row with the reason, and what the system does not let be read is tried again in
    each look.

    Parameters
    ----------
    model : ImageClassifier or path
        What labels.
    folder : str or path
        Where pictures come to, also in folders below it. It may go for a while, as a network share
        does.
    out : str or path
        The table, whose name ends in ".csv": a row for each picture, as `Predictions.rows` has it
        with its size and time. A row is added in one write and is on the disk before it is given.
    every : float, default=2.0
        Seconds between two looks at the folder; more where a look takes long.
    once : bool, default=False
        End after two looks, or one where nothing is new.
    answer_all, top, probabilities
        As for `ImageClassifier.predictions`.
    **options : expanded

    Returns
    -------
    Watch
        The rows, to be iterated over: each is given when it is in the table.

    Raises
    ------
    ImageSourceError
        The folder is not there.
    OptionError
        The table is that of another model, or another process is adding to it.
    ModelFileError
        The file is no model.

    Examples
    --------
    >>> for row in featx.watch("fruit.featx", "inbox", "labels.csv"):  # doctest: +SKIP
    ...     print(row["path"], row["label"])
    """
    if not isinstance(model, ImageClassifier):
        model = load(model)
    return Watch(
        model,
        folder,
        out,
        every=every,
        once=once,
        answer_all=answer_all,
        top=top,
        probabilities=probabilities,
        **options,
    )


@takes(EngineOptions)
class Watch:
    """A folder that is watched; `featx.watch` begins it, and iterating over it gives its rows.

    The table is locked until the watch is iterated to its end, or closed.

    Parameters
    ----------
    model, folder, out, every, once, answer_all, top, probabilities
        As for `featx.watch`; the model is an ImageClassifier.
    **options : expanded

    Attributes
    ----------
    tally : Tally
        How many pictures were labelled, and how.
    """

    def __init__(
        self,
        model: ImageClassifier,
        folder: str | PathLike[str],
        out: str | PathLike[str],
        *,
        every: float = EVERY,
        once: bool = False,
        answer_all: bool = False,
        top: int = 1,
        probabilities: bool = False,
        **options: Unpack[EngineOptions],
    ) -> None:
        check_top(top)
        if isinstance(every, bool) or not (0 < every < math.inf):
            raise OptionError(f"every {every!r}: expected a number of seconds above 0")
        self.folder = os.path.expanduser(os.fspath(folder))
        if is_address(self.folder):
            raise ImageSourceError(
                f"{self.folder!r} is an address: expected a folder of this machine to watch; "
                "`featx predict --only-new` labels what is new at an address"
            )
        if not os.path.isdir(self.folder):
            found = "is no folder" if os.path.exists(self.folder) else "does not exist"
            raise ImageSourceError(f"{self.folder!r} {found}: expected a folder to watch")
        self.tally = Tally()
        self._every, self._once = every, once
        self._model, self._answer_all, self._top = model, answer_all, top
        self._probabilities = probabilities
        self._unlisted = 0  # looks in a row that could not list the folder
        self._unread = dict[str, str]()  # why files could not be read in the last look
        columns = self._predicted([], []).columns
        self._session: Session = model.session(**options)
        self._table = GrowingTable(out, columns)
        try:
            self._check_labels()
        except OptionError:
            self.close()
            raise
        self._arrivals = Arrivals(self.folder, self._has)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for predictions in self.batches():
            yield from predictions.rows

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """End the watch, so that another one may begin."""
        self._table.close()
        self._session.close()

    @property
    def summary(self) -> str:
        """How many pictures were labelled, and what was left for later."""
        told = [self.tally.summary]
        if self._once and (left := len(self._arrivals.unfinished)):
            told.append(f"left for the next run, since still being written: {count(left, 'file')}")
        return "\n".join(told)

    def batches(self) -> Generator[Predictions, None, None]:
        """Label what comes; give some predictions at a time, once they are in the table."""
        with self:
            if not self._once:
                self._session.open()  # so that what is wrong with the network is said now
            for number in itertools.count(1):
                began = time.monotonic()
                arrived = self._look()
                took = time.monotonic() - began
                yield from self._labelled(arrived)
                if self._once and (number == 2 or not self._arrivals.unfinished):
                    return
                time.sleep(max(self._every, _REST * took))

    def _look(self) -> dict[str, Stamp]:
        """Return what has arrived; nothing while the folder is away, which is said once."""
        if not self._table.is_current():
            log.warning("%s was changed meanwhile: it is read again", self._table.path)
            self._table.open_again()
            self._arrivals = Arrivals(self.folder, self._has)
        try:
            arrived = self._arrivals.look()
        except ImageSourceError as error:
            if self._once:
                raise
            self._unlisted += 1
            if self._unlisted == 2:  # a folder within may be removed in the midst of a look
                log.warning("%s; waiting for it", error)
            return {}
        if self._unlisted >= 2:
            log.warning("%s can be listed again", self.folder)
        self._unlisted = 0
        return arrived

    def _labelled(self, arrived: Mapping[str, Stamp]) -> Iterator[Predictions]:
        """Label what has arrived, some pictures at a time, and add it to the table."""
        unread = dict[str, str]()
        for begun in self._decoded(arrived):
            read = dict[str, _Read]()
            for path, future in begun.items():
                try:
                    if found := future.result():
                        read[path] = found
                except OSError as error:
                    unread[path] = error.strerror or str(error)
            if read:
                states = [FileState.at(*arrived[path]) for path in read]
                predictions = self._predicted(list(read.values()), states)
                self._table.add(predictions.rows)
                self._arrivals.done({path: arrived[path] for path in read})
                self.tally += predictions.tally
                yield predictions
        self._tell(unread)

    def _decoded(self, arrived: Mapping[str, Stamp]) -> Iterator[dict[str, _Reading]]:
        """Decode what has arrived, some pictures at a time, and the next ones ahead."""
        if not arrived:
            return
        paths, begun = list(arrived), deque[dict[str, _Reading]]()
        size = self._session.batch_size * self._session.streams
        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="featx-decode") as pool:
            for start in range(0, len(paths), size):
                chunk = paths[start : start + size]
                begun.append({path: pool.submit(self._read, path, arrived[path]) for path in chunk})
                if len(begun) > 1:
                    yield begun.popleft()
            yield from begun

    def _read(self, path: str, stamp: Stamp) -> _Read | None:
        """Read and decode a file; None if it is not as it was, or gone."""
        with _READ.taken(min(stamp[0], MAX_FILE_BYTES)):
            try:
                data, _ = read_file(path)
            except FileNotFoundError:
                return None
            except (OSError, MemoryError) as error:
                if isinstance(error, OSError) and error.errno:
                    raise
                return None, Outcome("failed", path=path, reason=str(error) or "out of memory")
            if stamp_of(path) != stamp:
                return None
            return self._session.decode(data, path)

    def _predicted(self, read: Sequence[_Read], states: Sequence[FileState]) -> Predictions:
        """Predict pictures that were decoded; the others failed."""
        pictures = [picture for picture, _ in read if picture is not None]
        outcomes = [outcome for _, outcome in read]
        if pictures:
            features = self._session.features(pictures)
            embedded = iter(features.outcomes)
            outcomes = [next(embedded) if outcome.ok else outcome for outcome in outcomes]
            features = replace(features, outcomes=tuple(outcomes))
        else:
            features = features_of_nothing(NoImagesError("", outcomes=tuple(outcomes)))
        return Predictions.of(
            features,
            self._model._inferred(features),
            answer_all=self._answer_all,
            top=self._top,
            with_probabilities=self._probabilities,
            states=tuple(states),
        )

    def _tell(self, unread: dict[str, str]) -> None:
        """Say which files the system does not let be read, once of each."""
        if new := [path for path in unread if path not in self._unread]:
            log.warning(
                "%s cannot be read, such as %s (%s): tried again in the next look",
                count(len(unread), "file"),
                new[0],
                unread[new[0]],
            )
        self._unread = unread

    def _has(self, path: str, stamp: Stamp) -> bool:
        return self._table.has(path, FileState.at(*stamp))

    def _check_labels(self) -> None:
        """Raise an `OptionError` if the table is of a model with other classes."""
        found, known = self._table.labels, set(map(str, self._model.classes))
        if found and not found & known:
            raise OptionError(
                f"{self._table.path} has the labels {listed(sorted(found))}, and none of them is "
                f"a class of the model ({listed(self._model.classes)}): name another file"
            )
