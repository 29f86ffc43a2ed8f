"""The worker of a cluster: files in blocks are read and decoded, and embedded into the stores.

It knows nothing of what carries blocks from one to the other. A block may come twice, to the same
worker or another: what its stores hold is never computed again.
"""

from __future__ import annotations

import math
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

import numpy as np
from PIL import ImageFile

from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import open_engine
from featx.backbones.engines.engine import Engine, EngineRequest
from featx.errors import FeatxError, OptionError, StorageError
from featx.features.reader import ReadFile, unread
from featx.features.recipe import RecipePart
from featx.features.request import with_pooling
from featx.features.store.store import FeatureStore
from featx.files import cache_folder, storage_errors
from featx.images.decode import Outcome, decode_all
from featx.images.digests import digest_bytes, read_file
from featx.images.quiet import quiet_pillow
from featx.images.regular import Stamp
from featx.images.square import Square

_READ_AT_ONCE = 16  # files of a block


@dataclass(frozen=True)
class WorkNetwork:
    """A network of the work: what it sees, and the poolings, sorted, that one run of it gives."""

    backbone: Backbone
    part: RecipePart
    poolings: tuple[str, ...]
    engines: tuple[str, ...] = ()  # folders of it in converted form, by name


@dataclass(frozen=True)
class Work:
    """What all blocks of a run have in common."""

    networks: tuple[WorkNetwork, ...]
    cache: str  # a folder or an address, which every worker reaches
    engine: str
    batch_size: int | None
    load_truncated: bool  # the one setting of Pillow that users change
    versions: tuple[tuple[str, str], ...]  # of packages
    mark: str = ""  # a file in the cache folder, by which a worker knows it

    def open_stores(self, *, listed: bool) -> list[list[FeatureStore]]:
        """Open the stores of each network, one for each pooling."""
        return [
            [
                FeatureStore(self.cache, with_pooling(network.part, each), listed=listed)
                for each in network.poolings
            ]
            for network in self.networks
        ]

    def check(self) -> None:
        """Raise an error if this machine is no worker for it."""
        for name, version in self.versions:
            if (own := version_of(name)) != version:
                raise OptionError(
                    f"the worker on {socket.gethostname()} has {name} {own or 'not installed'}, "
                    f"and {version} asks: all machines of the cluster need the same versions"
                )
        if self.mark and not os.path.exists(self.mark):
            raise StorageError(
                f"the cache {self.cache} is not that of the worker on {socket.gethostname()}: name "
                "a folder that all machines share, or an address, with --cache (in Python cache=), "
                "such as s3://bucket/featx"
            )


def version_of(package: str) -> str:
    """Return the version of a package that is installed, or nothing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


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


class Claims:
    """Says which vectors a block is to bring; one for all workers of a run.

    What is stored when the run begins is claimed by nobody, and anything else by one block only:
    copies of a file are embedded once. A block that comes again has what it had.
    """

    def __init__(self, work: Work) -> None:
        self._stores = work.open_stores(listed=True)
        self._claimed: dict[bytes, int] = {}  # the block that has the files of a digest
        self._lock = threading.Lock()

    def claim(self, block: int, digests: Sequence[str]) -> list[list[int]]:
        """Return, for each digest, the numbers of the networks that lack its vector."""
        missing = np.array(
            [
                ~np.all([store.stored(digests) for store in stores], axis=0)
                for stores in self._stores
            ]
        )
        lacking = []
        with self._lock:
            for digest, column in zip(digests, missing.T, strict=True):
                numbers = [int(number) for number in np.flatnonzero(column)]
                owner = self._claimed.setdefault(bytes.fromhex(digest), block) if numbers else block
                lacking.append(numbers if owner == block else [])
        return lacking


def decode_block(
    work: Work, files: Sequence[tuple[int, str]], claim: Callable[[list[str]], list[list[int]]]
) -> list[BlockFile]:
    """Read files, each with its place in the run, and decode those that are claimed.

    `claim` says, for some digests, the numbers of the networks that lack their vectors.
    """
    ImageFile.LOAD_TRUNCATED_IMAGES = work.load_truncated
    squares = [network.part.square for network in work.networks]
    decoded: list[BlockFile] = []
    with ThreadPoolExecutor(_READ_AT_ONCE, "featx-read") as pool, quiet_pillow():
        for start in range(0, len(files), _READ_AT_ONCE):
            read = list(pool.map(_read, files[start : start + _READ_AT_ONCE]))
            digests = list(dict.fromkeys(file.digest for file, _, _ in read if file.digest))
            claimed = dict(zip(digests, claim(digests), strict=True)) if digests else {}
            for file, data, stamp in read:
                numbers = claimed.pop(file.digest or "", [])  # by the first of its copies
                decoded.append(BlockFile(_decoded(file, data, squares, numbers), stamp))
    return decoded


def _read(file: tuple[int, str]) -> tuple[ReadFile, bytes, Stamp | None]:
    place, path = file
    try:
        data, stamp = read_file(path)
    except (OSError, MemoryError) as error:
        return ReadFile(place, None, unread(error, path)), b"", None
    return ReadFile(place, digest_bytes(data), Outcome(status="cached")), data, stamp


def _decoded(
    file: ReadFile, data: bytes, squares: Sequence[Square], numbers: Sequence[int]
) -> ReadFile:
    """Decode a file for the networks of these numbers."""
    if not numbers:
        return file
    pixels, outcome = decode_all(data, [squares[number] for number in numbers])
    return replace(file, outcome=outcome, pixels=dict(zip(numbers, pixels, strict=False)))


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
        self._is_checked = False
        self._opened = [
            _Opened(network, stores)
            for network, stores in zip(work.networks, work.open_stores(listed=False), strict=True)
        ]

    def embed(self, files: Sequence[BlockFile]) -> Block:
        """Embed what was decoded, and store it at once; a block that is stored is left as it is."""
        try:
            if not self._is_checked:
                self._work.check()
                self._is_checked = True
            began = self._embed(files)
        except FeatxError as error:
            return Block(error=error)
        return Block(
            files=tuple(replace(each, file=replace(each.file, pixels={})) for each in files),
            computed=tuple(frozenset(each.computed) for each in self._opened),
            seconds=tuple(each.seconds for each in self._opened),
            worker=f"{socket.gethostname()} {os.getpid()}",
            streams=tuple(each.engine.streams if each.engine else 0 for each in self._opened),
            began=began,
        )

    def _embed(self, files: Sequence[BlockFile]) -> float:
        blocks = [
            [each.file for each in files if number in each.file.pixels]
            for number in range(len(self._opened))
        ]
        for opened, own in zip(self._opened, blocks, strict=True):
            opened.seconds, opened.computed = 0.0, {str(file.digest) for file in own}
            if own:
                self._open(opened)
        began = time.time()
        for number, (opened, own) in enumerate(zip(self._opened, blocks, strict=True)):
            name = _name_of(own)
            if own and not all(store.has(name) for store in opened.stores):
                self._fill(opened, number, own, name)
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

    def _fill(self, opened: _Opened, number: int, files: list[ReadFile], name: str) -> None:
        """Compute the vectors of files and put them into the stores of their network."""
        engine = opened.engine
        assert engine is not None
        starts = range(0, len(files), engine.batch_size)
        batches = [files[start : start + engine.batch_size] for start in starts]

        def embedded(batch: list[ReadFile]) -> tuple[np.ndarray, float]:
            start = time.perf_counter()
            vectors = engine.embed_batch(np.stack([file.pixels[number] for file in batch]))
            return vectors, time.perf_counter() - start

        with ThreadPoolExecutor(engine.streams, thread_name_prefix="featx-embed") as pool:
            vectors, seconds = zip(*pool.map(embedded, batches), strict=True)
        opened.seconds = sum(seconds)
        parts = np.split(np.concatenate(vectors), len(opened.stores), axis=1)
        for store, part in zip(opened.stores, parts, strict=True):
            _keep(store, files, part, name)


def keep_engines(folders: Mapping[str, Mapping[str, bytes]], cache: Path) -> None:
    """Put converted networks into the cache folder of a worker, each whole or not at all."""
    from featx.backbones.engines.conversion import engines_folder

    for name, files in folders.items():
        folder = engines_folder(cache) / name
        if folder.is_dir():
            continue
        with storage_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as beside:
                work = Path(beside) / name
                work.mkdir()
                for file, data in files.items():
                    (work / file).write_bytes(data)
                with suppress(OSError):  # another worker of this machine was quicker
                    work.rename(folder)


def _name_of(files: Sequence[ReadFile]) -> str:
    """Return the name of the shard of a block: the same whenever the same files are embedded."""
    return digest_bytes(",".join(str(file.digest) for file in files).encode())[:32]


def _keep(store: FeatureStore, files: Sequence[ReadFile], vectors: np.ndarray, name: str) -> None:
    """Store the vectors of a block; a store that only holds them is of no use here."""
    store.append(
        [str(file.digest) for file in files],
        vectors,
        [file.outcome.notes for file in files],
        name=name,
    )
    if not store.keeps:
        raise StorageError(
            f"the cache {store.files} cannot be written by the worker on {socket.gethostname()}: "
            "name one with --cache (in Python cache=) that all workers can write to"
        )
