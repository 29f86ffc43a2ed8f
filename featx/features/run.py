"""The run of networks over pictures: stores are opened, filled, and read back as matrices."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import quickest_precision
from featx.backbones.weights import written_sources
from featx.errors import ImageError, ImageSourceError, NoImagesError, StorageError, get_logger
from featx.features.calibration import calibrated
from featx.features.columns import as_labels, as_paths
from featx.features.matrix import Features
from featx.features.networks import Network, networks_of, work_of
from featx.features.options import EmbedOptions
from featx.features.ray_runner import blocks_on_ray, connect, require_ray
from featx.features.reader import Reader, ReadFile, unread
from featx.features.recipe import Recipe, RecipePart, join
from featx.features.request import Request, calibrations_in
from featx.features.settings import RunSettings
from featx.features.store.store import FeatureStore
from featx.features.worker import Tally
from featx.features.writer import Picture
from featx.files import cache_folder, cache_place, room_for
from featx.images.decode import Outcome
from featx.images.digests import DigestMemo, read_file
from featx.images.folder import ImageFolder
from featx.images.labels import Label, classes_of
from featx.images.memory import MemoryImage
from featx.images.quiet import quiet_pillow
from featx.images.survey import MEASURES, MeasuresMemo
from featx.progress import progress_bar
from featx.storage.address import absolute
from featx.text import listed

_PASSES = 3  # one for what is missing, more for what turns out damaged or cleared meanwhile
_MEASURED_FROM = 0.005  # seconds of an image in its networks
_REMEMBERED_EVERY = 10.0  # seconds of a run by workers
_FEW = 16  # pictures that are read sooner than looked up, and perhaps not worth keeping
_MANY = 2_000  # images from which up it is worth a word that `fast` is faster

log = get_logger(__name__)


def run(
    images: ImageFolder,
    requests: Sequence[Request],
    settled: EmbedOptions,
    *,
    sparing: bool = False,
    hints: bool = True,
) -> list[Features]:
    """Embed images by several requests, each picture decoded once for all.

    A network runs once for recipes that differ by the pooling alone, "avg" and "max". Of `settled`
    the options that `RunSettings` has count; the others are part of the requests. A sparing run
    keeps a few new vectors only if they are among the first ones of the process: one that predicts
    picture by picture would fill the disk with what nobody asks for again. `hints` are said of
    faster ways. It raises what `embed` does.
    """
    settings = _settings(settled)
    began = time.perf_counter()
    requests = calibrated(requests, images, settled)
    networks, filling = _filled(images.paths, requests, settings, sparing, hints)
    made = {
        (each.backbone, store.recipe): _matrix(images, each.backbone, store, embedded, filling)
        for each in networks
        for store, embedded in zip(each.writer.stores, each.writer.embedded, strict=True)
    }
    seconds, elapsed = filling.seconds, time.perf_counter() - began
    return [
        replace(_joined(request, made), seconds=seconds, elapsed=elapsed) for request in requests
    ]


def fill(paths: Sequence[str], requests: Sequence[Request], settled: EmbedOptions) -> None:
    """Embed files by calibrated requests into the cache, as `run` does, and read no matrix."""
    _filled(paths, requests, _settings(settled), sparing=False, hints=True)


def _settings(settled: EmbedOptions) -> RunSettings:
    """Return the settings of a run, which can be obeyed."""
    settings = RunSettings.of(settled)
    settings.check()
    if settings.runner == "ray":
        require_ray()
    return settings


def _filled(
    paths: Sequence[str],
    requests: Sequence[Request],
    settings: RunSettings,
    sparing: bool,
    hints: bool,
) -> tuple[list[Network], _Filling]:
    """Fill the stores of calibrated requests; return their networks, and what is known of files."""
    parts = list(dict.fromkeys(part for request in requests for part in request.parts))
    folder, memo = _cache(settings.cache)
    networks = networks_of(parts, folder and cache_place(settings.cache), settings)
    few = len(paths) < _FEW
    known = {} if few else memo.known(paths)
    measuring = None if few or sparing or folder is None else partial(_is_worth_measuring, networks)
    filling = _Filling(paths, networks, known, settings, sparing, hints, measuring, memo)
    try:
        filling.fill()
    finally:
        for each in networks:
            if each.batches.count:
                each.writer.note_speed(each.batches.images_per_second, each.batches.count)
            for store in each.writer.stores:
                store.discard_empty()
        if not few:
            memo.remember(filling.reader.read)
            MeasuresMemo(folder and folder / MEASURES).remember(filling.reader.measured)
    return networks, filling


def _cache(asked: str | os.PathLike[str] | bool | None) -> tuple[Path | None, DigestMemo]:
    """Return the folder of what stays on this machine, None for False, and its memo of digests."""
    if asked is False:
        return None, DigestMemo(None)
    folder = cache_folder(asked)
    return folder, DigestMemo(folder / "digests.sqlite")


def _is_worth_measuring(networks: Sequence[Network]) -> bool:
    """Whether measuring a picture takes little beside its networks, on CPUs a twentieth or less."""
    return sum(network.batches.seconds_per_image for network in networks) >= _MEASURED_FROM


def _on_any_machine(path: str) -> str:
    """Return a path that workers understand, whatever folder they are in."""
    return path if isinstance(path, MemoryImage) else absolute(path)


def _claim(networks: Sequence[Network], digest: str) -> list[int]:
    return [number for number, network in enumerate(networks) if network.writer.claim(digest)]


class _Filling:
    """One filling of stores with the features of some files.

    `digests` has the digest of each file that could be read, by path. `seconds` is the time from
    the first file opened to the last vector, without opening the engines.
    """

    def __init__(
        self,
        paths: Sequence[str],
        networks: Sequence[Network],
        digests: Mapping[str, str],
        settings: RunSettings,
        sparing: bool,
        hints: bool,
        measuring: Callable[[], bool] | None,
        memo: DigestMemo,
    ) -> None:
        self.digests = dict(digests)
        self._failures: dict[str, Outcome] = {}  # by digest, or path where there is none
        self.seconds = 0.0
        claim = partial(_claim, networks)  # not a method: memory waits for no garbage collector
        squares = [each.part.square for each in networks]
        self.reader = Reader(paths, squares, claim, measuring or (lambda: False))
        self._paths = paths
        self._networks = networks
        self._stores = [store for each in networks for store in each.writer.stores]
        self._settings = settings
        self._sparing = sparing
        self._hints = hints
        self._memo = memo
        self._workers: ThreadPoolExecutor | None = None
        self._pending: deque[tuple[Network, list[Picture], Future[np.ndarray]]] = deque()

    def fill(self) -> None:
        """Fill the stores until they have a sound vector for every file that can be read."""
        for number in range(_PASSES):
            todo = self._missing()
            if not todo:
                for store in self._stores:
                    store.discard_damaged()
                return
            if number == 0:
                log.info("%d of %d images are to embed", len(todo), len(self._paths))
                self._hint(len(todo))
                if self._sparing and len(todo) < _FEW:
                    for store in self._stores:
                        store.keep_few(len(todo))
            for network in self._networks:
                network.writer.begin()
            if self._settings.runner == "ray":
                self._pass_on_ray(todo)
            else:
                self._pass(todo)
        if self._missing():
            folders = ", ".join(str(store.files) for store in self._stores)
            raise StorageError(
                f"the cache {folders} does not keep what is written to it; choose another folder"
            )

    def _missing(self) -> list[int]:
        wanted = list(self.digests.values())
        sound = set.intersection(*(store.sound(wanted) for store in self._stores))
        return [
            index
            for index, path in enumerate(self._paths)
            if not self.failure(path) and self.digests.get(path) not in sound
        ]

    def failure(self, path: str) -> Outcome | None:
        """Return the outcome of a file if it failed; copies of a file fail with it."""
        return self._failures.get(self.digests.get(path, path))

    def _hint(self, count: int) -> None:
        """Say, where it is worth it, that these could be embedded several times faster."""
        precise = any(each.part.cut.precision == "float32" for each in self._networks)
        worth_it = self._hints and precise and count >= _MANY
        if not worth_it:  # before the machine is asked, which may import Keras
            return
        kind = self._networks[0].backbone.kind
        if quickest_precision(self._settings.engine, kind=kind) != "float32":
            log.warning(
                "--fast (in Python fast=True) is several times faster on this processor, for "
                "nearly the same features"
            )

    def _pass(self, todo: list[int]) -> None:
        start, opening = time.perf_counter(), 0.0
        names = ", ".join(dict.fromkeys(each.backbone.name for each in self._networks))
        with ExitStack() as stack:
            stack.enter_context(quiet_pillow())
            bar = stack.enter_context(
                progress_bar(names, len(todo), "images", shown=self._settings.progress)
            )
            files = stack.enter_context(closing(self.reader.files(todo)))
            stack.callback(self._stop)
            stack.callback(self._write)  # what was computed is kept, whatever ends the run
            first: dict[str, int] = {}  # of the copies of a file, which threads take in any order
            for file in files:
                bar.update()
                if seconds := self._take(file, self._note(file, first)):
                    opening += seconds
                    bar.unpause()  # it counts pictures, not the start of the network
            for network in self._networks:
                if batch := network.batches.rest():
                    self._submit(network, batch)
            while self._pending:
                self._collect()
        self.seconds += time.perf_counter() - start - opening

    def _pass_on_ray(self, todo: list[int]) -> None:
        """Let the workers of a Ray cluster fill the stores."""
        connect(self._settings.address)
        for store in self._stores:
            store.create()
        work, settings = work_of(self._networks, self._settings), self._settings
        files = [(index, _on_any_machine(self._paths[index])) for index in todo]
        names = ", ".join(dict.fromkeys(each.backbone.name for each in self._networks))
        tally, remembered = Tally(len(self._networks)), time.monotonic()
        with (
            progress_bar(names, len(todo), "images", shown=settings.progress) as bar,
            closing(blocks_on_ray(files, work, settings)) as blocks,
        ):
            for block in blocks:
                tally.add(block)
                for each in block.files:
                    bar.update()
                    self._note(each.file, {})
                    if each.file.digest is not None:
                        path = self._paths[each.file.index]
                        self.reader.read.append((path, each.file.digest, each.stamp))
                if time.monotonic() - remembered > _REMEMBERED_EVERY:
                    self._remember()
                    remembered = time.monotonic()
        self._take_tally(tally, todo)

    def _remember(self) -> None:
        """Remember digests on the way: a run that is killed need not read those files again."""
        self._memo.remember(self.reader.read)
        self.reader.read.clear()

    def _take_tally(self, tally: Tally, todo: list[int]) -> None:
        """Note what workers did: what is embedded now, and how fast that was."""
        self.seconds += tally.seconds
        for store in self._stores:
            store.merge()  # what was stored block by block
        for number, network in enumerate(self._networks):
            computed = set(tally.computed[number])
            if speed := tally.images_per_second(number):
                network.writer.note_speed(speed, len(computed))
            for index in todo:  # the first of the copies of a file stands for all
                if (digest := self.digests.get(self._paths[index])) in computed:
                    computed.discard(digest)
                    for embedded in network.writer.embedded:
                        embedded.add(index)

    def _note(self, file: ReadFile, first: dict[str, int]) -> int:
        """Note the digest of a file that was read, or that it failed.

        Returns the place of the first of its copies, which stands for all of them.
        """
        index, path = file.index, self._paths[file.index]
        if file.digest is None:
            self.digests.pop(path, None)  # remembered from when it could be read
        else:
            self.digests[path] = file.digest
            index = first.setdefault(file.digest, index)
        if not file.outcome.ok:
            if self._settings.runner == "ray" and file.digest is None:
                file = replace(file, outcome=self._unreached(path))
            if self._settings.on_error == "raise":
                raise ImageError(f"cannot read {self._paths[index]}: {file.outcome.reason}")
            self._failures[file.digest or path] = file.outcome
        return index

    def _unreached(self, path: str) -> Outcome:
        """Return the outcome of a file that a worker cannot read, as this machine has it.

        It is an `ImageSourceError` if the file can be read here.
        """
        try:
            read_file(path)
        except (OSError, MemoryError) as error:
            return unread(error, path)
        raise ImageSourceError(
            f"{path} can be read here, and not by a worker of the cluster: name pictures by "
            "paths or addresses that all machines have"
        )

    def _take(self, file: ReadFile, index: int) -> float:
        """Hand the pixels of a file to the networks; return the seconds to open their engines."""
        opening = 0.0
        for number, pixels in file.pixels.items():
            network = self._networks[number]
            opening += network.batches.ready()
            assert network.batches.engine is not None
            assert file.digest is not None
            self.reader.batch_size = max(self.reader.batch_size, network.batches.engine.batch_size)
            picture = Picture(index, file.digest, file.outcome.notes, pixels)
            if batch := network.batches.add(picture):
                self._submit(network, batch)
        return opening

    def _submit(self, network: Network, batch: list[Picture]) -> None:
        """Hand a batch to its network.

        No more batches are computed at once than the processor has streams for, whichever networks
        they are of, so that the speed of each can be told; some wait, so that no stream idles.
        """
        engines = [each.batches.engine for each in self._networks]
        streams = max(engine.streams for engine in engines if engine)
        if self._workers is None:
            self._workers = ThreadPoolExecutor(streams, thread_name_prefix="featx-embed")
        vectors = self._workers.submit(network.batches.embed, batch)
        self._pending.append((network, batch, vectors))
        while len(self._pending) > streams + len(self._networks):
            self._collect()

    def _stop(self) -> None:
        if self._workers is not None:
            self._workers.shutdown(cancel_futures=True)
            self._workers = None

    def _collect(self) -> None:
        network, batch, vectors = self._pending.popleft()
        network.writer.keep(batch, vectors.result())

    def _write(self) -> None:
        """Keep what was computed before the run ended, early or not."""
        try:
            while self._pending:
                with suppress(Exception):  # the error that ended the run is the one to tell
                    self._collect()
        finally:
            for network in self._networks:
                network.writer.write()


def _matrix(
    images: ImageFolder,
    backbone: Backbone,
    store: FeatureStore,
    embedded: set[int],
    filling: _Filling,
) -> Features:
    """Read the matrix of a filled store, rows in the order of the images.

    `embedded` has the places of the images whose vectors were computed now.
    """
    rows = [index for index, path in enumerate(images.paths) if not filling.failure(path)]
    digests = [filling.digests[images.paths[index]] for index in rows]
    outcomes = _outcomes(
        images, dict(zip(rows, store.notes(digests), strict=True)), embedded, filling
    )
    if not rows:
        raise none_read(outcomes)
    assert store.shape is not None
    X = room_for((len(rows), int(np.prod(store.shape))), store.folder)
    store.read(digests, out=X)
    return Features(
        X=X.reshape(len(rows), *store.shape),
        y=as_labels([images.labels[index] for index in rows]),
        paths=as_paths([images.paths[index] for index in rows]),
        outcomes=tuple(outcomes),
        recipe=Recipe((store.recipe,)),
        n_other=images.n_other,
        notes=(*images.notes, *lost_classes(images.labels, {images.labels[row] for row in rows})),
        weights=backbone.weights.source if backbone.weights else "imagenet",
        images_per_second=store.images_per_second,
        calibrations=calibrations_in([backbone], Recipe((store.recipe,))),
        digests=np.array(digests, dtype="S64"),
    )


def _outcomes(
    images: ImageFolder,
    notes: Mapping[int, tuple[str, ...]],
    embedded: set[int],
    filling: _Filling,
) -> list[Outcome]:
    """Say what became of each image, given what was noted of those that could be read."""
    outcomes = []
    for index, path in enumerate(images.paths):
        if failure := filling.failure(path):
            outcomes.append(replace(failure, path=path))
        else:
            status = "embedded" if index in embedded else "cached"
            outcomes.append(Outcome(status, notes=notes[index], path=path))
    return outcomes


def none_read(outcomes: Sequence[Outcome]) -> NoImagesError:
    """Return the error that no image can be read."""
    first = outcomes[0]
    images = f"none of {len(outcomes)} images" if len(outcomes) > 1 else "the image"
    can = "can" if len(outcomes) > 1 else "cannot"
    return NoImagesError(
        f"{images} {can} be read ({first.path}: {first.reason})", outcomes=tuple(outcomes)
    )


def lost_classes(
    listed_ones: Collection[Label | None], read: Collection[Label | None]
) -> list[str]:
    """Name, in a note, the classes of which no image can be read."""
    lost = [str(name) for name in classes_of(listed_ones) if name not in read]
    return [f"no picture of these classes can be read: {listed(lost)}"] if lost else []


def _joined(request: Request, made: Mapping[tuple[Backbone, RecipePart], Features]) -> Features:
    """Join the vectors of the parts of a request, and put its views beside."""
    views = [[made[part] for part in request.of_view(view)] for view in range(request.views + 1)]
    first = views[0][0]
    files = zip(*(each.outcomes for parts in views for each in parts), strict=True)
    outcomes = tuple(
        replace(file[0], status="embedded")
        if "embedded" in {each.status for each in file}
        else file[0]
        for file in files
    )
    if len(request.backbones) == 1:
        X, *others = (parts[0].X for parts in views)
        return replace(first, outcomes=outcomes, views=tuple(others))
    X, *others = (join([each.matrix for each in parts]) for parts in views)
    slowness = sum(1 / each.images_per_second for each in views[0])
    return replace(
        first,
        X=X,
        outcomes=outcomes,
        views=tuple(others),
        recipe=request.recipe,
        weights=written_sources([each.weights for each in views[0]]),
        images_per_second=1 / slowness,
        calibrations=calibrations_in(request.backbones, request.recipe),
    )
