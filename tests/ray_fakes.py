"""The fake engine on the workers of a Ray cluster, and a record of what it computes."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import fakes

TESTS = Path(__file__).resolve().parent
_RECORD = "FEATX_TEST_RECORD"  # the folder in which each worker writes what it computes
_open = contextlib.ExitStack()


class RecordedEngine(fakes.FakeEngine):
    """The fake engine, which writes down every picture that it embeds, by its vector."""

    def embed_batch(self, images):
        vectors = super().embed_batch(images)
        time.sleep(float(os.environ.get("FEATX_TEST_SECONDS", "0")))
        record = Path(os.environ[_RECORD]) / f"{os.getpid()}.jsonl"
        with record.open("a") as file:
            for vector in vectors.reshape(len(vectors), -1):
                file.write(json.dumps([time.time(), vector.tobytes().hex()]) + "\n")
        return vectors


def set_up() -> None:
    """Let a worker run every network on the fake engine."""
    _open.enter_context(fakes.install(RecordedEngine))


@contextlib.contextmanager
def cluster(record: Path, address: str | None = None) -> Iterator[None]:
    """Connect to a small Ray cluster whose workers have the fake engine."""
    import ray

    own = {"num_cpus": 2, "object_store_memory": 200 << 20} if address is None else {}
    ray.init(
        address,
        **own,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="critical",
        runtime_env={
            "worker_process_setup_hook": "ray_fakes.set_up",
            "env_vars": {"PYTHONPATH": f"{TESTS.parent}:{TESTS}", _RECORD: str(record)},
        },
    )
    try:
        yield
    finally:
        ray.shutdown()


def recorded(record: Path) -> list[str]:
    """List the vectors that were computed, in hexadecimal digits."""
    lines = [line for path in record.iterdir() for line in path.read_text().splitlines()]
    return [json.loads(line)[1] for line in lines]
