"""Mutation fuzzer of decoding: ``python -m tests.fuzz --images 10000``.

Files are damaged at random, and each must decode or fail with a reason of one line, whatever was
done to it: no exception, no crash, no hang, no more memory and time than the bounds. The files are
those of the messy set, where FEATX_SHARED names it, and small pictures of every format. An image is
told by the seed and its number: ``--seed 0 --first 123 --images 1`` makes it again.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from random import Random

from PIL import Image

from featx.images.decode import decode_all
from featx.images.quiet import quiet_pillow
from featx.images.square import Square

MOST_BYTES = 1_000_000_000  # of memory above the start
MOST_SECONDS = 10.0  # of the processor
HANGS_SECONDS = 60.0

_MOST_OF_SEED = 200_000  # bytes: what is larger is slow and not damaged in other ways
_BLOCK = 5_000  # images a process
_SQUARES = [Square(32), Square(48, "crop", decode="scaled")]
_MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "I", "F", "CMYK")
_TELLING = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)  # bytes that are limits of something


@dataclass
class Report:
    """What became of damaged images."""

    images: int = 0
    decoded: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    escapes: list[str] = field(default_factory=list)
    slowest: float = 0.0  # seconds of the processor
    largest: int = 0  # bytes of memory above the start

    def add(self, other: Report) -> None:
        """Take in what became of others."""
        self.images += other.images
        self.decoded += other.decoded
        self.reasons += other.reasons
        self.escapes += other.escapes
        self.slowest = max(self.slowest, other.slowest)
        self.largest = max(self.largest, other.largest)

    def __str__(self) -> str:
        lines = [
            f"{self.images} images: {self.decoded} decoded, {self.images - self.decoded} failed "
            f"with a reason, {len(self.escapes)} escapes",
            f"slowest {self.slowest:.1f} s, memory at most {self.largest / 1e6:.0f} MB more",
            *(f"{count:9} {reason}" for reason, count in self.reasons.most_common(12)),
        ]
        return "\n".join(lines + self.escapes)


def pictures() -> list[bytes]:
    """Draw a small picture in every format and mode that Pillow writes and featx reads."""
    rgb = Image.linear_gradient("L").resize((24, 18))
    rgb = Image.merge("RGB", [rgb, rgb.transpose(Image.Transpose.ROTATE_180), rgb])
    turned = Image.Exif()
    turned[0x0112] = 6
    writings = [
        *(("JPEG", {"exif": turned}), ("JPEG", {"progressive": True}), ("PNG", {"exif": turned})),
        *(("TIFF", {"compression": each}) for each in (None, "tiff_lzw", "jpeg", "packbits")),
        *(("TIFF", {"compression": each}) for each in ("tiff_adobe_deflate", "group4")),
        *(("GIF", {"save_all": True, "append_images": [rgb]}), ("WEBP", {"lossless": True})),
        *(("WEBP", {}), ("AVIF", {}), ("JPEG2000", {}), ("MPO", {"append_images": [rgb]})),
        *((each, {}) for each in ("BMP", "DIB", "ICO", "ICNS", "PPM", "DDS", "QOI", "PCX", "SGI")),
        *((each, {}) for each in ("TGA", "XBM")),
    ]
    drawn = []
    for mode, (format, options) in itertools.product(_MODES, writings):
        grey = mode in ("I;16", "I", "F")
        stream = BytesIO()
        try:
            with quiet_pillow():
                (rgb.convert("L") if grey else rgb).convert(mode).save(stream, format, **options)
        except (OSError, ValueError, KeyError, TypeError, SystemError):
            continue  # a format that has no such mode
        drawn.append(stream.getvalue())
    return drawn


def seeds() -> list[bytes]:
    """Return the files to damage, each once."""
    shared = Path(os.environ.get("FEATX_SHARED", Path(__file__).parents[2] / "shared"))
    messy = [path.read_bytes() for path in sorted((shared / "data" / "messy").glob("*/*"))]
    files = [data for data in messy if 0 < len(data) <= _MOST_OF_SEED] + pictures()
    return list(dict.fromkeys(files))


def mutated(files: Sequence[bytes], seed: int, number: int) -> bytes:
    """Return a file that is damaged in the way of this number."""
    random = Random(f"{seed} {number}")
    data = bytearray(random.choice(files))
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        _damage(data, files, random)
    return bytes(data)


def _damage(data: bytearray, files: Sequence[bytes], random: Random) -> None:
    """Damage a file once, more often near its beginning, where the headers are."""
    length = max(1, len(data))
    place = random.randrange(min(length, 256) if random.random() < 0.5 else length)
    kind = random.randrange(8)
    if kind <= 1:
        data[place : place + 1] = bytes([random.randrange(256)])
    elif kind == 2:
        data[place : place + 1] = bytes([(data[place] if data else 0) ^ 1 << random.randrange(8)])
    elif kind == 3:
        width = random.choice((1, 2, 4))
        data[place : place + width] = bytes([random.choice(_TELLING)] * width)
    elif kind == 4:
        del data[place:]
    elif kind == 5:
        del data[place : place + random.randrange(1, 64)]
    elif kind == 6:
        data[place:place] = data[place : place + random.randrange(1, 64)] * random.randrange(1, 50)
    else:
        other = random.choice(files)
        start = random.randrange(len(other))
        data[place : place + 16] = other[start : start + random.randrange(1, 256)]


def examine(data: bytes, report: Report, base: int) -> str:
    """Decode a file and note what became of it; return what escaped, or nothing.

    `base` is the memory of the process before the first file.
    """
    start, before = time.process_time(), _peak()
    try:
        squares, outcome = decode_all(data, _SQUARES)
    except BaseException as error:  # nothing may escape, not even SystemExit
        return f"{type(error).__name__}: {error}"
    seconds, peak = time.process_time() - start, _peak()
    grown = peak - base if peak > before else 0
    report.slowest, report.largest = max(report.slowest, seconds), max(report.largest, grown)
    if outcome.ok:
        report.decoded += 1
        if [each.shape for each in squares] != [(each.size, each.size, 3) for each in _SQUARES]:
            return "pixels of another shape"
    elif len(outcome.reason.splitlines()) != 1:
        return f"no reason of one line: {outcome.reason!r}"
    else:
        report.reasons[outcome.reason.partition(":")[0][:40]] += 1
    if seconds > MOST_SECONDS:
        return f"{seconds:.1f} s ({outcome})"
    if grown > MOST_BYTES:
        return f"{grown / 1e6:.0f} MB ({outcome})"
    return ""


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fuzz(files: Sequence[bytes], seed: int, numbers: Sequence[int], now: object = None) -> Report:
    """Damage and decode the images of some numbers; `now.value` is the one at work."""
    report, base = Report(), _peak()
    with warnings.catch_warnings(record=True) as heard, quiet_pillow():
        warnings.simplefilter("always", append=True)
        for number in numbers:
            heard.clear()
            if now is not None:
                now.value = number  # type: ignore[attr-defined]
            escaped = examine(mutated(files, seed, number), report, base)
            escaped = escaped or "; ".join(f"warns: {each.message}" for each in heard)
            if escaped:
                report.escapes.append(f"seed {seed}, image {number}: {escaped}")
            report.images += 1
    return report


def in_a_process(files: Sequence[bytes], seed: int, numbers: range) -> Report:
    """Do the same in processes of their own, each until one of its images crashes or hangs it."""
    whole = Report()
    context = multiprocessing.get_context("fork")
    while numbers:
        now = context.Value("q", numbers.start)
        ours, theirs = context.Pipe(duplex=False)

        def work(numbers=numbers, now=now, theirs=theirs):
            theirs.send(fuzz(files, seed, numbers, now))

        process = context.Process(target=work)
        process.start()
        theirs.close()
        last, hangs = -1, False
        while not hangs and not ours.poll(HANGS_SECONDS):
            hangs, last = now.value == last, now.value
        if hangs:
            process.kill()
        try:
            whole.add(ours.recv())
            numbers = numbers[len(numbers) :]
        except EOFError:  # it ended without a report, and what it did before is done again
            process.join()
            kind = "hangs" if hangs else f"ends by {process.exitcode}"
            whole.escapes.append(f"seed {seed}, image {now.value}: the process {kind}")
            whole.images += now.value - numbers.start + 1
            numbers = range(now.value + 1, numbers.stop)
        process.join()
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fuzzer; the exit status is 1 if anything escaped."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--images", type=int, default=10_000, help="how many to damage")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    given = parser.parse_args(arguments)
    files, report, start = seeds(), Report(), time.monotonic()
    last = given.first + given.images
    for first in range(given.first, last, _BLOCK):
        report.add(in_a_process(files, given.seed, range(first, min(last, first + _BLOCK))))
        print(f"{time.monotonic() - start:.0f} s  {report}", flush=True)
        if time.monotonic() - start > given.seconds:
            break
    return bool(report.escapes)


if __name__ == "__main__":
    sys.exit(main())
