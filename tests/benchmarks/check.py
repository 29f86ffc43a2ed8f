"""What `featx check` finds of faults planted in photographs, and how long it takes.

    python -m tests.benchmarks.check PHOTOS [PHOTOS ...] [--plantings 10] [--seed 0]
    python -m tests.benchmarks.check PHOTOS [PHOTOS ...] --time 5000
    python -m tests.benchmarks.check --copies 20000

PHOTOS are folders with a sub-folder of photographs for each class, which are thrown together.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import featx
from featx.features.duplicates import duplicates_in
from featx.inspection.findings import Finding

# What is planted, how often, and the kinds of finding that count as found.
PLANTED = {
    "contradiction": (5, ("contradiction",)),
    "near-duplicate": (5, ("near-duplicate", "duplicate")),
    "mislabelled": (5, ("mislabelled",)),
    "blank": (3, ("blank",)),
    "small": (3, ("small",)),
    "unreadable": (2, ("unreadable",)),
}
_COLOURS = ((0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 30, 30))


def plant(sources: list[Path], out: Path, seed: int, n: int = 400) -> dict[str, str]:
    """Copy n photographs into a folder, plant faults, and return the kind of each by its path."""
    rng = random.Random(seed)
    photos = sorted(path for source in sources for path in source.glob("*/*") if path.is_file())
    photos = sorted(rng.sample(photos, min(n, len(photos))))
    classes = sorted({path.parent.name for path in photos})
    places = {path: out / path.parent.name / path.name for path in photos}
    chosen = iter(rng.sample(photos, sum(number for number, _ in PLANTED.values())))
    kinds = [kind for kind, (number, _) in PLANTED.items() for _ in range(number)]
    faults = [(kind, next(chosen)) for kind in kinds]
    truth = {}
    for kind, path in faults:
        other = rng.choice([name for name in classes if name != path.parent.name])
        if kind == "mislabelled":
            places[path] = out / other / f"wrong_{path.name}"
    for path, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    for kind, path in faults:
        other = rng.choice([name for name in classes if name != path.parent.name])
        truth[str(_spoil(kind, path, places[path], out / other, rng))] = kind
    return truth


def _spoil(kind: str, path: Path, place: Path, other: Path, rng: random.Random) -> Path:
    """Plant one fault, and return the file that has it."""
    image = Image.open(path).convert("RGB")
    if kind == "contradiction":
        return Path(shutil.copyfile(path, other / f"copy_{path.name}"))
    if kind == "near-duplicate":
        scale = rng.choice((0.5, 0.6, 0.75, 1, 1, 1.3))
        suffix = rng.choice((".jpg", ".webp", ".png"))
        place = place.with_name(f"near_{path.stem}{suffix}")
        image = image.resize((int(image.width * scale), int(image.height * scale)))
        image.save(place, quality=rng.choice((40, 60, 80)))
    elif kind == "blank":
        Image.new("RGB", image.size, rng.choice(_COLOURS)).save(place)
    elif kind == "small":
        image.thumbnail((rng.choice((16, 24, 32)),) * 2)
        image.save(place)
    elif kind == "unreadable":
        data = path.read_bytes()
        place.write_bytes(data[: len(data) * rng.randint(30, 70) // 100])
    return place


def judge(checked: featx.Check, truth: dict[str, str]) -> tuple[Counter[str], list[Finding]]:
    """Count the faults that were found, by kind, and list the findings that are none of them."""
    found, alarms = set(), []
    for finding in checked.findings:
        hits = {
            path
            for path in (finding.path, finding.other)
            if path in truth and finding.kind in PLANTED[truth[path]][1]
        }
        found |= hits
        alarms += [] if hits else [finding]
    return Counter(truth[path] for path in found), alarms


def crops(sources: list[Path], out: Path, n: int) -> None:
    """Write n distinct photographs of 500 pixels: parts of others, compressed anew."""
    rng = random.Random(0)
    photos = sorted(path for source in sources for path in source.glob("*/*") if path.is_file())
    for number in range(n):
        path = photos[number % len(photos)]
        image = Image.open(path).convert("RGB")
        share = rng.uniform(0.6, 0.95)
        width, height = int(share * image.width), int(share * image.height)
        left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
        image = image.crop((left, top, left + width, top + height))
        image = image.resize((500, 500 * height // width))
        place = out / path.parent.name / f"{number:05}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        image.save(place, quality=rng.randint(75, 92))


def _plantings(options: argparse.Namespace, work: Path) -> None:
    hits: dict[str, list[int]] = {kind: [] for kind in PLANTED}
    numbers = []
    for seed in range(options.seed, options.seed + options.plantings):
        folder = work / str(seed)
        truth = plant(options.photos, folder, seed)
        found, alarms = judge(featx.check(folder, progress=False), truth)
        numbers.append(len(alarms))
        for kind in PLANTED:
            hits[kind].append(found[kind])
        for each in alarms:
            print(f"  {seed}: {each.kind}: {each.path}: {each.detail}", each.other_label or "")
        shutil.rmtree(folder)
    print("| planted | of | found, mean | worst |\n|---|---:|---:|---:|")
    for kind, counts in hits.items():
        print(f"| {kind} | {PLANTED[kind][0]} | {np.mean(counts):.2f} | {min(counts)} |")
    print(f"| other findings | | {np.mean(numbers):.2f} | {max(numbers)} |")


def _times(options: argparse.Namespace, work: Path) -> None:
    crops(options.photos, work / "photos", options.time)
    cache = work / "cache"
    for name, run in _runs(work / "photos", cache):
        start, used = time.perf_counter(), time.process_time()
        run()
        took = time.perf_counter() - start, time.process_time() - used
        print(f"{name}: {took[0]:.1f} s, {took[1]:.1f} s of processors")


def _runs(photos: Path, cache: Path) -> Iterator[tuple[str, object]]:
    yield "embed", lambda: featx.embed(photos, cache=cache, progress=False)
    yield "check", lambda: featx.check(photos, cache=cache, progress=False)
    (cache / "measures.sqlite").unlink(missing_ok=True)
    yield "check, pictures decoded again", lambda: featx.check(photos, cache=cache, progress=False)


def _copies(n: int, width: int = 2048) -> None:
    draw = np.random.default_rng(0)
    axes = draw.normal(size=(200, width)) / np.sqrt(np.arange(1, 201))[:, None]
    rows = draw.normal(size=(20, 200))[draw.integers(0, 20, n)] + draw.normal(size=(n, 200))
    X = np.maximum(rows @ axes + 0.3 * draw.normal(size=(n, width)), 0).astype(np.float32)
    X[-n // 50 :] = X[: n // 50] * 1.03 + 0.05 * draw.normal(size=(n // 50, width))
    start, used = time.perf_counter(), time.process_time()
    found = duplicates_in(X)
    took = time.perf_counter() - start, time.process_time() - used
    print(
        f"{len(found.twins)} of {n // 50} copies among {n:,} x {width:,}: {took[0]:.1f} s, "
        f"{took[1]:.1f} s of processors"
    )


def main() -> None:
    """Plant faults, or take times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--plantings", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time", type=int, metavar="N", help="time N photographs instead")
    parser.add_argument("--copies", type=int, metavar="N", help="time copies among N vectors")
    options = parser.parse_args()
    if options.copies:
        _copies(options.copies)
    if not options.photos:
        sys.exit(0 if options.copies else "name folders of photographs")
    with tempfile.TemporaryDirectory(prefix="featx-check-") as work:
        (_times if options.time else _plantings)(options, Path(work))


if __name__ == "__main__":
    main()
