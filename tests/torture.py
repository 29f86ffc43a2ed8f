"""Kill `featx embed` at random moments: ``python -m tests.torture --kills 1000``.

Each run is the command itself, with its real store, writer and memo, on the fake engine; it is
forked from a process that has imported everything, so that kills fall into the work and not into
imports. A cache is killed over several times; then a last run must give the matrix of a run that
was never killed, byte for byte, and no file may be there in part.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # as pytest does

import fakes

import featx
from featx.cli.main import main as shell
from featx.features import writer

KILLS_OF_A_CACHE = 8  # at most
PICTURES = 36
SECONDS_PER_BATCH = 0.002


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill as often as asked, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for other moments")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="featx-torture-") as folder:
        work = Path(folder)
        photos = fakes.draw_folder(work / "photos", each=PICTURES // 3)
        time.sleep(2.1)  # the memo remembers only files that have been as they are for a while
        torture(photos, work, options.kills, random.Random(options.seed))


def torture(photos: Path, work: Path, kills: int, moments: random.Random) -> None:
    """Kill runs until there were so many kills; an AssertionError says what is wrong then."""
    with fakes.install():  # imports everything, before forks
        featx.embed(photos, cache=work / "first").save(out(work / "first"))
    start = time.perf_counter()
    expected = finished(photos, work / "whole")
    seconds = time.perf_counter() - start
    done = caches = 0
    start = time.perf_counter()
    while done < kills:
        cache = work / f"killed-{caches}"
        caches += 1
        for _ in range(moments.randint(1, KILLS_OF_A_CACHE)):
            before_its_end = killed(photos, cache, moments.uniform(0, seconds))
            done += before_its_end
            seconds *= 1.1 if before_its_end else 0.9  # the machine may be busy, the cache full
        matrix = finished(photos, cache)
        assert matrix == expected, f"{cache} gives another matrix after kills"
    took = time.perf_counter() - start
    print(
        f"{done} runs killed before their end, on {caches} caches: each matrix byte for byte "
        f"the same, in {took:.0f} s"
    )


def embed(photos: Path, cache: Path) -> int:
    """Start `featx embed` in a forked process, and return its id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            writer.SHARD_SECONDS = 0.0  # a shard for each batch
            words = ["embed", photos, "--out", out(cache), "--cache", cache, "--batch-size", 4]
            with fakes.install(seconds_per_batch=SECONDS_PER_BATCH):
                shell([str(word) for word in words])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        finally:
            os._exit(status)
    return child


def out(cache: Path) -> Path:
    """Return where the matrix of a cache is written."""
    return cache.with_suffix(".npz")


def finished(photos: Path, cache: Path) -> bytes:
    """Return the bytes of the matrix, and the names of its rows, of a run that nobody kills."""
    _, status = os.waitpid(embed(photos, cache), 0)
    assert status == 0, f"the run on {cache} ended with status {os.waitstatus_to_exitcode(status)}"
    return contents(out(cache))


def contents(path: Path) -> bytes:
    """Return the bytes of a saved matrix, and the names of its rows."""
    features = featx.Features.load(path)
    assert features.X.shape == (PICTURES, 9)
    return features.X.tobytes() + "\n".join(features.paths).encode()


def killed(photos: Path, cache: Path, moment: float) -> bool:
    """Kill a run after some seconds; say whether it had not ended before."""
    child = embed(photos, cache)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if out(cache).exists():
        contents(out(cache))  # whole, or not there
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    main()
