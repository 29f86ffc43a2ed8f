"""Kill `featx embed --out x.features` at random moments: ``python -m tests.torture_parts``.

Each run is the command itself on the fake engine, without a cache, forked from a process that has
imported everything. Some pictures may not be read for once, so that later runs mend parts; at times
a second run begins to write the same folder, there is no room for a file, or a file of the folder
is damaged, gone, or that of another folder. Whatever is loaded is whole or an error of one line,
and after a last run every row is there as in a folder that nothing happened to.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # as pytest does

import fakes
import numpy as np

import featx
from featx.cli.main import main as shell
from featx.errors import FeatxError
from featx.features import embed as embed_module
from featx.features import reader

MOST_RUNS = 8  # on a folder
PICTURES = 42
ROWS = 5  # of a part
SECONDS_PER_BATCH = 0.002
REFUSED = 2  # status of a run that says in a line what is wrong


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill as often as asked, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture_parts", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for other moments")
    options = parser.parse_args(arguments)
    embed_module.PART_ROWS = ROWS
    with tempfile.TemporaryDirectory(prefix="featx-torture-") as folder:
        torture(Path(folder), options.kills, random.Random(options.seed))


def torture(work: Path, kills: int, moments: random.Random) -> None:
    """Let things happen until there were so many kills; an AssertionError says what is wrong."""
    photos = fakes.draw_folder(work / "photos", each=PICTURES // 3)
    (photos / "red/damaged.png").write_bytes(b"no picture")
    other = work / "other.features"
    with fakes.install():  # imports everything, before forks
        featx.embed(photos / "blue", out=other, cache=False, progress=False)
    start = time.perf_counter()
    expected = finished(photos, work / "whole.features")
    seconds = time.perf_counter() - start
    happened: Counter[str] = Counter()
    for number in range(10 * kills):
        out = work / f"{number}.features"
        for _ in range(moments.randint(1, MOST_RUNS)):
            if any(out.glob("*")) and not moments.randrange(6):
                change(out, sorted(other.glob("part-*")), moments)
                happened["changed"] += 1
            else:
                happened[run(photos, out, seconds, moments)] += 1
            assert_whole_or_refused(out)
        assert finished(photos, out) == expected, f"{out} has other rows"
        assert {each.name[:5] for each in out.iterdir()} == {"part-", "_mani"}, "a file is left"
        shutil.rmtree(out)
        if happened["killed"] >= kills:
            print(f"{number + 1} folders, all rows there as they were expected: {dict(happened)}")
            return
    raise AssertionError(f"runs end before they can be killed: {dict(happened)}")


def run(photos: Path, out: Path, seconds: float, moments: random.Random) -> str:
    """Start a run to which something happens within so many seconds; say what."""
    paths = sorted(map(str, photos.rglob("*.png")))
    denied = moments.sample(paths, moments.choice([0, 3, 10, PICTURES - 1]))
    event = moments.choice(["killed", "killed", "killed", "two", "no room"])
    if event == "killed":
        child = embed(photos, out, denied)
        time.sleep(moments.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        return event if status_of(child) == -signal.SIGKILL else "ended"
    if event == "two":
        children = [embed(photos, out, denied)]
        time.sleep(moments.uniform(0, seconds / 2))
        children.append(embed(photos, out, denied[1:]))
    else:
        children = [embed(photos, out, denied, moments.choice([100, 700, 3000, 4500]))]
    statuses = [status_of(child) for child in children]
    assert set(statuses) <= {0, REFUSED}, f"{event}: runs on {out} ended with {statuses}"
    return event


def embed(
    photos: Path, out: Path, denied: Collection[str] = (), bytes_of_file: int | None = None
) -> int:
    """Start `featx embed` in a forked process, and return its id.

    Some pictures may not be read, and no file may be larger than so many bytes.
    """
    child = os.fork()
    if child:
        return child
    status = 1
    read = reader.read_file

    def read_file(path: str, **bound: int) -> object:
        if path in denied:
            raise PermissionError(13, "permission denied")
        return read(path, **bound)

    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        if bytes_of_file is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_of_file, bytes_of_file))
        reader.read_file = read_file
        with fakes.install(seconds_per_batch=SECONDS_PER_BATCH):
            words = ["embed", photos, "--out", out, "--no-cache", "--batch-size", 2]
            shell([str(word) for word in words])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(status)


def status_of(child: int) -> int:
    """Wait for a process, and return its exit status, or the signal that ended it, negative."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def finished(photos: Path, out: Path) -> bytes:
    """Return what is in a folder after a run to which nothing happens."""
    status = status_of(embed(photos, out))
    assert status == 0, f"the run on {out} ended with status {status}"
    return contents(out)


def contents(out: Path) -> bytes:
    """Return all that a folder tells of its pictures."""
    features = featx.Features.load(out)
    told = [(each.ok, each.path, each.reason) for each in features.outcomes]
    told += [features.paths.tolist(), features.digests.tolist()]
    return np.asarray(features.X).tobytes() + repr(told).encode()


def assert_whole_or_refused(out: Path) -> None:
    """Load a folder: whatever is wrong with it is said in a line."""
    said = ""
    try:
        contents(out)
    except FeatxError as error:
        said = str(error)
    assert "\n" not in said, said


def change(out: Path, others: Sequence[Path], moments: random.Random) -> None:
    """Damage a file of a folder, remove it, or put a part of another folder in its place."""
    file = moments.choice(sorted(out.iterdir()))
    data = bytearray(file.read_bytes())
    match moments.choice(["gone", "cut", "flipped", "other"]):
        case "gone":
            file.unlink()
        case "cut":
            file.write_bytes(data[: moments.randint(0, len(data))])
        case "flipped" if data:
            data[moments.randrange(len(data))] ^= 1 << moments.randrange(8)
            file.write_bytes(data)
        case _:
            other = moments.choice(others)
            shutil.copy(other, out / other.name)


if __name__ == "__main__":
    main()
