"""Embedding piece by piece, into a folder of features that may be larger than memory.

Each piece of some thousand pictures becomes a part of the folder before the next one is looked at.
A run that ended early goes on: a part is kept as long as its pictures, their labels and the recipe
are what they were. Pictures of it that could not be read are tried again.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain, compress, islice

import numpy as np

from featx.errors import FeatxError, NoImagesError, OptionError, StorageError, get_logger
from featx.features.calibration import calibrated
from featx.features.formats import FOLDER_SUFFIX, SUFFIXES, flat
from featx.features.matrix import Features, open_folder
from featx.features.options import EmbedOptions
from featx.features.parts.folder import check_outside, names_folder
from featx.features.parts.part import Part, Rows
from featx.features.parts.writing import FolderWriter, Listing
from featx.features.request import Request, calibrations_in
from featx.features.run import fill, lost_classes, none_read, run
from featx.files import check_writable, room_for
from featx.images.decode import Outcome
from featx.images.digests import digest_bytes
from featx.images.folder import ImageFolder
from featx.images.labels import Label
from featx.images.memory import MemoryImage
from featx.images.regular import stamp_of
from featx.paths import file_of
from featx.storage.address import is_address
from featx.storage.objects import entries_of
from featx.text import count

_PIECES_AHEAD = 32  # a quarter of a million pictures

# Vectors, and the outcome and the digest of each picture, also of those that failed.
_Made = tuple[np.ndarray, Sequence[Outcome | None], Sequence[str | None]]

log = get_logger(__name__)


def check_out(out: str | os.PathLike[str], settled: EmbedOptions, networks: int) -> None:
    """Check, before any work is done, that features can be written; see `featx.embed`."""
    if networks > 1:
        raise OptionError(
            f"out is {os.fspath(out)!r}, and there are {networks} networks: expected one, or "
            "several that + joins; save the others by themselves"
        )
    check_outside(out)
    if not names_folder(out):
        check_writable(out, (*SUFFIXES, FOLDER_SUFFIX), anywhere=True)
    elif settled["views"]:
        raise OptionError(
            f"{os.fspath(out)}: a folder of features keeps no augmented views; name a file, such "
            "as photos.npz, or embed without views"
        )


def embed_into(
    out: str | os.PathLike[str],
    pieces: Iterable[ImageFolder],
    request: Request,
    settled: EmbedOptions,
) -> Features:
    """Embed pieces of images into a folder, and open it; see `featx.embed`."""
    began = time.perf_counter()
    writer = FolderWriter(out)
    writer.start()
    pieces = iter(pieces)
    first = next(pieces)
    (request,) = calibrated([request], first, settled)
    writer.made_by = request.recipe.fingerprint
    pieces = chain([first], pieces)
    if settled["runner"] != "local":
        pieces = _filled_ahead(pieces, request, settled)
        settled = {
            **settled,
            "runner": "local",
            "address": None,
            "num_workers": None,
            "num_gpus": 0,
        }
    filling = _Filling(writer, request, settled)
    for images in pieces:
        filling.add(images)
    filling.finish()
    elapsed = time.perf_counter() - began
    return open_folder(out, kept=writer.kept, seconds=filling.seconds, elapsed=elapsed)


def _filled_ahead(
    pieces: Iterator[ImageFolder], request: Request, settled: EmbedOptions
) -> Iterator[ImageFolder]:
    """Let a cluster embed many pieces into the cache, then yield these, of which all is known.

    Its workers open the networks anew for each call.
    """
    while group := list(islice(pieces, _PIECES_AHEAD)):
        fill([path for images in group for path in images.paths], [request], settled)
        yield from group


class _Filling:
    """One filling of a folder, and what is known of all pieces."""

    def __init__(self, writer: FolderWriter, request: Request, settled: EmbedOptions) -> None:
        self.seconds = 0.0  # of the work
        self._writer = writer
        self._request = request
        self._settled = settled
        self._listed: set[Label | None] = set()  # classes
        self._read: set[Label | None] = set()
        self._notes: dict[str, None] = {}
        self._n_other = 0
        self._is_first = True
        self._images_per_second = math.nan
        self._shape: tuple[int, ...] | None = None  # of a vector, once it is known
        self._waiting: list[tuple[ImageFolder, Sequence[Outcome], Listing]] = []  # until it is

    def add(self, images: ImageFolder) -> None:
        """Embed a piece, unless it is there."""
        self._listed.update(images.labels)
        self._notes.update(dict.fromkeys(images.notes))
        self._n_other += images.n_other
        listing = partial(_listing, images, _states(images))
        self._is_first, was_first = False, self._is_first
        if not self._waiting and self._keep(images, listing):
            return
        try:
            features = self._run(images, hints=was_first)
        except NoImagesError as error:  # of this piece
            self._waiting.append((images, error.outcomes, listing))
            if self._shape is not None:
                self._write_waiting(self._shape)
            return
        self._write_waiting(features.X.shape[1:])
        self._write(images, *_made(features), listing)

    def finish(self) -> None:
        """Write the manifest; pictures of which none could be read are a `NoImagesError`."""
        if self._shape is None:
            raise none_read([each for _, outcomes, _ in self._waiting for each in outcomes])
        lost = lost_classes(self._listed, self._read)
        fields = {
            "recipe": self._request.recipe,
            "n_other": self._n_other,
            "weights": self._request.weights,
            "notes": (*self._notes, *lost),
            "name": None,
            "calibrations": calibrations_in(self._request.backbones, self._request.recipe),
            "images_per_second": self._images_per_second,
        }
        self._writer.finish(fields, self._shape)

    def _keep(self, images: ImageFolder, listing: Listing) -> bool:
        """Keep the part of a piece if it is there, mended where more can be read by now."""
        found = self._writer.found(listing)
        if found is None:
            return False
        part, rows = found
        self._shape = tuple(part.about["shape"])
        self._images_per_second = part.about["images_per_second"]
        again = self._tried_again(images, part, rows)
        if again is None:
            self._writer.keep(part, rows)
            self._read.update(compress(images.labels, rows.valid))
            log.info("%s were there", count(len(images), "image"))
            return True
        try:
            mended = _mended(part, rows, *again)
        except StorageError:  # the vectors are damaged
            return False
        self._write(images, *mended, listing)
        return True

    def _tried_again(self, images: ImageFolder, part: Part, rows: Rows) -> _Made | None:
        """Embed the pictures of a part that failed; None where each fails as it did."""
        failed = np.flatnonzero(~rows.valid).tolist()
        if not failed:
            return None
        try:
            made = _made(self._run(images.select(failed), hints=False))
        except NoImagesError as error:
            nothing = np.empty((0, part.width), np.float32)
            made = nothing, error.outcomes, [None] * len(failed)
        known = [each.reason for each in rows.outcomes if each and not each.ok]
        return None if [each and each.reason for each in made[1]] == known else made

    def _run(self, images: ImageFolder, hints: bool) -> Features:
        (features,) = run(images, [self._request], self._settled, hints=hints)
        self._shape = features.X.shape[1:]
        self.seconds += features.seconds
        self._images_per_second = features.images_per_second
        return features

    def _write(
        self,
        images: ImageFolder,
        vectors: np.ndarray,
        outcomes: Sequence[Outcome | None],
        keys: Sequence[str | None],
        listing: Listing,
    ) -> None:
        valid = [each is None or each.ok for each in outcomes]
        self._read.update(compress(images.labels, valid))
        about = {"shape": self._shape, "images_per_second": self._images_per_second}
        self._writer.add(
            vectors, images.paths, images.labels, outcomes, keys, listing(valid), about
        )

    def _write_waiting(self, shape: tuple[int, ...]) -> None:
        """Write pieces of which no picture could be read, now that the columns are known."""
        waiting, self._waiting = self._waiting, []
        vectors = np.empty((0, math.prod(shape)), np.float32)
        for images, outcomes, listing in waiting:
            self._write(images, vectors, outcomes, [None] * len(images), listing)


def _made(features: Features) -> _Made:
    """Return the vectors, outcomes and digests of features."""
    assert features.digests is not None
    keys = iter(features.digests.tolist())
    digests = [next(keys).decode() if outcome.ok else None for outcome in features.outcomes]
    return flat(features.X), features.outcomes, digests


def _mended(
    part: Part,
    rows: Rows,
    vectors: np.ndarray,
    outcomes: Sequence[Outcome | None],
    keys: Sequence[str | None],
) -> _Made:
    """Return what a part holds with those of its pictures that failed as they are made now."""
    was_there = rows.valid
    rows = rows.as_kept()
    all_outcomes, all_keys = list(rows.outcomes), list(rows.digests)
    for row, outcome, key in zip(np.flatnonzero(~was_there), outcomes, keys, strict=True):
        all_outcomes[row], all_keys[row] = outcome, key
    is_there = replace(rows, outcomes=all_outcomes).valid
    places = np.cumsum(is_there) - 1
    X = room_for((int(is_there.sum()), part.width), part.place.folder)
    part.read(np.arange(len(part)), X, places[was_there])
    X[places[is_there & ~was_there]] = vectors
    return X, all_outcomes, all_keys


def _listing(images: ImageFolder, states: Sequence[object], valid: Sequence[bool]) -> str:
    """Return a digest of what the files of images, and their labels, are.

    The files that are not valid could not be read, and are tried again whatever they are.
    """
    if len(valid) != len(images):  # a part of other pictures
        return ""
    digest = hashlib.sha256()
    for path, label, state, ok in zip(images.paths, images.labels, states, valid, strict=True):
        told = repr((str(path), label, state if ok else None))
        digest.update(told.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _states(images: ImageFolder) -> list[object]:
    """Return, for each image, what tells that its file is unchanged; None where it is not there."""
    stamps = _stamps({file_of(path) for path in images.paths if not isinstance(path, MemoryImage)})
    return [
        digest_bytes(path.read()) if isinstance(path, MemoryImage) else stamps.get(file_of(path))
        for path in images.paths
    ]


def _stamps(files: Collection[str]) -> dict[str, tuple[int | str, ...]]:
    """Return what tells that files and objects are unchanged, of those that are there."""
    stamps: dict[str, tuple[int | str, ...]] = {}
    for file in files:
        if not is_address(file):
            with suppress(OSError, ValueError):  # it is not there, or no path at all
                stamps[file] = stamp_of(os.stat(file))
    with suppress(FeatxError):  # reading them says why
        found = entries_of([file for file in files if is_address(file)])
        stamps |= {address: (each.size, each.stamp) for address, each in found.items()}
    return stamps
