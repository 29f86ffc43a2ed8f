"""Kill `featx watch` at random moments: ``python -m tests.torture_watch --kills 1000``.

Each run is the command itself on the fake engine, forked from a process that has imported
everything, while pictures come into its folder. After each kill every line of the table that has
an end must be whole; after a last run each picture must be in the table once, with its own label.
"""

from __future__ import annotations

import argparse
import csv
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
import sklearn.neighbors  # noqa: F401  # which loads OpenMP, to be limited
from threadpoolctl import threadpool_limits

import featx
from featx.cli.main import main as shell

KILLS_OF_A_TABLE = 12
PICTURES = 30  # that come into each folder
LONGEST_RUN = 0.25  # seconds
COLORS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill as often as asked, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture_watch", description=__doc__)
    parser.add_argument("--kills", type=int, default=24, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for other moments")
    options = parser.parse_args(arguments)
    # Threads of OpenMP, once begun, would stop the processes that are forked afterwards.
    with tempfile.TemporaryDirectory(prefix="featx-torture-") as folder, threadpool_limits(1):
        torture(Path(folder), options.kills, random.Random(options.seed))


def torture(work: Path, kills: int, moments: random.Random) -> None:
    """Kill watches until there were so many kills; an AssertionError says what is wrong then."""
    model = work / "model.featx"
    photos = fakes.draw_folder(work / "photos")
    with fakes.install():  # imports everything, before forks
        featx.train(photos, classifier="knn", cache=work / "cache").save(model)
    done = tables = cut = before = 0
    start = time.perf_counter()
    while done < kills:
        inbox, table = work / f"inbox {tables}", work / f"table {tables}.csv"
        inbox.mkdir()
        tables += 1
        coming = [(name, n) for n in range(PICTURES // 3) for name in COLORS]
        for left in range(KILLS_OF_A_TABLE, 0, -1):
            come = [coming.pop() for _ in range(len(coming) // left)]
            done += killed(model, inbox, table, come, moments)
            cut += not whole_lines(table)
        before += n_lines(table)
        _, status = os.waitpid(watch(model, inbox, table, "--once"), 0)
        assert status == 0, (
            f"the last run on {table} ended with {os.waitstatus_to_exitcode(status)}"
        )
        check(inbox, table)
    took = time.perf_counter() - start
    print(
        f"{done} watches killed, on {tables} tables, {cut} in the midst of a line: each of "
        f"{PICTURES * tables} pictures is labelled once, {before} of them in runs that were "
        f"killed, in {took:.0f} s"
    )


def watch(model: Path, inbox: Path, table: Path, *more: str) -> int:
    """Start `featx watch` in a forked process, and return its id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            words = ["watch", model, inbox, "--out", table, "--every", "0.005", "--batch-size", "4"]
            with fakes.install(seconds_per_batch=0.002):
                shell([*map(str, words), "-q", *more])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        finally:
            os._exit(status)
    return child


def killed(
    model: Path, inbox: Path, table: Path, coming: list[tuple[str, int]], moments: random.Random
) -> bool:
    """Kill a watch after some time in which pictures come; say whether it had not ended before."""
    child = watch(model, inbox, table)
    ends = time.perf_counter() + moments.uniform(0, LONGEST_RUN)
    for name, number in coming:
        fakes.draw(inbox / f"{name}-{number}.png", COLORS[name], seed=number)
        whole_lines(table)
    while time.perf_counter() < ends:
        whole_lines(table)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def whole_lines(table: Path) -> bool:
    """Read the table while it may grow: each line that ends is whole. Say whether the last does."""
    content = table.read_bytes() if table.exists() else b""
    ended, _, rest = content.rpartition(b"\n")
    rows = list(csv.reader(ended.decode().splitlines()))
    assert all(len(row) == len(rows[0]) for row in rows), f"a line of {table} is not whole: {rows}"
    return not rest


def n_lines(table: Path) -> int:
    """Count the lines under the header."""
    return max(0, table.read_bytes().count(b"\n") - 1) if table.exists() else 0


def check(inbox: Path, table: Path) -> None:
    """Check that each picture is in the table once, with its own label."""
    with table.open(newline="") as source:
        rows = [(row["path"], row["label"]) for row in csv.DictReader(source)]
    expected = [(str(path), path.name.partition("-")[0]) for path in inbox.iterdir()]
    assert len(expected) == PICTURES
    assert sorted(rows) == sorted(expected), f"{table} has {rows}"


if __name__ == "__main__":
    main()
