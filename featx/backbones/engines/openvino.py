"""The OpenVINO engine, the fast one on CPUs: a converted network, compiled for the processor."""

from __future__ import annotations

import json
import platform
import queue
import zlib
from functools import cache as cached
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.engines.conversion import converted
from featx.backbones.engines.engine import BatchEngine, EngineRequest
from featx.backbones.engines.quantization import greatest_sums, quantized_network
from featx.backbones.engines.reversal import quicken_reversals
from featx.backbones.framework import import_openvino
from featx.backbones.network_store import key_of
from featx.errors import ConversionError, StorageError, get_logger, one_line
from featx.files import written
from featx.forks import in_child, never_free, starting

if TYPE_CHECKING:
    import openvino

# In float32 one picture at a time is as fast as many, and a single one need not wait for others;
# in bfloat16, matrix units (AMX) compute faster than weights can be read for each picture anew. In
# int8 four at a time take a tenth (VNNI) to a quarter (AMX) less than one; eight gain 4 % at most,
# and a picture that comes alone takes as long as a whole batch.
_BATCH_SIZES = {"float32": 1, "bfloat16": 8, "int8": 4}
# What a network in int8 does not round is float32, so that its values are the same everywhere.
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}

log = get_logger(__name__)


class OpenVINOEngine(BatchEngine):
    """A network that OpenVINO compiled for this processor.

    As many batches are under way as OpenVINO suggests for it.
    """

    def __init__(self, request: EngineRequest) -> None:
        precision = request.cut.precision
        if precision == "int8":
            network, folder = quantized_network(request, natively=computes_in_int8())
        else:
            network, folder = converted(request)
        batch_size = request.batch_size or _BATCH_SIZES[precision]
        if network.input(0).partial_shape[0].is_static:  # the only number that it takes
            batch_size = network.input(0).partial_shape[0].get_length()
        try:
            network.reshape([batch_size, request.input_size, request.input_size, 3])
            compiled = _compiled(network, folder, precision, batch_size, request.threads)
        except RuntimeError as error:  # such as numbers of a calibration that make no sense
            raise ConversionError(
                f"OpenVINO cannot run {request.backbone.name} in {precision}: {one_line(error)}"
            ) from error
        super().__init__(
            request.backbone,
            shape=tuple(compiled.output(0).shape)[1:],
            batch_size=batch_size,
            streams=compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"),
        )
        self._requests: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
        for _ in range(self.streams):
            self._requests.put(compiled.create_infer_request())

    def _compute(self, pixels: np.ndarray, n: int) -> np.ndarray:
        request = self._requests.get()
        try:
            request.infer([np.ascontiguousarray(pixels)], share_inputs=True)
            features: np.ndarray = request.get_output_tensor(0).data[:n].copy()
            return features
        finally:
            self._requests.put(request)


def prepared(request: EngineRequest) -> list[Path]:
    """Return the folders of a converted network, made now where they are not there.

    A machine that computes in int8 another way than this one makes that of the first. There are
    none where the cache cannot be written.
    """
    folders = [converted(request)[1]]
    if request.cut.precision == "int8":
        folders.append(quantized_network(request, natively=computes_in_int8())[1])
    return [folder for folder in folders if folder is not None]


@cached
def computes_in_bfloat16() -> bool:
    """Whether this processor computes in bfloat16 natively (AMX, AVX512-BF16, ...)."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cached
def computes_in_int8() -> bool:
    """Whether this processor multiplies bytes faster than floats, and exactly (VNNI, AMX).

    Without these, x86 processors add two products in 16 bits: sums that overflow are cut off, and
    features are others. So a layer of the greatest numbers is computed, and its sums looked at.
    """
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    if not is_x86 or "INT8" not in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return False
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    network, pixels, expected = greatest_sums()
    return bool((_core().compile_model(network, "CPU", config)([pixels])[0] == expected).all())


@cached
def _core() -> openvino.Core:
    with starting:
        openvino = import_openvino()
        # Its table of dtypes is made at the first use; two threads at that together wait for each
        # other for ever (2026.4), so it is made here, by one.
        openvino.Tensor(np.zeros(1, np.uint8)).data.tobytes()
        return openvino.Core()


@in_child
def _leave_core() -> None:
    """Leave the core to the parent process, as its engines are."""
    if _core.cache_info().currsize:
        never_free(_core())
        _core.cache_clear()


def _compiled(
    network: openvino.Model,
    folder: Path | None,
    precision: str,
    batch_size: int,
    threads: int | None,
) -> openvino.CompiledModel:
    """Compile a network for this processor, or take what was kept of the last time."""
    config = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "PERFORMANCE_HINT": "THROUGHPUT",
        "ENABLE_CPU_PINNING": False,  # the threads that decode share the cores
        "CACHE_MODE": "OPTIMIZE_SIZE",  # without the weights, which stand beside
    }
    if threads is not None:
        config["INFERENCE_NUM_THREADS"] = threads
    quickened = quicken_reversals(network)
    if folder is None:
        return _core().compile_model(network, "CPU", config)
    shape = {
        "config": config,
        **({"reversals": "quick"} if quickened else {}),
        "batch_size": batch_size,
        "processor": _core().get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    }
    path = folder / f"compiled-{key_of(shape)}.blob"
    compiled = _read(path, {**config, "WEIGHTS_PATH": str(folder / "network.bin")})
    if compiled is None:
        compiled = _core().compile_model(network, "CPU", config)
        _write(path, compiled)
    return compiled


def _write(path: Path, compiled: openvino.CompiledModel) -> None:
    blob = compiled.export_model().getvalue()
    header = {"crc32": zlib.crc32(blob)}
    try:
        with written(path) as file:
            file.write_bytes(json.dumps(header).encode() + b"\n" + blob)
    except StorageError as error:
        log.info("%s; the network is compiled again next time", error)


def _read(path: Path, config: dict[str, Any]) -> openvino.CompiledModel | None:
    """Read what `_write` wrote; None where there is nothing, or nothing that serves here."""
    try:
        first, _, blob = path.read_bytes().partition(b"\n")
        if json.loads(first)["crc32"] == zlib.crc32(blob):
            return _core().import_model(blob, "CPU", config)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        log.info("%s does not serve here and is made anew: %s", path, error)
    return None
