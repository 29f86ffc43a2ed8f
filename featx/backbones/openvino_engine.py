"""The fast engine on CPUs: a converted network, compiled by OpenVINO."""

from __future__ import annotations

import json
import logging
import queue
import time
import zlib
from functools import cache as cached
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.converted import converted, key_of
from featx.backbones.framework import import_openvino
from featx.backbones.preprocessing import Preprocessing
from featx.errors import StorageError
from featx.files import written

if TYPE_CHECKING:
    import openvino

# In float32 one picture at a time is as fast as many, and a single one need not wait for others;
# in bfloat16, matrix units (AMX) compute faster than weights can be read for each picture anew.
_BATCH_SIZES = {"float32": 1, "bfloat16": 8}
_HINTS = {"float32": "f32", "bfloat16": "bf16"}
_TIMED_RUNS = 3

log = logging.getLogger(__name__)


class OpenVINOEngine:
    """A network that OpenVINO compiled for this processor.

    Parameters
    ----------
    backbone, layer, pooling, input_size, precision, batch_size, cache
        As for `featx.backbones.engine.open_engine`.

    Attributes
    ----------
    shape : tuple of int
        Shape of one feature.
    batch_size : int
        Pictures at once.
    streams : int
        Requests at once, as OpenVINO suggests for this processor.
    bfloat16_speedup : float or None
        How many times faster the network was in bfloat16 when it was first compiled here; None
        where that is not known.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        layer: str | None,
        pooling: str,
        input_size: int,
        precision: str,
        batch_size: int | None,
        cache: Path,
    ) -> None:
        network, folder = converted(
            backbone, layer=layer, pooling=pooling, input_size=input_size, cache=cache
        )
        self.batch_size = batch_size or _BATCH_SIZES[precision]
        network.reshape([self.batch_size, input_size, input_size, 3])
        compiled, self.bfloat16_speedup = _compiled(network, folder, precision, self.batch_size)
        folded = isinstance(backbone.preprocess, Preprocessing)
        self._preprocess = None if folded else backbone.preprocess
        self.shape = tuple(compiled.output(0).shape)[1:]
        self.streams = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
        for _ in range(self.streams):
            self._requests.put(compiled.create_infer_request())

    def embed_batch(self, images: np.ndarray) -> np.ndarray:
        """Embed a batch of decoded pictures; see `featx.backbones.engine.Engine`."""
        n = len(images)
        if n < self.batch_size:
            blank = np.zeros((self.batch_size - n, *images.shape[1:]), images.dtype)
            images = np.concatenate([images, blank])
        pixels = self._preprocess(images.astype(np.float32)) if self._preprocess else images
        request = self._requests.get()
        try:
            request.infer([np.ascontiguousarray(pixels)], share_inputs=True)
            return request.get_output_tensor(0).data[:n].copy()
        finally:
            self._requests.put(request)


@cached
def computes_in_bfloat16() -> bool:
    """Whether this processor computes in bfloat16 natively (AMX, AVX512-BF16, ...)."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cached
def _core() -> openvino.Core:
    openvino = import_openvino()
    # Its table of dtypes is made at the first use; two threads at that together wait for each
    # other for ever (2026.4), so it is made here, by one.
    openvino.Tensor(np.zeros(1, np.uint8)).data.tobytes()
    return openvino.Core()


def _compiled(
    network: openvino.Model, folder: Path | None, precision: str, batch_size: int
) -> tuple[openvino.CompiledModel, float | None]:
    """Compile a network for this processor, or take what was kept of the last time."""
    config = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "PERFORMANCE_HINT": "THROUGHPUT",
        "ENABLE_CPU_PINNING": False,  # the threads that decode share the cores
        "CACHE_MODE": "OPTIMIZE_SIZE",  # without the weights, which stand beside
    }
    if folder is None:
        return _core().compile_model(network, "CPU", config), None
    shape = {
        "config": config,
        "batch_size": batch_size,
        "processor": _core().get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    }
    path = folder / f"compiled-{key_of(shape)}.blob"
    kept = _read(path, {**config, "WEIGHTS_PATH": str(folder / "network.bin")})
    if kept:
        return kept
    compiled = _core().compile_model(network, "CPU", config)
    speedup = None
    if precision == "float32" and computes_in_bfloat16():
        other = _core().compile_model(
            network, "CPU", {**config, "INFERENCE_PRECISION_HINT": "bf16"}
        )
        speedup = _seconds(compiled) / _seconds(other)
    _write(path, compiled, speedup)
    return compiled, speedup


def _seconds(compiled: openvino.CompiledModel) -> float:
    """Time a batch: the best of a few, after one that does not count."""
    entry = compiled.input(0)
    pixels = np.zeros(tuple(entry.shape), entry.element_type.to_dtype())
    times = []
    for _ in range(1 + _TIMED_RUNS):
        start = time.perf_counter()
        compiled([pixels])
        times.append(time.perf_counter() - start)
    return min(times[1:])


def _write(path: Path, compiled: openvino.CompiledModel, speedup: float | None) -> None:
    blob = compiled.export_model().getvalue()
    header = {"bfloat16_speedup": speedup, "crc32": zlib.crc32(blob)}
    try:
        with written(path) as file:
            file.write_bytes(json.dumps(header).encode() + b"\n" + blob)
    except StorageError as error:
        log.info("%s; the network is compiled again next time", error)


def _read(path: Path, config: dict[str, Any]) -> tuple[openvino.CompiledModel, float | None] | None:
    """Read what `_write` wrote; None where there is nothing, or nothing that serves here."""
    try:
        first, _, blob = path.read_bytes().partition(b"\n")
        header = json.loads(first)
        if header["crc32"] == zlib.crc32(blob):
            return _core().import_model(blob, "CPU", config), header["bfloat16_speedup"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        log.info("%s does not serve here and is made anew: %s", path, error)
    return None
