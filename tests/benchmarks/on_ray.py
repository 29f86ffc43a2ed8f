"""Ray with two workers against this process: what 2,000 more photographs take, start-up apart.

    python -m tests.benchmarks.on_ray --backbone resnet50 --turns 3

Each turn embeds a few photographs and many, with an empty cache, on Ray and in this process by
turns. What the many take more than the few is the work; the rest is start-up. Processor time is
that of all processes, the fairer measure on a machine that others use.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from PIL import Image

SHARED = Path(__file__).resolve().parents[3] / "shared"
FEW = 400  # photographs, beyond which there is no start-up
_TICK = 0.25  # seconds between looks at the processes


class Processes:
    """The processor time of this process and of all of Ray's, those that have ended, too."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[int, float], float] = {}
        threading.Thread(target=self._look_on, daemon=True).start()

    def seconds(self) -> float:
        """Return the seconds of all of them so far."""
        self._look()
        return sum(self._seconds.values())

    def _look_on(self) -> None:
        while True:
            self._look()
            time.sleep(_TICK)

    def _look(self) -> None:
        import psutil

        for process in psutil.process_iter(["pid", "cmdline", "cpu_times", "create_time"]):
            words = " ".join(process.info["cmdline"] or [])
            if process.pid == os.getpid() or "ray::" in words or "/ray/" in words:
                times, key = process.info["cpu_times"], (process.pid, process.info["create_time"])
                self._seconds[key] = times.user + times.system


def photographs(source: Path, folder: Path, n: int) -> list[str]:
    """Make so many photographs of different bytes: parts of those of a folder."""
    sources, made = sorted(source.glob("*/*.jpg")), []
    for number in range(n):
        with Image.open(sources[number % len(sources)]) as image:
            image = image.convert("RGB")
        left, top = divmod(number // len(sources), 4)
        width, height = image.size
        made.append(str(folder / f"{number:05d}.jpg"))
        image.crop((left, top, left + width - 16, top + height - 16)).save(made[-1], quality=90)
    return made


def main() -> None:
    """Measure, and print a line for each turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SHARED / "data" / "caltech15" / "train")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args()
    import ray

    import featx

    ray.init(
        "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="critical"
    )
    processes = Processes()
    found: dict[str, list[tuple[float, float]]] = {"ray": [], "local": []}
    with tempfile.TemporaryDirectory() as work:
        cache = Path(work) / "cache"
        paths = photographs(asked.source, Path(work), FEW + asked.images)

        def taken(paths: list[str], runner: str) -> tuple[float, float]:
            shutil.rmtree(cache / "features", ignore_errors=True)
            (cache / "digests.sqlite").unlink(missing_ok=True)
            before, start = processes.seconds(), time.perf_counter()
            workers = {"num_workers": 2} if runner == "ray" else {}
            featx.embed(
                paths, asked.backbone, cache=cache, runner=runner, progress=False, **workers
            )
            return time.perf_counter() - start, processes.seconds() - before

        taken(paths[:32], "local")  # the network is converted and open
        for turn in range(asked.turns):
            for runner in sorted(found, reverse=bool(turn % 2)):
                few, many = taken(paths[:FEW], runner), taken(paths, runner)
                wall, processor = many[0] - few[0], many[1] - few[1]
                found[runner].append((wall, processor))
                print(
                    f"turn {turn + 1}, {runner}: {asked.images / wall:.1f} images/s, "
                    f"{1000 * processor / asked.images:.1f} ms of processor time an image, "
                    f"{few[0] - wall * FEW / asked.images:.1f} s of start-up",
                    flush=True,
                )
    pairs = list(zip(found["ray"], found["local"], strict=True))
    speed = median(local[0] / on_ray[0] for on_ray, local in pairs)
    cost = median(on_ray[1] / local[1] for on_ray, local in pairs)
    print(f"{asked.backbone}: Ray has {speed:.2f} of the throughput, {cost:.2f} of the cost")


if __name__ == "__main__":
    main()
