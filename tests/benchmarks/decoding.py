"""Where the time of a picture goes before the network, and what another decoder would gain.

    python -m tests.benchmarks.decoding

Milliseconds of one core for a photograph, by size, and whether simplejpeg, where it is installed,
gives the pixels of Pillow. On a Xeon with AMX (Pillow 13, which has libjpeg-turbo 3.2 inside, and
simplejpeg 1.9), pixels being identical:

    ms                         400x300  450x375  4000x3000
    read                          0.02     0.02       0.60
    digest                        0.03     0.04       2.60
    decode, Pillow                0.73     0.99      72.29
    decode scaled, Pillow         0.72     0.97      36.95
    entropy coding alone          0.39     0.53      29.03
    resize                        0.62     0.78       2.45
    all of it, scaled             1.64     2.08      39.78
    decode, simplejpeg            0.55     0.73      52.05
    decode scaled, simplejpeg     0.55     0.73      34.74
    its array as an image         0.09     0.12       0.59

So simplejpeg saves 0.1 ms of a small photograph, and 1.6 ms of one of 12 megapixels. End to end,
beside ResNet50 in int8 (5 ms with AMX, 12 with VNNI) and `--fast`, that is 1 to 3 %, and beside
EfficientNet-Lite0 no more than 3 %: not worth a second decoder. To resize takes as long as to
decode. Nothing at hand resizes to the same pixels in less: `reducing_gap`, OpenVINO and the SIMD
forks of Pillow round otherwise, and recipes name their pixels.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from featx.cli.output import table
from featx.images.decode import decode_all
from featx.images.digests import digest_bytes, read_file
from featx.images.square import Square

from .images import drawn
from .turns import in_turns

_SIZES = {(400, 300): 64, (450, 375): 64, (4000, 3000): 12}
_SIDE = 224
_ROUNDS = 7


def main() -> None:
    """Measure every step in turns and print the table."""
    columns = {}
    with tempfile.TemporaryDirectory(prefix="featx-decoding-") as work:
        for size, n in _SIZES.items():
            folder = drawn(Path(work) / "x".join(map(str, size)), n, size)
            columns["{}x{}".format(*size)] = _measured(sorted(folder.iterdir()), size)
    steps = list(next(iter(columns.values())))
    rows = [[step, *(f"{each[step]:.2f}" for each in columns.values())] for step in steps]
    print(table(["ms", *columns], rows, right=list(columns)))


def _measured(paths: Sequence[Path], size: tuple[int, int]) -> dict[str, float]:
    """Return the median milliseconds of each step for a photograph."""
    files = [path.read_bytes() for path in paths]
    square = Square(_SIDE, decode="scaled")
    reduction = square.reduction(*size)
    images = [_pillow(data, reduction) for data in files]
    steps: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {
        "read": (read_file, paths),
        "digest": (digest_bytes, files),
        "decode, Pillow": (_pillow, files),
        "decode scaled, Pillow": (partial(_pillow, reduction=reduction), files),
        "entropy coding alone": (partial(_pillow, reduction=8, mode="L"), files),
        "resize": (square.of, images),
        "all of it, scaled": (lambda data: decode_all(data, [square]), files),
    }
    if find_spec("simplejpeg"):
        arrays = [np.asarray(image) for image in images]
        if not all(
            np.array_equal(_simplejpeg(data, reduction), array)
            for data, array in zip(files, arrays, strict=True)
        ):
            print(f"simplejpeg gives other pixels than Pillow at {size}")
        steps |= {
            "decode, simplejpeg": (_simplejpeg, files),
            "decode scaled, simplejpeg": (partial(_simplejpeg, reduction=reduction), files),
            "its array as an image": (Image.fromarray, arrays),
        }
    turns = {name: partial(_milliseconds, *step) for name, step in steps.items()}
    return _medians(in_turns(turns, _ROUNDS))


def _medians(said: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: float(np.median(each)) for name, each in said.items()}


def _milliseconds(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    start = time.thread_time()
    for item in items:
        work(item)
    return 1000 * (time.thread_time() - start) / len(items)


def _pillow(data: bytes, reduction: int = 1, mode: str | None = None) -> Image.Image:
    image = Image.open(BytesIO(data))
    if reduction > 1:
        image.draft(mode, (max(1, image.width // reduction), max(1, image.height // reduction)))
    image.load()
    return image


def _simplejpeg(data: bytes, reduction: int = 1) -> np.ndarray:
    import simplejpeg

    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    wanted = {"min_height": -(-height // reduction), "min_width": -(-width // reduction)}
    pixels: np.ndarray = simplejpeg.decode_jpeg(data, **(wanted if reduction > 1 else {}))
    return pixels


if __name__ == "__main__":
    main()
