"""The worker of a cluster: files in blocks are read and decoded, and embedded into the stores.

It knows nothing of what carries blocks from one to the other. A block may come twice, to the same
worker or another: what its stores hold is never computed again.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import ImageFile

from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import open_engine
from featx.backbones.engines.engine import Engine, EngineRequest
from featx.errors import FeatxError, StorageError
from featx.features.reader import ReadFile, read_chunk
from featx.features.recipe import RecipePart
from featx.features.request import with_pooling
from featx.features.store.store import FeatureStore
from featx.files import cache_folder
from featx.images.regular import Stamp


@dataclass(frozen=True)
class WorkNetwork:
    """A network of the work: what it sees, and the poolings, sorted, that one run of it gives."""

    backbone: Backbone
    part: RecipePart
    poolings: tuple[str, ...]

    def stores(self, cache: Path) -> list[FeatureStore]:
        """Open the store of each pooling."""
        return [
            FeatureStore(cache, with_pooling(self.part, each), shared=True)
            for each in self.poolings
        ]


@dataclass(frozen=True)
class Work:
    """What all blocks of a run have in common."""

    networks: tuple[WorkNetwork, ...]
    cache: str  # which every worker reaches
    engine: str
    batch_size: int | None
    load_truncated: bool  # the one setting of Pillow that users change

    def open_stores(self) -> list[list[FeatureStore]]:
        """Open the stores of each network."""
        return [network.stores(Path(self.cache)) for network in self.networks]


@dataclass(frozen=True)
class BlockFile:
    """A file of a block: what is known of it once it was read."""

    file: ReadFile
    stamp: Stamp | None


@dataclass(frozen=True)
class Block:
    """A block that was embedded, without its pixels."""

    files: tuple[BlockFile, ...] = ()
    computed: tuple[frozenset[str], ...] = ()  # digests, for each network
    seconds: tuple[float, ...] = ()  # of computing, for each network, all streams together
    worker: str = ""
    streams: tuple[int, ...] = ()  # of the worker, for each network; 0 where it is not open
    began: float = 0.0  # seconds since 1970
    error: FeatxError | None = None  # what kept it from being embedded


class Tally:
    """What the workers did, added up block by block, for so many networks.

    `computed` has the digests of the files whose vectors were computed, for each network.
    """

    def __init__(self, networks: int) -> None:
        self.computed: list[set[str]] = [set() for _ in range(networks)]
        self._seconds = [0.0] * networks
        self._streams: dict[str, tuple[int, ...]] = {}  # by worker
        self._began, self._ended = math.inf, -math.inf

    def add(self, block: Block) -> None:
        """Add a block that is stored now."""
        self._began, self._ended = min(self._began, block.began), time.time()
        self._streams[block.worker] = block.streams
        for number, digests in enumerate(block.computed):
            self.computed[number] |= digests
            self._seconds[number] += block.seconds[number]

    @property
    def seconds(self) -> float:
        """Time from the first file embedded, when a worker was ready, to the last block."""
        return max(0.0, self._ended - self._began)

    def images_per_second(self, number: int) -> float:
        """Return how fast a network was on all workers together; 0 where it computed nothing."""
        streams = sum(each[number] for each in self._streams.values())
        seconds = self._seconds[number]
        return len(self.computed[number]) * streams / seconds if seconds else 0.0


def decode_block(work: Work, files: Sequence[tuple[int, str]]) -> list[BlockFile]:
    """Read files, each with its place in the run, and decode those that a store lacks."""
    ImageFile.LOAD_TRUNCATED_IMAGES = work.load_truncated
    stores = work.open_stores()
    claimed: set[tuple[int, str]] = set()

    def claim(digest: str) -> list[int]:
        lacking = [
            number
            for number, own in enumerate(stores)
            if (number, digest) not in claimed and not all(digest in each for each in own)
        ]
        claimed.update((number, digest) for number in lacking)
        return lacking

    squares = [network.part.square for network in work.networks]
    read = read_chunk([path for _, path in files], squares, claim)
    return [
        BlockFile(replace(file, index=place), stamp)
        for (place, _), (file, stamp, _) in zip(files, read, strict=True)
    ]


@dataclass
class _Opened:
    """A network of a worker, with its stores and what it did for a block."""

    network: WorkNetwork
    stores: list[FeatureStore]
    engine: Engine | None = None
    seconds: float = 0.0
    computed: set[str] = field(default_factory=set)


class BlockEmbedder:
    """Embeds blocks into the stores; it holds the networks, which stay open.

    `threads` limits what an engine takes of the processor. What goes wrong is told by the blocks:
    whoever carries them would pack an error into errors of its own.
    """

    def __init__(self, work: Work, threads: int | None = None) -> None:
        self._work = work
        self._threads = threads
        self._opened = [
            _Opened(network, stores)
            for network, stores in zip(work.networks, work.open_stores(), strict=True)
        ]

    def embed(self, files: Sequence[BlockFile]) -> Block:
        """Embed what was decoded and is not stored, and store it at once."""
        try:
            began = self._embed(files)
        except FeatxError as error:
            return Block(error=error)
        return Block(
            files=tuple(replace(each, file=replace(each.file, pixels={})) for each in files),
            computed=tuple(frozenset(each.computed) for each in self._opened),
            seconds=tuple(each.seconds for each in self._opened),
            worker=f"{socket.gethostname()} {id(self)}",
            streams=tuple(each.engine.streams if each.engine else 0 for each in self._opened),
            began=began,
        )

    def _embed(self, files: Sequence[BlockFile]) -> float:
        for number, opened in enumerate(self._opened):
            if any(number in each.file.pixels for each in files):
                self._open(opened)
        began = time.time()
        for number, opened in enumerate(self._opened):
            opened.seconds, opened.computed = 0.0, set()
            for store in opened.stores:
                store.refresh()
            lacking = {
                each.file.digest: each.file
                for each in files
                if number in each.file.pixels
                and not all(str(each.file.digest) in store for store in opened.stores)
            }
            if lacking:
                self._fill(opened, number, list(lacking.values()))
        return began

    def _open(self, opened: _Opened) -> None:
        """Open the engine of a network, unless it is."""
        if opened.engine is not None:
            return
        network = opened.network
        request = EngineRequest(
            network.backbone,
            network.part.of_view(0).cut,  # views of a picture go through one engine
            network.poolings,
            network.part.square.size,
            cache_folder(self._work.cache),
            self._work.batch_size,
            threads=self._threads,
        )
        opened.engine = open_engine(request, self._work.engine)

    def _fill(self, opened: _Opened, number: int, files: list[ReadFile]) -> None:
        """Compute the vectors of files and put them into the stores of their network."""
        engine = opened.engine
        assert engine is not None
        starts = range(0, len(files), engine.batch_size)
        batches = [files[start : start + engine.batch_size] for start in starts]

        def embedded(batch: list[ReadFile]) -> np.ndarray:
            start = time.perf_counter()
            vectors = engine.embed_batch(np.stack([file.pixels[number] for file in batch]))
            opened.seconds += time.perf_counter() - start
            return vectors

        with ThreadPoolExecutor(engine.streams, thread_name_prefix="featx-embed") as pool:
            vectors = np.concatenate(list(pool.map(embedded, batches)))
        parts = np.split(vectors, len(opened.stores), axis=1)
        for store, part in zip(opened.stores, parts, strict=True):
            _keep(store, files, part)
        opened.computed = {str(file.digest) for file in files}


def _keep(store: FeatureStore, files: Sequence[ReadFile], vectors: np.ndarray) -> None:
    """Store vectors that are not stored yet; a store that only holds them is of no use here."""
    rows = [row for row, file in enumerate(files) if str(file.digest) not in store]
    store.append(
        [str(files[row].digest) for row in rows],
        vectors if len(rows) == len(files) else vectors[rows],
        [files[row].outcome.notes for row in rows],
    )
    if not store.keeps:
        raise StorageError(
            f"the cache {store.folder} cannot be written by the worker on {socket.gethostname()}: "
            "name one with --cache (in Python cache=) that all workers can write to"
        )
