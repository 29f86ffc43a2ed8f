"""The session: the networks of a request, open, for pictures that come one after the other."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np

from featx.backbones.engines.choice import open_engine
from featx.backbones.engines.engine import Engine, EngineRequest
from featx.backbones.network import JOINT_POOLINGS
from featx.errors import OptionError
from featx.features.columns import as_paths
from featx.features.matrix import Features
from featx.features.reader import unread
from featx.features.recipe import RecipePart, join
from featx.features.request import Request, calibrations_in, passes, with_pooling
from featx.files import cache_folder
from featx.forks import in_child, never_free
from featx.images.decode import Outcome, decode_all
from featx.images.digests import read_file
from featx.images.quiet import quiet_pillow
from featx.images.square import Square

if TYPE_CHECKING:
    from typing import Self

    from featx.backbones.backbone import Backbone

_Network = tuple["Backbone", RecipePart]


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: all that the networks of a session see of it.

    Attributes
    ----------
    squares : dict of Square to ndarray of shape (size, size, 3), uint8
        RGB pixels, for each size and each view.
    outcome : Outcome
        What was done to it on the way.
    size : tuple of (int, int), or None
        Width and height of the file's picture, upright, in pixels; None where it is not known.
    """

    squares: dict[Square, np.ndarray]
    outcome: Outcome
    size: tuple[int, int] | None = None


class Session:
    """The networks of a request, open: pictures in, features out; nothing is cached or written.

    Any number of threads may use it. An engine is opened when it is first needed, or by `open`.
    With the block of a `with`, or `close`, its threads end.

    Parameters
    ----------
    request : Request
        The networks, how pictures are decoded for them, and the views. Networks in int8 are
        calibrated.
    engine : str, default="auto"
        What runs the networks; see `featx.embed`.
    cache : str, path or bool, optional
        Where converted networks are kept; see `featx.embed`.
    batch_size : int, optional
        Pictures at once; by default what suits the engine.
    """

    def __init__(
        self,
        request: Request,
        *,
        engine: str = "auto",
        cache: str | os.PathLike[str] | bool | None = None,
        batch_size: int | None = None,
    ) -> None:
        self.request = request
        self._engine = engine
        self._cache = cache_folder(cache)
        self._batch_size = batch_size
        self._passes = passes(request.parts)
        self._squares = list(dict.fromkeys(part.square for _, part in request.parts))
        self._engines: dict[tuple[_Network, tuple[str, ...]], Engine] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._plain: Session | None = None
        self._lock = threading.Lock()
        _sessions.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; the session may be used again, which starts new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()
        if self._plain is not None:
            self._plain.close()

    def open(self) -> None:
        """Open the engines now, which takes a second or more, and not for the first picture."""
        for network, poolings in self._passes.items():
            self._opened(network, poolings)

    @property
    def without_views(self) -> Session:
        """A session for pictures as they are."""
        if not self.request.views:
            return self
        if self._plain is None:
            self._plain = Session(
                replace(self.request, views=0),
                engine=self._engine,
                cache=self._cache,
                batch_size=self._batch_size,
            )
        return self._plain

    @property
    def batch_size(self) -> int:
        """The pictures of a whole batch: with so many per stream, no engine waits or fills up."""
        return max(self._opened(*each).batch_size for each in self._passes.items())

    @property
    def streams(self) -> int:
        """How many batches are computed at the same time."""
        return max(self._opened(*each).streams for each in self._passes.items())

    def decode(self, data: bytes, path: str = "") -> tuple[Picture | None, Outcome]:
        """Decode a file's bytes once for all networks and views.

        The outcome says what was wrong where there is no picture: nothing in `data` raises. `path`
        is what to call it.
        """
        sizes: list[tuple[int, int]] = []
        with quiet_pillow():
            squares, outcome = decode_all(
                data, self._squares, lambda header, *_: sizes.append((header.width, header.height))
            )
        outcome = replace(outcome, path=path)
        if not outcome.ok:
            return None, outcome
        return Picture(dict(zip(self._squares, squares, strict=True)), outcome, sizes[0]), outcome

    def read(self, path: str) -> tuple[Picture | None, Outcome]:
        """Read and decode a file, or a picture in memory; as `decode`."""
        try:
            data, _ = read_file(path)
        except (OSError, MemoryError) as error:
            return None, replace(unread(error, path), path=path)
        return self.decode(data, path)

    def features(self, pictures: Sequence[Picture]) -> Features:
        """Embed pictures: a row for each, also of every view, the same bytes as of `featx.embed`.

        Parameters
        ----------
        pictures : sequence of Picture
            At least one.

        Returns
        -------
        Features
        """
        vectors: dict[_Network, np.ndarray] = {}
        started = [(*each, self._started(*each, pictures)) for each in self._passes.items()]
        for (backbone, part), poolings, batches in started:
            rows = np.concatenate([batch.result() for batch in batches])
            for pooling, own in zip(poolings, np.split(rows, len(poolings), axis=1), strict=True):
                vectors[backbone, with_pooling(part, pooling)] = own
        X, *views = (
            self._joined([vectors[part] for part in self.request.of_view(view)])
            for view in range(self.request.views + 1)
        )
        backbones, recipe = self.request.backbones, self.request.recipe
        return Features(
            X=X,
            y=None,
            paths=as_paths([picture.outcome.path for picture in pictures]),
            outcomes=tuple(replace(each.outcome, status="embedded") for each in pictures),
            recipe=recipe,
            views=tuple(views),
            weights=self.request.weights,
            calibrations=calibrations_in(backbones, recipe),
        )

    def maps(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        """Return, for each part of the recipe, the map that its pooling makes a vector of.

        Its mean over the positions ("avg"), or its maximum ("max"), is the vector.

        Parameters
        ----------
        pictures : sequence of Picture
            At least one; they count as they are, without views.

        Returns
        -------
        list of ndarray of shape (n, height, width, channels), float32

        Raises
        ------
        OptionError
            A part has no map: its layer gives vectors or tokens, or its network normalises behind
            its pooling.
        """
        self.check_maps()
        networks = self._unpooled()
        started = [self._started(each, ("none",), pictures) for each in networks]
        return [np.concatenate([batch.result() for batch in batches]) for batches in started]

    def check_maps(self) -> None:
        """Raise an `OptionError` where a part of the recipe has no map; see `maps`."""
        for network in self._unpooled():
            if len(self._opened(network, ("none",)).shape) != 3:
                raise _no_map(network[0])

    def _unpooled(self) -> list[_Network]:
        """Return what gives the maps."""
        networks = self.request.of_view(0)
        for backbone, part in networks:
            cut = part.cut
            if cut.pooling not in JOINT_POOLINGS or not backbone.joins_poolings(cut.layer):
                raise _no_map(backbone)
        return [(backbone, with_pooling(part, "none")) for backbone, part in networks]

    def _joined(self, blocks: list[np.ndarray]) -> np.ndarray:
        """Join the vectors of the parts, as `featx.embed` does."""
        if len(blocks) == 1:
            return np.ascontiguousarray(blocks[0])
        return join([block.reshape(len(block), -1) for block in blocks])

    def _started(
        self, network: _Network, poolings: tuple[str, ...], pictures: Sequence[Picture]
    ) -> list[Future[np.ndarray]]:
        """Hand pictures to an engine, a batch at a time."""
        engine, square = self._opened(network, poolings), network[1].square

        def embedded(batch: Sequence[Picture]) -> np.ndarray:
            return engine.embed_batch(np.stack([picture.squares[square] for picture in batch]))

        pool, size = self._workers(engine), engine.batch_size
        return [
            pool.submit(embedded, pictures[start : start + size])
            for start in range(0, len(pictures), size)
        ]

    def _workers(self, engine: Engine) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(engine.streams, thread_name_prefix="featx-session")
            return self._pool

    def _opened(self, network: _Network, poolings: tuple[str, ...]) -> Engine:
        """Return the engine of a network, which is that of its views, too."""
        backbone, part = network[0], network[1].of_view(0)
        if (engine := self._engines.get(((backbone, part), poolings))) is None:
            request = EngineRequest(
                backbone, part.cut, poolings, part.square.size, self._cache, self._batch_size
            )
            engine = open_engine(request, self._engine)  # once, whoever asks at the same time
            self._engines[(backbone, part), poolings] = engine
        return engine

    def _leave(self) -> None:
        """Leave engines and threads to the parent of this forked child, which opens its own."""
        never_free([self._pool, *self._engines.values()])
        self._engines, self._pool, self._lock = {}, None, threading.Lock()


_sessions: WeakSet[Session] = WeakSet()


@in_child
def _leave_sessions() -> None:
    for session in list(_sessions):
        session._leave()


def _no_map(backbone: Backbone) -> OptionError:
    return OptionError(
        f"there is no map of {backbone.name} whose mean or maximum is the vector: expected a layer "
        "that gives a map, and pooling 'avg' or 'max'"
    )
