"""The load that a service carries, beside embedding the same photographs without it.

    python -m tests.benchmarks.serve [--photos FOLDER] [--seconds 10] [--rounds 3]

Photographs of 400 px are made of those of a folder with a sub-folder for each class, by default
`caltech15/train` of FEATX_SHARED, and a model of the default network learns from them. `wrk` asks:

- 16 clients, in turns with `featx.embed(..., cache=False)` of the same photographs: pictures a
  second by the clock, and processor time of each, which counts on a busy machine;
- until 20,000 requests are answered: the memory of the service;
- ten times as many clients: what is answered, what is told to come again, and how long `/healthz`
  takes meanwhile;
- 200 clients that send a byte now and then, beside the 16: what becomes of them and of the others.

At the end the service has as many threads and open files as before, and stops by SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from PIL import Image

import featx

_SIDE = 400  # px
_CROPS = ((0.0, 0.0), (0.1, 0.0), (0.0, 0.1), (0.1, 0.1))  # of each photograph: all are different
_CLIENTS = 16
_REQUESTS = 20_000
_SLOW = 200  # clients
_SLOW_TIMEOUT = 5  # seconds that the service gives them
_SCRIPT = Path(__file__).with_suffix(".lua")


def pictures(source: Path, folder: Path) -> int:
    """Make pictures of 400 px of photographs, some of each; return how many."""
    folder.mkdir()
    n = 0
    for path in sorted(source.glob("*/*.jpg")):
        with Image.open(path) as image:
            whole = image.convert("RGB")
        for left, top in _CROPS:
            box = (left * whole.width, top * whole.height, whole.width, whole.height)
            part = whole.crop(tuple(map(round, box)))
            scale = _SIDE / max(part.size)
            part = part.resize((round(part.width * scale), round(part.height * scale)))
            part.save(folder / f"{n:04d}.jpg", quality=90)
            n += 1
    return n


@dataclass(frozen=True)
class Service:
    """A service that runs in a process."""

    process: subprocess.Popen[str]
    address: str

    @property
    def seconds(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> float:
        """Memory now, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    @property
    def sizes(self) -> str:
        """Threads and open files."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        threads = int(status.partition("Threads:")[2].split()[0])
        files = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        return f"{threads} threads, {files} open files"

    def load(self, folder: Path, clients: int, seconds: float) -> dict[str, Any]:
        """Let clients post pictures for a while; return what `wrk` says."""
        command = ["wrk", "-t", "1", "-c", str(clients), "-d", f"{seconds:.0f}s"]
        command += ["--timeout", "60s", "-s", str(_SCRIPT), self.address]
        environment = os.environ | {"FEATX_PICTURES": str(folder)}
        run = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=600
        )
        line = next(each for each in run.stdout.splitlines() if each.startswith("{"))
        came: dict[str, Any] = json.loads(line)
        return came


@contextmanager
def served(model: Path, *options: str) -> Iterator[Service]:
    """Serve a model in a process within the block; SIGTERM ends it with status 0."""
    command = [sys.executable, "-m", "featx", "serve", str(model), "--port", "0", "--json"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield Service(process, json.loads(line)["address"])
        process.send_signal(signal.SIGTERM)
        print(f"   SIGTERM ends it with status {process.wait(30)}", flush=True)
    finally:
        process.kill()
        process.wait()


def throughput(service: Service, folder: Path, seconds: float, rounds: int) -> None:
    """Compare the pictures a second, and the processor time of each, with those of embedding."""
    featx.embed(folder, cache=False, progress=False)  # opens the network
    service.load(folder, _CLIENTS, 3)
    rates, times, slowest, median = [], [], [], []
    for number in range(rounds):
        start = time.process_time()
        features = featx.embed(folder, cache=False, progress=False)
        embed_rate = len(features) / features.seconds
        embed_ms = 1000 * (time.process_time() - start) / len(features)
        start = service.seconds
        came = service.load(folder, _CLIENTS, seconds)
        rate, ms = came["ok"] / came["seconds"], 1000 * (service.seconds - start) / came["ok"]
        rates.append(rate / embed_rate)
        times.append(embed_ms / ms)
        slowest.append(came["p99"])
        median.append(came["p50"])
        print(
            f"   {number + 1}: embed {embed_rate:.0f}/s, {embed_ms:.2f} ms of the processor; serve "
            f"{rate:.0f}/s, {ms:.2f} ms, p50 {came['p50']:.0f} ms, p99 {came['p99']:.0f} ms, "
            f"{came['full']} x 503, {came['other'] + came['errors']} errors",
            flush=True,
        )
    print(
        f"   serve / embed, median: by the clock {statistics.median(rates):.2f}, by processor time "
        f"{statistics.median(times):.2f} (asked: 0.8); p50 {statistics.median(median):.0f} ms, "
        f"p99 {statistics.median(slowest):.0f} ms"
    )


def memory(service: Service, folder: Path, requests: int) -> None:
    """Print the memory of the service as requests are answered."""
    done, shown, marks = 0, [], [requests // 10, requests // 2, requests]
    while done < requests:
        done += service.load(folder, _CLIENTS, 10)["ok"]
        while marks and done >= marks[0]:
            shown.append(f"{service.memory:.0f} MB after {done:,}")
            marks.pop(0)
    print(f"   memory: {', '.join(shown)} requests")


def overload(service: Service, folder: Path, seconds: float) -> None:
    """Let ten times as many clients ask as it can answer."""
    alone = service.load(folder, _CLIENTS, seconds)
    times: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.1):
            start = time.perf_counter()
            with urlopen(f"{service.address}/healthz", timeout=60) as answer:
                answer.read()
            times.append(1000 * (time.perf_counter() - start))

    asking = threading.Thread(target=ask)
    asking.start()
    came = service.load(folder, 10 * _CLIENTS, seconds)
    over.set()
    asking.join()
    rate, before = came["ok"] / came["seconds"], alone["ok"] / alone["seconds"]
    print(
        f"   {10 * _CLIENTS} clients: {rate:.0f} answered a second ({before:.0f} with {_CLIENTS}), "
        f"{came['full'] / came['seconds']:.0f} x 503, {came['other']} others, {came['errors']} "
        f"errors, {came['timeouts']} timeouts; p50 {came['p50']:.0f} ms, p99 {came['p99']:.0f} ms, "
        f"/healthz {statistics.median(times):.0f} ms, at most {max(times):.0f} ms"
    )


def slow_clients(service: Service, folder: Path, seconds: float) -> None:
    """Let clients send a byte now and then, and others ask beside them."""
    alone = service.load(folder, _CLIENTS, seconds)
    host, port = service.address.removeprefix("http://").split(":")
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    ends: list[tuple[str, float]] = []

    def drip(number: int) -> None:
        start = time.monotonic()
        with socket.create_connection((host, int(port)), 60) as connection:
            connection.settimeout(0.5)
            connection.sendall(head + b"Content-Length: 9000\r\n\r\n" if number % 2 else head[:40])
            got = b""
            while time.monotonic() - start < 60:
                try:
                    connection.sendall(b"x")
                    part = connection.recv(4096)
                except TimeoutError:
                    continue
                except OSError:
                    break
                got += part
                if not part:
                    break
        ends.append((got[9:12].decode() or "ended", time.monotonic() - start))

    threads = [threading.Thread(target=drip, args=[number]) for number in range(_SLOW)]
    for each in threads:
        each.start()
    came = service.load(folder, _CLIENTS, seconds)
    for each in threads:
        each.join()
    kinds = sorted({kind for kind, _ in ends})
    counts = ", ".join(f"{sum(kind == each for each, _ in ends)} {kind}" for kind in kinds)
    print(
        f"   {_SLOW} slow clients: {counts}, after {max(each for _, each in ends):.1f} s at most; "
        f"{came['ok'] / came['seconds']:.0f} pictures of others a second beside them "
        f"({alone['ok'] / alone['seconds']:.0f} without), {came['other'] + came['errors']} errors"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.serve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = Path(os.environ.get("FEATX_SHARED", Path(__file__).parents[3] / "shared"))
    photos = shared / "data" / "caltech15" / "train"
    parser.add_argument("--photos", type=Path, default=photos, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=5, help="of embedding and serving in turns")
    parser.add_argument("--requests", type=int, default=_REQUESTS, help="for the memory")
    asked = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt install wrk")
    with tempfile.TemporaryDirectory(prefix="featx-serve-") as work:
        folder, model = Path(work) / "pictures", Path(work) / "model.featx"
        n = pictures(asked.photos, folder)
        featx.train(asked.photos).save(model)
        print(f"{n} pictures of {_SIDE} px, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        with served(model) as service:
            print(f"{_CLIENTS} clients, in turns with featx.embed:", flush=True)
            throughput(service, folder, asked.seconds, asked.rounds)
            before = service.sizes
            print(f"{asked.requests:,} requests:", flush=True)
            memory(service, folder, asked.requests)
            print("ten times the load:", flush=True)
            overload(service, folder, asked.seconds)
            time.sleep(6)
            print(f"   at the end {service.sizes} and {service.memory:.0f} MB, before {before}")
        print(f"slow clients, --timeout {_SLOW_TIMEOUT}:", flush=True)
        with served(model, "--timeout", str(_SLOW_TIMEOUT)) as service:
            slow_clients(service, folder, asked.seconds)
            print(f"   at the end {service.sizes}")


if __name__ == "__main__":
    main()
