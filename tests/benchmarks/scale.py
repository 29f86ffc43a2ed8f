"""What docs/scale.md begins with: the cost of each part of embedding, on this machine.

    python -m tests.benchmarks.scale [--quick] [--only PART ...] [--json FILE]

Milliseconds of one core by processor time, so that it may be run on a machine that others use.
Of a bucket it measures what featx takes at most, against moto in this process: that is no measure
of S3. `python -m tests.benchmarks.growth FILE` says what follows from the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import featx
from featx.cli.output import table
from featx.features.options import settle
from featx.features.recipe import RecipePart
from featx.features.request import Request
from featx.features.store.store import FeatureStore
from featx.images.digests import digest_bytes
from featx.storage.objects import entries, read, write

from .bench import CALIBRATING, Bench, Folder, recipe_of
from .plan import FULL, QUICK, Plan
from .precisions import milliseconds
from .report import headline, machine
from .turns import in_turns
from .worker import Worker

BACKBONES = ("efficientnet_lite0", "resnet50")
PRECISIONS = ("float32", "bfloat16", "int8")
BLOCK = 128  # pictures
_ROUNDS = 4  # the first warms up
_WARMING = 16  # pictures


def main() -> None:
    """Measure, print the figures, and keep them as JSON."""
    options = _options()
    plan = QUICK if options.quick else FULL
    print(headline(machine()))
    with tempfile.TemporaryDirectory(prefix="featx-scale-") as beside:
        figures = measure(Bench(plan, options.work or Path(beside)), options.only or PARTS)
    print(show(figures))
    if options.json:
        if options.only and options.json.exists():
            figures = {**json.loads(options.json.read_text()), **figures}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(bench: Bench, only: Iterable[str]) -> dict[str, Any]:
    """Return the figures of some parts, a dict of plain values for each."""
    figures: dict[str, Any] = {"machine": machine()}
    for name in only:
        bench.say(name)
        figures[name] = PARTS[name](bench)
    return figures


def _networks(bench: Bench) -> dict[str, Any]:
    """Return milliseconds of one core for a picture, for each network in each precision."""
    return {backbone: _network(bench, backbone) for backbone in _backbones(bench.plan)}


def _network(bench: Bench, backbone: str) -> dict[str, float]:
    with bench.worker("featx") as featx_side:
        for precision in PRECISIONS:
            recipe = recipe_of(backbone, precision=precision)
            featx_side.ask("embed", folder=bench.photos.take(CALIBRATING), recipe=recipe)
        turns = {
            precision: partial(milliseconds, bench, featx_side, backbone, precision, n=64)
            for precision in PRECISIONS
        }
        return _medians(turns)


def _backbones(plan: Plan) -> tuple[str, ...]:
    return BACKBONES if plan is FULL else BACKBONES[:1]


def _medians(turns: dict[str, Callable[[], float]]) -> dict[str, float]:
    said = in_turns(turns, _ROUNDS)
    return {name: float(np.median(each[1:])) for name, each in said.items()}


def _decoding(bench: Bench) -> dict[str, Any]:
    """Return milliseconds of one core to read, digest, decode and resize a photograph."""
    large = "x".join(map(str, bench.plan.large_size))
    with bench.worker("featx") as featx_side:
        return {
            size: _decoded(folder, featx_side)
            for size, folder in {"450x375": bench.photos, large: bench.large}.items()
        }


def _decoded(folder: Folder, featx_side: Worker) -> dict[str, float]:
    n = min(len(folder.images), 200)

    def turn(decode: str) -> float:
        recipe = recipe_of(BACKBONES[0], decode=decode)
        featx_side.ask("decoding", folder=folder.take(n), recipe=recipe)
        return 1000 * featx_side.processor_seconds / n

    sizes = [path.stat().st_size for path in folder.images[:n]]
    medians = _medians({decode: partial(turn, decode) for decode in ("full", "scaled")})
    return {**medians, "bytes": float(np.mean(sizes))}


def _whole(bench: Bench) -> dict[str, Any]:
    """Embed few and many photographs into a new cache: what each further one takes."""
    return {backbone: _embedded(bench, backbone) for backbone in _backbones(bench.plan)}


def _embedded(bench: Bench, backbone: str) -> dict[str, float]:
    few, n = _WARMING, len(bench.photos.images)
    recipe = recipe_of(backbone)
    with (
        tempfile.TemporaryDirectory(dir=bench.work) as cache,
        bench.worker("featx") as featx_side,
    ):

        def seconds(first: int) -> float:
            folder = bench.photos.take(first)
            featx_side.ask("embed_cached", folder=folder, cache=cache, recipe=recipe)
            return featx_side.processor_seconds

        seconds(1)  # converts the network
        start = seconds(few)
        each = (seconds(n) - start) / (n - 2 * few + 1)
    return {"pictures": n - few, "ms": 1000 * each}


def _part(width: int) -> RecipePart:
    """Return a recipe of which the store asks nothing but its name."""
    [(_, part)] = Request.of("pixels", settle({"input_size": 8})).parts
    return replace(part, backbone=f"columns-{width}")


def _storing(bench: Bench) -> dict[str, Any]:
    """Return what the store takes: bytes of a row, and the time of blocks, look-ups and reads."""
    rows = 100_000 if bench.plan is FULL else 2_000
    figures = {}
    for width in (1280, 2048):
        with tempfile.TemporaryDirectory(dir=bench.work) as cache:
            figures[str(width)] = _stored(Path(cache), width, rows)
    return figures


def _stored(cache: Path, width: int, rows: int) -> dict[str, Any]:
    part = _part(width)
    vectors = np.random.default_rng(0).random((BLOCK, width), dtype=np.float32)
    keys = [digest_bytes(row.to_bytes(8, "little")) for row in range(rows)]
    store = FeatureStore(cache, part)
    start = time.process_time()
    for first in range(0, rows, BLOCK):
        block = keys[first : first + BLOCK]
        store.append(block, vectors[: len(block)])
    append = time.process_time() - start
    files = [path for path in cache.rglob("*") if path.is_file()]
    start = time.process_time()
    store = FeatureStore(cache, part)
    opened = time.process_time() - start
    asked = [keys[number] for number in np.random.default_rng(1).permutation(rows)[:10_000]]
    start = time.process_time()
    assert len(store.sound(asked)) == len(asked)
    looked_up = time.process_time() - start
    start = time.process_time()
    store.read(asked, out=np.empty((len(asked), width), np.float32))
    read = time.process_time() - start
    return {
        "rows": rows,
        "files": len(files),
        "bytes_per_row": sum(path.stat().st_size for path in files) / rows,
        "append_block_ms": 1000 * append * BLOCK / rows,
        "open_ms": 1000 * opened,
        "sound_us_per_row": 1e6 * looked_up / len(asked),
        "read_us_per_row": 1e6 * read / len(asked),
    }


def _pictures(bench: Bench) -> dict[str, Any]:
    """Return what each picture takes of the process that everything comes back to."""
    n = len(bench.tiny.images)
    folder = bench.tiny.take(n)
    start = time.process_time()
    images = featx.ImageFolder.of(folder)
    listed = time.process_time() - start
    tracemalloc.start()
    images = featx.ImageFolder.of(folder)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(images.paths) == n
    options = {"backbone": "pixels", "input_size": 8, "progress": False}
    with tempfile.TemporaryDirectory(dir=bench.work) as cache:
        start = time.process_time()
        featx.embed(folder, cache=cache, **options)
        first = time.process_time() - start
        tracemalloc.start()
        features = featx.embed(folder, cache=cache, **options)
        known, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        start = time.process_time()
        featx.embed(folder, cache=cache, **options)
        second = time.process_time() - start
    return {
        "pictures": n,
        "list_us": 1e6 * listed / n,
        "listed_bytes": held / n,
        "first_run_us": 1e6 * first / n,
        "second_run_us": 1e6 * second / n,
        "features_bytes": (known - features.X.nbytes) / n,
        "peak_bytes": (peak - features.X.nbytes) / n,
    }


def _bucket(bench: Bench) -> dict[str, Any]:
    """Return milliseconds for an object against a server of S3 in this process, of both together.

    That bounds what featx takes, and says nothing of how quick a bucket is.
    """
    from tests.bucket import Server

    server = Server()
    os.environ.update(server.settings)
    folder = f"s3://{server.make().name}/pictures"
    n = 1_000 if bench.plan is FULL else 20
    picture = bench.photos.images[0].read_bytes()
    addresses = [f"{folder}/{number:06d}.jpg" for number in range(n)]
    steps: dict[str, Callable[[], object]] = {
        "put": lambda: [write(address, picture) for address in addresses],
        "list": lambda: sum(1 for _ in entries(folder)),
        "get": lambda: [read(address) for address in addresses],
    }
    figures: dict[str, Any] = {"objects": n}
    for name, step in steps.items():
        start = time.process_time()
        step()
        figures[f"{name}_ms"] = 1000 * (time.process_time() - start) / n
    return figures


def _ray(bench: Bench) -> dict[str, Any]:
    """Return milliseconds of an empty task of Ray, and of its start."""
    import ray

    start = time.perf_counter()
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        empty = ray.remote(lambda: None)
        ray.get([empty.remote() for _ in range(20)])
        started = time.perf_counter() - start
        n = 1_000 if bench.plan is FULL else 20
        start = time.perf_counter()
        ray.get([empty.remote() for _ in range(n)])
        return {"start_seconds": started, "task_ms": 1000 * (time.perf_counter() - start) / n}
    finally:
        ray.shutdown()


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "networks": _networks,
    "decoding": _decoding,
    "whole": _whole,
    "storing": _storing,
    "pictures": _pictures,
    "bucket": _bucket,
    "ray": _ray,
}


def show(figures: dict[str, Any]) -> str:
    """Return tables of all figures, one below the other."""
    texts = []
    for name, part in figures.items():
        if name == "machine":
            continue
        rows = part if all(isinstance(each, dict) for each in part.values()) else {name: part}
        columns = list(next(iter(rows.values())))
        cells = [
            [row, *(f"{each[column]:,.4g}" for column in columns)] for row, each in rows.items()
        ]
        texts.append(table([name, *columns], cells, right=columns))
    return "\n\n".join(texts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="too few of everything")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all figures")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="and take the others from FILE")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="keep converted networks there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
