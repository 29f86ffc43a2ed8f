"""The fake engine on the workers of a Ray cluster, and a record of what it computes and stores."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import NamedTuple

import fakes

from featx.features.store.store import FeatureStore

TESTS = Path(__file__).resolve().parent
_RECORD = "FEATX_TEST_RECORD"  # the folder in which each worker writes what it does
DIE = "die"  # a file there; whoever says what blocks are to bring ends and removes it
_SECONDS = "FEATX_TEST_SECONDS"  # that a picture takes
_open = contextlib.ExitStack()


class Event(NamedTuple):
    """Something that a worker did."""

    time: float
    what: str  # "computed" a vector, its bytes in hexadecimal digits, or "stored" a digest
    of: str


class RecordedEngine(fakes.FakeEngine):
    """The fake engine, which writes down every picture that it embeds, by its vector."""

    def embed_batch(self, images):
        vectors = super().embed_batch(images)
        time.sleep(float(os.environ.get(_SECONDS, "0")) * len(images))
        _note("computed", [row.tobytes().hex() for row in vectors.reshape(len(vectors), -1)])
        return vectors


class RecordedStore(FeatureStore):
    """A store that writes down what is stored."""

    def append(self, digests, *words, **options):
        super().append(digests, *words, **options)
        _note("stored", digests)


def _note(what: str, names) -> None:
    with (Path(os.environ[_RECORD]) / f"{os.getpid()}.jsonl").open("a") as file:
        file.write("".join(json.dumps([time.time(), what, each]) + "\n" for each in names))


def dying(claim):
    """Let a process end in place of an answer, once, where the record asks for it."""

    @wraps(claim)
    def claim_or_die(*words):
        with contextlib.suppress(FileNotFoundError):
            (Path(os.environ[_RECORD]) / DIE).unlink()
            os._exit(1)
        return claim(*words)

    return claim_or_die


def set_up() -> None:
    """Let a worker run every network on the fake engine."""
    from featx.features import worker

    worker.FeatureStore = RecordedStore
    worker.Claims.claim = dying(worker.Claims.claim)
    _open.enter_context(fakes.install(RecordedEngine))


@contextlib.contextmanager
def connected(
    record: Path, address: str | None = None, *, seconds: float = 0.0, **environment: str
) -> Iterator[None]:
    """Connect to a Ray cluster, or start a small one, whose workers have the fake engine."""
    import ray

    own = {"num_cpus": 2, "object_store_memory": 200 << 20} if address is None else {}
    variables = {
        "PYTHONPATH": f"{TESTS.parent}:{TESTS}",
        _RECORD: str(record),
        _SECONDS: str(seconds),
        **environment,
    }
    before = signal.getsignal(signal.SIGTERM)  # Ray sets its own
    ray.init(
        address or "local",
        **own,
        include_dashboard=None if address else False,
        log_to_driver=False,
        logging_level="critical",
        runtime_env={"worker_process_setup_hook": "ray_fakes.set_up", "env_vars": variables},
    )
    try:
        yield
    finally:
        ray.shutdown()
        signal.signal(signal.SIGTERM, before)


def events(record: Path) -> list[Event]:
    """List what the workers did, in the order of time."""
    lines = [line for path in record.iterdir() for line in path.read_text().splitlines()]
    return sorted(Event(*json.loads(line)) for line in lines if line.endswith("]"))


def computed(record: Path) -> list[str]:
    """List the vectors that were computed, in hexadecimal digits."""
    return [event.of for event in events(record) if event.what == "computed"]
