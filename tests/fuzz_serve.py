"""Fuzzer of the service: ``python -m tests.fuzz_serve --requests 10000``.

A service on the fake engine gets requests that are damaged at random: pictures, forms, heads and
whole requests, some in drops, some that end too soon. Each has to be answered by a status that HTTP
knows, in time, or its connection has to end; and when all is over the service is there, as large as
before: as many threads, as many open files. A request is told by its number: ``--first 79
--requests 1`` makes it again.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))  # as pytest does

import fakes
import fuzz
import waits

import featx
from featx.serving.limits import ServeLimits
from featx.serving.service import application
from featx.serving.uvicorn_server import server_of

MOST_SECONDS = 30.0  # for an answer
LIMITS = ServeLimits(receive_seconds=1.0, request_bytes=2_000_000, picture_bytes=1_000_000)

_CLIENTS = 8
_POOLED = 8  # threads that pools may start when they first need them
_WORDS = (
    *(b"\r\n", b"\n", b"\r\n\r\n", b"\0", b"--", b"--edge", b"--edge--", b"filename=", b'name="x"'),
    *(
        b"Content-Length: 5\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length: -1\r\n",
    ),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(b"Host: evil.example\r\n", b"Host: localhost\r\n", b"Upgrade: websocket\r\n", b"HTTP/2.0"),
    *(
        b"../../../../etc/passwd",
        b"%00",
        b"%2e%2e%2f",
        b"?top=",
        b"?top=99999999999",
        b"Content-Disposition: ",
    ),
    *(b"\xff" * 8, b"A" * 20_000, b"Content-Encoding: gzip\r\n", b"ffffffff\r\n", b"0\r\n\r\n"),
)


@dataclass
class Report:
    """What became of requests."""

    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0  # seconds
    escapes: list[str] = field(default_factory=list)
    growth: str = ""

    def add(self, other: Report) -> None:
        """Take in what became of others."""
        self.requests += other.requests
        self.answers += other.answers
        self.slowest = max(self.slowest, other.slowest)
        self.escapes += other.escapes

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {name}" for name, n in self.answers.most_common())
        first = f"{self.requests} requests: {counts}; slowest {self.slowest:.1f} s"
        return "\n".join([first, self.growth, f"{len(self.escapes)} escapes", *self.escapes])


def request(files: Sequence[bytes], seed: int, number: int) -> tuple[list[bytes], bool]:
    """Return the pieces of a damaged request, and whether the client stops sending after them."""
    random = Random(f"{seed} {number}")
    body = fuzz.mutated(files, seed, number)
    if random.random() < 0.5:
        body, kind = _form(random, files, seed, number), "multipart/form-data; boundary=edge"
    else:
        kind = random.choice(("image/jpeg", "application/octet-stream", "image/png"))
    path = random.choice(("/predict", "/predict", "/predict?top=3", "/predict?top=x", "/nothing"))
    length = len(body) if random.random() < 0.9 else random.choice((0, 5, len(body) + 9, 10**15))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()
    if random.random() < 0.3:
        head = _damaged(head, random)
    whole = head + body
    if random.random() < 0.2:
        whole = _damaged(whole, random)
    if random.random() < 0.1:
        whole = whole[: random.randrange(len(whole))]
    cuts = sorted(random.randrange(len(whole) + 1) for _ in range(random.choice((0, 0, 1, 5))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    return pieces, random.random() < 0.5


def _form(random: Random, files: Sequence[bytes], seed: int, number: int) -> bytes:
    """Put some damaged pictures into a form, which is damaged itself more often than not."""
    parts = []
    for place in range(random.choice((1, 1, 2, 5, 40))):
        name = random.choice(("a.png", "../../x", "\\\\x", "", "é" * 300, '";x="'))
        picture = fuzz.mutated(files, seed + 1 + place, number)
        head = f'Content-Disposition: form-data; name="picture"; filename="{name}"\r\n\r\n'
        parts.append(b"--edge\r\n" + head.encode() + picture + b"\r\n")
    form = b"".join([*parts, b"--edge--\r\n"])
    return _damaged(form, random) if random.random() < 0.6 else form


def _damaged(data: bytes, random: Random) -> bytes:
    """Damage bytes once or more, by words of HTTP too."""
    damaged = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        place = random.randrange(min(len(damaged), 600) + 1)
        kind = random.randrange(4)
        if kind == 0:
            damaged[place : place + 1] = bytes([random.randrange(256)])
        elif kind == 1:
            del damaged[place : place + random.randrange(1, 40)]
        else:
            damaged[place:place] = random.choice(_WORDS)
    return bytes(damaged)


def answer(address: tuple[str, int], pieces: Sequence[bytes], ends: bool) -> str:
    """Send a request and return the status of the answer, or "ended" where there is none.

    A `TimeoutError` says that nothing came in time, a `ValueError` that it is no answer.
    """
    with socket.create_connection(address, MOST_SECONDS) as connection:
        got = b""
        with suppress(OSError):  # it may have ended the connection already
            for piece in pieces:
                connection.sendall(piece)
            if ends:
                connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while part := connection.recv(65536):
                got += part
    if not got:
        return "ended"
    status = got[9:12].decode("ascii", "replace")
    if status == "100" and (later := got.partition(b"\r\n\r\n")[2]):
        got, status = later, later[9:12].decode("ascii", "replace")
    known = ("100", "200", "400", "403", "404", "405", "408", "413", "415", "421", "422", "503")
    if not got.startswith(b"HTTP/1.1 ") or status not in known:
        raise ValueError(f"the answer {got[:80]!r}")
    if b"Traceback" in got or b"passwd" in got:
        raise ValueError("something of the inside, or of the client, in the answer")
    return status


@contextmanager
def service(work: Path) -> Iterator[tuple[str, int]]:
    """Serve a model on the fake engine within the block, and give its address."""
    ready = threading.Event()
    with fakes.install():
        model = featx.train(fakes.draw_folder(work / "photos"), cache=work / "cache")
        app = application(model, limits=LIMITS, ended=lambda error: ready.set(), cache=work)
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        server = server_of(app, LIMITS)
        thread = threading.Thread(target=server.run, args=[[listener]])
        address = listener.getsockname()
        thread.start()
        assert ready.wait(waits.SECONDS)
        try:
            yield address
        finally:
            server.stop()
            waits.for_threads(thread)


def attack(
    address: tuple[str, int], files: Sequence[bytes], seed: int, numbers: Sequence[int]
) -> Report:
    """Send the requests of some numbers, a few at a time."""
    report = Report()

    def one(number: int) -> None:
        pieces, ends = request(files, seed, number)
        start = time.monotonic()
        try:
            came = answer(address, pieces, ends)
        except Exception as error:
            report.escapes.append(f"seed {seed}, request {number}: {type(error).__name__}: {error}")
            came = "escaped"
        report.answers[came] += 1
        report.requests += 1
        report.slowest = max(report.slowest, time.monotonic() - start)

    with ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(one, numbers))
    return report


def sizes() -> tuple[int, int, int]:
    """Return how many threads and open files this process has, and its memory in bytes."""
    status = Path("/proc/self/status").read_text()
    memory = int(status.partition("VmRSS:")[2].split()[0]) * 1024
    return threading.active_count(), len(os.listdir("/proc/self/fd")), memory


def fuzz_service(requests: int, seed: int = 0, first: int = 0) -> Report:
    """Serve a model, attack it, and report what became of it."""
    files = fuzz.seeds()
    with tempfile.TemporaryDirectory(prefix="featx-fuzz-") as folder, service(Path(folder)) as at:
        picture = fakes.encoded(fakes.photo())
        whole = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        whole += b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(picture), picture)
        attack(at, files, seed + 1, range(min(100, requests)))  # what is made once is there then
        before = _settled()
        half = first + requests // 2
        report = attack(at, files, seed, range(first, half))
        between = _settled(before)
        report.add(attack(at, files, seed, range(half, first + requests)))
        after = _settled(before)
        if answer(at, [whole], False) != "200":
            report.escapes.append("the service does not answer any more")
        spare = {"threads": _POOLED, "open files": 0}
        for (what, more), old, new in zip(spare.items(), before, after, strict=False):
            if new > old + more:
                report.escapes.append(f"{new} {what}, {old} before")
        said = [f"{each[2] / 1e6:.0f} MB" for each in (before, between, after)]
        report.growth = f"memory {said[0]}, {said[1]} after half of them, {said[2]} at the end"
    return report


def _settled(before: Sequence[int] = ()) -> tuple[int, int, int]:
    """Measure, once the connections that clients have left are closed."""
    deadline = time.monotonic() + LIMITS.receive_seconds + 2.0
    while time.monotonic() < deadline:
        now = sizes()
        if before and now[0] <= before[0] and now[1] <= before[1]:
            break
        time.sleep(0.1)
    return now


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fuzzer; the exit status is 1 if anything escaped."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_serve", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="how many to send")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    given = parser.parse_args(arguments)
    report = fuzz_service(given.requests, given.seed, given.first)
    print(report)
    return bool(report.escapes)


if __name__ == "__main__":
    sys.exit(main())
