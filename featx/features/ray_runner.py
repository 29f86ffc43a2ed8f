"""The Ray runner: files go through a pipeline of Ray Data, whose workers fill the stores.

Tasks read and decode blocks of files; actors hold one network each, embed the blocks, and put the
vectors into the stores themselves. Only what became of the files comes back. Nothing else of featx
imports Ray.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import tempfile
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from featx.backbones.framework import quiet_stderr
from featx.errors import FeatxError, MissingPackageError, OptionError, get_logger, one_line
from featx.features.settings import RunSettings
from featx.features.worker import (
    Block,
    BlockEmbedder,
    Claims,
    Work,
    decode_block,
    keep_engines,
)
from featx.files import cache_folder
from featx.storage.address import is_address
from featx.text import count

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

BLOCK_FILES = 64  # a node that dies costs at most so many of each of its workers
_BLOCK_BYTES = 32 << 20  # of pixels
_LARGEST_WORKER = 8  # cores
_ANSWERS_WITHIN = 10.0  # seconds
WAITED_SECONDS = 60.0  # for the first pictures, until it is told what may be waited for
# What is asked of Ray for a worker. Both are fractions, so that cores which wait for pictures
# decode some, and workers of a node that died find a place on others.
DECODER_CPUS = 0.75
_EMBEDDER_CPUS = 0.05  # for each thread

log = get_logger(__name__)


def require_ray() -> None:
    """Raise a `MissingPackageError` if Ray is not installed."""
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"runner 'ray' needs {error.name}, which is not installed: pip install \"featx[ray]\""
        ) from error


def blocks_on_ray(
    files: Sequence[tuple[int, str]], work: Work, settings: RunSettings
) -> Generator[Block, None, None]:
    """Embed files, each with its place, on the cluster; yield blocks as they are stored.

    Raises
    ------
    OptionError
        The cluster has not what the workers need.
    FeatxError
        A worker cannot go on.
    """
    import ray
    from ray.data import DataContext

    context = copy(DataContext.get_current())
    context.enable_progress_bars = False
    with _quiet(), DataContext.current(context), _marked(work) as marked:
        claims = _claims(marked)  # it lives as long as this name
        embedded = _pipeline(_divided(files, work), marked, claims, settings)
        waiting = threading.Timer(WAITED_SECONDS, _tell_that_it_waits)
        waiting.daemon = True
        waiting.start()
        try:
            for table in embedded.iter_batches(batch_size=None, batch_format="pyarrow"):
                waiting.cancel()
                for block in _unpacked(table):
                    if block.error is not None:
                        raise block.error
                    yield block
        except ray.exceptions.RayError as error:
            raise FeatxError(f"the Ray cluster gave up: {one_line(error)}") from error
        finally:
            waiting.cancel()


def _tell_that_it_waits() -> None:
    """Say what a run may wait for that has no pictures yet: others may use the whole cluster."""
    import ray

    known: Any = ray  # it says nothing of the types of these
    free, there = (
        each.get("CPU", 0) for each in (known.available_resources(), known.cluster_resources())
    )
    log.warning(
        "no pictures are embedded yet: %g of the %g CPUs of the Ray cluster are free; workers wait "
        "for those that others use",
        free,
        there,
    )


def _pipeline(
    divided: Sequence[Sequence[tuple[int, str]]], work: Work, claims: Any, settings: RunSettings
) -> Dataset:
    """Return the pipeline: from the names of files to what became of them."""
    import ray
    from ray.data import ActorPoolStrategy

    num_workers, threads = _workers(settings)
    num_workers = min(num_workers, len(divided))
    items = [{"block": pickle.dumps(each)} for each in enumerate(divided)]
    whole: Any = {"batch_size": None, "batch_format": "pyarrow", "zero_copy_batch": True}
    decode: Any = partial(_decode, work=work, claims=claims)
    decoded = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        decode, num_cpus=DECODER_CPUS, **whole
    )
    return decoded.map_batches(
        _Embedder,
        fn_constructor_kwargs={"work": work, "threads": threads, "engines": _engines(work)},
        compute=ActorPoolStrategy(size=num_workers),
        num_cpus=embedder_cpus(num_workers, threads or 1),
        num_gpus=settings.num_gpus or None,
        **whole,
    )


def _claims(work: Work) -> Any:
    """Start the actor that says what blocks are to bring, on the machine of this process.

    Where it dies, another one takes its place: what it does not know is computed twice at most.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    known: Any = ray  # it says nothing of the types of these
    here = NodeAffinitySchedulingStrategy(known.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
    return known.remote(**options, scheduling_strategy=here)(Claims).remote(work)


@contextmanager
def _marked(work: Work) -> Iterator[Work]:
    """Put a file into the cache folder, by which workers know it, as long as the block lasts."""
    if is_address(work.cache):
        yield work
        return
    with tempfile.NamedTemporaryFile(prefix=".workers-", dir=work.cache) as mark:
        yield replace(work, mark=mark.name)


def _engines(work: Work) -> Any:
    """Let the converted networks travel along where the cache of a worker does not have them."""
    import ray

    if not is_address(work.cache):
        return None
    folders = [Path(folder) for network in work.networks for folder in network.engines]
    return ray.put(
        {
            folder.name: {
                path.name: path.read_bytes()
                for path in folder.iterdir()
                if path.suffix != ".blob"  # of this very processor
            }
            for folder in folders
        }
    )


def connect(address: str | None) -> None:
    """Connect to the cluster at an address, or the one that is connected, or start one here.

    What is started ends with the process. An `OptionError` is raised where there is no cluster.
    """
    import ray

    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its messages are for its makers
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # and so is what it would report
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        _check_answers(where)
    except (ValueError, OSError) as error:
        raise _no_cluster(where, error) from error
    try:
        with (
            _own_signals(),
            quiet_stderr(),
        ):  # where a cluster refuses, its library tries for twenty lines
            ray.init(
                where,
                include_dashboard=False if where == "local" else None,
                logging_level=logging.CRITICAL,
                log_to_driver=False,
            )
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise _no_cluster(where, error, _on_tokens(where)) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what this process does where it is told to end; Ray would let it exit."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _no_cluster(address: str, error: Exception, advice: str = "") -> OptionError:
    if address == "local":
        return OptionError(
            f"Ray cannot be started on this machine ({one_line(error)}): mend that, or name the "
            "address of a cluster that runs, such as head:6379"
        )
    return OptionError(
        f"no Ray cluster at address {address!r} ({one_line(error)}): expected that of one which "
        f"runs, such as head:6379, or none, and Ray is started on this machine{advice}"
    )


def _on_tokens(address: str) -> str:
    """Say how a cluster is opened that asks for a token, as Ray starts them by now."""
    if address in ("auto", "local") or os.environ.get("RAY_AUTH_MODE") == "token":
        return ""
    return (
        "; one that asks for a token takes RAY_AUTH_MODE=token, and its token in RAY_AUTH_TOKEN or "
        "the file ~/.ray/auth_token"
    )


def _check_answers(address: str) -> None:
    """Raise an `OSError` where nothing answers at an address: Ray would wait for minutes."""
    if address in ("auto", "local"):
        return
    if address.startswith("ray://"):
        raise ValueError(
            "Ray Data runs on a machine of the cluster alone: start featx on one, with address "
            "'auto' or HOST:PORT, or by `ray job submit`"
        )
    parts = urlsplit(f"//{address}")
    if not parts.hostname or not parts.port:
        raise ValueError("it names no host and port")
    with socket.create_connection((parts.hostname, parts.port), timeout=_ANSWERS_WITHIN):
        pass


def _workers(settings: RunSettings) -> tuple[int, int | None]:
    """Return how many workers hold networks, and the threads of each; None for what suits it."""
    import ray

    known: Any = ray  # it says nothing of the types of these
    nodes = [node["Resources"] for node in known.nodes() if node["Alive"]]
    if settings.num_gpus:
        gpus = [int(each["GPU"]) for each in nodes if each.get("GPU")]
        fitting = sum(each // settings.num_gpus for each in gpus)
        if fitting < (settings.num_workers or 1):
            raise OptionError(
                f"num gpus {settings.num_gpus} for {count(settings.num_workers or 1, 'worker')}: "
                f"the Ray cluster has {' + '.join(map(str, gpus)) or 0}"
            )
        return settings.num_workers or fitting, None
    cores = [int(each["CPU"]) for each in nodes if each.get("CPU", 0) >= 1]
    if not cores:
        raise OptionError("the Ray cluster has no CPUs: start Ray with at least one on a machine")
    if settings.num_workers:
        return settings.num_workers, max(1, min(max(cores), sum(cores) // settings.num_workers))
    threads = min(_LARGEST_WORKER, *cores)
    return sum(each // threads for each in cores), threads


def embedder_cpus(num_workers: int, threads: int) -> float:
    """Return what is asked of Ray for each worker: all of them leave cores for decoding."""
    import ray

    known: Any = ray  # it says nothing of the types of these
    cores = known.cluster_resources().get("CPU", num_workers)
    return float(_EMBEDDER_CPUS * min(threads, cores / num_workers))


def _divided(files: Sequence[tuple[int, str]], work: Work) -> list[Sequence[tuple[int, str]]]:
    """Divide files into blocks, each of which the memory holds."""
    pixels = sum(3 * network.part.square.size**2 for network in work.networks)
    size = max(1, min(BLOCK_FILES, _BLOCK_BYTES // pixels))
    return [files[start : start + size] for start in range(0, len(files), size)]


def _decode(table: pa.Table, work: Work, claims: Any) -> pa.Table:
    return _packed(
        [
            decode_block(work, files, partial(_claimed, claims, block))
            for block, files in _unpacked(table)
        ]
    )


def _claimed(claims: Any, block: int, digests: list[str]) -> list[list[int]]:
    import ray

    claimed: list[list[int]] = ray.get(claims.claim.remote(block, digests))
    return claimed


class _Embedder:
    """An actor: a worker that holds its networks."""

    def __init__(self, work: Work, threads: int | None, engines: Any) -> None:
        import ray

        if engines is not None:
            keep_engines(ray.get(engines), cache_folder(work.cache))
        self._embedder = BlockEmbedder(work, threads)

    def __call__(self, table: pa.Table) -> pa.Table:
        return _packed([self._embedder.embed(block) for block in _unpacked(table)])


def _packed(blocks: Sequence[Any]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"block": pa.array(map(pickle.dumps, blocks), pa.large_binary())})


def _unpacked(table: pa.Table) -> Iterator[Any]:
    """Yield the blocks of a table, which this very run has packed."""
    for cell in table.column("block"):
        yield pickle.loads(cell.as_buffer())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Ray says of its own work from the screen; its errors are raised."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data")]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)
